"""The one rule that turns boxes into labels of patches, and what part of an image the patches cover.

A cell of the grid is unfaithful (0) when the union of the boxes covers at least a quarter of it, or when it holds at
least half of one box (so that a small box is not lost between large cells); faithful (1) when no box touches it, the
boxes of what is absent included; otherwise unknown (-1).
"""

import numpy as np

__all__ = ["COVERED", "HELD", "label_cells", "overlapping", "to_view", "view_box"]

COVERED = 0.25
HELD = 0.5
_SLACK = 1e-9  # on areas in units of a cell or of a box: a share of exactly a quarter must count as one


def overlapping(boxes: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """The images in which two boxes share an area.

    Args:
        boxes: [m, 4], x1 y1 x2 y2 in any unit, the boxes of an image being neighbours.
        owner: i[m], the image of each box, ascending.

    Returns:
        i[...], sorted, each image once.
    """
    found = []
    for lag in range(1, int(np.bincount(owner).max()) if len(owner) else 1):
        first, second = boxes[:-lag], boxes[lag:]
        shared = (np.maximum(first[:, :2], second[:, :2]) < np.minimum(first[:, 2:], second[:, 2:])).all(axis=1)
        found.append(owner[:-lag][shared & (owner[:-lag] == owner[lag:])])
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _lengths(low: np.ndarray, high: np.ndarray, edges: np.ndarray) -> np.ndarray:
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
    cells = len(edges) - 1
    rows = (np.searchsorted(edges, ys[:-1], side="right") - 1)[:, None] == np.arange(cells)
    columns = (np.searchsorted(edges, xs[:-1], side="right") - 1)[:, None] == np.arange(cells)
    return rows.T @ area @ columns * cells * cells


def label_cells(
    boxes: np.ndarray, absent: np.ndarray, *, offsets: np.ndarray | None = None, cells: int = 7
) -> np.ndarray:
    """Label the cells of images by their boxes.

    Args:
        boxes: f64[m, 4], x1 y1 x2 y2 as fractions of the view, inside 0..1, image after image.
        absent: bool[m]; the place a missing object should have had: it makes nothing unfaithful, only unknown.
        offsets: i[n + 1], image i owns boxes offsets[i]:offsets[i + 1]; None for one image.
        cells: cells along an axis.

    Returns:
        i8[n, cells * cells], or i8[cells * cells] for one image, row-major from the top left: 1 faithful, 0 unfaithful,
        -1 unknown.
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    absent = np.asarray(absent, dtype=bool).reshape(-1)
    bounds = np.array([0, len(boxes)]) if offsets is None else np.asarray(offsets)
    owner = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    edges = np.arange(cells + 1) / cells
    shared = (
        _lengths(boxes[:, 1], boxes[:, 3], edges)[:, :, None] * _lengths(boxes[:, 0], boxes[:, 2], edges)[:, None, :]
    )
    touched = np.zeros((len(bounds) - 1, cells, cells), dtype=bool)
    np.logical_or.at(touched, owner, shared * cells * cells > _SLACK)

    boxes, shared, owner = boxes[~absent], shared[~absent], owner[~absent]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    held = np.zeros_like(touched)
    np.logical_or.at(held, owner, (shared > 0) & (shared >= (HELD - _SLACK) * area[:, None, None]))
    share = np.zeros(touched.shape)
    np.add.at(share, owner, shared * cells * cells)
    starts = np.searchsorted(owner, np.arange(len(bounds)))
    for i in overlapping(boxes, owner):  # the sum is the union only where no boxes overlap
        share[i] = _union_share(boxes[starts[i] : starts[i + 1]], edges)

    labels = np.where(held | (share >= COVERED - _SLACK), 0, np.where(touched, -1, 1)).astype(np.int8)
    return labels.reshape(-1) if offsets is None else labels.reshape(len(labels), cells * cells)


def view_box(width: int, height: int, *, view: str, share: float) -> tuple[float, float, float, float]:
    """The part of an image that the encoder sees, in pixels: left, top, right, bottom.

    Args:
        width: pixels of the image.
        height: pixels of the image.
        view: "centre" (a centred square) or "whole" (the image squeezed into a square).
        share: side of the centred square, as a share of the shorter side; 1 for "whole".
    """
    if view == "whole":
        return 0.0, 0.0, float(width), float(height)
    side = share * min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def to_view(boxes: np.ndarray, view: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in pixels of an image as fractions of its view.

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
