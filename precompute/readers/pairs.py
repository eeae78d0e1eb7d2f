"""The project's own format: a folder with `pairs.jsonl` and image files.

An image must be inside the folder, links followed. Terms of use are those of the folder's author (`ATTRIBUTION.md`, if
there is one).
"""

import dataclasses
import json
import os
import stat
from pathlib import Path

from precompute.readers.records import BadRow, ImageFile, PairRecord, Reject, Source, check_together, parse_row
from tipai_jax.errors import UserError
from tipai_jax.files.atomic import sha256_bytes

__all__ = ["is_small_world", "read_pairs"]

PAIRS = "pairs.jsonl"
WORLD = "world.json"
FORMAT = "format: docs/data-format.md"


def is_small_world(folder: Path) -> bool:
    """Whether `world.json` in the folder marks it as drawn scenes only."""
    try:
        world = json.loads((folder / WORLD).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(world, dict) and world.get("small_world_only") is True


def read_pairs(data: Path, *, limit: int | None = None) -> Source:
    """Read a folder with `pairs.jsonl`, or such a file.

    Raises:
        UserError: missing, empty, a line that is no JSON, duplicate ids, a group or a prompt in two splits.
    """
    path = data if data.is_file() else data / PAIRS
    folder = path.parent
    if not data.exists():
        raise UserError(f"{data}: no such folder; --data names one that holds {PAIRS} ({FORMAT})")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: missing; expected one JSON object a line ({FORMAT})") from None
    records: list[PairRecord] = []
    rejects: list[Reject] = []
    files = _Files(folder)
    count = 0
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        if limit is not None and count >= limit:
            break
        count += 1
        try:
            value = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}: line {number} is not JSON ({error}); correct or remove the line") from None
        try:
            record = parse_row(value, number)
            record = dataclasses.replace(record, chosen=files.key(record.chosen), rejected=files.key(record.rejected))
            records.append(record)
            for key, style in zip((record.chosen, record.rejected), record.style):
                files.note_style(key, style)
        except BadRow as bad:
            found = value.get("pair_id") if isinstance(value, dict) else None
            named = found.encode(errors="backslashreplace").decode() if isinstance(found, str) else ""
            rejects.append(Reject(row=number, pair_id=named, reason=bad.reason, detail=str(bad)))
    if not count:
        raise UserError(f"{path}: the file is empty; expected one JSON object a line ({FORMAT})")
    return Source(
        records=check_together(records, str(path)),
        rejects=rejects,
        rows=count,
        identity={"kind": "pairs", "sha256": sha256_bytes(raw), "rows": count, "limit": limit},
        small_world_only=is_small_world(folder),
        images=files.known,
        read_image=lambda key: (folder / key).read_bytes(),
        folder=folder,
    )


class _Files:
    """Image names of a folder; each is checked once."""

    def __init__(self, folder: Path) -> None:
        self.known: dict[str, ImageFile] = {}
        self._folder = folder
        self._root = os.path.realpath(folder)
        self._parents: dict[str, bool] = {}

    def key(self, name: str) -> str:
        """The normal form of a name, if it is that of a file inside the folder."""
        if name in self.known:
            return name
        key = os.path.normpath(name.replace("\\", "/"))
        if key in self.known:
            return key
        if os.path.isabs(key) or key.split(os.sep)[0] == "..":
            raise BadRow("path_outside", f"{name!r} leaves the folder of the data")
        path = os.path.join(self._root, key)
        try:
            entry = os.lstat(path)
            linked = stat.S_ISLNK(entry.st_mode)
            if not self._inside(os.path.dirname(path)) or (linked and not self._within(os.path.realpath(path))):
                raise BadRow("path_outside", f"{name!r} leaves the folder of the data through a link")
            entry = os.stat(path) if linked else entry
        except (OSError, ValueError):
            raise BadRow("missing_image", f"{name!r} does not exist") from None
        if not stat.S_ISREG(entry.st_mode):
            raise BadRow("missing_image", f"{name!r} is not a file")
        if entry.st_size == 0:
            raise BadRow("empty_image", f"{name!r} is empty")
        self.known[key] = ImageFile(size=entry.st_size, changed_ns=entry.st_mtime_ns)
        return key

    def note_style(self, key: str, style: str) -> None:
        """Keep what the first pair says of how an image is made."""
        if style and not self.known[key].style:
            self.known[key] = dataclasses.replace(self.known[key], style=style)

    def _inside(self, parent: str) -> bool:
        if parent not in self._parents:
            self._parents[parent] = self._within(os.path.realpath(parent))
        return self._parents[parent]

    def _within(self, path: str) -> bool:
        return path == self._root or path.startswith(self._root.rstrip(os.sep) + os.sep)
