"""One figure of an evaluation as the record holds it: value, interval, number of examples, or why it is not given."""

import math
from typing import Any

import numpy as np

from tipai_jax.metrics import Interval, mean_by_group, roc_auc, roc_auc_by_group

__all__ = ["MIN_GROUPS", "NOTHING", "Figure", "auc_figure", "figure_of", "mean_figure", "missing"]

MIN_GROUPS = 10
"""Prompt groups that a figure needs: from fewer, a variance between groups is hardly known, and a value without an
interval says less than it seems to.
"""
TOO_FEW_GROUPS = f"fewer than {MIN_GROUPS} prompt groups"
Figure = dict[str, Any]
NOTHING = Interval(float("nan"), float("nan"))


def figure_of(value: float, interval: Interval, n: int, group: np.ndarray, *, plug_in: float | None = None) -> Figure:
    """One figure as JSON knows it; what is not finite becomes None.

    Args:
        value, interval: of the figure.
        n: what its name counts.
        group: the prompt group of each example.
        plug_in: the biased value beside an unbiased one, where there is one.
    """
    ends = [float(end) for end in interval]
    figure: Figure = {
        "value": float(value) if n and math.isfinite(value) else None,
        "ci95": ends if n and all(math.isfinite(end) for end in ends) else None,
        "n": int(n),
    }
    if plug_in is not None:
        figure["plug_in"] = float(plug_in) if math.isfinite(plug_in) else None
    if figure["value"] is not None and len(np.unique(group)) < MIN_GROUPS:
        return figure | {"value": None, "ci95": None, "reason": TOO_FEW_GROUPS}
    return figure


def mean_figure(values: np.ndarray, group: np.ndarray, within: tuple[float, float] = (0.0, 1.0)) -> Figure:
    """The mean of values between the two numbers of `within`."""
    value = float(np.mean(values)) if len(values) else float("nan")
    return figure_of(value, mean_by_group(values, group, within=within), len(values), group)


def auc_figure(score: np.ndarray, positive: np.ndarray, group: np.ndarray) -> Figure:
    """ROC-AUC; n is 0 unless both classes occur."""
    if not len(score) or positive.all() or not positive.any():
        return figure_of(float("nan"), NOTHING, 0, group)
    if not np.isfinite(score).all():
        return figure_of(float("nan"), NOTHING, len(score), group)
    label = positive.astype(np.int8)
    interval = roc_auc_by_group(score, label, group)
    return figure_of(roc_auc(score, label), interval, len(score), group) | {"positives": int(label.sum())}


def missing(reason: str) -> Figure:
    """A figure that is not given, and why."""
    return {"value": None, "ci95": None, "n": 0, "reason": reason}
