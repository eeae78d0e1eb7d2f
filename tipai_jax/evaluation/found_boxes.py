"""The boxes that a verdict shows, against the true ones: how they are fitted on validation, and their figures.

An image gets boxes where its calibrated score says that it breaks the prompt, and none where it says that it keeps it.
Chosen and rejected images count alike: in a chosen one every box is a false alarm. Definitions: docs/metrics.md.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from tipai_jax.evaluation.figure import figure_of, mean_figure, missing
from tipai_jax.evaluation.localise import spread
from tipai_jax.grids import grid_side
from tipai_jax.metrics.detection import average_precision, average_precision_by_group, match_boxes
from tipai_jax.render import regions_of_grid
from tipai_jax.store import PairTable

__all__ = ["NO_BOXES", "BoxRule", "FoundBoxes", "box_figures", "find_boxes", "fit_boxes"]

OVERLAPS = (0.25, 0.5)
MOST = 2000
"""Pairs whose boxes are searched for the figures, at most; spread evenly."""
REACHES = (0.06, 0.09, 0.12, 0.15, 0.2, 0.3, 0.45)
"""How far a box may go from its peak, as tried on validation."""
NO_BOXES = "no box can be fitted on the validation pairs, so that no region is marked in any image"


class BoxRule(NamedTuple):
    """How boxes are found: the least risk of a peak, how far a box goes from it, and the F1 of both on validation."""

    threshold: float
    reach: float
    f1: float


class FoundBoxes(NamedTuple):
    """The boxes of n pairs: those of the n chosen images, then those of the n rejected ones.

    Attributes:
        xyxy: corners of the found ones, fractions of what the encoder saw.
        risk: of each, the highest in it; printed on it, and what orders the boxes of all images.
        offsets: image i owns offsets[i]:offsets[i + 1].
        truth, truth_offsets: the true ones likewise; chosen images have none.
    """

    xyxy: Float[np.ndarray, "m 4"]
    risk: Float[np.ndarray, " m"]
    offsets: Int[np.ndarray, " images1"]
    truth: Float[np.ndarray, "t 4"]
    truth_offsets: Int[np.ndarray, " images1"]

    def right(self, overlap: float) -> Bool[np.ndarray, " m"]:
        """Whether each found box is right (`metrics.detection.match_boxes`)."""
        return match_boxes(self.xyxy, self.risk, self.offsets, self.truth, self.truth_offsets, overlap=overlap)


def _measurable(pairs: PairTable) -> Int[np.ndarray, " n"]:
    return np.flatnonzero(pairs.annotated & ~pairs.control)


def find_boxes(
    risk: Float[np.ndarray, "b 2 k"],
    breaks: Bool[np.ndarray, "b 2"],
    pairs: PairTable,
    which: Int[np.ndarray, " n"],
    *,
    threshold: float,
    reach: float | None,
) -> FoundBoxes:
    """The boxes of both images of some pairs.

    Args:
        risk: of each patch, 0 to 1, before enlargement.
        breaks: whether the verdict is that the image breaks its prompt; the others get no box.
        pairs: the truth.
        which: of the pairs.
        threshold, reach: as `render.regions_of_grid` takes them.
    """
    side = grid_side(risk.shape[-1])
    found, sizes, truth, truths = [], [], [], []
    for image in (0, 1):
        for pair in which.tolist():
            grid = risk[pair, image].reshape(side, side)
            regions = regions_of_grid(grid, threshold, reach) if breaks[pair, image] else []
            found += [(each.x1, each.y1, each.x2, each.y2, each.risk) for each in regions]
            sizes.append(len(regions))
            boxes = [box[:4] for box in pairs.boxes[pair] if not box.absent] if image else []
            truth += boxes
            truths.append(len(boxes))
    starts = lambda counts: np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    table = np.asarray(found, np.float64).reshape(-1, 5)
    flat = np.asarray(truth, np.float64).reshape(-1, 4)
    return FoundBoxes(table[:, :4], table[:, 4], starts(sizes), flat, starts(truths))


def fit_boxes(
    risk: Float[np.ndarray, "b 2 k"], breaks: Bool[np.ndarray, "b 2"], pairs: PairTable, *, most: int = 300
) -> BoxRule | None:
    """The threshold and the reach of the largest F1 over the boxes of chosen and rejected images together.

    F1 = 2 right / (found + true) at an overlap of 0.25. The threshold has no say in the size of a box, and a hotter one
    is matched first, so that one search at each reach gives the F1 of all thresholds.

    Args:
        risk: of each patch, 0 to 1.
        breaks: whether the verdict is that the image breaks its prompt.
        pairs: of the validation split.
        most: how many pairs are looked at, spread evenly.

    Returns:
        The rule; None where no pair has boxes, or no found box is right at any reach.
    """
    which = spread(_measurable(pairs), most) if len(_measurable(pairs)) else np.zeros(0, np.int64)
    best: BoxRule | None = None
    for reach in REACHES if len(which) else ():
        found = find_boxes(risk, breaks, pairs, which, threshold=0.0, reach=reach)
        order = np.argsort(-found.risk, kind="stable")
        hits, seen = np.cumsum(found.right(OVERLAPS[0])[order]), np.arange(1, len(order) + 1)
        f1 = np.where(np.append(np.diff(found.risk[order]), -1) < 0, 2 * hits / (seen + len(found.truth)), 0.0)
        if len(f1) and f1.max() > (best.f1 if best else 0.0):
            best = BoxRule(float(found.risk[order[f1.argmax()]]), reach, float(f1.max()))
    return best


def box_figures(
    risk: Float[np.ndarray, "b 2 k"],
    breaks: Bool[np.ndarray, "b 2"],
    pairs: PairTable,
    *,
    threshold: float,
    reach: float | None,
) -> dict[str, Any]:
    """Average precision of the boxes over chosen and rejected images together, and how many of either get any.

    Args:
        risk, breaks, pairs, threshold, reach: as in `find_boxes`; at most `MOST` pairs are measured.
    """
    which = _measurable(pairs)
    if not len(which) or reach is None:
        why = NO_BOXES if len(which) else "no pair has boxes"
        return dict.fromkeys(("ap25", "ap50", "marked_in_chosen", "marked_in_rejected"), missing(why))
    which = spread(which, MOST)
    found = find_boxes(risk, breaks, pairs, which, threshold=threshold, reach=reach)
    group, truths = np.tile(pairs.group[which], 2), np.diff(found.truth_offsets)
    figures: dict[str, Any] = {}
    for overlap in OVERLAPS:
        right = found.right(overlap)
        value = average_precision(found.risk, right, int(truths.sum()))
        interval = average_precision_by_group(found.risk, right, found.offsets, truths, group)
        figures[f"ap{round(100 * overlap)}"] = figure_of(value, interval, len(group), group)
    marked = (np.diff(found.offsets) > 0).reshape(2, -1) * 1.0
    return figures | {
        "marked_in_chosen": mean_figure(marked[0], pairs.group[which]),
        "marked_in_rejected": mean_figure(marked[1], pairs.group[which]),
    }
