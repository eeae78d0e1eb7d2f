"""Calibration errors without the bias of the plug-in, with intervals: the ECE, and the largest gap over groups.

Both are the size of a vector of gaps between prediction and truth: the sum of its absolute values over bins, or its
largest. Noise only ever adds to such a size, so the plug-in of a perfectly calibrated score is far from 0 where data
are few (Roelofs et al. 2022, "Mitigating bias in calibration error estimation"; Kumar et al. 2019, "Verified
uncertainty calibration"), and the percentiles of a bootstrap, which adds noise once more, lie beside the truth. Here
the size is read off backwards: for each possible size, gaps of that size plus the noise of the sample give a
distribution of plug-ins, and the interval holds the sizes for which the plug-in that was seen is not among the outer
2.5 % (test inversion); the value is the size for which it is the median.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from tipai_jax.metrics.calibration import bin_of
from tipai_jax.metrics.intervals import Interval, numbered

__all__ = ["Debiased", "LargestGap", "ece_by_group", "largest_gap_by_group"]

Sizes = Callable[[Float[np.ndarray, "*n gaps"]], Float[np.ndarray, "*n"]]


class Debiased(NamedTuple):
    """A calibration error.

    Attributes:
        value: without the bias; 0 where noise alone would give as much as was seen every other time.
        interval: of the true size.
        plug_in: what was seen.
    """

    value: float
    interval: Interval
    plug_in: float


NAN = float("nan")
NOTHING = Debiased(NAN, Interval(NAN, NAN), NAN)
HALVINGS = 14


def ece_by_group(
    probability: Float[np.ndarray, " n"],
    label: Shaped[np.ndarray, " n"],
    groups: Shaped[np.ndarray, " n"],
    *,
    bins: int = 15,
    kind: Literal["width", "mass"] = "width",
    seed: int = 0,
    n: int = 1000,
    level: float = 0.95,
) -> Debiased:
    """The expected calibration error over the bins of the sample, without the bias of `calibration.ece`.

    Args:
        probability: of label 1, in 0..1.
        label: 1 or 0.
        groups: the unit that is independent of the others, of each example.
        bins, kind: as `bin_of`.
        seed, n: the draw of the noise and how many draws.
        level: the coverage.
    """
    if not probability.size:
        return NOTHING
    member = bin_of(probability, bins=bins, kind=kind)[:, None] == np.arange(bins)
    gaps, noise = gaps_and_noise(probability, label, groups, member / probability.size, seed=seed, n=n)
    total: Sizes = lambda each: np.abs(each).sum(-1)
    return size_by_inversion(gaps, noise, total, level)


def gaps_and_noise(
    probability: Float[np.ndarray, " n"],
    label: Shaped[np.ndarray, " n"],
    groups: Shaped[np.ndarray, " n"],
    weight: Float[np.ndarray, "n gaps"],
    *,
    seed: int,
    n: int,
) -> tuple[Float[np.ndarray, " gaps"], Float[np.ndarray, "draws gaps"]]:
    """The weighted sums of label - probability, and draws of their noise: what repeating the sample would add.

    Normal, with the covariance between groups. A gap of few examples may show less variance than labels of its
    probabilities must have (two positives at 0.8 show none), so each gap has at least that.
    """
    index, count = numbered(groups)
    away = label.astype(np.float64) - probability
    gaps = away @ weight
    centre = gaps / np.maximum(weight.sum(0), 1e-12)
    total = np.zeros((count, weight.shape[1]))
    np.add.at(total, index, (away[:, None] - centre) * weight)
    scale = count / max(count - 1, 1)
    lacking = np.maximum((probability * (1 - probability)) @ weight**2 - scale * (total**2).sum(0), 0.0)
    rng = np.random.default_rng(seed)
    noise = np.sqrt(scale) * rng.standard_normal((n, count)) @ total
    return gaps, noise + np.sqrt(lacking) * rng.standard_normal(noise.shape)


def size_by_inversion(
    gaps: Float[np.ndarray, " gaps"], noise: Float[np.ndarray, "draws gaps"], size: Sizes, level: float
) -> Debiased:
    """The size of the true gaps, by test inversion.

    How much noise adds to a size depends on where the true gaps lie, of which the seen ones are a noisy picture. The
    value takes them as they are; the interval holds what four directions say: the seen gaps, those that stand out by
    two standard errors (the largest if none does), gaps of as many standard errors each, and equal gaps.

    Args:
        gaps: the gaps that were seen.
        noise: draws of their noise.
        size: the size of a vector of gaps.
        level: the coverage.
    """
    seen, error = float(size(gaps)), noise.std(0) + 1e-12
    strength = np.abs(gaps) / error
    sign = np.where(gaps < 0, -1.0, 1.0)
    outstanding = np.where((strength >= 2) | (strength >= strength.max()), gaps, 0.0)
    directions = [gaps if seen > 0 else error, outstanding, sign * error, sign]
    most = seen + float(np.quantile(size(noise), 0.999))

    def largest(direction: Float[np.ndarray, " gaps"], share: float) -> float:
        """The largest size at which more than this share of the plug-ins is at most the one that was seen."""
        length = float(size(direction))
        if not length > 0:
            return 0.0
        low, high = 0.0, most
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            enough = (size(noise + middle / length * direction) <= seen).mean() > share
            low, high = (middle, high) if enough else (low, middle)
        return low if low > most / 2 ** (HALVINGS - 1) else 0.0

    tail = (1 - level) / 2
    lo = min(largest(each, 1 - tail) for each in directions)
    hi = max(largest(each, tail) for each in directions)
    return Debiased(float(np.clip(largest(directions[0], 0.5), lo, hi)), Interval(lo, hi), seen)


class LargestGap(NamedTuple):
    """The largest distance between mean prediction and share of positives over some sets of examples.

    Attributes:
        value, interval, plug_in: as of `Debiased`.
        which: the set of the largest distance, -1 if no set is large enough.
        gaps: share of positives - mean prediction in each set; NaN in a set that is too small.
        chance: how often noise alone gives as much as `plug_in` where nothing is wrong.
    """

    value: float
    interval: Interval
    plug_in: float
    which: int
    gaps: Float[np.ndarray, " sets"]
    chance: float


def largest_gap_by_group(
    probability: Float[np.ndarray, " n"],
    label: Shaped[np.ndarray, " n"],
    member: Bool[np.ndarray, "n sets"],
    groups: Shaped[np.ndarray, " n"],
    *,
    least: int = 30,
    seed: int = 0,
    n: int = 1000,
    level: float = 0.95,
) -> LargestGap:
    """The largest |share of positives - mean prediction| over sets of examples, without what noise adds to a maximum.

    Args:
        probability: of label 1, in 0..1.
        label: 1 or 0.
        member: which examples belong to which set (a number of phrases, a category); sets may overlap.
        groups: the unit that is independent of the others, of each example.
        least: sets with fewer groups than this are left out.
        seed, n: the draw of the noise and how many draws.
        level: the coverage.
    """
    index, _ = numbered(groups)
    holders = np.array([len(np.unique(index[which])) for which in member.T], np.int64)
    large = np.flatnonzero(holders >= least)
    gaps = np.full(member.shape[1], NAN)
    if not large.size:
        return LargestGap(*NOTHING, -1, gaps, NAN)
    weight = member[:, large] / member[:, large].sum(0)
    gaps[large], noise = gaps_and_noise(probability, label, groups, weight, seed=seed, n=n)
    greatest: Sizes = lambda each: np.abs(each).max(-1)
    found = size_by_inversion(gaps[large], noise, greatest, level)
    chance = (1 + int((greatest(noise) >= found.plug_in).sum())) / (n + 1)
    return LargestGap(*found, int(large[np.abs(gaps[large]).argmax()]), gaps, chance)
