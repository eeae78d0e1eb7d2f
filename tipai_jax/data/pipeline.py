"""From a plan of rows to what the compiled loop eats: resident (rows only) or streaming (whole batches, prefetched).

Owns the choice between the two and the prefetching. A *chunk* is a fixed number of steps that one dispatch runs; both
sources make one from the same plan, and `batch` turns an element of it into the same `PairBatch` inside jit, so the
numbers are the same either way. Knows nothing of losses, of state or of when a chunk is wanted.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Bool, Int

from tipai_jax.data.batches import PairBatch, PairColumns, gather
from tipai_jax.data.curriculum import PairOrder
from tipai_jax.sharding import Placement

__all__ = ["Chunk", "Resident", "Source", "Streaming", "chunk_length", "make_source", "plan_in_order", "plan_steps"]

RESIDENT_SHARE_OF_DEVICE = 0.5
RESIDENT_SHARE_OF_HOST = 0.25
STREAMED_BYTES = 30 << 20
"""A streamed chunk is cut to about this size, whatever `steps_per_dispatch` says; below 32 MB, from where on glibc asks
the kernel for new pages each time.
"""


@dataclass(frozen=True)
class Chunk:
    """The rows of the steps of one dispatch, on the host.

    Attributes:
        row: rows of each step; in a sweep whose members meet the pairs in different orders, of each member.
        valid: False for padding.
        step: the number of each step, from 0; -1 for those that fill up the last chunk of an epoch, which are not run.
    """

    row: Int[np.ndarray, "s *m b"]
    valid: Bool[np.ndarray, "s *m b"]
    step: Int[np.ndarray, " s"]


def plan_steps(orders: Sequence[PairOrder], first: int, *, steps: int, length: int) -> Chunk:
    """Steps `first` to `first + steps - 1` of a run, filled up to `length`; with more than one order, of the members of
    a sweep.
    """
    plans = []
    for order in orders:
        drawn = [order.batch(step) for step in range(first, first + steps)]
        fill = [(np.zeros_like(drawn[0][0]), np.zeros_like(drawn[0][1]))] * (length - steps)
        plans.append([np.stack(each) for each in zip(*drawn, *fill)])
    row, valid = (each[0] if len(orders) == 1 else np.stack(each, axis=1) for each in zip(*plans))
    return Chunk(row, valid, _numbered(first, steps, length))


def _numbered(first: int, steps: int, length: int) -> Int[np.ndarray, " s"]:
    """`steps` numbers from `first` on, then -1 up to `length`."""
    place = np.arange(length, dtype=np.int32)
    return np.where(place < steps, first + place, -1).astype(np.int32)


def plan_in_order(n: int, *, batch_size: int, length: int) -> list[Chunk]:
    """Every row once, in order, padded at the end: the plan of an evaluation."""
    steps = -(-n // batch_size)
    chunks = -(-steps // length)
    row = np.arange(chunks * length * batch_size, dtype=np.int32)
    valid = row < n
    row = np.where(valid, row, 0).reshape(chunks, length, batch_size)
    step = _numbered(0, steps, chunks * length).reshape(chunks, length)
    return [Chunk(*each) for each in zip(row, valid.reshape(row.shape), step)]


class Resident:
    """All embeddings that the pairs use live on every device; a chunk carries rows only.

    Args:
        columns: `host_columns` of the pairs.
        placement: the devices.
    """

    name = "resident"

    def __init__(self, columns: PairColumns, placement: Placement) -> None:
        self._placement = placement
        self.columns: PairColumns | None = placement.copy(_compact(columns))

    def load(self, chunk: Chunk) -> tuple[Any, Any]:
        """The chunk on the devices: (elements [s, ...], step [s])."""
        elements = self._placement.cut_batch({"row": chunk.row, "valid": chunk.valid}, axis=chunk.row.ndim - 1)
        return elements, self._placement.copy(chunk.step)

    def batch(self, columns: Any, element: Any) -> PairBatch:
        """One batch, traced: gathered by index."""
        return gather(columns, element["row"], element["valid"])

    def chunks(self, plans: Callable[[int], Chunk], count: int) -> Iterator[tuple[Any, Any]]:
        """The loaded chunks `plans(0)` to `plans(count - 1)`; made as they are asked for, which costs next to nothing."""
        return (self.load(plans(i)) for i in range(count))


class Streaming:
    """The embeddings stay on the disk; a chunk carries whole batches, gathered ahead of time by a thread.

    Args:
        columns: `host_columns` of the pairs.
        placement: the devices.
    """

    name = "streaming"

    def __init__(self, columns: PairColumns, placement: Placement) -> None:
        self._host, self._placement = columns, placement
        self.columns: PairColumns | None = None

    def load(self, chunk: Chunk) -> tuple[Any, Any]:
        """The chunk on the devices: (elements [s, ...], step [s])."""
        return self._send(self._gathered(chunk))

    def _gathered(self, chunk: Chunk) -> tuple[PairBatch, Any]:
        own = self._placement.share(chunk.row.shape[-1])
        return gather(self._host, chunk.row[..., own], chunk.valid[..., own]), chunk.step

    def _send(self, gathered: tuple[PairBatch, Any]) -> tuple[Any, Any]:
        batch, step = gathered
        return self._placement.cut_batch(batch, axis=batch.row.ndim - 1, own=True), self._placement.copy(step)

    def batch(self, columns: Any, element: Any) -> PairBatch:
        """One batch, traced: it is the element."""
        return element

    def chunks(self, plans: Callable[[int], Chunk], count: int) -> Iterator[tuple[Any, Any]]:
        """The loaded chunks `plans(0)` to `plans(count - 1)`, gathered in a thread of Grain's while the device works."""
        import grain

        ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
        stream = grain.MapDataset.range(count).map(lambda i: self._gathered(plans(i))).to_iter_dataset(ahead)
        return (self._send(each) for each in stream)


