"""A store of random embeddings of any size, written to disk as a real one is: what the benchmark trains from.

The random pairs: one box a rejected image, no controls, every category in turn, every pair with two images of its own.
Embeddings are drawn from the rows of one random block, which is as good as new numbers for a clock and a hundred times
faster than making them. The tests write stores of their own pairs and embeddings by the same `commit_store`.
"""

import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float16

from scripts.benchmark.shapes import Shape
from tipai_jax.store import (
    MOST_PHRASES,
    PHRASE_KINDS,
    Boxes,
    Fingerprint,
    PairTable,
    Plan,
    Store,
    label_cells,
    open_store,
)
from tipai_jax.store.pairs import to_arrow
from tipai_jax.store.writer import StoreWriter

__all__ = ["commit_store", "fingerprint", "phrases_of_prompt", "write_store"]

SHARD = 1024
PHRASES = 21


def write_store(folder: Path, shape: Shape, *, seed: int = 0) -> Store:
    """Write and open a store of random training and validation pairs; one that is there and whole is taken as it is."""
    splits = {"train": shape.pairs, "validation": shape.validation}
    if (folder / "manifest.json").exists():
        store = open_store(folder)
        if (store.manifest.encoder.d, store.manifest.encoder.k, store.manifest.splits) == (shape.d, shape.k, splits):
            return store
        shutil.rmtree(folder)
    rng = np.random.default_rng(seed)
    n = shape.pairs + shape.validation
    pairs = _pairs(rng, shape)
    block = rng.standard_normal((SHARD * 2, shape.d), np.float32)
    block = (block / np.linalg.norm(block, axis=1, keepdims=True)).astype(np.float16)
    embeddings = lambda count: block[rng.integers(len(block), size=count)]
    counts = [min(SHARD, 2 * n - start) for start in range(0, 2 * n, SHARD)]
    blocks = ((embeddings(count), embeddings(count * shape.k).reshape(count, shape.k, shape.d)) for count in counts)
    return commit_store(folder, _plan(shape), pairs, embeddings(n), blocks)


def commit_store(
    folder: Path,
    plan: Plan,
    pairs: PairTable,
    text: Float16[np.ndarray, "prompts d"],
    blocks: Iterable[tuple[Float16[np.ndarray, "images d"], Float16[np.ndarray, "images k d"]]],
    *,
    prompts: Sequence[str] | None = None,
    side: int = 224,
) -> Store:
    """Write and open a store of pairs and embeddings that are made up.

    Args:
        folder: of the store; there is none in it yet.
        plan: the store's.
        pairs: its pairs.
        text: embeddings of the prompts.
        blocks: embeddings of images and of their patches, one shard after the other; each is written before the next
            is asked for, so that a store may be larger than memory.
        prompts: the words of the prompts; made up as well if None.
        side: width and height of every image in pixels.
    """
    prompts = [f"prompt number {i}" for i in range(len(text))] if prompts is None else prompts
    writer = StoreWriter(folder, plan)
    shards = [writer.commit("prompts", 0, content="x", columns=_prompts(prompts), arrays={"text": text})]
    phrases, arrays = _phrases(text)
    shards.append(writer.commit("phrases", 0, content="x", columns=phrases, arrays=arrays))
    start = 0
    for index, (image, patches) in enumerate(blocks):
        columns, arrays = _images(start, len(image), side), {"image": image, "patches": patches}
        shards.append(writer.commit("images", index, content="x", columns=columns, arrays=arrays))
        start += len(image)
    shards.append(writer.commit("pairs", 0, content="x", columns=to_arrow(pairs)))
    nothing = {
        "row": pa.array([], pa.int64()),
        **{name: pa.array([], pa.string()) for name in ("pair_id", "reason", "detail")},
    }
    shards.append(writer.commit("rejects", 0, content="x", columns=pa.table(nothing)))
    names, counts = np.unique(pairs.split, return_counts=True)
    splits = dict(zip(names.tolist(), counts.tolist()))
    writer.finish(shards, splits=splits, counts={"pairs": len(pairs)}, reject_reasons={})
    return open_store(folder)


def fingerprint(**changes: Any) -> Fingerprint:
    """The fingerprint of an encoder that does not exist, with what is to be changed in it."""
    plain = Fingerprint(
        name="random",
        digest="0" * 64,
        d=16,
        k=49,
        grid=(7, 7),
        image_size=224,
        patches="raw",
        dtype="float32",
        normalised=True,
        small_world_only=False,
        logit_scale=100.0,
        processor="pil",
        view="centre",
        view_share=1.0,
    )
    return replace(plain, **changes)


