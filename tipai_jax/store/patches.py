"""The one rule that turns boxes into labels of patches, and what part of a picture the patches cover.

A cell of the grid is unfaithful (0) when the union of the boxes covers at least a quarter of it, or when it holds at
least half of one box (so that a small box is not lost between large cells); faithful (1) when no box touches it, the
boxes of what is absent included; otherwise unknown (-1). Owns the rule and the geometry of the encoder's view; knows
nothing of files, of categories or of models.
"""

import numpy as np

__all__ = ["COVERED", "HELD", "label_cells", "pair_patch_labels", "to_view", "view_box"]

COVERED = 0.25
HELD = 0.5
_SLACK = 1e-9  # on areas in units of a cell or of a box: a share of exactly a quarter must count as one


def _overlap(low: np.ndarray, high: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """f64[n, cells]: the length that interval i shares with each cell of an axis."""
    return np.clip(np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1]), 0.0, None)


def _union_share(boxes: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """f64[cells, cells]: the share of each cell that the union of the boxes covers, exact for any overlap."""
    xs = np.unique(np.concatenate([edges, boxes[:, 0], boxes[:, 2]]))
    ys = np.unique(np.concatenate([edges, boxes[:, 1], boxes[:, 3]]))
    inside_x = (boxes[:, 0, None] <= xs[:-1]) & (xs[:-1] < boxes[:, 2, None])
    inside_y = (boxes[:, 1, None] <= ys[:-1]) & (ys[:-1] < boxes[:, 3, None])
    inside = (inside_y[:, :, None] & inside_x[:, None, :]).any(axis=0)
    area = inside * np.diff(ys)[:, None] * np.diff(xs)[None, :]
    to_row = np.searchsorted(edges, ys[:-1], side="right") - 1
    to_column = np.searchsorted(edges, xs[:-1], side="right") - 1
    cells = len(edges) - 1
    share = np.zeros((cells, cells))
    np.add.at(share, (to_row[:, None], to_column[None, :]), area)
    return share * cells * cells


def label_cells(boxes: np.ndarray, absent: np.ndarray, cells: int = 7) -> np.ndarray:
    """Label the cells of one picture by its boxes.

    Args:
        boxes: f64[n, 4], x1 y1 x2 y2 as fractions of the view, inside 0..1.
        absent: bool[n]; the place a missing object should have had: it makes nothing unfaithful, only unknown.
        cells: cells along an axis.

    Returns:
        i8[cells * cells], row-major from the top left: 1 faithful, 0 unfaithful, -1 unknown.
    """
    labels = np.ones((cells, cells), dtype=np.int8)
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    absent = np.asarray(absent, dtype=bool).reshape(-1)
    if not len(boxes):
        return labels.reshape(-1)
    edges = np.arange(cells + 1) / cells
    shared = _overlap(boxes[:, 1], boxes[:, 3], edges)[:, :, None] * _overlap(boxes[:, 0], boxes[:, 2], edges)[:, None, :]
    labels[(shared * cells * cells > _SLACK).any(axis=0)] = -1
    present = ~absent
    if present.any():
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        held = shared[present] >= (HELD - _SLACK) * area[present, None, None]
        held &= shared[present] > 0
        covered = _union_share(boxes[present], edges) >= COVERED - _SLACK
        labels[held.any(axis=0) | covered] = 0
    return labels.reshape(-1)


def pair_patch_labels(boxes: np.ndarray | None, absent: np.ndarray | None, *, control: bool, cells: int = 7) -> np.ndarray:
    """Patch labels of a pair: row 0 the chosen image, row 1 the rejected one.

    Args:
        boxes: f64[n, 4] in the rejected image's view, or None where nobody annotated the pair.
        absent: bool[n], or None.
        control: both images keep the prompt, so every patch of both is faithful.
        cells: cells along an axis.

    Returns:
        i8[2, cells * cells]; all -1 without annotation.
    """
    labels = np.ones((2, cells * cells), dtype=np.int8)
    if control:
        return labels
    if boxes is None or absent is None:
        return np.full_like(labels, -1)
    labels[1] = label_cells(boxes, absent, cells)
    return labels


def view_box(width: int, height: int, *, view: str, share: float) -> tuple[float, float, float, float]:
    """The part of a picture that the encoder sees, in pixels: left, top, right, bottom.

    Args:
        width: pixels of the picture.
        height: pixels of the picture.
        view: "centre" (a centred square) or "whole" (the picture squeezed into a square).
        share: side of the centred square, as a share of the shorter side; 1 for "whole".
    """
    if view == "whole":
        return 0.0, 0.0, float(width), float(height)
    side = share * min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def to_view(boxes: np.ndarray, view: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in pixels of a picture as fractions of its view.

    Args:
        boxes: f64[n, 4] pixels.
        view: left, top, right, bottom from `view_box`.

    Returns:
        (f64[n, 4] clipped to 0..1, bool[n] whether any of the box is inside the view).
    """
    left, top, right, bottom = view
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    # one division of exact pixel numbers: 32/224 is then the same double as the cell edge 1/7
    scaled = (boxes - [left, top, left, top]) / [right - left, bottom - top, right - left, bottom - top]
    clipped = np.clip(scaled, 0.0, 1.0)
    inside = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    return clipped, inside
