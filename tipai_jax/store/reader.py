"""Opening a finished store: arrays as memory maps, tables as numpy columns.

(Hashes are the business of `verify`, which reads everything.)
"""

import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tipai_jax.errors import UserError
from tipai_jax.store.blocks import map_block
from tipai_jax.store.columns import read_table
from tipai_jax.store.manifest import Manifest, Shard, load_manifest
from tipai_jax.store.pairs import PairTable, from_arrow
from tipai_jax.store.patches import view_box
from tipai_jax.store.sharded_array import ShardedArray
from tipai_jax.store.tables import (
    ImageTable,
    ObjectTable,
    PhraseTable,
    PromptTable,
    RejectTable,
    image_table,
    object_table,
    phrase_table,
    prompt_table,
)
from tipai_jax.store.writer import SOURCE

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Store", "noted_folder", "open_store", "read_prompts"]

_ANEW = "delete the store and embed again"
_EARLIER = {"truncated": "chunked", "unknown_words": "unknown_tokens"}
"""Columns of prompts by the names that earlier versions wrote, and the present ones."""


class Store:
    """A finished store, read-only.

    The tables of pairs of images have names and types here; `columns` and `array` read any table that a store holds.

    Attributes:
        path: its folder.
        manifest: what it says of itself.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @cached_property
    def text(self) -> ShardedArray:
        """f16[prompts, d], L2 norm 1."""
        return self._embeddings("prompts", "text", (self.manifest.encoder.d,))

    @cached_property
    def image(self) -> ShardedArray:
        """f16[images, d], L2 norm 1."""
        return self._embeddings("images", "image", (self.manifest.encoder.d,))

    @cached_property
    def patches(self) -> ShardedArray:
        """f16[images, k, d], L2 norm 1, row-major from the top left."""
        return self._embeddings("images", "patches", (self.manifest.encoder.k, self.manifest.encoder.d))

    @cached_property
    def prompts(self) -> PromptTable:
        """The table of prompts; without phrases in a store of an earlier version."""
        return prompt_table(self._table("prompts"))

    @cached_property
    def images(self) -> ImageTable:
        """The table of images."""
        return image_table(self._table("images"))

    @cached_property
    def phrases(self) -> PhraseTable:
        """The table of phrases.

        Raises:
            UserError: the store was embedded by a version that knew none.
        """
        self._check_phrases()
        return phrase_table(self._table("phrases"))

    @cached_property
    def phrase_text(self) -> ShardedArray:
        """f16[phrases, d], L2 norm 1: each phrase in the singular, with its attributes; errors as of `phrases`."""
        self._check_phrases()
        return self._embeddings("phrases", "text", (self.manifest.encoder.d,))

    @cached_property
    def phrase_bare(self) -> ShardedArray:
        """f16[phrases, d], L2 norm 1: each phrase without its attributes; errors as of `phrases`."""
        self._check_phrases()
        return self._embeddings("phrases", "bare", (self.manifest.encoder.d,))

    @cached_property
    def objects(self) -> ObjectTable:
        """The table of objects.

        Raises:
            UserError: the data did not say which objects their images show.
        """
        if not self.manifest.of_table("objects"):
            raise UserError(
                f"{self.path}: the data say of no image which objects it shows; add `objects` to pairs.jsonl"
                " (docs/data-format.md) and embed the data again into a new folder"
            )
        return object_table(self._table("objects"))

    @cached_property
    def rejects(self) -> RejectTable:
        """The table of rejected rows."""
        return RejectTable(**self.columns("rejects"))

    @cached_property
    def pairs(self) -> PairTable:
        """The table of pairs, all splits."""
        try:
            return from_arrow(self._table("pairs"))
        except KeyError as error:
            raise UserError(
                f"{self.path / 'pairs'}: column {error} is missing; embed the data again into a new folder"
            ) from None

    def columns(self, table: str) -> dict[str, np.ndarray]:
        """The columns of a table, each of as many rows as all its shards together; nothing is kept.

        Args:
            table: the name it was written under (`StoreWriter.commit`).

        Raises:
            UserError: the store has no such table, or a file of it is damaged.
        """
        read = self._table(table)
        return {name: read.column(name).to_numpy() for name in read.column_names}

    def array(self, table: str, name: str) -> ShardedArray:
        """An array that lies beside a table; row i belongs to row i of the table's columns.

        Raises:
            UserError: the store has no such table, the table no such array, or a file of it is damaged.
        """
        parts: list[np.ndarray] = []
        for shard in self._shards(table):
            file = f"{table}/{shard.index:05d}.safetensors"
            found = map_block(self.path / file) if file in shard.files else {}
            if name not in found:
                raise UserError(f"{self.path / file}: no array {name!r} (there: {_listed(found)}); {_ANEW}")
            part = found[name]
            row = (parts or [part])[0]
            if part.shape != (shard.rows, *row.shape[1:]) or part.dtype != row.dtype:
                raise UserError(
                    f"{self.path / file}: expected {name} {row.dtype.name}{[shard.rows, *row.shape[1:]]}, found"
                    f" {part.dtype.name}{[*part.shape]}; {_ANEW}"
                )
            parts.append(part)
        return ShardedArray(parts)

    @cached_property
    def data_folder(self) -> Path | None:
        """Where the images lay when they were embedded, if it is still there; None otherwise."""
        return noted_folder(self.path, "data")

    def image_path(self, row: int) -> Path:
        """The file of an image.

        Raises:
            UserError: the data are no longer where they were, or the store was made from something without files.
        """
        if self.data_folder is None:
            raise UserError(
                f"{self.path}: no folder of images is known (moved, or embedded from TFDS); put the data back where"
                " it was embedded from"
            )
        path = self.data_folder / str(self.images.path[row])
        if not path.is_file():
            raise UserError(
                f"{path}: the image is not there any more; put it back, or make the store again from the present data"
            )
        return path

    def view_box(self, row: int) -> tuple[float, float, float, float]:
        """The part of an image that the encoder saw and boxes refer to, in pixels: left, top, right, bottom."""
        encoder = self.manifest.encoder
        return view_box(
            int(self.images.width[row]), int(self.images.height[row]), view=encoder.view, share=encoder.view_share
        )

    def _check_phrases(self) -> None:
        if not self.manifest.of_table("phrases"):
            raise UserError(
                f"{self.path}: the store holds no phrases of its prompts, for an earlier version embedded it; embed the"
                " data again into a new folder"
            )

    def _shards(self, table: str) -> list[Shard]:
        if shards := self.manifest.of_table(table):
            return shards
        there = _listed(shard.table for shard in self.manifest.shards)
        raise UserError(f"{self.path}: no table {table!r} (there: {there}); make a store that has it")

    def _table(self, table: str) -> "pyarrow.Table":
        import pyarrow as pa

        read = read_prompts if table == "prompts" else read_table
        shards = self._shards(table)
        return pa.concat_tables([read(self.path / f"{table}/{shard.index:05d}.parquet") for shard in shards])

    def _embeddings(self, table: str, name: str, row: tuple[int, ...]) -> ShardedArray:
        rows = self.array(table, name)
        if rows.shape[1:] != row or rows.dtype != np.float16:
            raise UserError(
                f"{self.path / table}: expected rows of {name} float16{[*row]}, found"
                f" {rows.dtype.name}{[*rows.shape[1:]]}; {_ANEW}"
            )
        return rows


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names))) or "nothing"


def read_prompts(path: Path) -> "pyarrow.Table":
    """The columns of a shard of prompts as `PromptTable` names them, whichever version wrote it.

    Raises:
        UserError: the file is missing or damaged.
    """
    table = read_table(path)
    return table.rename_columns([_EARLIER.get(name, name) for name in table.column_names])


def noted_folder(store: Path, name: str) -> Path | None:
    """A folder that a store was embedded from, as noted relative to it when it was.

    Args:
        store: the folder of the store.
        name: "data" for that of the images, "encoder" for that of an encoder in a local folder.

    Returns:
        The folder; None if it was not noted or is not there any more.
    """
    try:
        noted = json.loads((store / SOURCE).read_bytes()).get(name)
    except (OSError, ValueError, AttributeError):
        return None
    folder = (store / noted).resolve() if isinstance(noted, str) and noted else None
    return folder if folder is not None and folder.is_dir() else None


def open_store(path: str | Path) -> Store:
    """Open a finished store.

    Raises:
        UserError: it is not there, not finished, altered, or a file is missing or has another size.
    """
    folder = Path(path)
    manifest = load_manifest(folder)
    for shard in manifest.shards:
        for name, entry in shard.files.items():
            try:
                size = (folder / name).stat().st_size
            except FileNotFoundError:
                raise UserError(
                    f"{folder / name}: the file is missing from the store; run the embed command again"
                ) from None
            if size != entry["bytes"]:
                raise UserError(
                    f"{folder / name}: {size} bytes, the manifest says {entry['bytes']}; run the embed command again"
                )
    return Store(folder, manifest)