def _pairs(rng: np.random.Generator, shape: Shape) -> PairTable:
    n, cells = shape.pairs + shape.validation, math.isqrt(shape.k)
    corner = rng.uniform(0, 0.6, size=(n, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(0.1, 0.4, size=corner.shape)], axis=1)
    absent, offsets = np.zeros(n, bool), np.arange(n + 1)
    wrong = label_cells(xyxy, absent, offsets=offsets, cells=cells)
    category = np.zeros((n, 5), np.int8)
    category[np.arange(n), np.arange(n) % 5] = 1
    margin = rng.choice([0.2, 0.4, 0.6, 0.8], size=n).astype(np.float32)
    number = np.arange(n, dtype=np.int32)
    return PairTable(
        pair_id=np.array([f"pair-{i}" for i in range(n)], object),
        prompt=number,
        chosen=2 * number,
        rejected=2 * number + 1,
        chosen_score=np.full(n, 0.9, np.float32),
        rejected_score=(0.9 - margin).astype(np.float32),
        margin=margin,
        category=category,
        patch_label=np.stack([np.ones_like(wrong), wrong], axis=1),
        phrase_label=np.full((n, MOST_PHRASES), -1, np.int8),
        split=np.where(number < shape.pairs, "train", "validation"),
        group=number,
        group_name=np.array([f"group-{i}" for i in range(n)], object),
        difficulty=np.full(n, "easy"),
        kind=np.full(n, "random"),
        control=np.zeros(n, bool),
        unseen=np.zeros(n, bool),
        annotated=np.ones(n, bool),
        boxes=Boxes(xyxy=xyxy, category=(number % 5).astype(np.int8), absent=absent, offsets=offsets.astype(np.int64)),
    )


def _plan(shape: Shape) -> Plan:
    side = math.isqrt(shape.k)
    return Plan(
        encoder=fingerprint(d=shape.d, k=shape.k, grid=(side, side)),
        data={"kind": "random"},
        small_world_only=False,
        micro_batch=1,
        device="cpu",
        shard_rows={"prompts": 1 << 20, "images": SHARD},
    )


def _prompts(words: Sequence[str]) -> pa.Table:
    zeros = np.zeros(len(words), np.int32)
    return pa.table(
        {
            "prompt_id": [f"p{i}" for i in range(len(words))],
            "prompt": list(words),
            "n_tokens": pa.array(zeros + 5),
            "chunked": pa.array(zeros > 0),
            "unknown_tokens": pa.array(zeros),
            **_phrase_lists(len(words)),
        }
    )


def phrases_of_prompt(number: int) -> int:
    """How many phrases a made-up prompt has: one to three in turn."""
    return 1 + number % 3


def _phrase_lists(prompts: int) -> dict[str, pa.Array]:
    """The phrases of each prompt: rows of the table of phrases in turn; what stands second of three is a relation."""
    sizes = [phrases_of_prompt(i) for i in range(prompts)]
    made = lambda value, kind: pa.array(
        [[value(i, j, size) for j in range(size)] for i, size in enumerate(sizes)], pa.list_(kind)
    )
    relation = lambda place: lambda i, j, size: place if (j, size) == (1, 3) else -1
    return {
        "phrase": made(lambda i, j, size: (i + j) % min(prompts, PHRASES), pa.int32()),
        "phrase_count": made(lambda i, j, size: 1 + (i + j) % 3, pa.int8()),
        "phrase_start": made(lambda i, j, size: -1, pa.int32()),
        "phrase_end": made(lambda i, j, size: -1, pa.int32()),
        "phrase_subject": made(relation(0), pa.int8()),
        "phrase_object": made(relation(2), pa.int8()),
    }


def _phrases(text: Float16[np.ndarray, "prompts d"]) -> tuple[pa.Table, dict[str, np.ndarray]]:
    """A few phrases of every kind, with embeddings of the prompts for theirs."""
    number = np.arange(min(len(text), PHRASES))
    names = [f"phrase {i}" for i in number]
    kinds = [PHRASE_KINDS[i % len(PHRASE_KINDS)] for i in number]
    columns = {"phrase_id": [f"f{i}" for i in number], "phrase": names, "bare": names, "head": names}
    table = pa.table({**columns, "attributes": [""] * len(number), "kind": kinds})
    return table, {"text": text[number], "bare": text[number[::-1]]}


def _images(start: int, n: int, side: int) -> pa.Table:
    return pa.table(
        {
            "image_id": [f"i{i}" for i in range(start, start + n)],
            "path": [f"images/{i}.png" for i in range(start, start + n)],
            "sha256": ["0" * 64] * n,
            "width": pa.array(np.full(n, side, np.int32)),
            "height": pa.array(np.full(n, side, np.int32)),
            "generator": [""] * n,
            "seed": pa.array(np.full(n, -1, np.int64)),
        }
    )
