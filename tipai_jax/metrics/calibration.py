"""Calibration metrics: does a probability of 0.8 come true eight times in ten."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

__all__ = ["Reliability", "bin_of", "ece", "nll"]


@dataclass(frozen=True)
class Reliability:
    """The expected calibration error and the bins it came from, for a reliability diagram. Empty bins hold NaN.

    Attributes:
        ece: sum over bins of count/n * |confidence - frequency|.
        confidence: mean probability in each bin.
        frequency: share of positives in each bin.
        count: examples in each bin.
    """

    ece: float
    confidence: Float[np.ndarray, " bins"]
    frequency: Float[np.ndarray, " bins"]
    count: Shaped[np.ndarray, " bins"]


def bin_of(
    probability: Float[np.ndarray, " n"], *, bins: int = 15, kind: Literal["width", "mass"] = "width"
) -> Int[np.ndarray, " n"]:
    """The bin of each probability.

    Args:
        probability: in 0..1.
        bins: how many.
        kind: "width": [0, 1] cut evenly, each bin closed on the right; "mass": as near to equal
            counts as can be with equal probabilities in one bin. (Ranks would part them by the order of the examples,
            and examples that stand in the order of their labels would look miscalibrated.)
    """
    if kind == "width":
        return np.clip(np.searchsorted(np.linspace(0.0, 1.0, bins + 1), probability, side="left") - 1, 0, bins - 1)
    _, value, count = np.unique(probability, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count + 1) // 2
    return (middle * bins // max(probability.size, 1))[value]


def ece(
    probability: Float[np.ndarray, " n"],
    label: Shaped[np.ndarray, " n"],
    *,
    bins: int = 15,
    kind: Literal["width", "mass"] = "width",
) -> Reliability:
    """Expected calibration error of a binary probability (Naeini et al. 2015; of P(positive), not of the top class).

    Args:
        probability: predicted chance of label 1, in 0..1.
        label: 1 or 0.
        bins, kind: as `bin_of`.

    Raises:
        ValueError: no examples.
    """
    if probability.size == 0:
        raise ValueError("ece of no examples")
    index, positive = bin_of(probability, bins=bins, kind=kind), label.astype(np.float64)
    gaps = np.bincount(index, weights=positive - probability, minlength=bins)
    count = np.bincount(index, minlength=bins)
    weight = np.where(count > 0, count, np.nan)
    confidence = np.bincount(index, weights=probability, minlength=bins) / weight
    frequency = np.bincount(index, weights=positive, minlength=bins) / weight
    return Reliability(float(np.abs(gaps).sum() / probability.size), confidence, frequency, count)


def nll(probability: Float[np.ndarray, " n"], label: Shaped[np.ndarray, " n"]) -> float:
    """Mean of -log of the probability given to what happened, in nats; probabilities are kept 1e-12 away from
    0 and 1.
    """
    p = np.clip(probability.astype(np.float64), 1e-12, 1 - 1e-12)
    return float(np.mean(-np.where(label == 1, np.log(p), np.log1p(-p))))
