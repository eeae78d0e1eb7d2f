"""What a store says of itself: the encoder's fingerprint, the plan it is written under, and the manifest.

Nothing in them depends on a clock, a machine's paths or the number of workers, so equal input gives an equal digest.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tipai_jax.errors import UserError
from tipai_jax.files.atomic import canonical_json, sha256_bytes
from tipai_jax.files.nested import flatten

__all__ = [
    "MANIFEST",
    "PLAN",
    "SCHEMA_VERSION",
    "Fingerprint",
    "Manifest",
    "Plan",
    "Shard",
    "load_manifest",
    "load_plan",
]

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
PLAN = "plan.json"


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Which frozen encoder made the numbers, and how.

    Attributes:
        name: `tiny`, a hub id or the last part of a local folder's name; never a path.
        digest: sha256 over weights, configuration, tokenizer, preprocessing, patch mode and dtype.
        d: width of the joint space.
        k: patches an image.
        grid: rows and columns of the patches, row-major from the top left.
        image_size: pixels the encoder sees along a side.
        patches: `dense`, `crops`, `raw` or `tiles`.
        dtype: what the encoder computed in, e.g. `float32`; the store itself holds f16.
        normalised: every stored vector has L2 norm 1 (up to f16).
        small_world_only: the encoder knows drawn scenes only and nothing of photographs.
        logit_scale: the encoder's own factor on cosines (already exponentiated).
        processor: backend of the image preparation, `pil`.
        view: `centre` (a centred square is seen) or `whole` (the image squeezed into a square).
        view_share: side of the centred square as a share of the shorter side.
        files_digest: sha256 over weights, configuration, tokenizer and preprocessing, without patch mode and dtype; ""
            where it is not known, as in stores embedded before it was recorded.
    """

    name: str
    digest: str
    d: int
    k: int
    grid: tuple[int, int]
    image_size: int
    patches: str
    dtype: str
    normalised: bool
    small_world_only: bool
    logit_scale: float
    processor: str
    view: str
    view_share: float
    files_digest: str = ""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Fingerprint":
        """Read the fields back from a JSON value."""
        return cls(**{**value, "grid": tuple(value["grid"])})

    def differences(self, other: "Fingerprint") -> dict[str, tuple[Any, Any]]:
        """The fields in which two fingerprints differ, each with the value here and there.

        `digest` is left out, for it covers others. `files_digest` counts only where both are known.
        """
        found = {}
        for field in dataclasses.fields(self):
            here, there = getattr(self, field.name), getattr(other, field.name)
            unknown = field.name == "files_digest" and not (here and there)
            if here != there and field.name != "digest" and not unknown:
                found[field.name] = here, there
        return found


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a store is being written from; every run that adds to it must agree.

    Attributes:
        encoder: the fingerprint.
        data: identity of the input: kind, sha256, rows, limit; no paths.
        small_world_only: the encoder or the data is the drawn small world.
        micro_batch: rows a forward pass; part of the plan because the last bit of a result depends on it.
        device: `cpu` or `cuda`; likewise.
        shard_rows: rows a shard of each table.
    """

    encoder: Fingerprint
    data: dict[str, Any]
    small_world_only: bool
    micro_batch: int
    device: str
    shard_rows: dict[str, int]
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """A JSON value; `Plan.from_json` reads it back."""
        return _to_json(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Plan":
        """Read what `to_json` wrote."""
        return cls(**{**value, "encoder": Fingerprint.from_json(value["encoder"])})

    def differences(self, other: "Plan") -> list[str]:
        """The fields in which two plans differ, as `field: here, there`."""
        mine, theirs = flatten(self.to_json()), flatten(other.to_json())
        return [
            f"{key}: {mine.get(key)!r}, {theirs.get(key)!r}"
            for key in sorted(mine.keys() | theirs.keys())
            if mine.get(key) != theirs.get(key)
        ]


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One committed part of a table.

    Attributes:
        table: `prompts`, `phrases`, `images`, `pairs`, `objects`, `rejects`, or one that only another task reads.
        index: its place among the shards of the table.
        rows: rows it holds.
        content: digest of what it was asked to hold (the ids in order), to tell a shard of other data apart.
        files: file name (below the store) to {"bytes", "sha256"}.
    """

    table: str
    index: int
    rows: int
    content: str
    files: dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The store in one record.

    Attributes:
        schema_version: version of the layout.
        digest: sha256 of everything below; two stores with equal digests hold equal bytes.
        encoder: the fingerprint.
        data: identity of the input, no paths.
        small_world_only: made with the small encoder or of drawn scenes; says nothing of photographs.
        splits: split name to number of pairs.
        counts: pairs, prompts, images, rejects, prompts_in_chunks, prompts_with_unknown_tokens; of phrases, how many
            different ones there are, and how many of the prompts' words with a meaning (`content_words`) lie in one
            (`content_words_in_phrases`).
        rejects: rows of the input that could not be used.
        reject_reasons: reason to number of rows.
        micro_batch: rows a forward pass.
        device: `cpu` or `cuda`.
        shards: every shard, tables in alphabetical order.
    """

    schema_version: int
    digest: str
    encoder: Fingerprint
    data: dict[str, Any]
    small_world_only: bool
    splits: dict[str, int]
    counts: dict[str, int]
    rejects: int
    reject_reasons: dict[str, int]
    micro_batch: int
    device: str
    shards: tuple[Shard, ...]

    def body(self) -> dict[str, Any]:
        """Everything but the digest, as a JSON value."""
        value = _to_json(self)
        del value["digest"]
        return value

    def with_digest(self) -> "Manifest":
        """The same manifest with the digest of its body."""
        return dataclasses.replace(self, digest=sha256_bytes(canonical_json(self.body())))

    def to_bytes(self) -> bytes:
        """The file: indented JSON, sorted keys."""
        return (json.dumps({**self.body(), "digest": self.digest}, sort_keys=True, indent=1) + "\n").encode()

    def of_table(self, table: str) -> list[Shard]:
        """The shards of a table in order."""
        return sorted((shard for shard in self.shards if shard.table == table), key=lambda shard: shard.index)


def _to_json(record: Plan | Manifest) -> dict[str, Any]:
    """The fields as JSON, without an unknown `files_digest`, so that records made without it keep their digest."""
    value = json.loads(canonical_json(dataclasses.asdict(record)))
    if not value["encoder"]["files_digest"]:
        del value["encoder"]["files_digest"]
    return value


def load_plan(store: Path) -> Plan | None:
    """The plan of a store that was begun, or None.

    Raises:
        UserError: the file is not such a plan.
    """
    path = store / PLAN
    try:
        return Plan.from_json(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not the plan of a store ({error}); delete {store} and embed again, or choose another folder"
        ) from None


def load_manifest(store: Path) -> Manifest:
    """Read `manifest.json` and check its digest.

    Raises:
        UserError: no store there, not finished, another schema version, or altered.
    """
    path = store / MANIFEST
    try:
        value = json.loads(path.read_bytes())
        if value.get("schema_version") != SCHEMA_VERSION:
            raise UserError(
                f"{path}: schema version {value.get('schema_version')!r}, this program reads {SCHEMA_VERSION}; embed"
                " the data again into a new folder"
            )
        shards = tuple(Shard(**shard) for shard in value["shards"])
        manifest = Manifest(**{**value, "encoder": Fingerprint.from_json(value["encoder"]), "shards": shards})
    except FileNotFoundError:
        begun = " (one was begun: run the same embed command again to finish it)" if (store / PLAN).exists() else ""
        raise UserError(
            f"{store}: no finished store here{begun}; make one with: python precompute/embed.py --data FOLDER --out"
            f" {store}"
        ) from None
    except NotADirectoryError:
        raise UserError(f"{store}: expected the folder of a store, found a file") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not the manifest of a store ({error}); embed the data again into a new folder"
        ) from None
    if manifest.with_digest().digest != manifest.digest:
        raise UserError(
            f"{path}: the digest does not match the content, the file was altered; embed the data again into a new"
            " folder"
        )
    return manifest
