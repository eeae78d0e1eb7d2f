"""A small store of random embeddings for the tests of the loop: every kind of row, a weak signal, nothing to draw.

Pairs with one box, with two, with an absent box only, controls, and pairs nobody annotated. The chosen image leans
towards its prompt, and unfaithful patches lean away from it, so that a few steps of training show.
"""

from pathlib import Path

import numpy as np

from scripts.benchmark.synthetic import commit_store, fingerprint, phrases_of_prompt
from tipai_jax.store import MOST_PHRASES, Boxes, PairTable, Plan, Store, label_cells

K = 49
SHARD = 128


def unit(vectors: np.ndarray) -> np.ndarray:
    """L2-normalised f16, as a store holds them."""
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float16)


def write_store(
    folder: Path,
    *,
    train: int = 150,
    validation: int = 40,
    test: int = 10,
    d: int = 16,
    seed: int = 0,
    encoder: str = "e" * 64,
) -> Store:
    """Write and open a store; its images lie in shards of `SHARD` rows."""
    rng = np.random.default_rng(seed)
    n = train + validation + test
    pairs = _pairs(rng, n, np.repeat(["train", "validation", "test"], [train, validation, test]))
    text = rng.normal(size=(n, d))
    image = 0.7 * rng.normal(size=(2 * n, d))
    image[pairs.chosen] += 0.5 * text[pairs.prompt]
    patches = np.repeat(image[:, None], K, axis=1) + 0.7 * rng.normal(size=(2 * n, K, d)).astype(np.float32)
    faithful = (pairs.patch_label[:, 1] != 0)[..., None]
    patches[pairs.rejected] += np.where(faithful, 0.5, -0.5) * text[pairs.prompt][:, None]
    image, patches = unit(image), unit(patches)
    plan = Plan(
        encoder=fingerprint(digest=encoder, d=d, small_world_only=True, logit_scale=10.0),
        data={"kind": "random"},
        small_world_only=True,
        micro_batch=8,
        device="cpu",
        shard_rows={"prompts": n, "images": SHARD},
    )
    blocks = [(image[i : i + SHARD], patches[i : i + SHARD]) for i in range(0, 2 * n, SHARD)]
    return commit_store(folder, plan, pairs, unit(text), blocks)


def _pairs(rng: np.random.Generator, n: int, split: np.ndarray) -> PairTable:
    kinds = np.arange(n) % 10  # 0: control, 1: absent only, 2: nobody annotated it, 3: two boxes, others: one box
    control, annotated = kinds == 0, kinds != 2
    counts = np.where(control | ~annotated, 0, np.where(kinds == 3, 2, 1))
    corner = rng.uniform(0, 0.6, size=(counts.sum(), 2))
    xyxy = np.concatenate([corner, corner + rng.uniform(0.1, 0.4, size=corner.shape)], axis=1)
    absent = np.repeat(kinds == 1, counts)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    labels = np.stack([np.ones((n, K), np.int8), label_cells(xyxy, absent, offsets=offsets)], axis=1)
    labels[~annotated] = -1
    category = np.zeros((n, 5), np.int8)
    category[np.arange(n), np.arange(n) % 5] = ~control
    category[~annotated] = -1
    margin = np.where(control, 0.0, rng.choice([0.2, 0.4, 0.6, 0.8], size=n)).astype(np.float32)
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
        patch_label=labels,
        phrase_label=_phrase_labels(n, control, annotated),
        split=split,
        group=rows // 2,
        group_name=np.array([f"group-{i // 2}" for i in range(n)], object),
        difficulty=np.array(["easy", "medium", "hard"])[rows % 3],
        kind=np.full(n, "random"),
        control=control,
        unseen=np.zeros(n, bool),
        annotated=annotated,
        boxes=Boxes(
            xyxy=xyxy, category=np.repeat(np.arange(n) % 5, counts).astype(np.int8), absent=absent, offsets=offsets
        ),
    )


def _phrase_labels(n: int, control: np.ndarray, annotated: np.ndarray) -> np.ndarray:
    """The first phrase of a prompt is broken; a control breaks none; of a pair nobody annotated nothing is known."""
    sizes = np.array([phrases_of_prompt(i) for i in range(n)])
    label = np.where(np.arange(MOST_PHRASES) < sizes[:, None], 1, -1)
    label[~control, 0] = 0
    label[~annotated] = -1
    return label.astype(np.int8)
