"""The columns of a split, and the gathering of a batch from them: on the device by index, or on the host from disk.

A task declares its columns; nothing here knows what they mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Int

from tipai_jax.store import ShardedArray

__all__ = ["AnyArray", "Columns", "gather"]

if TYPE_CHECKING:
    AnyArray = Any  # a type checker cannot follow which of the two it is
else:
    AnyArray = Array | np.ndarray
"""An array of a batch: jax's on the device, numpy's on the host."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("tables", "index", "values"),
    meta_fields=("batch", "table_of", "n"),
    drop_fields=("host",),
)
@dataclass(frozen=True)
class Columns:
    """All examples of a split as columns, each of which becomes the field of that name in a batch.

    Attributes:
        batch: the class of a batch; it is called with every field, and with `valid` bool[b] and `row` i32[b].
        tables: embeddings; on the host the store's `ShardedArray` over the memory map, on the device arrays.
        table_of: (field, table) for each field that is read from a table.
        index: field -> rows of its table, i32[n, ...]; a field [n, ...] of embeddings is `table[index]`.
        values: field -> array [n, ...], handed on as it is.
        host: further arrays [n] that the order of the data may need; they never reach a batch.
        n: examples.
    """

    batch: type
    tables: dict[str, Any]
    table_of: tuple[tuple[str, str], ...]
    index: dict[str, Int[AnyArray, "n ..."]]
    values: dict[str, Any]
    n: int
    host: Mapping[str, np.ndarray] = field(default_factory=dict)

    def compact(self) -> "Columns":
        """The same columns with the tables read into memory, reduced to the rows that are used."""
        tables, index = {}, dict(self.index)
        for table, array in self.tables.items():
            fields = [name for name, of in self.table_of if of == table]
            used, place = np.unique(
                np.concatenate([self.index[name].reshape(-1) for name in fields]), return_inverse=True
            )
            tables[table] = array.take(used)
            ends = np.cumsum([self.index[name].size for name in fields])[:-1]
            for name, part in zip(fields, np.split(place.reshape(-1), ends), strict=True):
                index[name] = part.reshape(self.index[name].shape).astype(np.int32)
        return replace(self, tables=tables, index=index, host={})

    def table_bytes(self) -> int:
        """Bytes of the embeddings that the examples use, each counted once."""
        return sum(
            len(np.unique(np.concatenate([self.index[name].reshape(-1) for name, of in self.table_of if of == table])))
            * _row_bytes(array)
            for table, array in self.tables.items()
        )

    def example_bytes(self) -> int:
        """Bytes of the embeddings of one example in a batch."""
        return sum(
            int(np.prod(self.index[name].shape[1:], dtype=np.int64)) * _row_bytes(self.tables[table])
            for name, table in self.table_of
        )


def _row_bytes(array: ShardedArray) -> int:
    return int(np.prod(array.shape[1:], dtype=np.int64)) * array.dtype.itemsize


def gather(columns: Columns, row: Int[AnyArray, "*s b"], valid: Bool[AnyArray, "*s b"]) -> Any:
    """The batch of these examples: inside jit from columns on the device, outside from columns on the host."""
    found = {name: _take(columns.tables[table], columns.index[name][row]) for name, table in columns.table_of}
    return columns.batch(
        **found, **{name: values[row] for name, values in columns.values.items()}, valid=valid, row=row
    )


def _take(table: Any, where: Any) -> Any:
    return table[where] if isinstance(table, jax.Array) else table.take(where)
