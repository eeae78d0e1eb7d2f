"""The command that writes the pairs of a store as a TFDS data set: python scripts/export_tfds.py STORE [--out DIR]
[--name NAME].

The file format is array_record, so `tfds.data_source` reads it without TensorFlow and `precompute/embed.py --data
tfds:NAME` takes it as input.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__ in (None, ""):  # run as a file: the repository, not this folder, is what modules are found in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np

from tipai_jax.errors import Parser, UserError, run_main

if TYPE_CHECKING:
    from tipai_jax.store import Store

SIDES = ("chosen", "rejected")
RENAMED = {"group": "group_name", "unseen_combination": "unseen"}
"""Columns of `PairTable` whose names differ from those of `pairs.jsonl`, which are the names of the features."""


def export(store: "Store", *, out: Path, name: str, embeddings: bool = False) -> Path:
    """Write the data set.

    Args:
        store: whose images are still where they were embedded from.
        out: the data folder of TFDS.
        name: of the data set, lower case with underscores.
        embeddings: also write `text` f16[d], `image` f16[2, d] and `patches` f16[2, k, d], chosen first.

    Returns:
        The folder of the version written.

    Raises:
        UserError: the images are gone, or a data set of that name is there.
    """
    import tensorflow_datasets as tfds

    if not name.isidentifier() or name != name.lower():
        raise UserError(f"--name {name}: expected lower case letters, digits and underscores")
    if (out / name).exists():
        raise UserError(f"{out / name}: a data set of that name is there; choose another --name or --out, or delete it")
    if len(store.pairs):
        store.image_path(0)  # raises an error of one line when the images are gone
    features = _features(store, embeddings=embeddings)

    class Pairs(tfds.core.GeneratorBasedBuilder):
        """The pairs of one store."""

        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = None

        def _info(self) -> tfds.core.DatasetInfo:
            return tfds.core.DatasetInfo(
                builder=self, description=_description(store), features=features, disable_shuffling=True
            )

        def _split_generators(self, download_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
            present = [split for split in store.manifest.splits if (store.pairs.split == split).any()]
            return {split: self._generate_examples(split) for split in present}

        def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
            for index in np.flatnonzero(store.pairs.split == split).tolist():
                yield index, _example(store, index, embeddings=embeddings)

    Pairs.name = name
    builder = Pairs(data_dir=out, file_format="array_record")
    builder.download_and_prepare()
    return Path(builder.data_dir)


def _features(store: "Store", *, embeddings: bool) -> Any:
    from tensorflow_datasets import features as kinds

    from precompute.readers.tfds import ANNOTATIONS, PLAIN
    from tipai_jax.store import CATEGORIES

    plain = {str: kinds.Text(), float: kinds.Scalar(np.float32), bool: kinds.Scalar(np.bool_)}
    label = kinds.ClassLabel(names=CATEGORIES)
    encoded = kinds.Tensor(shape=(), dtype=np.object_)  # the bytes of the file: kinds.Image would need TensorFlow
    features = {key: plain[kind] for key, kind in PLAIN.items()}
    features |= {key: plain[str] for key in ("chosen_image_id", "rejected_image_id", ANNOTATIONS)}
    features |= {key: encoded for key in ("chosen_image", "rejected_image")}
    features |= {key: plain[bool] for key in ("annotated", "category_known", "small_world_only")}
    features["unfaithful_patches"] = kinds.Sequence(
        {"bbox": kinds.Tensor(shape=(4,), dtype=np.float32), "category": label, "absent": kinds.Scalar(np.bool_)}
    )
    features["category"] = kinds.Sequence(label)
    if embeddings:
        encoder = store.manifest.encoder
        shapes = {"text": (encoder.d,), "image": (2, encoder.d), "patches": (2, encoder.k, encoder.d)}
        features |= {
            key: kinds.Tensor(shape=shape, dtype=np.float16, encoding="bytes") for key, shape in shapes.items()
        }
    return kinds.FeaturesDict(features)


def _example(store: "Store", index: int, *, embeddings: bool) -> dict[str, Any]:
    from precompute.readers.tfds import ANNOTATIONS, PLAIN

    pairs, images = store.pairs, store.images
    both = [int(pairs.chosen[index]), int(pairs.rejected[index])]
    patches = [
        {
            "bbox": _in_pixels(store, both[1], box[:4]),
            "category": box.category,
            "absent": box.absent,
        }
        for box in pairs.boxes[index]
        if box.x1 < box.x2 and box.y1 < box.y2  # what lies outside the encoder's view is not kept in a store
    ]
    plain = {key: kind(getattr(pairs, RENAMED.get(key, key))[index]) for key, kind in PLAIN.items()}
    example = {
        **plain,
        "prompt": store.prompts.prompt[pairs.prompt[index]],  # the pairs hold its row
        "annotated": bool(pairs.annotated[index]),
        "unfaithful_patches": patches,
        "category_known": bool((pairs.category[index] >= 0).all()),
        "category": np.flatnonzero(pairs.category[index] == 1).tolist(),
        "small_world_only": store.manifest.small_world_only,
        ANNOTATIONS: json.dumps(_annotations(store, index, both)),
    }
    for role, image in zip(("chosen", "rejected"), both):
        example[f"{role}_image_id"] = images.image_id[image]
        example[f"{role}_image"] = store.image_path(image).read_bytes()
    if embeddings:
        example |= {
            "text": store.text.take(pairs.prompt[index]),
            "image": store.image.take(both),
            "patches": store.patches.take(both),
        }
    return example


def _in_pixels(store: "Store", image: int, box: Sequence[float]) -> list[float]:
    """A box in fractions of what the encoder saw of an image, in pixels of the image."""
    left, top, right, bottom = store.view_box(image)
    ends = (left, right), (top, bottom)
    return [round(ends[i % 2][0] + x * (ends[i % 2][1] - ends[i % 2][0]), 4) for i, x in enumerate(box)]


def _annotations(store: "Store", index: int, images: list[int]) -> dict[str, Any]:
    """The fields of `pairs.jsonl` about phrases, objects and styles of a pair, as far as the store knows them."""
    tables = {shard.table for shard in store.manifest.shards}
    found: dict[str, Any] = {}
    if styles := {side: style for side, style in zip(SIDES, store.images.style[images]) if style}:
        found["style"] = styles
    if "phrases" not in tables:
        return found
    row, labels = store.pairs.prompt[index], store.pairs.phrase_label[index]
    prompts = store.prompts
    spans = list(zip(prompts.phrase_start[row].tolist(), prompts.phrase_end[row].tolist()))
    found["phrases"] = [_phrase(store, row, place) for place in range((prompts.phrase[row] >= 0).sum())]
    if (labels >= 0).any() and not store.pairs.control[index]:  # else nobody said which phrases fail
        found["failing_phrases"] = [list(span) for span, label in zip(spans, labels) if label == 0]
    if "objects" in tables and (rows := np.flatnonzero(store.objects.pair == index)).size:
        found["objects"] = {side: [] for side in SIDES}
        for i in rows.tolist():
            side = int(store.objects.side[i])
            found["objects"][SIDES[side]].append(_object(store, i, images[side], spans))
    return found


def _phrase(store: "Store", row: int, place: int) -> dict[str, Any]:
    """A phrase of a prompt as `pairs.jsonl` has it."""
    prompts, phrases = store.prompts, store.phrases
    start, end = int(prompts.phrase_start[row, place]), int(prompts.phrase_end[row, place])
    number = prompts.phrase[row, place]
    value = {
        "text": prompts.prompt[row][start:end] if start >= 0 else phrases.phrase[number],
        "kind": phrases.kind[number],
        "head": phrases.head[number] or None,
        "attributes": str(phrases.attributes[number]).split(),
        "count": int(prompts.phrase_count[row, place]),
        "arguments": [int(prompts.phrase_subject[row, place]), int(prompts.phrase_object[row, place])],
    }
    return value | ({"start": start, "end": end} if start >= 0 else {})


def _object(store: "Store", i: int, image: int, spans: list[tuple[int, int]]) -> dict[str, Any]:
    """An object of an image as `pairs.jsonl` has it."""
    objects = store.objects
    box = [getattr(objects, name)[i] for name in ("x1", "y1", "x2", "y2")]
    value = {
        "name": objects.name[i],
        "attributes": str(objects.attributes[i]).split(),
        "bbox": _in_pixels(store, image, box),
        "wrong": None if objects.wrong[i] < 0 else bool(objects.wrong[i]),
    }
    if objects.named[i] == 0:
        value["phrase"] = None
    elif objects.phrase[i] >= 0:
        value["phrase"] = list(spans[objects.phrase[i]])
    return value


def _description(store: "Store") -> str:
    small = " Small world only: drawn scenes, nothing of photographs." if store.manifest.small_world_only else ""
    return f"Prompts with a chosen and a rejected image, from the store {store.manifest.digest}.{small}"


def main(arguments: list[str] | None = None) -> int:
    """Export; returns 0."""
    parser = Parser(
        prog="scripts/export_tfds.py", description="Write the pairs of a store as a TFDS data set (array_record)."
    )
    parser.add_argument("store", type=Path, help="folder of a finished store")
    parser.add_argument("--out", type=Path, default=Path("data/tfds"), help="data folder of TFDS (default: data/tfds)")
    parser.add_argument("--name", help="name of the data set (default: the store's folder name and _pairs)")
    parser.add_argument("--embeddings", action="store_true", help="write the embeddings too")
    args = parser.parse_args(arguments)
    from tipai_jax.store import open_store

    store = open_store(args.store)
    name = args.name or f"{''.join(c if c.isalnum() else '_' for c in args.store.resolve().name.lower())}_pairs"
    folder = export(store, out=args.out, name=name, embeddings=args.embeddings)
    print(
        f"{folder}: {len(store.pairs)} pairs; read with tfds.data_source({name!r}, split='train',"
        f" data_dir={str(args.out)!r})"
    )
    print(f"embed it with: python precompute/embed.py --data tfds:{name} --data-dir {args.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
