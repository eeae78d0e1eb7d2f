"""The table of pairs as numpy columns, and its form on disk."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from tipai_jax.store.categories import CATEGORIES, MOST_PHRASES
from tipai_jax.store.tables import list_column, padded

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Box", "Boxes", "PairTable", "from_arrow", "to_arrow"]


class Box(NamedTuple):
    """What is wrong in a rejected image, and where.

    `x1, y1, x2, y2` are fractions 0..1 of the part of the rejected image that the encoder saw (`Store.view_box`; for a
    square image that is the whole image), `x2, y2` exclusive. `category` is a position in `CATEGORIES`. `absent`: the
    place that a missing object should have had; no pixel is to blame.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    category: int
    absent: bool


@dataclass(frozen=True)
class Boxes(Sequence[tuple[Box, ...]]):
    """The boxes of n pairs: `boxes[i]` is a tuple of `Box`; iteration and length go by pairs.

    Attributes:
        xyxy: f64[m, 4], all boxes, pair after pair.
        category: i8[m].
        absent: bool[m].
        offsets: i64[n + 1]; pair i owns offsets[i]:offsets[i + 1].
    """

    xyxy: np.ndarray
    category: np.ndarray
    absent: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> tuple[Box, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[tuple[Box, ...], ...]: ...

    def __getitem__(self, index: int | slice) -> tuple[Box, ...] | tuple[tuple[Box, ...], ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        i = int(index)
        if not -len(self) <= i < len(self):
            raise IndexError(f"pair {i} of {len(self)}")
        i %= len(self)
        where = slice(self.offsets[i], self.offsets[i + 1])
        columns = self.xyxy[where].tolist(), self.category[where].tolist(), self.absent[where].tolist()
        return tuple(
            Box(x1, y1, x2, y2, category, absent) for (x1, y1, x2, y2), category, absent in zip(*columns, strict=True)
        )

    def __iter__(self) -> Iterator[tuple[Box, ...]]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Boxes):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, field.name), getattr(other, field.name)) for field in dataclasses.fields(self)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def counts(self) -> np.ndarray:
        """i64[n]: boxes a pair, absent ones included."""
        return np.diff(self.offsets)

    def select(self, rows: np.ndarray) -> "Boxes":
        """The boxes of some pairs, in the order of `rows` (integers)."""
        counts = self.counts[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        flat = np.repeat(self.offsets[:-1][rows] - offsets[:-1], counts) + np.arange(offsets[-1])
        return Boxes(xyxy=self.xyxy[flat], category=self.category[flat], absent=self.absent[flat], offsets=offsets)


@dataclass(frozen=True, kw_only=True, eq=False)
class PairTable:
    """n pairs: a prompt, an image that was chosen for it and one that was rejected. Every column has length n.

    A further column of shape [n], of numbers or text, is declared here and nowhere else in the store.

    Attributes:
        pair_id: object[n] of str.
        prompt: i32[n], row of `Store.text` and `Store.prompts`.
        chosen: i32[n], row of `Store.image`, `Store.patches` and `Store.images`.
        rejected: i32[n], likewise.
        chosen_score: f32[n].
        rejected_score: f32[n].
        margin: f32[n], chosen_score - rejected_score, never negative.
        category: i8[n, 5] in the order of `CATEGORIES`: 1 the rejected image fails in it, 0 it does not, -1 unknown.
        patch_label: i8[n, 2, k]: 1 faithful, 0 unfaithful, -1 unknown; [:, 0] chosen, [:, 1] rejected.
        phrase_label: i8[n, 8], aligned with the phrases of the prompt (`PromptTable.phrase`): 1 the rejected image
            keeps it, 0 it breaks it, -1 unknown, and where there are fewer phrases.
        split: str[n], train, validation, test or shift-NAME.
        group: i32[n]; rows of a group stay in one split and are the unit of every interval.
        group_name: object[n] of str.
        difficulty: str[n]: easy, medium, hard or "".
        kind: str[n]: a finer name of what was corrupted, or "".
        control: bool[n]; both images keep the prompt: no margin, no box.
        unseen: bool[n]; an object and colour that training never saw together.
        annotated: bool[n]; somebody looked for unfaithful regions (also when none was found).
        boxes: what is wrong and where, by pair.
    """

    pair_id: np.ndarray
    prompt: np.ndarray
    chosen: np.ndarray
    rejected: np.ndarray
    chosen_score: np.ndarray
    rejected_score: np.ndarray
    margin: np.ndarray
    category: np.ndarray
    patch_label: np.ndarray
    phrase_label: np.ndarray
    split: np.ndarray
    group: np.ndarray
    group_name: np.ndarray
    difficulty: np.ndarray
    kind: np.ndarray
    control: np.ndarray
    unseen: np.ndarray
    annotated: np.ndarray
    boxes: Boxes

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in dataclasses.fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different lengths: {lengths}")

    def __len__(self) -> int:
        return len(self.pair_id)

    def select(self, which: np.ndarray) -> "PairTable":
        """The pairs of a mask bool[n], or of row numbers i[...] in their order."""
        which = np.asarray(which)
        rows = np.flatnonzero(which) if which.dtype == bool else which.astype(np.int64)
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "boxes"}
        return PairTable(**{name: column[rows] for name, column in columns.items()}, boxes=self.boxes.select(rows))


