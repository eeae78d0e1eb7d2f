"""A store of made-up embeddings with a planted truth, for the tests of the evaluation.

A group is two prompts that differ in one category, and the two images that keep them: each image is chosen once and
rejected once. Of the 16 dimensions the first five say what is asked for, and shown, in each category (+ or -); the rest
is what the two have in common. The patches inside the box carry the sign as well.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.benchmark.synthetic import commit_store, fingerprint
from tipai_jax.store import MOST_PHRASES, Boxes, PairTable, Plan, Store, label_cells

D, CELLS = 16, 7
SPLITS = {"train": 120, "validation": 40, "test": 50}


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float16)


def write_store(
    folder: Path,
    *,
    splits: dict[str, int] = SPLITS,
    seed: int = 0,
    encoder: str = "a" * 64,
    noise: float = 0.25,
    draw_in: Path | None = None,
    squares: bool = True,
) -> Store:
    """Write the store; `draw_in` is the folder that gets a drawing of every image. Without `squares` the image with
    the plus is always the chosen one.
    """
    rng = np.random.default_rng(seed)
    texts, images, patches, rows = [], [], [], []
    for split, groups in splits.items():
        for group in range(groups):
            category, control = group % 5, group % 10 == 9
            base = np.concatenate([np.zeros(5), rng.normal(size=D - 5)])
            base /= np.linalg.norm(base)
            cell = rng.integers(0, CELLS - 2, size=2)
            box = np.concatenate([cell, cell + 2])[[1, 0, 3, 2]] / CELLS
            inside = np.zeros((CELLS, CELLS), bool)
            inside[cell[0] : cell[0] + 2, cell[1] : cell[1] + 2] = True
            first = len(texts)
            for sign in (1.0, -1.0):
                mark = sign * np.eye(D)[category] * (0.0 if control else 0.7)
                texts.append(base + mark)
                images.append(base + mark + noise * rng.normal(size=D) / 2)
                patches.append(
                    base + np.where(inside.reshape(-1, 1), 2 * mark, 0.0) + noise * rng.normal(size=(CELLS**2, D))
                )
            for side in (0, 1) if squares else (0,):
                rows.append(
                    {
                        "pair_id": f"{split}-{group}-{side}",
                        "prompt": first + side,
                        "chosen": first + side,
                        "rejected": first + 1 - side,
                        "category": category,
                        "control": control,
                        "split": split,
                        "group": len(texts) // 2,
                        "box": box,
                        "difficulty": ("easy", "medium", "hard")[group % 3],
                        "unseen": split == "test" and group % 4 == 0,
                        "absent": category == 0 and group % 2 == 0,
                    }
                )
    pairs = _table(rows)
    text, image, patch = (unit(np.array(each)) for each in (texts, images, patches))
    plan = Plan(
        encoder=fingerprint(name="planted", digest=encoder, patches="dense", small_world_only=True, logit_scale=10.0),
        data={"kind": "planted"},
        small_world_only=True,
        micro_batch=8,
        device="cpu",
        shard_rows={"prompts": len(text)},
    )
    prompts = [f"a planted prompt number {i} of some words, so that the title is a sentence" for i in range(len(text))]
    store = commit_store(folder, plan, pairs, text, [(image, patch)], prompts=prompts, side=64)
    if draw_in is not None:
        _draw(draw_in, len(image))
        (folder / "source.json").write_text(json.dumps({"data": str(draw_in.resolve())}))
    return store


def _table(rows: list[dict]) -> PairTable:
    column = lambda name, dtype: np.array([row[name] for row in rows], dtype)
    control = column("control", bool)
    category = np.zeros((len(rows), 5), np.int8)
    category[np.arange(len(rows)), column("category", int)] = ~control
    boxed = [row for row in rows if not row["control"]]
    labels = np.ones((len(rows), 2, CELLS**2), np.int8)
    for row, label in zip(rows, labels):
        if not row["control"]:
            label[1] = label_cells(row["box"][None], np.array([row["absent"]]), cells=CELLS).reshape(-1)
    return PairTable(
        pair_id=column("pair_id", object),
        prompt=column("prompt", np.int32),
        chosen=column("chosen", np.int32),
        rejected=column("rejected", np.int32),
        chosen_score=np.ones(len(rows), np.float32),
        rejected_score=np.where(control, 1.0, 0.3).astype(np.float32),
        margin=np.where(control, 0.0, 0.7).astype(np.float32),
        category=category,
        patch_label=labels,
        phrase_label=np.full((len(rows), MOST_PHRASES), -1, np.int8),
        split=column("split", str),
        group=column("group", np.int32),
        group_name=np.array([str(row["group"]) for row in rows], object),
        difficulty=column("difficulty", str),
        kind=np.array(["planted"] * len(rows)),
        control=control,
        unseen=column("unseen", bool),
        annotated=np.ones(len(rows), bool),
        boxes=Boxes(
            xyxy=np.array([row["box"] for row in boxed]),
            category=np.array([row["category"] for row in boxed], np.int8),
            absent=np.array([row["absent"] for row in boxed], bool),
            offsets=np.concatenate([[0], np.cumsum(~control)]).astype(np.int64),
        ),
    )


def _draw(folder: Path, count: int) -> None:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.new("RGB", (64, 64), (40 + i % 200, 90, 200 - i % 200)).save(folder / "images" / f"{i}.png")
