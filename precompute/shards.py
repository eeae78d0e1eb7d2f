"""Division of a data set into shards of unique prompts, phrases and images, and which of them are committed.

Shards depend on the data alone, so any worker, now or after a kill, makes the same ones. Images are opened only to
check whether they have changed since they were embedded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from precompute.readers.records import Source
from tipai_jax.files.atomic import canonical_json, sha256_bytes
from tipai_jax.store import Shard
from tipai_jax.store.columns import read_table
from tipai_jax.store.manifest import MANIFEST, load_manifest
from tipai_jax.store.writer import StoreWriter

if TYPE_CHECKING:
    from precompute.phrase_rows import PhraseEntry

__all__ = ["Work", "committed_shard", "cut_shards", "unique_keys", "unknown_column"]


@dataclass(frozen=True)
class Work:
    """One shard to be embedded.

    Attributes:
        table: `prompts`, `phrases` or `images`.
        index: number of the shard.
        keys: the prompts or phrases themselves, or the keys of the images, in order.
        content: digest of the keys (for images with the sizes of the files).
        entries: of phrases, the rows of the table.
    """

    table: str
    index: int
    keys: tuple[str, ...]
    content: str
    entries: tuple["PhraseEntry", ...] = ()


def unique_keys(source: Source) -> dict[str, list[str]]:
    """Every unique prompt, phrase and image of a data set, by table, in order of first appearance; no phrases before
    the prompts were taken apart.
    """
    phrases = {} if source.phrases is None else {"phrases": [entry.phrase for entry in source.phrases.entries]}
    return {
        "prompts": list(dict.fromkeys(record.prompt for record in source.records)),
        **phrases,
        "images": list(dict.fromkeys(key for record in source.records for key in (record.chosen, record.rejected))),
    }


def cut_shards(source: Source, shard_rows: dict[str, int]) -> list[Work]:
    """The shards of a data set, of so many rows for each table, tables in the order of `unique_keys`."""
    works = []
    for table, keys in unique_keys(source).items():
        rows = shard_rows[table]
        for index, start in enumerate(range(0, len(keys), rows)):
            part = tuple(keys[start : start + rows])
            entries = source.phrases.entries[start : start + rows] if table == "phrases" and source.phrases else ()
            named = [[key, source.images[key].size] for key in part] if table == "images" else entries or part
            works.append(Work(table, index, part, sha256_bytes(canonical_json(list(named))), entries))
    return works


def committed_shard(writer: StoreWriter, work: Work, source: Source, *, rehash: bool) -> Shard | None:
    """The committed shard of a work, or None where it has to be embedded.

    An image whose file was written to after the shard is hashed and compared, so that another image of the same size
    and name is noticed.
    """
    shard = writer.committed(work.table, work.index, work.content, rehash=rehash)
    if shard is None or work.table != "images" or source.folder is None:
        return shard
    table = writer.path / f"images/{work.index:05d}.parquet"
    made = table.stat().st_mtime_ns
    touched = [key for key in work.keys if source.images[key].changed_ns > made]
    if touched and not _same(table, touched, source):
        return None
    return shard


def unknown_column(writer: StoreWriter) -> str:
    """The name of the column of unknown tokens: a store that an earlier version finished keeps `unknown_words`, so that
    a repaired shard is the same file.
    """
    finished = (writer.path / MANIFEST).exists()
    earlier = finished and "prompts_with_unknown_words" in load_manifest(writer.path).counts
    return "unknown_words" if earlier else "unknown_tokens"


def _same(table: Path, keys: list[str], source: Source) -> bool:
    columns = read_table(table)
    known = dict(zip(columns.column("image_id").to_pylist(), columns.column("sha256").to_pylist()))
    return all(known.get(key) == sha256_bytes(source.read_image(key)) for key in keys)
