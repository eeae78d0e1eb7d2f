"""Embedding shard after shard: threads prepare and encode micro-batches, which are committed in order.

A micro-batch never spans two shards, and a damaged image keeps its place in it, so what an embedding is computed
together with depends on the plan alone. On a CPU a thread does all the work of a micro-batch, and torch computes it on
one core: no core waits for another, and the bits do not depend on the number of cores. On a GPU the threads only
prepare images, ahead of the main thread, which runs the encoder.
"""

import functools
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import torch

from precompute.compute import check_device
from precompute.encoders.clip import ClipEncoder, ImageEmbeddings, TextEmbeddings, load_clip
from precompute.encoders.folder import EncoderFolder
from precompute.encoders.images import Preparation, Prepared
from precompute.encoders.prompts import Tokens
from precompute.opened import Opened, open_image
from precompute.phrase_rows import PhraseEntry, phrase_columns, prompt_lists
from precompute.readers.records import Source
from precompute.shards import Work, unknown_column
from tipai_jax.files.atomic import sha256_bytes
from tipai_jax.store import Plan, Shard
from tipai_jax.store.writer import StoreWriter

__all__ = [
    "Batch",
    "blank",
    "check_plan_device",
    "embed_images",
    "embed_phrases",
    "embed_prompts",
    "image_batches",
    "load_encoder",
    "unique_texts",
]

Encoded = TypeVar("Encoded")
_AHEAD = 2  # micro-batches per thread that may wait for the encoder; bounds the memory


@dataclass(frozen=True)
class Batch:
    """A micro-batch of a shard.

    Attributes:
        opened: its images.
        rows: their embeddings, if the thread encoded them; else None.
        read: seconds of reading and preparing.
        encoded: seconds of encoding.
    """

    opened: list[Opened]
    rows: ImageEmbeddings | None
    read: float
    encoded: float


def image_batches(
    works: list[Work], source: Source, encoder: ClipEncoder, *, threads: int
) -> Generator[Batch, None, None]:
    """The micro-batches of all shards in order; threads work ahead of the caller."""
    encodes = encoder.device.type == "cpu"
    filler = blank(encoder.preparation)

    def work_on(keys: tuple[str, ...]) -> Batch:
        began = time.perf_counter()
        opened = [open_image(key, source, encoder.preparation) for key in keys]
        read = time.perf_counter()
        encoded = encoder.encode_images([item.prepared or filler for item in opened]) if encodes else None
        return Batch(opened, encoded, read - began, time.perf_counter() - read)

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
    done: Callable[[int], object],
    report: Callable[[str], None],
) -> list[Shard]:
    """Embed and commit the image shards.

    Args:
        works: shards of the table `images`.
        source: where the images come from.
        encoder: the encoder of the plan.
        writer: of the store.
        threads: number of threads that prepare images, and on a CPU encode them.
        done: called with the number of images after every micro-batch.
        report: called with a line for every shard.

    Returns:
        The committed shards.
    """
    filler = blank(encoder.preparation)
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
            embeddings = batch.rows or encoder.encode_images([item.prepared or filler for item in batch.opened])
            good = [i for i, item in enumerate(batch.opened) if item.prepared is not None]
            image.append(embeddings.image[good])
            patches.append(embeddings.patches[good])
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
    source: Source,
    encoder: ClipEncoder,
    writer: StoreWriter,
    *,
    threads: int,
    done: Callable[[int], object],
    report: Callable[[str], None],
) -> list[Shard]:
    """Embed and commit the prompt shards, each in a thread; arguments as in `embed_images`."""

    def commit(work: Work, embeddings: TextEmbeddings) -> Shard:
        columns = _prompt_columns(work, embeddings.tokens, source, writer)
        arrays = {"text": embeddings.text}
        return writer.commit("prompts", work.index, content=work.content, columns=columns, arrays=arrays)

    encode = lambda work: encoder.encode_text(list(work.keys))
    return _embed_texts(works, encode, commit, encoder, writer, threads=threads, done=done, report=report)


def embed_phrases(
    works: list[Work],
    encoder: ClipEncoder,
    writer: StoreWriter,
    *,
    threads: int,
    done: Callable[[int], object],
    report: Callable[[str], None],
) -> list[Shard]:
    """Embed and commit the shards of phrases, with their attributes and without; arguments as in `embed_images`."""

    def encode(work: Work) -> dict[str, np.ndarray]:
        texts = unique_texts(work.entries)
        rows = {text: row for row, text in enumerate(texts)}
        text = encoder.encode_text(texts).text
        forms = {"text": [entry.phrase for entry in work.entries], "bare": [entry.bare for entry in work.entries]}
        return {name: text[[rows[words] for words in form]] for name, form in forms.items()}

    def commit(work: Work, arrays: dict[str, np.ndarray]) -> Shard:
        columns = phrase_columns(work.entries)
        return writer.commit("phrases", work.index, content=work.content, columns=columns, arrays=arrays)

    return _embed_texts(works, encode, commit, encoder, writer, threads=threads, done=done, report=report)


