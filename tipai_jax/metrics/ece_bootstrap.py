"""The interval of an expected calibration error, by resampling whole groups.

An ECE over bins that stay where they are is a function of sums: what each bin lacks in confidence, and how many it
holds.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped

from tipai_jax.metrics.bootstrap import Interval, numbered, percentiles, resamples
from tipai_jax.metrics.calibration import bin_of, ece

__all__ = ["ece_by_group"]


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
    """The interval of `ece` over the bins of the whole sample, with the bootstrap's own bias taken off.

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
    value = ece(probability, label, bins=bins, kind=kind).ece
    return percentiles(np.maximum(drawn - (drawn.mean() - value), 0.0), level)
