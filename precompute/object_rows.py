"""The table of objects: what the images of pairs show, where the data say so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from precompute.phrase_rows import PhraseIndex
from precompute.phrases import Phrase
from precompute.readers.annotations import SeenObject
from precompute.readers.bad_row import BadRow
from precompute.readers.records import PairRecord
from tipai_jax.store import Fingerprint, PairTable, view_box
from tipai_jax.store.patches import to_view

__all__ = ["ImageRow", "check_objects", "object_columns"]


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An embedded image: its row number, its size in pixels and the hash of its file."""

    row: int
    width: int
    height: int
    sha256: str


def check_objects(record: PairRecord, images: Mapping[str, ImageRow]) -> None:
    """Check that all objects of a pair lie in their images.

    Raises:
        BadRow: `box_outside`.
    """
    for item in record.objects or ():
        key = (record.chosen, record.rejected)[item.side]
        image = images[key]
        if item.x1 < 0 or item.y1 < 0 or item.x2 > image.width or item.y2 > image.height:
            corners = ", ".join(f"{value:g}" for value in (item.x1, item.y1, item.x2, item.y2))
            raise BadRow(
                "box_outside",
                f"bbox [{corners}] of {item.name!r} leaves the image {key!r} of {image.width} x {image.height} pixels",
            )


def object_columns(
    records: Sequence[PairRecord],
    pairs: PairTable,
    *,
    images: Mapping[str, ImageRow],
    encoder: Fingerprint,
    phrases: PhraseIndex,
) -> pa.Table | None:
    """The parquet columns of the objects, in the order of the pairs; None where no pair names any.

    Args:
        records: as read, in any order.
        pairs: the table of those that are used.
        images: embedded images by key.
        encoder: whose view of an image is used; an object outside it is left out.
        phrases: those of the prompts.
    """
    by_id = {record.pair_id: record for record in records}
    rows = []
    for pair, pair_id in enumerate(pairs.pair_id.tolist()):
        record = by_id[pair_id]
        for item in record.objects or ():
            image = images[(record.chosen, record.rejected)[item.side]]
            view = view_box(image.width, image.height, view=encoder.view, share=encoder.view_share)
            xyxy, inside = to_view(np.array([[item.x1, item.y1, item.x2, item.y2]], dtype=np.float64), view)
            if inside[0]:
                rows.append((pair, item, xyxy[0], _place(item, phrases.by_prompt[record.prompt])))
    if not any(record.objects is not None for record in records):
        return None
    columns = {
        "pair": pa.array([pair for pair, _, _, _ in rows], pa.int32()),
        "side": pa.array([item.side for _, item, _, _ in rows], pa.int8()),
        "name": pa.array([item.name for _, item, _, _ in rows], pa.string()),
        "attributes": pa.array([" ".join(item.attributes) for _, item, _, _ in rows], pa.string()),
    }
    for i, name in enumerate(("x1", "y1", "x2", "y2")):
        columns[name] = pa.array([xyxy[i] for _, _, xyxy, _ in rows], pa.float64())
    columns["wrong"] = pa.array([item.wrong for _, item, _, _ in rows], pa.int8())
    columns["named"] = pa.array([item.named for _, item, _, _ in rows], pa.int8())
    columns["phrase"] = pa.array([place for _, _, _, place in rows], pa.int8())
    return pa.table(columns)


def _place(item: SeenObject, phrases: Sequence[Phrase]) -> int:
    """The place of the phrase that shares most characters with the words that name an object; -1 for none."""
    if item.phrase is None:
        return -1
    start, end = item.phrase
    shared = [
        min(end, phrase.end) - max(start, phrase.start) if phrase.start >= 0 and phrase.kind != "relation" else 0
        for phrase in phrases
    ]
    return shared.index(max(shared)) if shared and max(shared) > 0 else -1
