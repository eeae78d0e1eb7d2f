"""The table of pairs and the list of rejects, made of the records and of the committed shards.

The checks that need an image's size or hash are made here; rows and groups are numbered, patches labelled.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from precompute.object_rows import ImageRow, check_objects
from precompute.phrase_rows import PhraseIndex, phrase_labels
from precompute.readers.bad_row import BadRow
from precompute.readers.records import PairRecord, PixelBox, Reject
from tipai_jax.errors import UserError
from tipai_jax.store import CATEGORIES, MOST_PHRASES, Boxes, Fingerprint, PairTable, label_cells, view_box
from tipai_jax.store.columns import read_table
from tipai_jax.store.patches import to_view
from tipai_jax.store.reader import read_prompts

__all__ = ["ImageRow", "build_pairs", "check_rejects", "image_rows", "prompt_rows", "reject_columns"]


def image_rows(store: Path, shards: int) -> dict[str, ImageRow]:
    """Every embedded image by its key, from the committed shards 0..shards-1."""
    images: dict[str, ImageRow] = {}
    for index in range(shards):
        table = read_table(store / f"images/{index:05d}.parquet")
        columns = (table.column(name).to_pylist() for name in ("image_id", "width", "height", "sha256"))
        for key, width, height, sha256 in zip(*columns):
            images[key] = ImageRow(len(images), width, height, sha256)
    return images


def prompt_rows(store: Path, shards: int) -> tuple[dict[str, int], int, int]:
    """Row numbers by prompt; how many prompts were encoded in chunks; how many have tokens not in the vocabulary."""
    numbers: dict[str, int] = {}
    chunked = unknown = 0
    for index in range(shards):
        table = read_prompts(store / f"prompts/{index:05d}.parquet")
        for prompt in table.column("prompt").to_pylist():
            numbers[prompt] = len(numbers)
        chunked += int(table.column("chunked").to_numpy().sum())
        unknown += int((table.column("unknown_tokens").to_numpy() > 0).sum())
    return numbers, chunked, unknown


def build_pairs(
    records: list[PairRecord],
    *,
    images: dict[str, ImageRow],
    prompts: dict[str, int],
    problems: dict[str, str],
    encoder: Fingerprint,
    phrases: PhraseIndex | None = None,
) -> tuple[PairTable, list[Reject]]:
    """The table of pairs, and rejects for those whose images do not fit.

    Args:
        records: usable pairs as read.
        images: embedded images by key.
        prompts: row number of each prompt.
        problems: why images could not be embedded, by key.
        encoder: whose grid and view of an image are used.
        phrases: those of the prompts; None leaves their labels unknown.
    """
    kept: list[PairRecord] = []
    boxes, rejects = [], []
    for record in records:
        try:
            _check_images(record, images, problems)
            shown = _boxes_in_view(record, images[record.rejected], encoder)
            check_objects(record, images)
        except BadRow as bad:
            rejects.append(Reject(row=record.row, pair_id=record.pair_id, reason=bad.reason, detail=str(bad)))
            continue
        kept.append(record)
        boxes.append(shown)
    groups: dict[str, int] = {}
    for record in kept:
        groups.setdefault(record.group, len(groups))
    scores = np.array([(record.chosen_score, record.rejected_score) for record in kept], dtype=np.float32).reshape(
        -1, 2
    )
    annotated = np.array([record.control or record.boxes is not None for record in kept], dtype=bool)
    table_boxes = Boxes(
        xyxy=np.concatenate([np.zeros((0, 4)), *(xyxy for xyxy, _ in boxes)]),
        category=np.array([box.category for record in kept for box in record.boxes or ()], dtype=np.int8),
        absent=np.concatenate([np.zeros(0, bool), *(absent for _, absent in boxes)]),
        offsets=np.concatenate([[0], np.cumsum([len(xyxy) for xyxy, _ in boxes])]).astype(np.int64),
    )
    table = PairTable(
        pair_id=_objects([record.pair_id for record in kept]),
        prompt=np.array([prompts[record.prompt] for record in kept], dtype=np.int32),
        chosen=np.array([images[record.chosen].row for record in kept], dtype=np.int32),
        rejected=np.array([images[record.rejected].row for record in kept], dtype=np.int32),
        chosen_score=scores[:, 0],
        rejected_score=scores[:, 1],
        margin=scores[:, 0] - scores[:, 1],
        category=np.array([_category_labels(record) for record in kept], dtype=np.int8).reshape(-1, len(CATEGORIES)),
        patch_label=_patch_labels(table_boxes, annotated, cells=encoder.grid[0]),
        phrase_label=_phrase_labels(kept, phrases),
        split=np.array([record.split for record in kept], dtype=str),
        group=np.array([groups[record.group] for record in kept], dtype=np.int32),
        group_name=_objects([record.group for record in kept]),
        difficulty=np.array([record.difficulty for record in kept], dtype=str),
        kind=np.array([record.kind for record in kept], dtype=str),
        control=np.array([record.control for record in kept], dtype=bool),
        unseen=np.array([record.unseen for record in kept], dtype=bool),
        annotated=annotated,
        boxes=table_boxes,
    )
    return table, rejects


def reject_columns(rejects: list[Reject]) -> pa.Table:
    """The parquet columns of the rejects, by line."""
    ordered = sorted(rejects, key=lambda reject: reject.row)
    return pa.table(
        {
            "row": pa.array([reject.row for reject in ordered], pa.int64()),
            "pair_id": pa.array([reject.pair_id for reject in ordered], pa.string()),
            "reason": pa.array([reject.reason for reject in ordered], pa.string()),
            "detail": pa.array([reject.detail for reject in ordered], pa.string()),
        }
    )


def check_rejects(rejects: list[Reject], *, pairs: int, allowed: float, listed: Path | None) -> dict[str, int]:
    """Count the rejects by reason; too many end the run.

    Args:
        rejects: all of them.
        pairs: number of pairs of the input.
        allowed: the largest share of rejects that is accepted.
        listed: the file that lists them, for the message; None where there is none.

    Raises:
        UserError: more than the allowed share, or nothing is left.
    """
    reasons = dict(sorted(Counter(reject.reason for reject in rejects).items()))
    if len(rejects) == pairs or len(rejects) > allowed * pairs:
        first = min(rejects, key=lambda reject: reject.row)
        counted = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))
        go_on = (
            "correct the data"
            if len(rejects) == pairs
            else f"correct the data, or allow them with --allow-rejects {_share_above(len(rejects), pairs)}"
        )
        where = "" if listed is None else f"all are listed in {listed}; "
        raise UserError(
            f"{len(rejects)} of {pairs} pairs cannot be used, at most {allowed:.2%} may be left out ({counted}; "
            f"first: pair {first.row}, {first.detail}); {where}{go_on}"
        )
    return reasons


def _share_above(rejects: int, pairs: int) -> float:
    return min(1.0, -(-rejects * 1000 // pairs) / 1000)


def _check_images(record: PairRecord, images: dict[str, ImageRow], problems: dict[str, str]) -> None:
    for i, key in enumerate((record.chosen, record.rejected)):
        if key not in images:
            raise BadRow("damaged_image", problems.get(key, f"{key!r} cannot be read"))
        if record.sha256 is not None and record.sha256[i] != images[key].sha256:
            raise BadRow(
                "sha256_differs",
                f"{key!r} has the hash {images[key].sha256[:12]}..., the row says {record.sha256[i][:12]}...",
            )


def _boxes_in_view(record: PairRecord, image: ImageRow, encoder: Fingerprint) -> tuple[np.ndarray, np.ndarray]:
    """Boxes as fractions of the encoder's view, and which of them mark no wrong pixel (absent, or outside the view)."""
    if not record.boxes:
        return np.zeros((0, 4)), np.zeros(0, dtype=bool)
    for box in record.boxes:
        if box.x1 < 0 or box.y1 < 0 or box.x2 > image.width or box.y2 > image.height:
            raise BadRow(
                "box_outside",
                f"bbox {_corners(box)} leaves the image {record.rejected!r} of {image.width} x {image.height} pixels",
            )
    view = view_box(image.width, image.height, view=encoder.view, share=encoder.view_share)
    xyxy, inside = to_view(np.array([box[:4] for box in record.boxes], dtype=np.float64), view)
    return xyxy, np.array([box.absent for box in record.boxes], dtype=bool) | ~inside


def _patch_labels(boxes: Boxes, annotated: np.ndarray, *, cells: int) -> np.ndarray:
    """i8[n, 2, k]: all 1 for the chosen image, by the boxes for the rejected one, all -1 where not annotated."""
    rejected = label_cells(boxes.xyxy, boxes.absent, offsets=boxes.offsets, cells=cells)
    labels = np.stack([np.ones_like(rejected), rejected], axis=1)
    labels[~annotated] = -1
    return labels


def _phrase_labels(records: list[PairRecord], phrases: PhraseIndex | None) -> np.ndarray:
    """i8[n, 8], see `PairTable.phrase_label`."""
    labels = np.full((len(records), MOST_PHRASES), -1, np.int8)
    if phrases is not None:
        for row, record in zip(labels, records):
            own = phrase_labels(record, phrases.by_prompt[record.prompt])
            row[: len(own)] = own
    return labels


def _corners(box: PixelBox) -> str:
    return "[" + ", ".join(f"{value:g}" for value in box[:4]) + "]"


def _category_labels(record: PairRecord) -> list[int]:
    if record.categories is None:
        return [-1] * len(CATEGORIES)
    return [int(i in record.categories) for i in range(len(CATEGORIES))]


def _objects(values: list[str]) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
