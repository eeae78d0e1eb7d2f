"""Files that are either whole or not there: write aside, fsync, rename, fsync the folder; and their hashes."""

import hashlib
import json
import os
from pathlib import Path

__all__ = ["TEMPORARY", "canonical_json", "sha256_bytes", "sha256_file", "write_file"]

TEMPORARY = ".part-"  # the mark of a file that is still being written; the process number follows


def canonical_json(value: object) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces, ASCII. Non-finite numbers are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sha256_bytes(data: bytes | bytearray | memoryview) -> str:
    """Hex SHA-256 of bytes in memory."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_file(path: Path, data: bytes | bytearray | memoryview) -> None:
    """Write a file so that after a power cut it is the old one or the new one, never a mixture.

    Rename alone is not durable: the file is synced before it and the folder after it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}{TEMPORARY}{os.getpid()}")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
