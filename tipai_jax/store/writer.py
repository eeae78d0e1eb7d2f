"""Writing a store shard by shard, so that a kill at any moment costs one shard and never a wrong number.

A file without a sidecar does not exist. Workers share nothing but the folder.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tipai_jax.errors import UserError
from tipai_jax.files.atomic import TEMPORARY, canonical_json, sha256_bytes, sha256_file, write_file
from tipai_jax.store.blocks import block_bytes
from tipai_jax.store.columns import table_bytes
from tipai_jax.store.manifest import MANIFEST, PLAN, Manifest, Plan, Shard, load_manifest, load_plan

if TYPE_CHECKING:
    import pyarrow

__all__ = ["SOURCE", "TIMINGS", "StoreWriter"]

TIMINGS = "timings.jsonl"  # seconds a shard; outside the digest
REJECTS = "rejects"  # may be there before the store: a run that stopped at too many rejects leaves the list
SOURCE = "source.json"  # where images and encoder lay when they were embedded; outside the digest


class StoreWriter:
    """One run that adds shards to a store.

    Attributes:
        path: the folder of the store.
        plan: what it is written from.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        """Begin a store, or go on with one of the same plan.

        Raises:
            UserError: the folder holds a store of another plan (the fields that differ are named), or other files.
        """
        self.path = path
        self.plan = plan
        check_plan(path, plan)
        if not (path / PLAN).exists():
            write_file(path / PLAN, json.dumps(plan.to_json(), sort_keys=True, indent=1).encode() + b"\n")

    def committed(self, table: str, index: int, content: str, *, rehash: bool = False) -> Shard | None:
        """The shard if it was committed whole and holds this content, else None: it has to be written (again).

        Args:
            table: name of the folder.
            index: number of the shard.
            content: digest of what it should hold.
            rehash: read the files and compare their hashes too, not only their sizes.
        """
        try:
            shard = Shard(**json.loads(self._sidecar(table, index).read_bytes()))
            if shard.content != content:
                return None
            for name, entry in shard.files.items():
                file = self.path / name
                if file.stat().st_size != entry["bytes"] or (rehash and sha256_file(file) != entry["sha256"]):
                    return None
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None
        return shard

    def commit(
        self,
        table: str,
        index: int,
        *,
        content: str,
        columns: "pyarrow.Table",
        arrays: dict[str, np.ndarray] | None = None,
    ) -> Shard:
        """Write the files of a shard, then its sidecar.

        Args:
            table: name of the folder; `Store.columns` and `Store.array` read any table.
            index: number of the shard.
            content: digest of what was asked for.
            columns: the parquet part.
            arrays: the safetensors part, if the table has one.
        """
        datas: dict[str, bytes | bytearray] = {f"{table}/{index:05d}.parquet": table_bytes(columns)}
        if arrays is not None:
            datas[f"{table}/{index:05d}.safetensors"] = block_bytes(
                arrays, {"table": table, "index": index, "encoder": self.plan.encoder.digest}
            )
        files = {}
        for name, data in datas.items():
            write_file(self.path / name, data)
            files[name] = {"bytes": len(data), "sha256": sha256_bytes(data)}
        shard = Shard(table=table, index=index, rows=columns.num_rows, content=content, files=files)
        write_file(self._sidecar(table, index), canonical_json(shard.__dict__))
        return shard

    def log_timing(self, entry: dict[str, Any]) -> None:
        """Append seconds of a shard to the timings, which are no part of the digest."""
        with (self.path / TIMINGS).open("a") as file:
            file.write(json.dumps(entry, sort_keys=True) + "\n")

    def note_source(self, entry: dict[str, Any]) -> None:
        """Remember where images and encoder lie, relative to the store; no part of the digest."""
        write_file(self.path / SOURCE, json.dumps(entry, sort_keys=True).encode())

    def finish(
        self, shards: list[Shard], *, splits: dict[str, int], counts: dict[str, int], reject_reasons: dict[str, int]
    ) -> Manifest:
        """Write the manifest of a store whose every shard is committed; the same bytes whoever writes it.

        Raises:
            UserError: a finished store was repaired, and is not what it was.
        """
        manifest = Manifest(
            schema_version=self.plan.schema_version,
            digest="",
            encoder=self.plan.encoder,
            data=self.plan.data,
            small_world_only=self.plan.small_world_only,
            splits=splits,
            counts=counts,
            rejects=sum(reject_reasons.values()),
            reject_reasons=reject_reasons,
            micro_batch=self.plan.micro_batch,
            device=self.plan.device,
            shards=tuple(sorted(shards, key=lambda shard: (shard.table, shard.index))),
        ).with_digest()
        if (self.path / MANIFEST).exists() and (was := load_manifest(self.path)).digest != manifest.digest:
            anew = ", ".join(f"{shard.table} {shard.index}" for shard in manifest.shards if shard not in was.shards)
            raise UserError(
                f"{self.path}: what was made again ({anew}) differs from what was there, so the images, a library or"
                " this program changed; delete the store and embed again"
            )
        write_file(self.path / MANIFEST, manifest.to_bytes())
        for table in (
            "prompts",
            "phrases",
            "images",
        ):  # what a killed run left half written; nobody writes these any more
            for left in (self.path / table).glob(f".*{TEMPORARY}*"):
                left.unlink(missing_ok=True)
        return manifest

    def _sidecar(self, table: str, index: int) -> Path:
        return self.path / "commit" / f"{table}-{index:05d}.json"


def check_plan(path: Path, plan: Plan) -> None:
    """Refuse a folder that holds a store of another plan, or something that is no store.

    Raises:
        UserError: with every field that differs.
    """
    if path.is_file():
        raise UserError(f"{path}: expected a folder for the store, found a file; choose another --out")
    there = load_plan(path) if path.exists() else None
    if there is not None and (differing := there.differences(plan)):
        shown = "; ".join(differing[:8])
        raise UserError(
            f"{path}: a store of something else is there ({shown} - there, asked for); choose another --out or"
            " delete it"
        )
    if (
        there is None
        and path.exists()
        and any(not entry.name.startswith(".") and entry.name != REJECTS for entry in path.iterdir())
    ):
        raise UserError(f"{path}: the folder is not empty and not a store; choose another --out")
