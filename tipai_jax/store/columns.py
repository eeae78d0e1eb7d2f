"""Parquet tables with page checksums on both sides, so that a flipped bit is an error and never a number."""

from pathlib import Path
from typing import TYPE_CHECKING

from tipai_jax.errors import UserError, first_line

if TYPE_CHECKING:
    import pyarrow

__all__ = ["read_table", "table_bytes"]


def table_bytes(table: "pyarrow.Table") -> bytes:
    """The bytes of a parquet file (zstd, page checksums); equal input gives equal bytes under one pyarrow version."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def read_table(path: Path) -> "pyarrow.Table":
    """Read a parquet file and check every page.

    Raises:
        UserError: the file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, page_checksum_verification=True).read()
    except FileNotFoundError:
        raise UserError(f"{path}: the file is missing from the store; run the embed command again") from None
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"{path}: not a readable parquet file ({first_line(error)}); delete the store and embed again"
        ) from None