_FIXED = ("split", "difficulty", "kind")  # text of few values: as numpy strings
_PLAIN = tuple(
    field.name
    for field in dataclasses.fields(PairTable)
    if field.name not in ("category", "patch_label", "phrase_label", "boxes")
)


def to_arrow(pairs: PairTable, phrases: np.ndarray | None = None) -> "pyarrow.Table":
    """The columns of a parquet shard; `from_arrow` reads them back.

    Args:
        pairs: the table.
        phrases: i[n], the number of phrases of each pair's prompt, the length of its list of labels; None writes all 8.
    """
    import pyarrow as pa

    text = [name for name in _PLAIN if getattr(pairs, name).dtype.kind in "OU"]
    columns: dict[str, pa.Array] = {name: pa.array(getattr(pairs, name).tolist(), pa.string()) for name in text}
    columns |= {name: pa.array(getattr(pairs, name)) for name in _PLAIN if name not in text}
    for i, name in enumerate(CATEGORIES):
        columns[f"category_{name}"] = pa.array(np.ascontiguousarray(pairs.category[:, i]))
    k = pairs.patch_label.shape[2]
    for i, name in enumerate(("patch_label_chosen", "patch_label_rejected")):
        columns[name] = pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(pairs.patch_label[:, i]).reshape(-1)), k
        )
    offsets = pa.array(pairs.boxes.offsets.astype(np.int32))
    for i, name in enumerate(("x1", "y1", "x2", "y2")):
        columns[f"box_{name}"] = pa.ListArray.from_arrays(
            offsets, pa.array(np.ascontiguousarray(pairs.boxes.xyxy[:, i]))
        )
    columns["box_category"] = pa.ListArray.from_arrays(offsets, pa.array(pairs.boxes.category))
    columns["box_absent"] = pa.ListArray.from_arrays(offsets, pa.array(pairs.boxes.absent))
    phrases = np.full(len(pairs), MOST_PHRASES) if phrases is None else phrases
    columns["phrase_label"] = list_column(pairs.phrase_label, phrases)
    return pa.table(columns)


def from_arrow(table: "pyarrow.Table") -> PairTable:
    """A `PairTable` of the columns that `to_arrow` made.

    Raises:
        KeyError: a column is missing.
    """

    def plain(name: str) -> np.ndarray:
        return table.column(name).to_numpy()

    def flat(name: str) -> np.ndarray:
        return table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)

    columns = {name: plain(name) for name in _PLAIN}
    columns |= {name: columns[name].astype(str) if len(table) else np.zeros(0, "<U1") for name in _FIXED}
    k = table.schema.field("patch_label_chosen").type.list_size
    labels = [flat(name).reshape(len(table), k) for name in ("patch_label_chosen", "patch_label_rejected")]
    sizes = np.asarray(table.column("box_x1").combine_chunks().value_lengths())
    boxes = Boxes(
        xyxy=np.stack([flat(f"box_{name}") for name in ("x1", "y1", "x2", "y2")], axis=1),
        category=flat("box_category"),
        absent=flat("box_absent"),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
    )
    category = np.stack([plain(f"category_{name}") for name in CATEGORIES], axis=1)
    phrase_label = np.full((len(table), MOST_PHRASES), -1, np.int8)  # of an earlier version
    if "phrase_label" in table.column_names:
        phrase_label = padded(table.column("phrase_label"), phrase_label.dtype)
    return PairTable(
        **columns, category=category, patch_label=np.stack(labels, axis=1), phrase_label=phrase_label, boxes=boxes
    )
