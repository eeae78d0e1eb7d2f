"""Figures of heatmaps against true boxes, image by image, at the size the plan measures them.

Only rejected images count, no controls, with a box that some pixel is to blame for.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from tipai_jax.grids import grid_side
from tipai_jax.metrics import localisation
from tipai_jax.render import Region, enlarge, regions_of_grid
from tipai_jax.render.boxes import MAP_SIDE as SIZE
from tipai_jax.store import PairTable, box_mask

__all__ = ["SIZE", "localisation_figures", "pairs_with_pixels", "spread"]


def pairs_with_pixels(pairs: PairTable) -> Int[np.ndarray, " n"]:
    """Pairs whose rejected image has pixels to blame: no controls, none that only miss something or have no boxes."""
    boxes = pairs.boxes
    owner = np.repeat(np.arange(len(boxes)), boxes.counts)
    blamed = np.bincount(owner[~boxes.absent], minlength=len(boxes)) > 0
    return np.flatnonzero(blamed & ~pairs.control)


def _maps(
    risk: Float[np.ndarray, "b k"], pairs: PairTable, which: Int[np.ndarray, " n"]
) -> Iterator[tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]]:
    """The enlarged risk and the true mask of each pair."""
    for pair in which.tolist():
        yield _enlarged(risk[pair]), box_mask(pairs.boxes[pair], SIZE)


def _enlarged(risk: Float[np.ndarray, " k"]) -> Float[np.ndarray, "h w"]:
    side = grid_side(len(risk))
    return enlarge(risk.reshape(side, side), (SIZE, SIZE))


def spread(which: Int[np.ndarray, " n"], most: int) -> Int[np.ndarray, " m"]:
    """At most so many of them, at even distances."""
    return which[np.unique(np.linspace(0, len(which) - 1, min(most, len(which))).astype(np.int64))]


def _overlaps(region: Region, mask: Bool[np.ndarray, "h w"]) -> bool:
    x1, y1, x2, y2 = (round(edge * SIZE) for edge in (region.x1, region.y1, region.x2, region.y2))
    return bool(mask[y1:y2, x1:x2].any())


def _pointed(risk: Float[np.ndarray, " k"], mask: Bool[np.ndarray, "h w"]) -> float:
    """The share of the hottest cells whose centre lies in the mask. Not the highest pixel of the enlarged map: from the
    centre of a cell at the border to that border all pixels are equal, and the first of them lies in the corner.
    """
    side = grid_side(len(risk))
    row, column = np.divmod(np.flatnonzero(risk == risk.max()), side)
    centre = lambda cell: ((cell + 0.5) * SIZE / side).astype(np.int64)
    return float(mask[centre(row), centre(column)].mean())


def localisation_figures(
    risk: Float[np.ndarray, "b k"], pairs: PairTable, *, threshold: float, reach: float | None, most: int = 2000
) -> tuple[Int[np.ndarray, " n"], dict[str, Float[np.ndarray, " n"]]]:
    """IoU, Dice, CC, AUC-Judd, box overlap and the pointing game, of each image that has pixels to blame.

    Args:
        risk: of the rejected image of each pair, 0 to 1, before enlargement.
        pairs: the pairs.
        threshold: the risk from which a pixel counts as unfaithful, for IoU and Dice, and a region is found.
        reach: as `render.regions_of_grid` takes it.
        most: how many images are looked at, spread evenly over the pairs; 2,000 tell a mean AUC-Judd to +-.004.

    Returns:
        Which pairs were measured, and one array a figure. CC is 0 for a map that is the same everywhere. `box_overlap`
        is 1 where the map's box of the highest risk (`render.regions_of_grid`; whatever the verdict) shares a pixel
        with what is truly wrong; `pointing_game` (Zhang et al. 2016) is 1 where the centre of the hottest cell lies in
        it, and the share of the hottest cells' centres that do where several are equally hot.
    """
    which = spread(pairs_with_pixels(pairs), most)
    figures: dict[str, list[float]] = {
        "iou": [],
        "dice": [],
        "cc": [],
        "auc_judd": [],
        "box_overlap": [],
        "pointing_game": [],
    }
    for pair, (heat, mask) in zip(which.tolist(), _maps(risk, pairs, which)):
        figures["iou"].append(float(localisation.iou(heat, mask, threshold=threshold)))
        figures["dice"].append(float(localisation.dice(heat, mask, threshold=threshold)))
        figures["cc"].append(float(localisation.cc(heat, mask)))
        figures["auc_judd"].append(float(localisation.auc_judd(heat, mask)))
        side = grid_side(risk.shape[1])
        reddest = regions_of_grid(risk[pair].reshape(side, side), threshold, reach)[:1]
        figures["box_overlap"].append(float(any(_overlaps(box, mask) for box in reddest)))
        figures["pointing_game"].append(_pointed(risk[pair], mask))
    return which, {name: np.asarray(values, np.float64) for name, values in figures.items()}
