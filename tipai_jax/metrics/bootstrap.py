"""Confidence intervals by resampling whole groups (prompts) with replacement.

Examples of one prompt are not independent, so the prompt is the unit. Every draw is a pure function of the seed and the
groups, so two statistics over the same groups and seed see the same resamples.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy import sparse

__all__ = ["Interval", "difference_by_group", "mean_by_group", "roc_auc_by_group"]

BINS = 4096
CHUNK = 250


class Interval(NamedTuple):
    """A percentile interval."""

    lo: float
    hi: float


def resamples(groups: int, *, seed: int, n: int) -> Iterator[Float[np.ndarray, "chunk groups"]]:
    """How often each group occurs in each of n resamples, in chunks of at most CHUNK resamples."""
    rng = np.random.default_rng(seed)
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        drawn = rng.integers(0, groups, size=(size, groups)) + groups * np.arange(size)[:, None]
        yield np.bincount(drawn.reshape(-1), minlength=size * groups).reshape(size, groups).astype(np.float64)


def percentiles(statistics: Float[np.ndarray, " n"], level: float) -> Interval:
    """The middle `level` of the finite statistics; NaN if there is none."""
    finite = statistics[np.isfinite(statistics)]
    if not finite.size:
        return Interval(float("nan"), float("nan"))
    lo, hi = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(lo), float(hi))


def numbered(groups: Shaped[np.ndarray, " examples"]) -> tuple[Int[np.ndarray, " examples"], int]:
    """Groups as 0..G-1, and G."""
    names, index = np.unique(groups, return_inverse=True)
    return index, len(names)


def mean_by_group(
    values: Shaped[np.ndarray, " examples"],
    groups: Shaped[np.ndarray, " examples"],
    *,
    seed: int = 0,
    n: int = 1000,
    level: float = 0.95,
) -> Interval:
    """The interval of the mean of `values`; values that are NaN are left out."""
    values, groups = values[np.isfinite(values)], groups[np.isfinite(values)]
    if not values.size:
        return Interval(float("nan"), float("nan"))
    index, count = numbered(groups)
    totals = np.bincount(index, weights=values.astype(np.float64), minlength=count)
    sizes = np.bincount(index, minlength=count).astype(np.float64)
    means = [(drawn @ totals) / (drawn @ sizes) for drawn in resamples(count, seed=seed, n=n)]
    return percentiles(np.concatenate(means), level)


def difference_by_group(
    ours: Shaped[np.ndarray, " examples"],
    theirs: Shaped[np.ndarray, " examples"],
    groups: Shaped[np.ndarray, " examples"],
    *,
    seed: int = 0,
    n: int = 1000,
    level: float = 0.95,
) -> Interval:
    """The interval of mean(ours) - mean(theirs), paired one by one: both means see the same resamples."""
    return mean_by_group(ours.astype(np.float64) - theirs, groups, seed=seed, n=n, level=level)


def roc_auc_by_group(
    score: Float[np.ndarray, "*shape"],
    label: Shaped[np.ndarray, "*shape"],
    groups: Shaped[np.ndarray, " examples"],
    *,
    seed: int = 0,
    n: int = 1000,
    level: float = 0.95,
) -> Interval:
    """The interval of `ranking.roc_auc`.

    Scores are put into at most 4096 bins of equal counts, and ties inside a bin count half. With up to 4096 different
    scores that is exact; beyond, an area moves by less than half a bin's share of the negatives, about 1e-4.

    Args:
        score: of each example; further axes (patches) belong to their example.
        label: 1, 0 or -1 (left out).
        groups: the resampling unit of each example.
        seed, n, level: the draw, the number of resamples, the coverage.
    """
    return percentiles(roc_auc_draws(score, label, groups, seed=seed, n=n), level)


def roc_auc_draws(
    score: Float[np.ndarray, "*shape"],
    label: Shaped[np.ndarray, "*shape"],
    groups: Shaped[np.ndarray, " examples"],
    *,
    seed: int,
    n: int,
) -> Float[np.ndarray, " n"]:
    """The (binned) ROC-AUC of each resample; NaN for one that holds only one kind."""
    index, count = numbered(groups)
    index = np.broadcast_to(index.reshape(-1, *[1] * (score.ndim - 1)), score.shape)
    known = label >= 0
    positive, index = label[known] == 1, index[known]
    bin_of = equal_mass_bins(score[known])

    bins = int(bin_of.max(initial=0)) + 1

    def histogram(which: Shaped[np.ndarray, " m"]) -> sparse.csr_matrix:
        ones = np.ones(int(which.sum()))
        return sparse.csr_matrix((ones, (bin_of[which], index[which])), shape=(bins, count))

    hits, misses = histogram(positive), histogram(~positive)
    areas = []
    for drawn in resamples(count, seed=seed, n=n):
        hit, miss = hits @ drawn.T, misses @ drawn.T
        below = np.cumsum(miss, axis=0) - 0.5 * miss
        pairs = hit.sum(0) * miss.sum(0)
        areas.append(np.where(pairs > 0, (hit * below).sum(0) / np.where(pairs > 0, pairs, 1.0), np.nan))
    return np.concatenate(areas)


def equal_mass_bins(score: Float[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
    """The bin in 0..BINS-1 of each score: its own if there are few different ones, else by quantiles. Order is kept."""
    different, index = np.unique(score, return_inverse=True)
    if len(different) <= BINS:
        return index
    before = np.concatenate([[0], np.cumsum(np.bincount(index))[:-1]])
    return (before * BINS // score.size)[index]