Source = Resident | Streaming


def make_source(
    columns: PairColumns, placement: Placement, *, kind: Literal["auto", "resident", "streaming"]
) -> Source:
    """The source of a config's `data.placement`; "auto" is resident when the embeddings fit easily."""
    if kind == "auto":
        kind = "resident" if resident_bytes(columns) <= resident_limit(placement) else "streaming"
    return Resident(columns, placement) if kind == "resident" else Streaming(columns, placement)


def resident_bytes(columns: PairColumns) -> int:
    """Bytes of the embeddings that the pairs use."""
    images, prompts = len(np.unique(columns.picture)), len(np.unique(columns.prompt))
    per_image = sum(int(np.prod(table.shape[1:])) for table in (columns.image, columns.patches))
    return 2 * (images * per_image + prompts * columns.text.shape[1])


def resident_limit(placement: Placement) -> int:
    """Half of a device's memory, or a quarter of the machine's where the devices are its processors."""
    device = jax.local_devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"] * RESIDENT_SHARE_OF_DEVICE)
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(host * RESIDENT_SHARE_OF_HOST) // len(placement.mesh.local_devices)


def chunk_length(source: Source, columns: PairColumns, *, batch_size: int, steps_per_dispatch: int) -> int:
    """Steps in a dispatch: as configured, fewer where a streamed chunk would grow beyond `STREAMED_BYTES`; `batch_size`
    over all orders.
    """
    if isinstance(source, Resident):
        return steps_per_dispatch
    per_pair = 2 * (2 * int(np.prod(columns.patches.shape[1:])) + 3 * columns.text.shape[1])
    return max(1, min(steps_per_dispatch, STREAMED_BYTES // (per_pair * batch_size)))


def _compact(columns: PairColumns) -> PairColumns:
    """The same columns with the embedding tables read into memory, cut to the rows that are pointed at."""
    pictures, picture = np.unique(columns.picture, return_inverse=True)
    prompts, prompt = np.unique(columns.prompt, return_inverse=True)
    return dataclasses.replace(
        columns,
        text=columns.text.take(prompts),
        image=columns.image.take(pictures),
        patches=columns.patches.take(pictures),
        prompt=prompt.reshape(columns.prompt.shape).astype(np.int32),
        picture=picture.reshape(columns.picture.shape).astype(np.int32),
    )
