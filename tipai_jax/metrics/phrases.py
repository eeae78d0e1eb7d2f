"""Figures of phrases and reasons of pairs: which phrase is named, what it looks like instead, and why a pair breaks.

Phrase AUC is `within.auc_within`, and the same phrase in both images of a pair is `within.paired_wins`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from tipai_jax.metrics.intervals import NOTHING, Interval, bounded_interval, numbered, spread_of
from tipai_jax.metrics.within import owner_of, top_right

__all__ = [
    "NamedCounts",
    "alternative_right",
    "macro_f1",
    "macro_f1_by_group",
    "named_phrase_right",
    "named_reason",
    "reasons_within_pairs",
]


def named_phrase_right(
    kept: Float[np.ndarray, " m"],
    label: Shaped[np.ndarray, " m"],
    offsets: Shaped[np.ndarray, " n1"],
    says_breaks: Bool[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """1 in each image whose least kept phrase is truly broken, 0 in the others; ties share.

    Args:
        kept: log-probability (or any score) that the image keeps the phrase.
        label: 1 kept, 0 broken, -1 unknown.
        offsets: which phrases belong to which image.
        says_breaks: whether the verdict on the image is *breaks*.

    Returns:
        NaN where the verdict is another one, where a label is unknown, and where no phrase or every phrase is broken:
        there is nothing to get right or wrong. `within.chance_of_top(label == 0, offsets)` is what a guess gives.
    """
    unknown = np.bincount(owner_of(offsets)[label < 0], minlength=len(says_breaks)) > 0
    return np.where(says_breaks & ~unknown, top_right(-kept, label == 0, offsets), np.nan)


def alternative_right(
    named: Shaped[np.ndarray, " n"], truth: Shaped[np.ndarray, " n"], known: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """1 where the alternative that is named ("it looks blue") is what the image truly shows, 0 where it is another, NaN
    where the truth is not known.

    Args:
        named, truth: words, or numbers of words.
        known: whether the image is known to show one of the alternatives.
    """
    return np.where(known, (named == truth) * 1.0, np.nan)


def named_reason(probability: Float[np.ndarray, "n c"], threshold: float) -> Int[np.ndarray, " n"]:
    """The category of the highest probability in each image, -1 (none) where that is below the threshold."""
    return np.where(probability.max(1) >= threshold, probability.argmax(1), -1)


class NamedCounts(NamedTuple):
    """What each pair adds to the F1 of each category, [n, c] of 0 and 1."""

    right: Bool[np.ndarray, "n c"]
    wrong: Bool[np.ndarray, "n c"]
    missed: Bool[np.ndarray, "n c"]


def reasons_within_pairs(
    chosen: Int[np.ndarray, " n"], rejected: Int[np.ndarray, " n"], category: Shaped[np.ndarray, "n c"]
) -> NamedCounts:
    """What a pair is said to break, against what it breaks.

    A pair names a category only if exactly one of its two images does: that of the rejected image where the chosen one
    has none (right if the pair breaks it), or that of the chosen image where the rejected one has none (always wrong).
    Where both images get a reason, or neither, the pair names nothing and the truth is missed. Both images have one
    prompt, so a head that reads the prompt alone gives both the same and is never right: its F1 is 0, whatever it
    knows about the prompt. One that knows the category from the prompt and tosses a coin for each image gets at most
    1/3.

    Args:
        chosen, rejected: of each pair the category that is named for the image (`named_reason`), -1 for none.
        category: 1 the rejected image breaks it, 0 it does not, -1 unknown: neither right nor wrong.

    Returns:
        The counts. A pair that breaks several categories is right with any of them; then the others are not missed.
    """
    columns = np.arange(category.shape[1])
    forwards = (rejected[:, None] == columns) & (chosen[:, None] < 0)
    backwards = (chosen[:, None] == columns) & (rejected[:, None] < 0)
    right = forwards & (category == 1)
    wrong = (forwards & (category == 0)) | (backwards & (category >= 0))
    return NamedCounts(right, wrong, (category == 1) & ~right.any(1, keepdims=True))


def f1(counts: NamedCounts) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]]:
    """2 right / (2 right + wrong + missed) of each category, and that divisor; both NaN for one that nothing breaks."""
    right, wrong, missed = (each.sum(0) for each in counts)
    divisor = np.where(right + missed > 0, 2.0 * right + wrong + missed, np.nan)
    return 2.0 * right / divisor, divisor


def macro_f1(counts: NamedCounts) -> float:
    """The mean F1 of the categories that some pair breaks; NaN without any."""
    each, _ = f1(counts)
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def macro_f1_by_group(counts: NamedCounts, groups: Shaped[np.ndarray, " n"], *, level: float = 0.95) -> Interval:
    """The interval of `macro_f1`, its variance by linearisation; without any mistake each category counts with as many
    groups as break it.
    """
    each, divisor = f1(counts)
    found = np.isfinite(each)
    if not found.any():
        return NOTHING
    right, wrong, missed = (part[:, found].astype(np.float64) for part in counts)
    away = ((2 * right - each[found] * (2 * right + wrong + missed)) / divisor[found]).mean(1)
    index, count = numbered(groups)
    holders = np.array([len(np.unique(index[which])) for which in ((right + missed) > 0).T])
    spread = spread_of(away, index, count)
    if spread.variance <= 1e-15:
        spread = spread._replace(groups=round(len(holders) ** 2 / (1 / holders).sum()))
    return bounded_interval(float(each[found].mean()), spread, level)
