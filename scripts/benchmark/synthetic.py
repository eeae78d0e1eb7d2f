"""A store of random embeddings of any size, written to disk as a real one is: what the benchmark trains from.

The random pairs: one box a rejected image, no controls, every category in turn, every pair with two images of its
    own. Rows are cut from one random block at
another place each, which is as good as new numbers for a clock and a hundred times faster than drawing them.
"""

import math
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

from scripts.benchmark.shapes import Shape
from tipai_jax.store import Boxes, Fingerprint, PairTable, Plan, Store, label_cells, open_store
from tipai_jax.store.pairs import to_arrow
from tipai_jax.store.writer import StoreWriter

__all__ = ["write_store"]

SHARD = 1024


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
    rows = lambda count: block[rng.integers(len(block), size=count)]
    writer = StoreWriter(folder, _plan(shape))
    shards = [writer.commit("prompts", 0, content="x", columns=_prompts(n), arrays={"text": rows(n)})]
    for index, start in enumerate(range(0, 2 * n, SHARD)):
        count = min(SHARD, 2 * n - start)
        arrays = {"image": rows(count), "patches": rows(count * shape.k).reshape(count, shape.k, shape.d)}
        shards.append(writer.commit("images", index, content="x", columns=_images(start, count), arrays=arrays))
    shards.append(writer.commit("pairs", 0, content="x", columns=to_arrow(pairs)))
    nothing = {
        "row": pa.array([], pa.int64()),
        **{name: pa.array([], pa.string()) for name in ("pair_id", "reason", "detail")},
    }
    shards.append(writer.commit("rejects", 0, content="x", columns=pa.table(nothing)))
    writer.finish(shards, splits=splits, counts={"pairs": n}, reject_reasons={})
    return open_store(folder)


def _pairs(rng: np.random.Generator, shape: Shape) -> PairTable:
    n, cells = shape.pairs + shape.validation, math.isqrt(shape.k)
    corner = rng.uniform(0, 0.6, size=(n, 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(0.1, 0.4, size=corner.shape)], axis=1)
    absent, offsets = np.zeros(n, bool), np.arange(n + 1)
    wrong = label_cells(xyxy, absent, offsets=offsets, cells=cells)
    category = np.zeros((n, 5), np.int8)
    category[np.arange(n), np.arange(n) % 5] = 1
    margin = rng.choice([0.2, 0.4, 0.6, 0.8], size=n).astype(np.float32)
    rows = np.arange(n, dtype=np.int32)
    return PairTable(
        pair_id=np.array([f"pair-{i}" for i in range(n)], object),
        prompt=rows,
        chosen=2 * rows,
        rejected=2 * rows + 1,
        chosen_score=np.full(n, 0.9, np.float32),
        rejected_score=(0.9 - margin).astype(np.float32),
        margin=margin,
        category=category,
        patch_label=np.stack([np.ones_like(wrong), wrong], axis=1),
        split=np.where(rows < shape.pairs, "train", "validation"),
        group=rows,
        group_name=np.array([f"group-{i}" for i in range(n)], object),
        difficulty=np.full(n, "easy"),
        kind=np.full(n, "random"),
        control=np.zeros(n, bool),
        unseen=np.zeros(n, bool),
        annotated=np.ones(n, bool),
        boxes=Boxes(xyxy=xyxy, category=(rows % 5).astype(np.int8), absent=absent, offsets=offsets.astype(np.int64)),
    )


def _plan(shape: Shape) -> Plan:
    side = math.isqrt(shape.k)
    fingerprint = Fingerprint(
        name="random",
        digest="0" * 64,
        d=shape.d,
        k=shape.k,
        grid=(side, side),
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
    return Plan(
        encoder=fingerprint,
        data={"kind": "random"},
        small_world_only=False,
        micro_batch=1,
        device="cpu",
        shard_rows={"prompts": 1 << 20, "images": SHARD},
    )


def _prompts(n: int) -> pa.Table:
    zeros = np.zeros(n, np.int32)
    return pa.table(
        {
            "prompt_id": [f"p{i}" for i in range(n)],
            "prompt": [f"prompt number {i}" for i in range(n)],
            "n_tokens": pa.array(zeros),
            "chunked": pa.array(zeros > 0),
            "unknown_words": pa.array(zeros),
        }
    )


def _images(start: int, n: int) -> pa.Table:
    names = [f"images/{i}.png" for i in range(start, start + n)]
    return pa.table(
        {
            "image_id": names,
            "path": names,
            "sha256": ["0" * 64] * n,
            "width": pa.array(np.full(n, 224, np.int32)),
            "height": pa.array(np.full(n, 224, np.int32)),
            "generator": [""] * n,
            "seed": pa.array(np.full(n, -1, np.int64)),
        }
    )
