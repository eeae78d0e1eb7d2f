"""From the examples of a step to what the compiled loop reads: their numbers (resident) or whole batches (streaming).

A *chunk* is a fixed number of steps that one dispatch runs; both sources make one from the same numbers, and `batch`
turns an element of it into the same batch inside jit, so the figures are the same either way.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Bool, Int

from tipai_jax.data.batches import Columns, gather
from tipai_jax.parallel.mesh import Placement

__all__ = [
    "Chunk",
    "Order",
    "Resident",
    "Source",
    "Streaming",
    "chunk_length",
    "chunk_of_steps",
    "chunks_in_order",
    "make_source",
]

RESIDENT_SHARE_OF_DEVICE = 0.5
RESIDENT_SHARE_OF_HOST = 0.25
STREAMED_BYTES = 30 << 20
"""A streamed chunk is kept to about this size, whatever `steps_per_dispatch` says; below 32 MB, from where on glibc
asks the kernel for new pages each time.
"""


@runtime_checkable
class Order(Protocol):
    """The order in which a run meets its examples: a pure function of the step."""

    @property
    def key(self) -> tuple[object, ...]:
        """Two orders of the same examples with equal keys give the same batches."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch, the same in every epoch."""
        ...

    def batch(self, step: int) -> tuple[Int[np.ndarray, " b"], Bool[np.ndarray, " b"]]:
        """The examples of a step (counted from 0) and which of them are real; a padded place holds example 0."""
        ...

    def size(self, step: int) -> int:
        """How many real examples the batch of a step holds."""
        ...


@dataclass(frozen=True)
class Chunk:
    """The examples of the steps of one dispatch, on the host.

    Attributes:
        row: the examples of each step, by their place in the columns; in a sweep whose members meet the examples in
            different orders, of each member.
        valid: False for padding.
        step: the number of each step, from 0; -1 for those that fill up the last chunk of an epoch, which are not run.
    """

    row: Int[np.ndarray, "s *m b"]
    valid: Bool[np.ndarray, "s *m b"]
    step: Int[np.ndarray, " s"]


def chunk_of_steps(orders: Sequence[Order], first: int, *, steps: int, length: int) -> Chunk:
    """Steps `first` to `first + steps - 1` of a run, filled up to `length`; with more than one order, of the members of
    a sweep.
    """
    chunks = []
    for order in orders:
        drawn = [order.batch(step) for step in range(first, first + steps)]
        fill = [(np.zeros_like(drawn[0][0]), np.zeros_like(drawn[0][1]))] * (length - steps)
        chunks.append([np.stack(each) for each in zip(*drawn, *fill)])
    row, valid = (each[0] if len(orders) == 1 else np.stack(each, axis=1) for each in zip(*chunks))
    return Chunk(row, valid, _numbered(first, steps, length))


def _numbered(first: int, steps: int, length: int) -> Int[np.ndarray, " s"]:
    """`steps` numbers from `first` on, then -1 up to `length`."""
    place = np.arange(length, dtype=np.int32)
    return np.where(place < steps, first + place, -1).astype(np.int32)


def chunks_in_order(n: int, *, batch_size: int, length: int) -> list[Chunk]:
    """Every example once, in order, padded at the end: the chunks of an evaluation."""
    steps = -(-n // batch_size)
    chunks = -(-steps // length)
    row = np.arange(chunks * length * batch_size, dtype=np.int32)
    valid = row < n
    row = np.where(valid, row, 0).reshape(chunks, length, batch_size)
    step = _numbered(0, steps, chunks * length).reshape(chunks, length)
    return [Chunk(*each) for each in zip(row, valid.reshape(row.shape), step)]


class Resident:
    """All embeddings that the examples use live on every device; a chunk carries numbers only.

    Args:
        columns: of the split, on the host.
        placement: the devices.
    """

    name = "resident"

    def __init__(self, columns: Columns, placement: Placement) -> None:
        self._placement = placement
        self.columns: Columns | None = placement.replicate(columns.compact())

    def load(self, chunk: Chunk) -> tuple[Any, Any]:
        """The chunk on the devices: (elements [s, ...], step [s])."""
        elements = self._placement.shard_batch({"row": chunk.row, "valid": chunk.valid}, axis=chunk.row.ndim - 1)
        return elements, self._placement.replicate(chunk.step)

    def batch(self, columns: Any, element: Any) -> Any:
        """One batch, traced: gathered by index."""
        return gather(columns, element["row"], element["valid"])

    def chunks(self, chunk: Callable[[int], Chunk], count: int) -> Iterator[tuple[Any, Any]]:
        """The loaded chunks `chunk(0)` to `chunk(count - 1)`; made as they are asked for, which costs next to
        nothing.
        """
        return (self.load(chunk(i)) for i in range(count))


class Streaming:
    """The embeddings stay on the disk; a chunk carries whole batches, gathered ahead of time by a thread.

    Args:
        columns: of the split, on the host.
        placement: the devices.
    """

    name = "streaming"

    def __init__(self, columns: Columns, placement: Placement) -> None:
        self._host, self._placement = columns, placement
        self.columns: Columns | None = None

    def load(self, chunk: Chunk) -> tuple[Any, Any]:
        """The chunk on the devices: (elements [s, ...], step [s])."""
        return self._send(self._gathered(chunk))

    def _gathered(self, chunk: Chunk) -> tuple[Any, Any]:
        own = self._placement.share(chunk.row.shape[-1])
        return gather(self._host, chunk.row[..., own], chunk.valid[..., own]), chunk.step

    def _send(self, gathered: tuple[Any, Any]) -> tuple[Any, Any]:
        batch, step = gathered
        return self._placement.shard_batch(batch, axis=batch.row.ndim - 1, own=True), self._placement.replicate(step)

    def batch(self, columns: Any, element: Any) -> Any:
        """One batch, traced: it is the element."""
        return element

    def chunks(self, chunk: Callable[[int], Chunk], count: int) -> Iterator[tuple[Any, Any]]:
        """The loaded chunks `chunk(0)` to `chunk(count - 1)`, gathered in a thread of Grain's while the
        device works."""
        import grain

        ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
        stream = grain.MapDataset.range(count).map(lambda i: self._gathered(chunk(i))).to_iter_dataset(ahead)
        return (self._send(each) for each in stream)


Source = Resident | Streaming


def make_source(columns: Columns, placement: Placement, *, kind: Literal["auto", "resident", "streaming"]) -> Source:
    """The source of a config's `data.placement`; "auto" is resident when the embeddings fit easily."""
    if kind == "auto":
        kind = "resident" if columns.table_bytes() <= resident_limit(placement) else "streaming"
    return Resident(columns, placement) if kind == "resident" else Streaming(columns, placement)


def resident_limit(placement: Placement) -> int:
    """Half of a device's memory, or a quarter of the machine's where the devices are its processors."""
    device = jax.local_devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"] * RESIDENT_SHARE_OF_DEVICE)
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(host * RESIDENT_SHARE_OF_HOST) // len(placement.mesh.local_devices)


def chunk_length(source: Source, columns: Columns, *, batch_size: int, steps_per_dispatch: int) -> int:
    """Steps in a dispatch: as configured, fewer where a streamed chunk would grow beyond `STREAMED_BYTES`; `batch_size`
    over all orders.
    """
    if isinstance(source, Resident):
        return steps_per_dispatch
    most = STREAMED_BYTES // (columns.example_bytes() * batch_size)
    return max(1, min(steps_per_dispatch, most))
