"""From a head's logit to a probability that can be believed: calibrators, how one is chosen, and where they are kept.

Fitted on the validation split, reported on another. It owns the fits and `calibration.json`; it knows no heads, no
stores and no targets, only logits and labels.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num, Shaped

from tipai_jax.errors import UserError
from tipai_jax.metrics.calibration import nll

__all__ = [
    "Beta",
    "Calibration",
    "Calibrator",
    "Chosen",
    "Isotonic",
    "Platt",
    "choose_calibrator",
    "fit_beta",
    "fit_isotonic",
    "fit_platt",
    "load_calibration",
    "save_calibration",
    "sigmoid",
]

FILE = "calibration.json"
SCHEMA = 1


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
    """The rising step function of least squares, straight lines between the middles of its steps (Zadrozny, Elkan 2002)."""

    logits: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __call__(self, logit: Num[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Probability of label 1 for each logit; flat beyond the ends."""
        return np.interp(np.asarray(logit, np.float64), self.logits, self.probabilities)


Calibrator = Platt | Beta | Isotonic
_KINDS: Mapping[str, type] = {"platt": Platt, "beta": Beta, "isotonic": Isotonic}


def _targets(label: np.ndarray) -> np.ndarray:
    """Platt's smoothed targets, so that classes which a logit separates fully still have a finite best scale."""
    positives, negatives = float(label.sum()), float(len(label) - label.sum())
    return np.where(label == 1, (positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0))


Bounds = Sequence[tuple[float | None, float | None]]


def _fit(features: np.ndarray, label: np.ndarray, start: Sequence[float], bounds: Bounds) -> list[float]:
    """Weights of a logistic regression on columns by L-BFGS-B; the columns are scaled to unit spread meanwhile."""
    from scipy.optimize import minimize

    target = _targets(label)
    spread = np.where(features.std(axis=0) > 1e-12, features.std(axis=0), 1.0)
    columns = features / spread

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        z = columns @ weights
        value = float(np.mean(np.logaddexp(0.0, z) - target * z))
        return value, columns.T @ (sigmoid(z) - target) / len(z)

    options = {"maxiter": 500, "ftol": 1e-13, "gtol": 1e-9}
    found = minimize(loss, np.asarray(start) * spread, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return [float(weight) for weight in found.x / spread]


def fit_platt(logit: Float[np.ndarray, " n"], label: Int[np.ndarray, " n"]) -> Platt:
    """Scale (never below 0) and bias of the least log loss.

    Args:
        logit: one logit an example.
        label: 1 or 0.

    Returns:
        The calibrator.
    """
    logit = np.asarray(logit, np.float64)
    scale, bias = _fit(np.stack([logit, np.ones_like(logit)], axis=1), label, (1.0, 0.0), [(0.0, None), (None, None)])
    return Platt(scale, bias)


def fit_beta(logit: Float[np.ndarray, " n"], label: Int[np.ndarray, " n"]) -> Beta:
    """The three weights of beta calibration by least log loss; arguments as `fit_platt`."""
    logit = np.asarray(logit, np.float64)
    columns = np.stack([-np.logaddexp(0.0, -logit), np.logaddexp(0.0, logit), np.ones_like(logit)], axis=1)
    low, high, bias = _fit(columns, label, (1.0, 1.0, 0.0), [(0.0, None), (0.0, None), (None, None)])
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
    """A calibrator, the held-out log loss of each candidate (nats an example), and the number of examples."""

    calibrator: Calibrator
    nll: dict[str, float]
    n: int


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
        The calibrator with its record. With fewer than 20 examples or one class only, the identity (`Platt(1, 0)`).
    """
    logit, label = np.asarray(logit, np.float64), np.asarray(label)
    if len(logit) < 20 or label.min() == label.max():
        return Chosen(Platt(), {}, len(logit))
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


@dataclass(frozen=True)
class Calibration:
    """Everything fitted on validation for one trained run.

    `global_score` turns the global logit into the probability that the image keeps the prompt; `patch` a patch's logit
    into the probability that the patch is faithful; `reason` a category's logit into the probability that the image
    breaks the prompt in it. `risk_threshold` is the risk at which a pixel counts as unfaithful (largest mean Dice), and
    `score_threshold` the probability below which an image is flagged. `record` says how each came about.
    """

    global_score: Calibrator
    patch: Calibrator
    reason: dict[str, Calibrator]
    risk_threshold: float
    score_threshold: float = 0.5
    record: dict[str, Any] = field(default_factory=dict)


def _to_json(calibrator: Calibrator) -> dict[str, Any]:
    kind = next(name for name, of in _KINDS.items() if isinstance(calibrator, of))
    return {"kind": kind, **asdict(calibrator)}


def _from_json(entry: Mapping[str, Any]) -> Calibrator:
    values = {name: tuple(value) if isinstance(value, list) else float(value) for name, value in entry.items() if name != "kind"}
    return _KINDS[entry["kind"]](**values)


def save_calibration(calibration: Calibration, workdir: Path) -> Path:
    """Write `calibration.json` into a run, whole or not at all.

    Args:
        calibration: what was fitted.
        workdir: the folder of the run.

    Returns:
        The path of the file.
    """
    content = {
        "schema": SCHEMA,
        "global_score": _to_json(calibration.global_score),
        "patch": _to_json(calibration.patch),
        "reason": {name: _to_json(entry) for name, entry in calibration.reason.items()},
        "risk_threshold": calibration.risk_threshold,
        "score_threshold": calibration.score_threshold,
        "record": calibration.record,
    }
    path = Path(workdir) / FILE
    part = path.with_suffix(".json.part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
    return path


def load_calibration(workdir: Path) -> Calibration:
    """Read what `save_calibration` wrote.

    Args:
        workdir: the folder of the run.

    Returns:
        The calibration.

    Raises:
        UserError: the file is missing or cannot be read.
    """
    path = Path(workdir) / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']}")
        return Calibration(
            global_score=_from_json(content["global_score"]),
            patch=_from_json(content["patch"]),
            reason={name: _from_json(entry) for name, entry in content["reason"].items()},
            risk_threshold=float(content["risk_threshold"]),
            score_threshold=float(content["score_threshold"]),
            record=content["record"],
        )
    except FileNotFoundError:
        raise UserError(f"no calibration at {path}: run `python -m tipai_jax.evaluate --workdir {workdir}` first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"calibration at {path} cannot be read ({type(error).__name__}: {error}): "
            f"delete it and run `python -m tipai_jax.evaluate --workdir {workdir}` again"
        ) from None
