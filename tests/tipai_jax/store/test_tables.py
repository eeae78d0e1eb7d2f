"""Lists of a row are read as padded arrays; what an earlier version did not write is filled up."""

import numpy as np
import pyarrow as pa
import pytest

from tipai_jax.store.columns import read_table, table_bytes
from tipai_jax.store.tables import PHRASE_LISTS, image_table, list_column, padded, prompt_table

PLAIN = {"prompt_id": ["x", "y"], "prompt": ["a", "b"], "n_tokens": [3, 3], "chunked": [False, True]}


def test_lists_become_padded_arrays_and_back(tmp_path):
    sizes = np.array([2, 0, 8])
    values = np.where(np.arange(8) < sizes[:, None], np.arange(24).reshape(3, 8), -1).astype(np.int32)
    path = tmp_path / "t.parquet"
    path.write_bytes(table_bytes(pa.table({"phrase": list_column(values, sizes)})))
    column = read_table(path).column("phrase")
    assert column.to_pylist() == [[0, 1], [], list(range(16, 24))]
    read = padded(column, np.dtype(np.int32))
    np.testing.assert_array_equal(read, values)
    assert read.dtype == np.int32
    assert padded(pa.chunked_array([column.chunk(0)] * 2), np.dtype(np.int8)).shape == (6, 8)
    assert padded(column.slice(0, 0), np.dtype(np.int8)).shape == (0, 8)


def test_a_list_that_is_too_long_is_no_store_of_ours():
    with pytest.raises(ValueError, match=r"shape mismatch|cannot assign"):
        padded(pa.chunked_array([[list(range(9))]]), np.dtype(np.int8))


def test_prompts_with_and_without_phrases():
    plain = pa.table({**PLAIN, "unknown_tokens": [0, 0]})
    old = prompt_table(plain)
    for name, dtype in PHRASE_LISTS.items():
        column = getattr(old, name)
        assert column.shape == (2, 8) and column.dtype == dtype and (column == -1).all()
    lists = {name: [[5, 6], [7]] for name in PHRASE_LISTS}
    new = prompt_table(pa.table({**PLAIN, "unknown_tokens": [0, 0], **lists}))
    assert new.phrase_object.dtype == np.int8 and new.phrase[:, :2].tolist() == [[5, 6], [7, -1]]


def test_images_with_and_without_a_style():
    text = {name: ["x", "y"] for name in ("image_id", "path", "sha256", "generator")}
    plain = {**text, **{name: [1, 2] for name in ("width", "height", "seed")}}
    assert image_table(pa.table(plain)).style.tolist() == ["", ""]
    assert image_table(pa.table({**plain, "style": ["flat", ""]})).style.tolist() == ["flat", ""]
