"""A TFDS data set of pairs in array_record form, as `scripts/export_tfds.py` writes it; read without TensorFlow.

Each example holds the bytes of its two images; images of one name are the same. Terms of use are those of the data set.
"""

import json
import threading
from pathlib import Path
from typing import Any

from precompute.readers.records import BadRow, ImageFile, PairRecord, Reject, Source, check_together, parse_row
from tipai_jax.errors import UserError, first_line
from tipai_jax.files.atomic import canonical_json, sha256_bytes, sha256_file
from tipai_jax.store import CATEGORIES

__all__ = ["ANNOTATIONS", "FEATURES", "PLAIN", "data_set_name", "read_tfds"]

PLAIN = {
    "pair_id": str,
    "prompt": str,
    "group": str,
    "difficulty": str,
    "kind": str,
    "chosen_score": float,
    "rejected_score": float,
    "control": bool,
    "unseen_combination": bool,
}
"""The features that are the value of a field of `pairs.jsonl`, by its name, and their types."""

ANNOTATIONS = "annotations"
"""A text with the JSON of the fields `phrases`, `failing_phrases`, `objects` and `style`, as far as they are known.
Data sets of earlier versions lack it.
"""

FEATURES = (
    *PLAIN,
    "chosen_image",
    "rejected_image",
    "chosen_image_id",
    "rejected_image_id",
    "annotated",
    "unfaithful_patches",
    "category_known",
    "category",
    "small_world_only",
)


def read_tfds(name: str, *, limit: int | None = None, data_dir: str | None = None) -> Source:
    """Read a prepared TFDS data set.

    Args:
        name: as TFDS takes it, `NAME` or `NAME:VERSION`, or the folder of one version.
        limit: read no more than so many pairs.
        data_dir: folder of data sets; None for that of TFDS.

    Raises:
        UserError: the data set is missing, not array_record, has other features, or is damaged.
    """
    builder = _builder(name, data_dir)
    sources = {
        split: builder.as_data_source(split)
        for split in sorted(builder.info.splits)
        if builder.info.splits[split].num_examples
    }
    records: list[PairRecord] = []
    rejects: list[Reject] = []
    images: dict[str, ImageFile] = {}
    places: dict[str, tuple[str, int, str]] = {}
    count, small = 0, False
    for split, source in sources.items():
        for index in range(len(source)):
            if limit is not None and count >= limit:
                break
            count += 1
            example = source[index]
            small = small or bool(example["small_world_only"])
            value = _json_form(example, split)
            try:
                record = parse_row(value, count)
                records.append(record)
            except BadRow as bad:
                rejects.append(Reject(row=count, pair_id=value["pair_id"], reason=bad.reason, detail=str(bad)))
                continue
            for role, style in zip(("chosen_image", "rejected_image"), record.style):
                images.setdefault(value[role], ImageFile(size=len(example[role]), style=style))
                places.setdefault(value[role], (split, index, role))
    if not count:
        raise UserError(f"tfds:{name}: the data set is empty")
    lock = threading.Lock()  # one reader behind a data source

    def read_image(key: str) -> bytes:
        split, index, role = places[key]
        with lock:
            return sources[split][index][role]

    return Source(
        records=check_together(records, f"tfds:{name}"),
        rejects=rejects,
        rows=count,
        identity={"kind": "tfds", "sha256": _hash(Path(builder.data_dir)), "rows": count, "limit": limit},
        small_world_only=small,
        images=images,
        read_image=read_image,
    )


def data_set_name(name: str) -> str:
    """The data set's own name: that in `NAME:VERSION`, or in the `dataset_info.json` of the folder of one version."""
    folder = Path(name)
    if not folder.is_dir():
        return name.split(":")[0]
    try:
        return json.loads((folder / "dataset_info.json").read_bytes())["name"]
    except (OSError, ValueError, KeyError):  # not such a folder, which is an error when it is read
        return folder.resolve().name


def _builder(name: str, data_dir: str | None) -> Any:
    import tensorflow_datasets as tfds

    try:
        folder = Path(name)
        builder = (
            tfds.builder_from_directory(folder)
            if (folder / "features.json").is_file()
            else tfds.builder(name, data_dir=data_dir)
        )
        if builder.info.file_format is not tfds.core.FileFormat.ARRAY_RECORD:
            raise UserError(
                f"tfds:{name}: file format {builder.info.file_format}, expected array_record, which is read without "
                "TensorFlow"
            )
    except (OSError, ValueError, tfds.core.DatasetNotFoundError) as error:
        raise UserError(
            f"tfds:{name}: not found ({first_line(error)}); name the folder that holds it with --data-dir, "
            "or give tfds:FOLDER"
        ) from None
    features = builder.info.features
    known = set(features) if isinstance(features, tfds.features.FeaturesDict) else set()
    if missing := [feature for feature in FEATURES if feature not in known]:
        raise UserError(
            f"tfds:{name}: features {', '.join(missing)} are missing; expected a data set of pairs as "
            "scripts/export_tfds.py writes it"
        )
    return builder


def _json_form(example: dict[str, Any], split: str) -> dict[str, Any]:
    """The JSON form of an example, which `parse_row` checks like any other."""
    plain = {
        name: bytes(example[name]).decode() if kind is str else kind(example[name]) for name, kind in PLAIN.items()
    }
    boxes = example["unfaithful_patches"]
    patches = [
        {"bbox": [float(value) for value in bbox], "category": CATEGORIES[int(category)], "absent": bool(absent)}
        for bbox, category, absent in zip(boxes["bbox"], boxes["category"], boxes["absent"])
    ]
    return {
        **plain,
        "chosen_image": bytes(example["chosen_image_id"]).decode(),
        "rejected_image": bytes(example["rejected_image_id"]).decode(),
        "unfaithful_patches": patches if bool(example["annotated"]) else None,
        "category": [CATEGORIES[int(category)] for category in example["category"]]
        if bool(example["category_known"])
        else None,
        "split": split,
        **(json.loads(bytes(example[ANNOTATIONS])) if ANNOTATIONS in example else {}),
    }


def _hash(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.name == "features.json" or ".array_record" in path.name)
    return sha256_bytes(canonical_json([[path.name, sha256_file(path)] for path in files]))
