import numpy as np
import pyarrow as pa
import pytest

from tipai_jax.errors import UserError
from tipai_jax.store.columns import read_table, table_bytes

TABLE = pa.table({"id": [f"row {i}" for i in range(500)], "value": np.random.default_rng(0).normal(size=500)})


def test_round_trip_and_equal_bytes(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(table_bytes(TABLE))
    assert read_table(path).equals(TABLE)
    again = pa.table({name: TABLE[name].to_pylist() for name in TABLE.column_names})
    assert table_bytes(again) == path.read_bytes()


def test_flipped_bits_in_pages_are_loud(tmp_path):
    data = table_bytes(TABLE)
    path = tmp_path / "t.parquet"
    rng = np.random.default_rng(1)
    for position in rng.integers(100, len(data) // 2, 30):  # among the pages of values
        flipped = bytearray(data)
        flipped[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            same = read_table(path).equals(TABLE)  # a bit of a statistic in a header changes no value
        except UserError as error:
            assert str(path) in str(error)
            continue
        assert same


def test_missing_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"t\.parquet: the file is missing"):
        read_table(tmp_path / "t.parquet")


def test_an_error_without_words_is_one_line_too(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError

    monkeypatch.setattr("pyarrow.parquet.ParquetFile", fail)
    with pytest.raises(UserError, match=r"t\.parquet: not a readable parquet file \(OSError\); delete the store"):
        read_table(tmp_path / "t.parquet")
