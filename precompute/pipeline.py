"""The work on one shard after another: images prepared by threads ahead of the encoder, rows committed behind it.

Owns the order of work, the fixed micro-batches and the clock. A micro-batch never spans two shards and keeps its place
for an image that turns out to be damaged, so what a row is computed with depends on the plan alone. Knows nothing of
pairs or of the command line.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from precompute.encoders.clip import ClipEncoder
from precompute.encoders.images import BadImage, Preparation, Prepared
from precompute.readers.records import Source
from precompute.shards import Work
from tipai_jax.store import Shard
from tipai_jax.store.durable import sha256_bytes
from tipai_jax.store.writer import StoreWriter

__all__ = ["Batch", "embed_images", "embed_prompts", "open_image", "prepared_batches"]

_AHEAD = 2  # micro-batches a thread may be ahead of the encoder; bounds the memory


@dataclass(frozen=True)
class Opened:
    """An image after its preparation: `prepared` is None and `problem` says why where it cannot be used."""

    prepared: Prepared | None
    sha256: str
    problem: str


@dataclass(frozen=True)
class Batch:
    """A micro-batch of a shard: where it starts, its images, and the seconds of its thread."""

    work: Work
    start: int
    opened: list[Opened]
    seconds: float


def open_image(key: str, source: Source, preparation: Preparation) -> Opened:
    """Read, hash, decode and prepare one image; a problem is returned, not raised."""
    try:
        data = source.read_image(key)
    except OSError as error:
        return Opened(None, "", f"{key!r} cannot be read ({error.strerror or error})")
    sha256 = sha256_bytes(data)
    try:
        return Opened(preparation.prepare(data), sha256, "")
    except BadImage as error:
        return Opened(None, sha256, f"{key!r} is not a whole image ({error})")


def prepared_batches(works: list[Work], source: Source, preparation: Preparation, *, batch_size: int, threads: int) -> Iterator[Batch]:
    """The micro-batches of all shards in order, prepared by threads ahead of the one who takes them."""

    def prepare(work: Work, start: int) -> Batch:
        began = time.perf_counter()
        opened = [open_image(key, source, preparation) for key in work.keys[start : start + batch_size]]
        return Batch(work, start, opened, time.perf_counter() - began)

    waiting: deque[Future[Batch]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prepare")
    try:
        for work in works:
            for start in range(0, len(work.keys), batch_size):
                waiting.append(pool.submit(prepare, work, start))
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
        threads: preparing threads.
        done: told the number of images after every micro-batch.
        report: given a line for every shard.
    """
    blank = _blank(encoder.preparation)
    batches = prepared_batches(works, source, encoder.preparation, batch_size=encoder.batch_size, threads=threads)
    shards = []
    for work in works:
        opened: list[Opened] = []
        image, patches = [], []
        seconds = {"read": 0.0, "waited": 0.0, "encoded": 0.0}
        while len(opened) < len(work.keys):
            began = time.perf_counter()
            batch = next(batches)
            arrived = time.perf_counter()
            rows = encoder.encode_images([item.prepared or blank for item in batch.opened])
            good = [i for i, item in enumerate(batch.opened) if item.prepared is not None]
            image.append(rows.image[good])
            patches.append(rows.patches[good])
            opened += batch.opened
            seconds["read"] += batch.seconds
            seconds["waited"] += arrived - began
            seconds["encoded"] += time.perf_counter() - arrived
            done(len(batch.opened))
        arrays = {"image": np.concatenate(image), "patches": np.concatenate(patches)}
        began = time.perf_counter()
        shards.append(writer.commit("images", work.index, content=work.content, columns=_image_columns(work, opened, source), arrays=arrays))
        _log(writer, work, {**seconds, "written": time.perf_counter() - began}, report)
    batches.close()
    return shards


def embed_prompts(
    works: list[Work], encoder: ClipEncoder, writer: StoreWriter, *, done: Callable[[int], None], report: Callable[[str], None]
) -> list[Shard]:
    """Make the prompt shards; arguments as in `embed_images`."""
    shards = []
    for work in works:
        began = time.perf_counter()
        rows = encoder.encode_text(list(work.keys))
        encoded = time.perf_counter() - began
        columns = pa.table(
            {
                "prompt_id": pa.array([sha256_bytes(prompt.encode())[:16] for prompt in work.keys]),
                "prompt": pa.array(list(work.keys)),
                "n_tokens": pa.array(rows.tokens.n_tokens),
                "truncated": pa.array(rows.tokens.chunked),
                "unknown_words": pa.array(rows.tokens.unknown),
            }
        )
        began = time.perf_counter()
        shards.append(writer.commit("prompts", work.index, content=work.content, columns=columns, arrays={"text": rows.text}))
        _log(writer, work, {"read": 0.0, "waited": 0.0, "encoded": encoded, "written": time.perf_counter() - began}, report)
        done(len(work.keys))
    return shards


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
    return Prepared(np.zeros((side, side, 3), np.uint8), np.zeros((source, source, 3), np.uint8) if source else None, 0, 0)


def _log(writer: StoreWriter, work: Work, seconds: dict[str, float], report: Callable[[str], None]) -> None:
    rounded = {name: round(value, 3) for name, value in seconds.items()}
    writer.log_timing({"table": work.table, "index": work.index, "rows": len(work.keys), "seconds": rounded})
    spent = ", ".join(f"{name} {value:.2f} s" for name, value in rounded.items())
    report(f"{work.table} {work.index:05d}: {len(work.keys)} rows, {spent}")
