"""The interval of an expected calibration error, by resampling whole groups.

An ECE over bins that stay where they are is a function of sums: what each bin lacks in confidence, and how many it
holds. Fits nothing.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

from tipai_jax.metrics.bootstrap import Interval, numbered, percentiles, resamples

__all__ = ["bin_of", "binned_ece", "ece_by_group"]


def bin_of(
    probability: Float[np.ndarray, " n"], *, bins: int = 15, kind: Literal["width", "mass"] = "width"
) -> Int[np.ndarray, " n"]:
    """The bin of each probability.

    Args:
        probability: in 0..1.
        bins: how many.
        kind: "width": [0, 1] cut evenly, each bin closed on the right, as `metrics.ece`; "mass": as near to equal
            counts as can be with equal probabilities in one bin. (Ranks would part them by the order of the rows, and
            rows that stand in the order of their labels would look miscalibrated.)
    """
    if kind == "width":
        return np.clip(np.searchsorted(np.linspace(0.0, 1.0, bins + 1), probability, side="left") - 1, 0, bins - 1)
    _, value, count = np.unique(probability, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count + 1) // 2
    return (middle * bins // max(probability.size, 1))[value]


def binned_ece(
    probability: Float[np.ndarray, " n"],
    label: Shaped[np.ndarray, " n"],
    *,
    bins: int = 15,
    kind: Literal["width", "mass"] = "width",
) -> float:
    """Sum over bins of count / n * |mean probability - share of label 1|; NaN of no examples. Arguments as
    `ece_by_group`.
    """
    if not probability.size:
        return float("nan")
    gaps = np.bincount(
        bin_of(probability, bins=bins, kind=kind), weights=label.astype(np.float64) - probability, minlength=bins
    )
    return float(np.abs(gaps).sum() / probability.size)


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
) -> Interval:
    """The interval of `binned_ece` over the bins of the whole sample, with the bootstrap's own bias taken off.

    A resample is noisier than the sample, and noise only ever adds to an ECE: the plain percentiles would lie above the
    value. So both ends are moved down by (mean of the resamples - value), and never below 0.

    Args:
        probability: of label 1, in 0..1.
        label: 1 or 0.
        groups: the resampling unit of each example.
        bins, kind: as `bin_of`.
        seed, n, level: the draw, the number of resamples, the coverage.
    """
    if not probability.size:
        return Interval(float("nan"), float("nan"))
    index, count = numbered(groups)
    cell = index * bins + bin_of(probability, bins=bins, kind=kind)
    gaps = np.bincount(cell, weights=label.astype(np.float64) - probability, minlength=count * bins).reshape(
        count, bins
    )
    sizes = np.bincount(index, minlength=count).astype(np.float64)
    drawn = np.concatenate(
        [np.abs(times @ gaps).sum(1) / (times @ sizes) for times in resamples(count, seed=seed, n=n)]
    )
    value = binned_ece(probability, label, bins=bins, kind=kind)
    return percentiles(np.maximum(drawn - (drawn.mean() - value), 0.0), level)