def unique_texts(entries: Sequence[PhraseEntry]) -> list[str]:
    """What is encoded for some phrases: each text once, for many phrases have the same bare form."""
    return list(dict.fromkeys(text for entry in entries for text in (entry.phrase, entry.bare)))


def _embed_texts(
    works: list[Work],
    encode: Callable[[Work], Encoded],
    commit: Callable[[Work, Encoded], Shard],
    encoder: ClipEncoder,
    writer: StoreWriter,
    *,
    threads: int,
    done: Callable[[int], object],
    report: Callable[[str], None],
) -> list[Shard]:
    """Encode each shard in a thread, and commit them in order."""

    def timed(work: Work) -> tuple[Encoded, float]:
        began = time.perf_counter()
        return encode(work), time.perf_counter() - began

    shards = []
    encodes = encoder.device.type == "cpu"
    with _pool(threads if encodes else 1, encodes=encodes) as pool:
        for work, (encoded, seconds) in zip(works, pool.map(timed, works)):
            began = time.perf_counter()
            shards.append(commit(work, encoded))
            spent = {"read": 0.0, "waited": 0.0, "encoded": seconds, "written": time.perf_counter() - began}
            _log(writer, work, spent, report)
            done(len(work.keys))
    return shards


def check_plan_device(plan: Plan) -> None:
    """Refuse a plan whose device this machine does not have.

    Raises:
        UserError: it needs a GPU and there is none.
    """
    check_device(plan.device, go_on=" (and another --out, if the store was begun on cuda)")


def load_encoder(folder: EncoderFolder, plan: Plan) -> ClipEncoder:
    """The encoder of a plan.

    Raises:
        UserError: the plan needs a GPU and there is none, or the encoder cannot be loaded.
    """
    check_plan_device(plan)
    if plan.device == "cuda":
        torch.cuda.set_device(
            int(os.environ.get("LOCAL_RANK", 0))
        )  # torchrun numbers the processes of a machine; each uses its own GPU
    return load_clip(
        folder, patches=plan.encoder.patches, dtype=plan.encoder.dtype, device=plan.device, batch_size=plan.micro_batch
    )


def _pool(threads: int, *, encodes: bool) -> ThreadPoolExecutor:
    """A pool of threads; where they encode, torch uses one core in each."""
    one_core = functools.partial(torch.set_num_threads, 1) if encodes else None
    return ThreadPoolExecutor(threads, thread_name_prefix="embed", initializer=one_core)


def _prompt_columns(work: Work, tokens: Tokens, source: Source, writer: StoreWriter) -> pa.Table:
    # a store that an earlier version began keeps the old name, so that a repaired shard is the same file
    chunked = "chunked" if writer.plan.encoder.files_digest else "truncated"
    return pa.table(
        {
            "prompt_id": pa.array([sha256_bytes(prompt.encode())[:16] for prompt in work.keys], pa.string()),
            "prompt": pa.array(list(work.keys), pa.string()),
            "n_tokens": pa.array(tokens.n_tokens),
            chunked: pa.array(tokens.chunked),
            unknown_column(writer): pa.array(tokens.unknown),
            **({} if source.phrases is None else prompt_lists(work.keys, source.phrases)),
        }
    )


def _image_columns(work: Work, opened: list[Opened], source: Source) -> pa.Table:
    styles = [] if source.phrases is None else ["style"]  # an earlier version had neither phrases nor styles
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
            **{name: pa.array([source.images[key].style for key, _, _ in good], pa.string()) for name in styles},
        }
    )


def blank(preparation: Preparation) -> Prepared:
    """A black image, which fills the place of one that cannot be used; its embeddings are dropped."""
    side, source = preparation.image_size, preparation.crop_source
    return Prepared(
        np.zeros((side, side, 3), np.uint8), np.zeros((source, source, 3), np.uint8) if source else None, 0, 0
    )


def _log(writer: StoreWriter, work: Work, seconds: dict[str, float], report: Callable[[str], None]) -> None:
    rounded = {name: round(value, 3) for name, value in seconds.items()}
    writer.log_timing({"table": work.table, "index": work.index, "rows": len(work.keys), "seconds": rounded})
    spent = ", ".join(f"{name} {value:.2f} s" for name, value in rounded.items())
    report(f"{work.table} {work.index:05d}: {len(work.keys)} {work.table}, {spent}")
