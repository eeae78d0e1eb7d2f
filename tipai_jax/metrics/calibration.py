"""Calibration metrics: does a probability of 0.8 come true eight times in ten.

Fits nothing: that is `calibrate.py`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped

__all__ = ["Reliability", "ece", "nll"]


@dataclass(frozen=True)
class Reliability:
    """The expected calibration error and the bins it came from, for a reliability diagram. Empty bins hold NaN.

    Attributes:
        ece: sum over bins of count/n * |confidence - frequency|.
        edges: bin edges, ascending, one more than bins.
        confidence: mean probability in each bin.
        frequency: share of positives in each bin.
        count: examples in each bin.
    """

    ece: float
    edges: Float[np.ndarray, " edges"]
    confidence: Float[np.ndarray, " bins"]
    frequency: Float[np.ndarray, " bins"]
    count: Shaped[np.ndarray, " bins"]


def ece(
    probability: Float[np.ndarray, " n"],
    label: Shaped[np.ndarray, " n"],
    *,
    bins: int = 15,
    kind: Literal["width", "mass"] = "width",
) -> Reliability:
    """Expected calibration error of a binary probability (Naeini et al. 2015, here of P(positive), not of the top
    class).

    Args:
        probability: predicted chance of label 1, in 0..1.
        label: 1 or 0.
        bins: number of bins.
        kind: "width": [0, 1] cut evenly, each bin closed on the right; "mass": as near to equal counts as can be, by
            rank
            (equal probabilities may then fall into two bins).
    """
    if probability.size == 0:
        raise ValueError("ece of no examples")
    n = probability.size
    order = np.argsort(probability, kind="stable")
    if kind == "width":
        edges = np.linspace(0.0, 1.0, bins + 1)
        index = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, bins - 1)
    else:
        index = np.empty(n, np.int64)
        index[order] = np.arange(n) * bins // n
        ranked = probability[order].astype(np.float64)
        starts = (np.arange(1, bins) * n + bins - 1) // bins
        cuts = [(ranked[s - 1] + ranked[s]) / 2 if 0 < s < n else ranked[-1] for s in starts]
        edges = np.array([ranked[0], *cuts, ranked[-1]])
    count = np.bincount(index, minlength=bins)
    weight = np.where(count > 0, count, np.nan)
    confidence = np.bincount(index, weights=probability, minlength=bins) / weight
    frequency = np.bincount(index, weights=label.astype(np.float64), minlength=bins) / weight
    error = float(np.nansum(count * np.abs(confidence - frequency)) / n)
    return Reliability(error, edges, confidence, frequency, count)


def nll(probability: Float[np.ndarray, " n"], label: Shaped[np.ndarray, " n"]) -> float:
    """Mean of -log of the probability given to what happened, in nats;
    probabilities are kept 1e-12 away from 0 and 1."""
    p = np.clip(probability.astype(np.float64), 1e-12, 1 - 1e-12)
    return float(np.mean(-np.where(label == 1, np.log(p), np.log1p(-p))))
