"""Ranking metrics: how often the right one of two scores higher."""

import numpy as np
from jaxtyping import Array, Float, Shaped
from scipy.stats import rankdata

__all__ = ["pair_auc", "pair_wins", "roc_auc"]


def pair_wins(
    chosen: Float[Array | np.ndarray, "*shape"], rejected: Float[Array | np.ndarray, "*shape"]
) -> Float[Array | np.ndarray, "*shape"]:
    """1 where the chosen one scores higher, 1/2 where they tie, 0 where it scores lower. numpy or jax, as given."""
    return (chosen > rejected) * 1.0 + (chosen == rejected) * 0.5


def pair_auc(
    chosen: Float[Array | np.ndarray, "*shape"], rejected: Float[Array | np.ndarray, "*shape"]
) -> Float[Array | np.ndarray, ""] | float:
    """The share of pairs in which the chosen one scores higher, ties half: the plan's "how often S_chosen >
    S_rejected".
    """
    return pair_wins(chosen, rejected).mean()


def roc_auc(score: Float[np.ndarray, "*shape"], label: Shaped[np.ndarray, "*shape"]) -> float:
    """The chance that a random positive outranks a random negative, ties half (the Mann-Whitney statistic).

    With patch scores and patch labels this is the patch pair-AUC: the chance that a faithful patch outranks an
    unfaithful one, over all patches of all images given.

    Args:
        score: higher means more likely positive.
        label: 1 positive, 0 negative, -1 unknown (left out).

    Returns:
        The area, or NaN if one of the two kinds is missing.
    """
    known = label >= 0
    score, positive = score[known], label[known] == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    ranks = rankdata(score.astype(np.float64))
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
