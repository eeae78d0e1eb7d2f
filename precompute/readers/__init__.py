"""Data set formats, one per file, read into the records of `records.py`."""

from pathlib import Path

from precompute.readers.records import PairRecord, Reject, Source

__all__ = ["TFDS_PREFIX", "PairRecord", "Reject", "Source", "read_source"]

TFDS_PREFIX = "tfds:"


def read_source(data: str, *, limit: int | None = None, data_dir: str | None = None) -> Source:
    """Read a data set: a folder with `pairs.jsonl` (or that file), or `tfds:NAME`.

    Args:
        data: as given to `--data`.
        limit: read no more than so many pairs.
        data_dir: folder of TFDS data sets; None for that of TFDS.

    Raises:
        UserError: the data set is missing, empty or damaged.
    """
    if data.startswith(TFDS_PREFIX):
        from precompute.readers.tfds import read_tfds

        return read_tfds(data.removeprefix(TFDS_PREFIX), limit=limit, data_dir=data_dir)
    from precompute.readers.pairs import read_pairs

    return read_pairs(Path(data), limit=limit)
