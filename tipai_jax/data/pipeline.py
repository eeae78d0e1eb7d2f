"""From a plan of rows to what the compiled loop eats: resident (rows only) or streaming (whole batches, prefetched).

Owns the choice between the two and the prefetching. A *chunk* is a fixed number of steps that one dispatch runs; both
sources make one from the same plan, and `batch` turns an element of it into the same `PairBatch` inside jit, so the
numbers are the same either way. Knows nothing of losses, of state or of when a chunk is wanted.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int

from tipai_jax.data.batches import PairBatch, PairColumns, gather
from tipai_jax.data.curriculum import PairOrder
from tipai_jax.sharding import Placement

__all__ = ["Chunk", "Resident", "Source", "Streaming", "chunk_length", "make_source", "plan_in_order", "plan_steps"]

RESIDENT_SHARE_OF_DEVICE = 0.5
RESIDENT_SHARE_OF_HOST = 0.25
STREAMED_BYTES = 64 << 20
"""A streamed chunk is cut to about this size, whatever `steps_per_dispatch` says."""


@dataclass(frozen=True)
class Chunk:
    """The rows of the steps of one dispatch, on the host.

    Attributes:
        row: rows of each step.
        valid: False for padding.
        live: False for the steps that fill up the last chunk of an epoch; they are not run.
    """

    row: Int[np.ndarray, "s b"]
    valid: Bool[np.ndarray, "s b"]
    live: Bool[np.ndarray, " s"]


def plan_steps(order: PairOrder, first: int, *, steps: int, length: int) -> Chunk:
    """Steps `first` to `first + steps - 1` of a run, filled up to `length`."""
    drawn = [order.batch(step) for step in range(first, first + steps)]
    fill = [(np.zeros_like(drawn[0][0]), np.zeros_like(drawn[0][1]))] * (length - steps)
    row, valid = (np.stack(each) for each in zip(*drawn, *fill))
    return Chunk(row, valid, np.arange(length) < steps)


def plan_in_order(n: int, *, batch_size: int, length: int) -> list[Chunk]:
    """Every row once, in order, padded at the end: the plan of an evaluation."""
    steps = -(-n // batch_size)
    chunks = -(-steps // length)
    row = np.arange(chunks * length * batch_size, dtype=np.int32)
    valid = row < n
    row = np.where(valid, row, 0).reshape(chunks, length, batch_size)
    live = (np.arange(chunks * length) < steps).reshape(chunks, length)
    return [Chunk(*each) for each in zip(row, valid.reshape(row.shape), live)]


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
        """The chunk on the devices: (elements [s, ...], live [s])."""
        elements = self._placement.cut_batch({"row": chunk.row, "valid": chunk.valid})
        return elements, self._placement.copy(chunk.live)

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
        """The chunk on the devices: (elements [s, ...], live [s])."""
        return self._send((gather(self._host, chunk.row, chunk.valid), chunk.live))

    def _send(self, gathered: tuple[PairBatch, Any]) -> tuple[Any, Any]:
        return self._placement.cut_batch(gathered[0]), self._placement.copy(gathered[1])

    def batch(self, columns: Any, element: Any) -> PairBatch:
        """One batch, traced: it is the element."""
        return element

    def chunks(self, plans: Callable[[int], Chunk], count: int) -> Iterator[tuple[Any, Any]]:
        """The loaded chunks `plans(0)` to `plans(count - 1)`, gathered in a thread of Grain's while the device works."""
        import grain

        def made(i: int) -> tuple[PairBatch, Any]:
            chunk = plans(i)
            return gather(self._host, chunk.row, chunk.valid), chunk.live

        ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
        stream = grain.MapDataset.range(count).map(made).to_iter_dataset(ahead)
        return (self._send(each) for each in stream)


Source = Resident | Streaming


def make_source(columns: PairColumns, placement: Placement, *, kind: Literal["auto", "resident", "streaming"]) -> Source:
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
    device = placement.mesh.devices.flat[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"] * RESIDENT_SHARE_OF_DEVICE)
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(host * RESIDENT_SHARE_OF_HOST) // placement.devices


def chunk_length(source: Source, columns: PairColumns, *, batch_size: int, steps_per_dispatch: int) -> int:
    """Steps in a dispatch: as configured, fewer where a streamed chunk would grow beyond `STREAMED_BYTES`."""
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
