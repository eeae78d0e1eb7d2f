"""From a logit to a calibrated probability: three calibrators, their fits, and the choice between them, in numpy."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num, Shaped

from tipai_jax.metrics.calibration import nll

__all__ = [
    "MIN_EXAMPLES",
    "MIN_PER_CLASS",
    "Beta",
    "Calibrator",
    "Chosen",
    "Isotonic",
    "Platt",
    "choose_calibrator",
    "fit_beta",
    "fit_isotonic",
    "fit_platt",
    "sigmoid",
]

MIN_EXAMPLES = 20
"""Below so many examples no calibrator is fitted: the logit itself is taken as that of a probability."""
MIN_PER_CLASS = 30
"""Below so many examples of either class only Platt's calibrator is fitted: it has two parameters, and held-out
examples are too few to choose by."""


def sigmoid(logit: Num[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """1 / (1 + exp(-logit)) without overflow, in f64."""
    logit = np.asarray(logit, np.float64)
    small = np.exp(-np.abs(logit))
    return np.where(logit >= 0, 1.0, small) / (1.0 + small)


@dataclass(frozen=True)
class Platt:
    """p = sigmoid(scale * logit + bias): a temperature and a bias (Platt 1999; Guo et al. 2017 with the bias)."""

    scale: float = 1.0
    bias: float = 0.0

    def __call__(self, logit: Num[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Probability of label 1 for each logit."""
        return sigmoid(self.scale * np.asarray(logit, np.float64) + self.bias)


