"""Metrics: ranking, localisation, calibration and their confidence intervals. The definitions are the docstrings."""

from tipai_jax.metrics.calibration import Reliability, ece, nll
from tipai_jax.metrics.calibration_intervals import ece_by_group, largest_gap_by_group
from tipai_jax.metrics.intervals import Interval, difference_by_group, mean_by_group, roc_auc_by_group
from tipai_jax.metrics.localisation import auc_judd, cc, dice, iou
from tipai_jax.metrics.ranking import pair_auc, pair_wins, roc_auc

__all__ = [
    "Interval",
    "Reliability",
    "auc_judd",
    "cc",
    "dice",
    "difference_by_group",
    "ece",
    "ece_by_group",
    "iou",
    "largest_gap_by_group",
    "mean_by_group",
    "nll",
    "pair_auc",
    "pair_wins",
    "roc_auc",
    "roc_auc_by_group",
]
