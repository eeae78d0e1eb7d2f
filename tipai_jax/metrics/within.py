"""Ranking among the parts of one image: its objects, its phrases, its patches.

What is compared lies in one image, so neither a score of the whole image nor anything that the prompt says about the
whole image can earn anything. Every function returns a value for each image, NaN where an image has nothing to
compare, which `intervals.mean_by_group` averages. The parts of all images stand in flat arrays, image after image;
`offsets` i[n + 1] says which belong to image i: offsets[i]:offsets[i + 1] (as in `store.pairs.Boxes`).
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy.stats import rankdata

from tipai_jax.metrics.ranking import pair_wins

__all__ = ["auc_within", "chance_of_top", "comparisons_within", "paired_wins", "risk_of_boxes", "top_right"]

PerImage = Float[np.ndarray, " n"]


def risk_of_boxes(
    risk: Float[np.ndarray, "n k"], xyxy: Float[np.ndarray, "m 4"], offsets: Shaped[np.ndarray, " n1"]
) -> Float[np.ndarray, " m"]:
    """The risk under each box: the mean of the cells, each weighing as much as the box covers of it.

    The mean and not the maximum: the maximum over more cells is higher by chance alone, so that the larger of two
    objects would look guilty to a map of noise. The mean of a box that is smaller than a cell is that cell's risk.

    Args:
        risk: of the k cells of a square grid, row-major from the top left, of each image.
        xyxy: left, top, right, bottom as fractions of what the encoder saw; what lies outside is cut off.
        offsets: which boxes belong to which image.

    Returns:
        One risk a box; for a box without area (or outside the view) that of the cell at its centre.
    """
    side = round(risk.shape[1] ** 0.5)
    if side * side != risk.shape[1]:
        raise ValueError(f"{risk.shape[1]} cells form no square grid")
    owner = owner_of(offsets)
    corners = np.clip(np.asarray(xyxy, np.float64), 0.0, 1.0) * side
    cells = np.arange(side)

    def covered(low: Float[np.ndarray, " m"], high: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m side"]:
        """How much of each cell an edge of the box covers; of an edge without length, the cell at its middle."""
        share = np.clip(np.minimum(high[:, None], cells + 1) - np.maximum(low[:, None], cells), 0.0, 1.0)
        middle = np.minimum((low + high) / 2, side - 1e-9).astype(np.int64)
        return np.where(share.sum(1, keepdims=True) > 1e-9, share, cells == middle[:, None])

    across, down = covered(corners[:, 0], corners[:, 2]), covered(corners[:, 1], corners[:, 3])
    grid = risk.reshape(-1, side, side)[owner].astype(np.float64)
    return np.einsum("my,mx,myx->m", down, across, grid) / (down.sum(1) * across.sum(1))


def owner_of(offsets: Shaped[np.ndarray, " n1"]) -> Int[np.ndarray, " m"]:
    """The image of each part."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def auc_within(
    score: Float[np.ndarray, " m"], label: Shaped[np.ndarray, " m"], offsets: Shaped[np.ndarray, " n1"]
) -> PerImage:
    """In each image the share of its comparisons (a part of label 1 against one of label 0) in which the first scores
    higher, ties half.

    Args:
        score: of each part.
        label: 1, 0 or -1 (left out).
        offsets: which parts belong to which image.
    """
    images, known = len(offsets) - 1, label >= 0
    owner, positive = owner_of(offsets)[known], label[known] == 1
    _, place = np.unique(score[known].astype(np.float64), return_inverse=True)
    before = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=images))])[:-1]
    rank = rankdata(owner * (int(place.max(initial=0)) + 1) + place) - before[owner]
    count = np.bincount(owner[positive], minlength=images)
    compared = comparisons_within(label, offsets)
    wins = np.bincount(owner[positive], weights=rank[positive], minlength=images) - count * (count + 1) / 2
    return np.where(compared > 0, wins / np.maximum(compared, 1), np.nan)


def comparisons_within(label: Shaped[np.ndarray, " m"], offsets: Shaped[np.ndarray, " n1"]) -> Int[np.ndarray, " n"]:
    """How many comparisons `auc_within` makes in each image."""
    images, owner = len(offsets) - 1, owner_of(offsets)
    return np.bincount(owner[label == 1], minlength=images) * np.bincount(owner[label == 0], minlength=images)


def top_right(
    score: Float[np.ndarray, " m"], wanted: Bool[np.ndarray, " m"], offsets: Shaped[np.ndarray, " n1"]
) -> PerImage:
    """1 in each image whose part of the highest score is a wanted one, 0 in the others; where several share the highest
    score, the share of wanted ones among them.

    NaN in an image without parts, and where none or all of them are wanted: there is nothing to get wrong.
    """
    images, owner = len(offsets) - 1, owner_of(offsets)
    highest = np.full(images, -np.inf)
    np.maximum.at(highest, owner, score.astype(np.float64))
    top = score == highest[owner]
    hits, tops = np.bincount(owner[top & wanted], minlength=images), np.bincount(owner[top], minlength=images)
    chance = chance_of_top(wanted, offsets)
    return np.where((chance > 0) & (chance < 1), hits / np.maximum(tops, 1), np.nan)


def chance_of_top(wanted: Bool[np.ndarray, " m"], offsets: Shaped[np.ndarray, " n1"]) -> PerImage:
    """What a guess gives in `top_right`: the share of wanted parts of each image; NaN without parts."""
    size = np.diff(offsets)
    found = np.bincount(owner_of(offsets)[wanted], minlength=len(size))
    return np.where(size > 0, found / np.maximum(size, 1), np.nan)


def paired_wins(
    chosen: Float[np.ndarray, "n k"], rejected: Float[np.ndarray, "n k"], compared: Bool[np.ndarray, "n k"]
) -> PerImage:
    """For each pair, over its compared places, the share in which the chosen image has the higher logit than the
    rejected one *at the same place*, ties half; NaN for a pair without such places.

    With patches and the cells that are unfaithful in the rejected image alone, this is the position-paired patch AUC: a
    map of where objects are wont to be, or of what the prompt says, is the same in both and gets 0.5. With phrases it
    compares the same phrase in both images.
    """
    count = compared.sum(1)
    won = np.where(compared, np.asarray(pair_wins(chosen, rejected), np.float64), 0.0).sum(1)
    return np.where(count > 0, won / np.maximum(count, 1), np.nan)
