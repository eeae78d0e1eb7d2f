"""The work on one shard after another: micro-batches prepared and encoded by threads, rows committed in order behind
them.

Owns the order of work, the fixed micro-batches and the clock. A micro-batch never spans two shards and keeps its place
for an image that turns out to be damaged, so what a row is computed with depends on the plan alone. On a CPU a thread
takes a micro-batch from the file to the rows and torch computes it on that one core: no core waits for another, and the
bits do not depend on how many there are. On a GPU the threads only prepare, ahead of the one that feeds the device.
Knows nothing of pairs or of the command line.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from precompute.compute import check_device
from precompute.encoders.clip import ClipEncoder, ImageRows, TextRows, load_clip
from precompute.encoders.folder import EncoderFolder
from precompute.encoders.images import Preparation, Prepared
from precompute.opened import Opened, open_image
from precompute.readers.records import Source
from precompute.shards import Work
from tipai_jax.store import Plan, Shard
from tipai_jax.store.durable import sha256_bytes
from tipai_jax.store.writer import StoreWriter

__all__ = ["Batch", "embed_images", "embed_prompts", "image_batches", "load_encoder"]

_AHEAD = 2  # micro-batches a thread may be ahead of the encoder; bounds the memory


@dataclass(frozen=True)
class Batch:
    """A micro-batch of a shard: its images, its rows if the thread encoded it too, and the seconds of either."""

    opened: list[Opened]
    rows: ImageRows | None
    read: float
    encoded: float


def image_batches(works: list[Work], source: Source, encoder: ClipEncoder, *, threads: int) -> Iterator[Batch]:
    """The micro-batches of all shards in order, worked on by threads ahead of the one who takes them."""
    encodes = encoder.device.type == "cpu"
    blank = _blank(encoder.preparation)

    def work_on(keys: tuple[str, ...]) -> Batch:
        began = time.perf_counter()
        opened = [open_image(key, source, encoder.preparation) for key in keys]
        read = time.perf_counter()
        rows = encoder.encode_images([item.prepared or blank for item in opened]) if encodes else None
        return Batch(opened, rows, read - began, time.perf_counter() - read)

    waiting: deque[Future[Batch]] = deque()
    pool = _pool(threads, encodes=encodes)
    try:
        for work in works:
            for start in range(0, len(work.keys), encoder.batch_size):
                waiting.append(pool.submit(work_on, work.keys[start : start + encoder.batch_size]))
                if len(waiting) > threads * _AHEAD:
                    yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def embed_images(
    works: list[Work],
    source: Source,
    encoder: ClipEncoder,
    writer: StoreWriter,
    *,
    threads: int,
    done: Callable[[int], None],
    report: Callable[[str], None],
) -> list[Shard]:
    """Make the image shards.

    Args:
        works: shards of the table `images`.
        source: where the images come from.
        encoder: turns prepared images into rows.
        writer: commits them.
        threads: preparing (and on a CPU encoding) threads.
        done: told the number of images after every micro-batch.
        report: given a line for every shard.
    """
    blank = _blank(encoder.preparation)
    batches = image_batches(works, source, encoder, threads=threads)
    shards = []
    for work in works:
        opened: list[Opened] = []
        image, patches = [], []
        seconds = {"read": 0.0, "waited": 0.0, "encoded": 0.0}
        while len(opened) < len(work.keys):
            began = time.perf_counter()
            batch = next(batches)
            arrived = time.perf_counter()
            rows = batch.rows or encoder.encode_images([item.prepared or blank for item in batch.opened])
            good = [i for i, item in enumerate(batch.opened) if item.prepared is not None]
            image.append(rows.image[good])
            patches.append(rows.patches[good])
            opened += batch.opened
            seconds["read"] += batch.read
            seconds["waited"] += arrived - began
            seconds["encoded"] += batch.encoded if batch.rows else time.perf_counter() - arrived
            done(len(batch.opened))
        arrays = {"image": np.concatenate(image), "patches": np.concatenate(patches)}
        began = time.perf_counter()
        shards.append(
            writer.commit(
                "images", work.index, content=work.content, columns=_image_columns(work, opened, source), arrays=arrays
            )
        )
        _log(writer, work, {**seconds, "written": time.perf_counter() - began}, report)
    batches.close()
    return shards


def embed_prompts(
    works: list[Work],
    encoder: ClipEncoder,
    writer: StoreWriter,
    *,
    threads: int,
    done: Callable[[int], None],
    report: Callable[[str], None],
) -> list[Shard]:
    """Make the prompt shards, one a thread; arguments as in `embed_images`."""

    def encode(work: Work) -> tuple[TextRows, float]:
        began = time.perf_counter()
        rows = encoder.encode_text(list(work.keys))
        return rows, time.perf_counter() - began

    shards = []
    encodes = encoder.device.type == "cpu"
    with _pool(threads if encodes else 1, encodes=encodes) as pool:
        for work, (rows, encoded) in zip(works, pool.map(encode, works)):
            columns = _prompt_columns(work, rows)
            began = time.perf_counter()
            shards.append(
                writer.commit("prompts", work.index, content=work.content, columns=columns, arrays={"text": rows.text})
            )
            _log(
                writer,
                work,
                {"read": 0.0, "waited": 0.0, "encoded": encoded, "written": time.perf_counter() - began},
                report,
            )
            done(len(work.keys))
    return shards


def load_encoder(folder: EncoderFolder, plan: Plan) -> ClipEncoder:
    """The encoder of a plan.

    Raises:
        UserError: the plan needs a GPU and there is none, or the encoder's files are not whole.
    """
    check_device(plan.device, go_on=" (and another --out, if the store was begun on cuda)")
    if plan.device == "cuda":
        torch.cuda.set_device(
            int(os.environ.get("LOCAL_RANK", 0))
        )  # torchrun gives every process on a machine a GPU of its own
    return load_clip(
        folder, patches=plan.encoder.patches, dtype=plan.encoder.dtype, device=plan.device, batch_size=plan.micro_batch
    )


def _pool(threads: int, *, encodes: bool) -> ThreadPoolExecutor:
    """Threads for preparing, and where they encode too, torch on one core in each."""
    one_core = (torch.set_num_threads, (1,)) if encodes else (None, ())
    return ThreadPoolExecutor(threads, thread_name_prefix="embed", initializer=one_core[0], initargs=one_core[1])


def _prompt_columns(work: Work, rows: TextRows) -> pa.Table:
    return pa.table(
        {
            "prompt_id": pa.array([sha256_bytes(prompt.encode())[:16] for prompt in work.keys], pa.string()),
            "prompt": pa.array(list(work.keys), pa.string()),
            "n_tokens": pa.array(rows.tokens.n_tokens),
            "truncated": pa.array(rows.tokens.chunked),
            "unknown_words": pa.array(rows.tokens.unknown),
        }
    )


def _image_columns(work: Work, opened: list[Opened], source: Source) -> pa.Table:
    good = [(key, item, item.prepared) for key, item in zip(work.keys, opened) if item.prepared is not None]
    return pa.table(
        {
            "image_id": pa.array([key for key, _, _ in good], pa.string()),
            "path": pa.array([key for key, _, _ in good], pa.string()),
            "sha256": pa.array([item.sha256 for _, item, _ in good], pa.string()),
            "width": pa.array([prepared.width for _, _, prepared in good], pa.int32()),
            "height": pa.array([prepared.height for _, _, prepared in good], pa.int32()),
            "generator": pa.array([source.images[key].generator for key, _, _ in good], pa.string()),
            "seed": pa.array([source.images[key].seed for key, _, _ in good], pa.int64()),
        }
    )


def _blank(preparation: Preparation) -> Prepared:
    """What stands in a micro-batch for an image that cannot be used; its row is dropped."""
    side, source = preparation.image_size, preparation.crop_source
    return Prepared(
        np.zeros((side, side, 3), np.uint8), np.zeros((source, source, 3), np.uint8) if source else None, 0, 0
    )


def _log(writer: StoreWriter, work: Work, seconds: dict[str, float], report: Callable[[str], None]) -> None:
    rounded = {name: round(value, 3) for name, value in seconds.items()}
    writer.log_timing({"table": work.table, "index": work.index, "rows": len(work.keys), "seconds": rounded})
    spent = ", ".join(f"{name} {value:.2f} s" for name, value in rounded.items())
    report(f"{work.table} {work.index:05d}: {len(work.keys)} rows, {spent}")
