"""Confidence intervals of means and areas, with whole groups (prompts) as the unit.

Examples of one prompt are not independent, so the variance is that between groups. Near 0 and 1 neither a normal
interval nor the percentiles of a bootstrap cover: a sample without a single miss has no variance at all. So the ends
are those of the exact interval of a proportion (Clopper and Pearson 1934) with as many trials as would have the
variance that was found (Korn and Graubard 1998, "Confidence intervals for proportions with small expected number of
positive counts estimated from survey data"). Nothing is drawn: the same values give the same interval.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy import stats

__all__ = ["Interval", "Spread", "bounded_interval", "difference_by_group", "mean_by_group", "roc_auc_by_group"]


class Interval(NamedTuple):
    """The two ends of a confidence interval."""

    lo: float
    hi: float


NOTHING = Interval(float("nan"), float("nan"))


def numbered(groups: Shaped[np.ndarray, " examples"]) -> tuple[Int[np.ndarray, " examples"], int]:
    """Groups as 0..G-1, and G."""
    names, index = np.unique(groups, return_inverse=True)
    return index, len(names)


class Spread(NamedTuple):
    """How uncertain a figure is: its variance over repetitions of the whole sample, the degrees of freedom of that
    estimate, and from how many groups it comes.
    """

    variance: float
    freedom: float
    groups: int


def spread_of(away: Float[np.ndarray, " m"], index: Int[np.ndarray, " m"], groups: int) -> Spread:
    """The spread of a figure to which each example contributes `away`, groups being independent.

    The variance is never less than if all examples were independent: with few groups an estimate is too small by chance
    more often than examples of one group balance each other. The degrees of freedom follow from the kurtosis of the
    groups (2 G / (kurtosis - 1), at most G - 1): where a few groups bring all the variance, its estimate is as
    uncertain as one from twice so many.

    Args:
        away: what each example moves the figure by; they sum to 0.
        index: the group of each example, 0..groups-1.
        groups: how many there are.
    """
    squares = np.bincount(index, weights=away, minlength=groups) ** 2
    total = float(squares.sum())
    variance = max(total * groups / max(groups - 1, 1), float((away**2).sum()))
    excess = float((squares**2).sum()) / total**2 - 1 / groups if total > 0 else 0.0
    return Spread(variance, min(groups - 1.0, 2 / excess if excess > 0 else np.inf), groups)


def bounded_interval(value: float, spread: Spread, level: float) -> Interval:
    """The interval of a figure between 0 and 1.

    Args:
        value: of the figure, 0 to 1.
        spread: its variance.
        level: the coverage.

    Returns:
        Clopper and Pearson's interval with `value * (1 - value) / variance` trials, made fewer by the square of
        normal / t quantile. Where all groups agree (no variance) nothing speaks against a share of groups that were not
        seen and lie at the other end: the share that so many groups would miss with a chance of (1 - level) / 2, about
        3.7 / groups at 95 %. From 0 to 1 for a single group.
    """
    tail = (1 - level) / 2
    if spread.groups < 2:
        return Interval(0.0, 1.0)
    if spread.variance <= 1e-15:
        unseen = float(1 - tail ** (1 / spread.groups))
        return Interval(value * (1 - unseen), value + (1 - value) * unseen)
    wider = float(stats.t.ppf(tail, spread.freedom) / stats.norm.ppf(tail))
    trials = value * (1 - value) / (spread.variance * wider**2)
    hits = value * trials
    lo = stats.beta.ppf(tail, hits, trials - hits + 1) if hits > 0 else 0.0
    hi = stats.beta.ppf(1 - tail, hits + 1, trials - hits) if hits < trials else 1.0
    return Interval(float(lo), float(hi))


def mean_by_group(
    values: Shaped[np.ndarray, " examples"],
    groups: Shaped[np.ndarray, " examples"],
    *,
    within: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
) -> Interval:
    """The interval of the mean of `values`; values that are NaN are left out.

    Args:
        values: of each example.
        groups: the group of each example, names or numbers.
        within: the least and the greatest value that is possible.
        level: the coverage.

    Raises:
        ValueError: a value lies outside `within`.
    """
    known = np.isfinite(values)
    if not known.any():
        return NOTHING
    lowest, greatest = within
    share = (values[known].astype(np.float64) - lowest) / (greatest - lowest)
    if share.min() < -1e-9 or share.max() > 1 + 1e-9:
        raise ValueError(f"values from {values[known].min()} to {values[known].max()}, expected {lowest} to {greatest}")
    index, count = numbered(groups[known])
    mean = float(np.clip(share.mean(), 0.0, 1.0))
    away = (share - mean) / share.size
    ends = bounded_interval(mean, spread_of(away, index, count), level)
    return Interval(*(lowest + end * (greatest - lowest) for end in ends))


def difference_by_group(
    ours: Shaped[np.ndarray, " examples"],
    theirs: Shaped[np.ndarray, " examples"],
    groups: Shaped[np.ndarray, " examples"],
    *,
    level: float = 0.95,
) -> Interval:
    """The interval of mean(ours) - mean(theirs), paired one by one; both between 0 and 1."""
    return mean_by_group(ours.astype(np.float64) - theirs, groups, within=(-1.0, 1.0), level=level)


def roc_auc_by_group(
    score: Float[np.ndarray, "*shape"],
    label: Shaped[np.ndarray, "*shape"],
    groups: Shaped[np.ndarray, " examples"],
    *,
    level: float = 0.95,
) -> Interval:
    """The interval of `ranking.roc_auc`, the variance by the structural components of each group (Obuchowski 1997,
    "Nonparametric analysis of clustered ROC curve data").

    Args:
        score: of each example; further axes (patches) belong to their example.
        label: 1, 0 or -1 (left out).
        groups: the group of each example.
        level: the coverage.
    """
    index, _ = numbered(groups)
    index = np.broadcast_to(index.reshape(-1, *[1] * (score.ndim - 1)), score.shape)
    known = label >= 0
    positive = label[known] == 1
    if positive.all() or not positive.any():
        return NOTHING
    index, count = numbered(index[known])
    beaten = share_of_the_others(score[known].astype(np.float64), positive)
    area = float(beaten[positive].mean())
    away = np.where(positive, beaten - area, 1 - beaten - area)
    away /= np.where(positive, positive.sum(), (~positive).sum())
    holders = min(len(np.unique(index[positive])), len(np.unique(index[~positive])))
    return bounded_interval(area, spread_of(away, index, count)._replace(groups=holders), level)


def share_of_the_others(score: Float[np.ndarray, " m"], positive: Shaped[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """For each example the share of those of the other kind that score lower, ties half."""
    ranks = stats.rankdata(score)
    own = np.empty(len(score))
    own[positive], own[~positive] = stats.rankdata(score[positive]), stats.rankdata(score[~positive])
    return (ranks - own) / np.where(positive, (~positive).sum(), positive.sum())
