"""Average precision of found boxes, as COCO defines it (Lin et al. 2014; `COCOeval` of pycocotools).

One class, all sizes. Boxes are left, top, right, bottom in one unit; those of all images stand in flat arrays, image
after image, and `offsets` i[n + 1] says which belong to image i. Images in which nothing is wrong have no true box and
count: every box that is found in them is a false alarm.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from tipai_jax.metrics.intervals import NOTHING, Interval, Spread, bounded_interval, numbered
from tipai_jax.metrics.within import owner_of

__all__ = ["average_precision", "average_precision_by_group", "box_iou", "match_boxes"]

RECALLS = np.linspace(0.0, 1.0, 101)


def box_iou(one: Float[np.ndarray, "m 4"], other: Float[np.ndarray, "t 4"]) -> Float[np.ndarray, "m t"]:
    """Intersection over union of each box with each other; 0 for two boxes without area."""
    edges = np.minimum(one[:, None, 2:], other[None, :, 2:]) - np.maximum(one[:, None, :2], other[None, :, :2])
    both = np.prod(np.maximum(edges, 0.0), axis=-1)
    area = lambda boxes: np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=-1)
    either = area(one)[:, None] + area(other)[None, :] - both
    return np.where(either > 0, both / np.where(either > 0, either, 1.0), 0.0)


def match_boxes(
    found: Float[np.ndarray, "m 4"],
    score: Float[np.ndarray, " m"],
    found_offsets: Shaped[np.ndarray, " n1"],
    truth: Float[np.ndarray, "t 4"],
    truth_offsets: Shaped[np.ndarray, " n1"],
    *,
    overlap: float,
) -> Bool[np.ndarray, " m"]:
    """Whether each found box is right: by descending score it takes, of the true boxes of its image that are still
    free, the one of the largest overlap, if that is at least `overlap` (an IoU).
    """
    right = np.zeros(len(found), bool)
    for image in range(len(found_offsets) - 1):
        mine = slice(found_offsets[image], found_offsets[image + 1])
        overlaps = box_iou(found[mine], truth[truth_offsets[image] : truth_offsets[image + 1]])
        if not overlaps.size:
            continue
        for box in np.argsort(-score[mine], kind="stable"):
            best = overlaps.shape[1] - 1 - int(overlaps[box, ::-1].argmax())  # of equal ones the last, as pycocotools
            if overlaps[box, best] >= min(overlap, 1 - 1e-10):
                right[mine.start + box] = True
                overlaps[:, best] = -1.0
    return right


def average_precision(
    score: Float[np.ndarray, " m"],
    right: Bool[np.ndarray, " m"],
    truths: float | int,
    weight: Shaped[np.ndarray, " m"] | None = None,
) -> float:
    """The mean over the recalls 0, 0.01 ... 1 of the best precision at that recall or beyond; 0 beyond the last.

    Args:
        score: of every found box of all images; equal ones stay in their order.
        right: as `match_boxes` says.
        truths: how many true boxes there are, weighted like the found ones.
        weight: how often each found box counts; once if None.

    Returns:
        The average precision, NaN without true boxes.
    """
    if not truths > 0:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    times = np.ones(len(score)) if weight is None else weight[order].astype(np.float64)
    hits, seen = np.cumsum(times * right[order]), np.cumsum(times)
    precision = np.maximum.accumulate((hits / np.maximum(seen, 1e-12))[::-1])[::-1]
    place = np.searchsorted(hits / truths, RECALLS, side="left")
    return float(np.append(precision, 0.0)[place].mean())


def average_precision_by_group(
    score: Float[np.ndarray, " m"],
    right: Bool[np.ndarray, " m"],
    found_offsets: Shaped[np.ndarray, " n1"],
    truths: Int[np.ndarray, " n"],
    groups: Shaped[np.ndarray, " n"],
    *,
    seed: int = 0,
    n: int = 400,
    level: float = 0.95,
) -> Interval:
    """The interval of `average_precision`; its variance is that over n resamples of whole groups.

    The best precision *at that recall or beyond* is too high by chance where boxes are few, so the interval is laid
    around the value without that bias (as far as resamples show it: their mean minus the value).

    Args:
        score, right, found_offsets: of the found boxes.
        truths: true boxes of each image.
        groups: the group of each image.
        seed, n, level: the draw, the number of resamples, the coverage.
    """
    if not truths.sum():
        return NOTHING
    index, count = numbered(groups)
    value = average_precision(score, right, int(truths.sum()))
    owner = owner_of(found_offsets)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=n)[:, index]
    values = [average_precision(score, right, int(times @ truths), times[owner]) for times in drawn]
    spread = Spread(float(np.nanvar(values)) * count / max(count - 1, 1), max(count - 1.0, 1.0), count)
    unbiased = float(np.clip(2 * value - np.nanmean(values), 0.0, 1.0))
    return bounded_interval(unbiased, spread, level)
