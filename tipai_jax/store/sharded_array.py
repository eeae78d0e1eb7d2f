"""One array that lies in many shards, read from memory maps."""

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["ShardedArray", "empty_aligned"]

ALIGNMENT = 64
"""Bytes. On a CPU, XLA takes a host array over as it lies if it starts at such an address, and otherwise copies it, at
1.3 GB/s.
"""


def empty_aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """`np.empty` that starts at a multiple of `ALIGNMENT`."""
    size = math.prod(shape) * dtype.itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    first = -raw.ctypes.data % ALIGNMENT
    return raw[first : first + size].view(dtype).reshape(shape)


class ShardedArray:
    """The rows of all shards of one array, in order, as if it were one array.

    Attributes:
        shape: (rows, *shape of a row).
        dtype: of the shards, f16 in a store.
    """

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        """Join shards.

        Args:
            parts: arrays or memory maps [n_i, *row], equal but for n_i; at least one.
        """
        if not parts:
            raise ValueError("at least one shard is needed")
        rows = {part.shape[1:] for part in parts} | {parts[0].shape[1:]}
        if len(rows) > 1 or len({part.dtype for part in parts}) > 1:
            raise ValueError(f"shards of different rows: {[(part.shape, part.dtype.name) for part in parts]}")
        self._parts = tuple(parts)
        self._starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        self.shape: tuple[int, ...] = (int(self._starts[-1]), *parts[0].shape[1:])
        self.dtype: np.dtype = parts[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def take(self, rows: np.ndarray | np.integer | int | Sequence[int]) -> np.ndarray:
        """Copy rows out of the maps, reading each shard once and front to back.

        Args:
            rows: integers of any shape, 0 <= row < len(self); repeats are fine.

        Returns:
            array [*rows.shape, *row shape], in the order asked for, aligned as `empty_aligned`.

        Raises:
            IndexError: a row number is out of range.
        """
        rows = np.asarray(rows)
        if rows.size and rows.dtype.kind not in "iu":
            raise IndexError(f"row numbers must be integers, got {rows.dtype}")
        flat = rows.reshape(-1).astype(np.int64)
        out = empty_aligned((flat.size, *self.shape[1:]), self.dtype)
        if flat.size:
            low, high = flat.min(), flat.max()
            if low < 0 or high >= self.shape[0]:
                raise IndexError(f"row {low if low < 0 else high} outside 0..{self.shape[0] - 1}")
            order = np.argsort(flat, kind="stable")
            ordered = flat[order]
            bounds = np.searchsorted(ordered, self._starts)
            for i in np.flatnonzero(np.diff(bounds)):
                where = slice(bounds[i], bounds[i + 1])
                part = self._parts[i]
                for place, found in zip(
                    order[where].tolist(), (ordered[where] - self._starts[i]).tolist(), strict=True
                ):
                    out[place] = part[found]  # one by one: an array of indices would copy every row twice
        return out.reshape(*rows.shape, *self.shape[1:])

    def whole(self) -> np.ndarray:
        """All rows in one new array of `nbytes` bytes."""
        out = empty_aligned(self.shape, self.dtype)
        for part, start in zip(self._parts, self._starts):
            out[start : start + len(part)] = part
        return out

    def __repr__(self) -> str:
        return f"ShardedArray(shape={self.shape}, dtype={self.dtype}, shards={len(self._parts)})"