@dataclass(frozen=True)
class Beta:
    """p = sigmoid(low * ln s - high * ln(1 - s) + bias), s = sigmoid(logit), low and high >= 0 (Kull et al. 2017)."""

    low: float = 1.0
    high: float = 1.0
    bias: float = 0.0

    def __call__(self, logit: Num[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Probability of label 1 for each logit."""
        logit = np.asarray(logit, np.float64)
        return sigmoid(-self.low * np.logaddexp(0.0, -logit) + self.high * np.logaddexp(0.0, logit) + self.bias)


@dataclass(frozen=True)
class Isotonic:
    """The rising step function of least squares, straight lines between the middles of its steps (Zadrozny, Elkan
    2002).
    """

    logits: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __call__(self, logit: Num[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Probability of label 1 for each logit; flat beyond the ends."""
        return np.interp(np.asarray(logit, np.float64), self.logits, self.probabilities)


Calibrator = Platt | Beta | Isotonic


def _targets(label: np.ndarray) -> np.ndarray:
    """Platt's smoothed targets, so that classes which a logit separates fully still have a finite best scale."""
    positives, negatives = float(label.sum()), float(len(label) - label.sum())
    return np.where(label == 1, (positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0))


def _fit(columns: np.ndarray, label: np.ndarray, *, signed: int) -> list[float]:
    """Weights of a logistic regression on columns, by Newton's method; the first `signed` ones are never below 0.

    A weight that comes out negative is set to 0 and the rest fitted again, as Kull et al. do.
    """
    target = _targets(label)
    free = list(range(columns.shape[1]))
    while True:
        weights = _newton(columns[:, free], target)
        negative = [place for place, column in enumerate(free) if column < signed and weights[place] < 0.0]
        if not negative:
            break
        del free[min(negative, key=lambda place: weights[place])]
    full = np.zeros(columns.shape[1])
    full[free] = weights
    return full.tolist()


def _newton(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The minimum of the mean log loss; steps are halved until the loss falls, columns scaled to unit size
    meanwhile.
    """
    spread = np.maximum(np.sqrt(np.mean(columns * columns, axis=0)), 1e-12)
    columns = columns / spread
    weights = np.zeros(columns.shape[1])
    loss_of = lambda z: float(np.mean(np.logaddexp(0.0, z) - target * z))
    loss = loss_of(columns @ weights)
    for _ in range(100):
        probability = sigmoid(columns @ weights)
        slope = columns.T @ (probability - target) / len(target)
        bend = (columns * (probability * (1.0 - probability))[:, None]).T @ columns / len(target)
        step = np.linalg.solve(bend + 1e-10 * np.eye(len(weights)), slope)
        share = 1.0
        while (lower := loss_of(columns @ (weights - share * step))) > loss and share > 1e-6:
            share /= 2.0
        if loss - lower < 1e-13:
            break
        weights, loss = weights - share * step, lower
    return weights / spread


def fit_platt(logit: Float[np.ndarray, " n"], label: Int[np.ndarray, " n"]) -> Platt:
    """Scale (never below 0) and bias of the least log loss.

    Args:
        logit: one logit an example.
        label: 1 or 0.

    Returns:
        The calibrator.
    """
    logit = np.asarray(logit, np.float64)
    scale, bias = _fit(np.stack([logit, np.ones_like(logit)], axis=1), label, signed=1)
    return Platt(scale, bias)


def fit_beta(logit: Float[np.ndarray, " n"], label: Int[np.ndarray, " n"]) -> Beta:
    """The three weights of beta calibration by least log loss; arguments as `fit_platt`."""
    logit = np.asarray(logit, np.float64)
    columns = np.stack([-np.logaddexp(0.0, -logit), np.logaddexp(0.0, logit), np.ones_like(logit)], axis=1)
    low, high, bias = _fit(columns, label, signed=2)
    return Beta(low, high, bias)


def fit_isotonic(logit: Float[np.ndarray, " n"], label: Int[np.ndarray, " n"]) -> Isotonic:
    """Isotonic regression; probabilities stay 1 / (n + 2) away from 0 and 1. Arguments as `fit_platt`."""
    from scipy.optimize import isotonic_regression

    logit = np.asarray(logit, np.float64)
    order = np.argsort(logit, kind="stable")
    places, back, counts = np.unique(logit[order], return_inverse=True, return_counts=True)
    means = np.bincount(back, weights=label[order], minlength=len(places)) / counts
    fitted = isotonic_regression(means, weights=counts)
    edges = np.asarray(fitted.blocks)
    weight = np.add.reduceat(counts, edges[:-1])
    middle = np.add.reduceat(places * counts, edges[:-1]) / weight
    margin = 1.0 / (len(logit) + 2)
    level = np.asarray(fitted.x)[edges[:-1]].clip(margin, 1.0 - margin)
    return Isotonic(tuple(middle.tolist()), tuple(level.tolist()))


@dataclass(frozen=True)
class Chosen:
    """A calibrator and how it was chosen.

    Attributes:
        calibrator: fitted on all examples.
        nll: held-out log loss of each candidate, in nats per example; empty where there was no choice.
        n: number of examples.
        note: why there was no choice; "" where there was one.
    """

    calibrator: Calibrator
    nll: dict[str, float]
    n: int
    note: str = ""


def choose_calibrator(
    logit: Float[np.ndarray, " n"], label: Int[np.ndarray, " n"], *, group: Shaped[np.ndarray, " n"], folds: int = 5
) -> Chosen:
    """The candidate of the least log loss on held-out groups, fitted again on everything.

    The candidates are Platt, beta and isotonic. Their log loss is measured by cross-validation over groups: fitted on
    itself, the isotonic one would always look best. Ties go to the simpler one.

    Args:
        logit: one logit an example.
        label: 1 or 0.
        group: examples of one group are never on both sides of a fold.
        folds: how many; fewer where there are fewer groups.

    Returns:
        The calibrator with its record. With fewer than `MIN_EXAMPLES` examples or one class only, the identity
        (`Platt(1, 0)`); with fewer than `MIN_PER_CLASS` examples of a class, Platt's calibrator.
    """
    logit, label = np.asarray(logit, np.float64), np.asarray(label)
    n, rarer = len(logit), int(min((label == 1).sum(), (label == 0).sum()))
    if n < MIN_EXAMPLES or not rarer:
        why = f"{n} examples, at least {MIN_EXAMPLES} are needed" if n < MIN_EXAMPLES else "examples of one class only"
        return Chosen(Platt(), {}, n, f"not calibrated: {why}")
    if rarer < MIN_PER_CLASS:
        why = f"{rarer} examples of the rarer class, at least {MIN_PER_CLASS} are needed"
        return Chosen(fit_platt(logit, label), {}, n, f"Platt's calibrator without a choice: {why}")
    fits = {"platt": fit_platt, "beta": fit_beta, "isotonic": fit_isotonic}
    _, member = np.unique(group, return_inverse=True)
    fold = member % min(folds, int(member.max()) + 1)
    losses = {}
    for name, fit in fits.items():
        held_out = np.full(len(logit), np.nan)
        for part in np.unique(fold):
            inside = fold != part
            if inside.any() and label[inside].min() != label[inside].max():
                held_out[~inside] = fit(logit[inside], label[inside])(logit[~inside])
        measured = ~np.isnan(held_out)
        losses[name] = nll(held_out[measured], label[measured]) if measured.any() else float("inf")
    best = min(losses, key=lambda name: losses[name])
    return Chosen(fits[best](logit, label), losses, len(logit))
