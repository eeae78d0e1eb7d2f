"""The tables of a store as numpy columns with names; those of the pairs are in `pairs.py`.

Lists of a row become arrays of a fixed width, filled up with -1.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tipai_jax.store.categories import MOST_PHRASES

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "ImageTable",
    "ObjectTable",
    "PhraseTable",
    "PromptTable",
    "RejectTable",
    "image_table",
    "list_column",
    "object_table",
    "padded",
    "phrase_table",
    "prompt_table",
]

PHRASE_LISTS = {
    "phrase": np.dtype(np.int32),
    "phrase_count": np.dtype(np.int8),
    "phrase_start": np.dtype(np.int32),
    "phrase_end": np.dtype(np.int32),
    "phrase_subject": np.dtype(np.int8),
    "phrase_object": np.dtype(np.int8),
}
"""The columns of the prompts that are lists, one entry a phrase."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptTable:
    """Unique prompts; row i belongs to row i of `Store.text`.

    Attributes:
        prompt_id: object[n] of str.
        prompt: object[n] of str.
        n_tokens: i32[n], special tokens included.
        chunked: bool[n]: longer than the encoder reads, so encoded in chunks and averaged (never cut).
        unknown_tokens: i32[n]: tokens outside the encoder's vocabulary.
        phrase: i32[n, 8], rows of `Store.phrases`, in the order of the prompt; -1 where there are fewer, as below.
        phrase_count: i8[n, 8], how many things; 1 where no number is said.
        phrase_start: i32[n, 8], the first character of the phrase in the prompt; -1 if its words do not occur there.
        phrase_end: i32[n, 8], behind its last character.
        phrase_subject: i8[n, 8], what a relation begins at: a place (0..7) among the phrases of this prompt.
        phrase_object: i8[n, 8], what a relation ends at.
    """

    prompt_id: np.ndarray
    prompt: np.ndarray
    n_tokens: np.ndarray
    chunked: np.ndarray
    unknown_tokens: np.ndarray
    phrase: np.ndarray
    phrase_count: np.ndarray
    phrase_start: np.ndarray
    phrase_end: np.ndarray
    phrase_subject: np.ndarray
    phrase_object: np.ndarray

    def __len__(self) -> int:
        return len(self.prompt_id)


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageTable:
    """Unique images; row i belongs to row i of `Store.image` and `Store.patches`.

    Attributes:
        image_id: object[n] of str.
        path: object[n] of str, relative to the folder of the data.
        sha256: object[n] of str, of the file's bytes.
        width: i32[n] pixels, after the orientation of the file was applied.
        height: i32[n].
        generator: object[n] of str, "" when unknown.
        seed: i64[n], -1 when unknown.
        style: object[n] of str, a line of words on how the image is made, "" when unknown.
    """

    image_id: np.ndarray
    path: np.ndarray
    sha256: np.ndarray
    width: np.ndarray
    height: np.ndarray
    generator: np.ndarray
    seed: np.ndarray
    style: np.ndarray

    def __len__(self) -> int:
        return len(self.image_id)


@dataclass(frozen=True, kw_only=True, eq=False)
class RejectTable:
    """Rows of the input that could not be used: where, which and why.

    Attributes:
        row: i64[n], line of the input, counted from 1.
        pair_id: object[n] of str, "" where it could not be read.
        reason: object[n] of str, a short code such as `missing_image`.
        detail: object[n] of str, a sentence.
    """

    row: np.ndarray
    pair_id: np.ndarray
    reason: np.ndarray
    detail: np.ndarray

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, kw_only=True, eq=False)
class PhraseTable:
    """Unique phrases of the prompts; row i belongs to row i of `Store.phrase_text` and `Store.phrase_bare`.

    Attributes:
        phrase_id: object[n] of str.
        phrase: object[n] of str, what is embedded: in the singular, such as "a blue dog"; a relation as its words.
        bare: object[n] of str, without attributes, such as "a dog"; equal to `phrase` where it has none.
        head: object[n] of str, the noun, such as "dog".
        attributes: object[n] of str, with blanks between them, such as "small blue".
        kind: object[n] of str, one of `PHRASE_KINDS`.
    """

    phrase_id: np.ndarray
    phrase: np.ndarray
    bare: np.ndarray
    head: np.ndarray
    attributes: np.ndarray
    kind: np.ndarray

    def __len__(self) -> int:
        return len(self.phrase_id)


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectTable:
    """The objects in the images of the pairs whose data name them all; those outside the encoder's view are left out.

    Attributes:
        pair: i32[n], row of `Store.pairs`, ascending.
        side: i8[n], 0 in the chosen image, 1 in the rejected one.
        name: object[n] of str.
        attributes: object[n] of str, with blanks between them.
        x1: f64[n], fraction 0..1 of the part of the image that the encoder saw, as the boxes of the pairs.
        y1: f64[n], likewise.
        x2: f64[n], exclusive.
        y2: f64[n], exclusive.
        wrong: i8[n], 1 if it breaks the prompt, 0 if not, -1 unknown.
        named: i8[n], 1 if a phrase of the prompt names it, 0 if none does, -1 unknown.
        phrase: i8[n], the place (0..7) of that phrase among those of the prompt, -1 for none.
    """

    pair: np.ndarray
    side: np.ndarray
    name: np.ndarray
    attributes: np.ndarray
    x1: np.ndarray
    y1: np.ndarray
    x2: np.ndarray
    y2: np.ndarray
    wrong: np.ndarray
    named: np.ndarray
    phrase: np.ndarray

    def __len__(self) -> int:
        return len(self.pair)


def prompt_table(table: "pyarrow.Table") -> PromptTable:
    """The table of prompts from its columns; a store of an earlier version has none of phrases."""
    columns = {name: column.to_numpy() for name, column in _columns(table).items() if name not in PHRASE_LISTS}
    for name, dtype in PHRASE_LISTS.items():
        there = name in table.column_names
        columns[name] = padded(table.column(name), dtype) if there else np.full((len(table), MOST_PHRASES), -1, dtype)
    return PromptTable(**columns)


def image_table(table: "pyarrow.Table") -> ImageTable:
    """The table of images from its columns; a store of an earlier version knows no styles."""
    columns = {name: column.to_numpy() for name, column in _columns(table).items()}
    return ImageTable(**{"style": np.full(len(table), "", dtype=object), **columns})


def phrase_table(table: "pyarrow.Table") -> PhraseTable:
    """The table of phrases from its columns."""
    return PhraseTable(**{name: column.to_numpy() for name, column in _columns(table).items()})


def object_table(table: "pyarrow.Table") -> ObjectTable:
    """The table of objects from its columns."""
    return ObjectTable(**{name: column.to_numpy() for name, column in _columns(table).items()})


def padded(column: "pyarrow.ChunkedArray", dtype: np.dtype, *, width: int = MOST_PHRASES) -> np.ndarray:
    """dtype[n, width]: lists of at most `width` numbers, each filled up with -1."""
    lists = column.combine_chunks()
    sizes = np.asarray(lists.value_lengths())
    values = np.full((len(sizes), width), -1, dtype)
    values[np.arange(width) < sizes[:, None]] = lists.flatten().to_numpy(zero_copy_only=False)
    return values


def list_column(values: np.ndarray, sizes: np.ndarray) -> "pyarrow.Array":
    """Lists of so many numbers from the rows of an array, as `padded` reads them back."""
    import pyarrow as pa

    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values[np.arange(values.shape[1]) < sizes[:, None]]))


def _columns(table: "pyarrow.Table") -> dict[str, "pyarrow.ChunkedArray"]:
    return {name: table.column(name) for name in table.column_names}
