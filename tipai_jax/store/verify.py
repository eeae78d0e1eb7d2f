"""Re-hashing a whole store, because neither memory maps nor checkpoints notice a flipped bit.

python -m tipai_jax.store.verify STORE
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tipai_jax.errors import Parser, UserError, run_main
from tipai_jax.files.atomic import sha256_file
from tipai_jax.store.manifest import Manifest, load_manifest

__all__ = ["damages", "main", "verify"]


def verify(path: str | Path) -> Manifest:
    """Read every file of a store and compare its hash with the manifest.

    Returns:
        The manifest, whose own digest holds too.

    Raises:
        UserError: naming the first file that differs.
    """
    manifest = load_manifest(Path(path))
    for line in damages(Path(path), manifest):
        raise UserError(line)
    return manifest


def damages(folder: Path, manifest: Manifest) -> Iterator[str]:
    """A line for every shard that is not what was written: its first such file, and what to do."""
    for shard in manifest.shards:
        for name, entry in sorted(shard.files.items()):
            if found := _difference(folder / name, entry):
                yield f"{folder / name}: {found}; delete what is left of this file and run the same embed command again"
                break


def _difference(file: Path, entry: dict[str, Any]) -> str:
    """What tells a file from the one that was written, or nothing."""
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return "the file is missing from the store"
    if size != entry["bytes"]:
        return f"{size} bytes, the manifest says {entry['bytes']}"
    return "" if sha256_file(file) == entry["sha256"] else "the content differs from what was written (sha256)"


def main(arguments: list[str] | None = None) -> int:
    """Print a line for every damaged shard, or one that there is none; returns 2 or 0."""
    parser = Parser(
        prog="python -m tipai_jax.store.verify",
        description="Read a store whole and compare every file with what was written.",
    )
    parser.add_argument("store", type=Path, help="folder of a finished store")
    store = parser.parse_args(arguments).store
    manifest = load_manifest(store)
    damaged = False
    for line in damages(store, manifest):
        damaged = True
        print(line)
    if not damaged:
        print(f"{store}: {len(manifest.shards)} shards, all whole")
    return 2 if damaged else 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
