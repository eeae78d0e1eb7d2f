"""Truth masks in the small space: what Dice at full size needs of an HxW mask, in 49 numbers.

A risk map of 7x7 cells is enlarged bilinearly, R = U r U^T with U = `bilinear_matrix`, and compared with a mask m of
size x size pixels. Every sum Dice needs is linear in r: sum(R * m) = <r, U^T m U>.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np

from tipai_jax.grids import bilinear_matrix
from tipai_jax.store.patches import overlapping

__all__ = ["box_mask", "small_mask", "small_masks"]


@runtime_checkable
class BoxLike(Protocol):
    """A box as fractions of the image; `absent` boxes mark where something is missing and no pixel is to blame."""

    x1: float
    y1: float
    x2: float
    y2: float
    absent: bool


@lru_cache(maxsize=8)
def _running_sum(size: int, cells: int) -> np.ndarray:
    """f64[size + 1, cells]: C[b] - C[a] is the sum of the rows a..b-1 of U."""
    total = np.zeros((size + 1, cells))
    np.cumsum(bilinear_matrix(size, cells).astype(np.float64), axis=0, out=total[1:])
    total.setflags(write=False)
    return total


def _pixels(low: np.ndarray, high: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Half-open pixel intervals of fraction intervals: a pixel belongs when its centre does, and never no
    pixel at all.
    """
    start = np.clip(np.ceil(low * size - 0.5), 0, size).astype(np.int64)
    stop = np.clip(np.ceil(high * size - 0.5), 0, size).astype(np.int64)
    thin = stop <= start
    middle = np.clip(np.floor((low + high) * 0.5 * size), 0, size - 1).astype(np.int64)
    return np.where(thin, middle, start), np.where(thin, middle + 1, stop)


def _union(
    x: tuple[np.ndarray, np.ndarray], y: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates xs, ys and the 0/1 matrix of which rectangle between them lies in the union of the boxes."""
    xs, ys = np.unique(np.concatenate(x)), np.unique(np.concatenate(y))
    inside_x = (x[0][:, None] <= xs[:-1]) & (xs[:-1] < x[1][:, None])
    inside_y = (y[0][:, None] <= ys[:-1]) & (ys[:-1] < y[1][:, None])
    inside = np.asarray((inside_y[:, :, None] & inside_x[:, None, :]).any(axis=0))
    return xs, ys, inside.astype(np.float64)


def small_masks(
    *, xyxy: np.ndarray, absent: np.ndarray, offsets: np.ndarray, size: int = 224, cells: int = 7
) -> tuple[np.ndarray, np.ndarray]:
    """`small_mask` of many images at once; the same numbers, without a Python step where no boxes overlap.

    Args:
        xyxy: f64[m, 4], the boxes of all images, one image after the other, as fractions.
        absent: bool[m].
        offsets: i[n + 1]; image i owns the boxes offsets[i]:offsets[i + 1].
        size: pixels of the full mask, size x size.
        cells: cells of the small grid.

    Returns:
        (f32[n, cells * cells], f32[n]): U^T m U row-major, and the number of mask pixels.
    """
    count = len(offsets) - 1
    owner = np.repeat(np.arange(count), np.diff(offsets))[~absent]
    kept = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)[~absent]
    x_start, x_stop = _pixels(kept[:, 0], kept[:, 2], size)
    y_start, y_stop = _pixels(kept[:, 1], kept[:, 3], size)
    running = _running_sum(size, cells)
    mask = np.zeros((count, cells, cells))
    area = np.zeros(count)
    rows, columns = running[y_stop] - running[y_start], running[x_stop] - running[x_start]
    np.add.at(mask, owner, rows[:, :, None] * columns[:, None, :])
    np.add.at(area, owner, ((y_stop - y_start) * (x_stop - x_start)).astype(np.float64))
    starts = np.searchsorted(owner, np.arange(count + 1))
    for i in overlapping(
        np.stack([x_start, y_start, x_stop, y_stop], axis=1), owner
    ):  # a pixel under two boxes counts once
        part = slice(starts[i], starts[i + 1])
        xs, ys, inside = _union((x_start[part], x_stop[part]), (y_start[part], y_stop[part]))
        mask[i] = np.diff(running[ys], axis=0).T @ inside @ np.diff(running[xs], axis=0)
        area[i] = np.diff(ys) @ inside @ np.diff(xs)
    return mask.reshape(count, -1).astype(np.float32), area.astype(np.float32)


def small_mask(boxes: Sequence[BoxLike], size: int = 224, cells: int = 7) -> tuple[np.ndarray, float]:
    """U^T m U and the area of m, where m is the union of the boxes that are not absent, drawn on size x size pixels.

    A pixel belongs to a box when its centre lies inside; a box too thin to hold a centre takes the pixel at its middle.

    Returns:
        (f32[cells * cells] row-major, area in pixels); zeros where no box is left.
    """
    mask, area = small_masks(
        xyxy=np.array([[box.x1, box.y1, box.x2, box.y2] for box in boxes], dtype=np.float64).reshape(-1, 4),
        absent=np.array([box.absent for box in boxes], dtype=bool),
        offsets=np.array([0, len(boxes)]),
        size=size,
        cells=cells,
    )
    return mask[0], float(area[0])


def box_mask(boxes: Sequence[BoxLike], size: int = 224) -> np.ndarray:
    """The full mask m itself, bool[size, size], by the same pixel rule; for metrics and images."""
    mask = np.zeros((size, size), dtype=bool)
    for box in boxes:
        if not box.absent:
            (left,), (right,) = _pixels(np.array([box.x1]), np.array([box.x2]), size)
            (top,), (bottom,) = _pixels(np.array([box.y1]), np.array([box.y2]), size)
            mask[top:bottom, left:right] = True
    return mask
