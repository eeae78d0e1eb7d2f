import numpy as np
import pytest
from safetensors.numpy import load_file

from tipai_jax.errors import UserError
from tipai_jax.store.blocks import block_bytes, map_block

ARRAYS = {
    "text": np.arange(12, dtype=np.float16).reshape(3, 4),
    "flag": np.array([1, -1], np.int8),
    "none": np.zeros((0, 5), np.float32),
}


def test_safetensors_reads_it_and_so_do_we(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(block_bytes(ARRAYS, {"table": "prompts"}))
    for read in (load_file(path), map_block(path)):
        assert set(read) == set(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(read[name], array)
            assert read[name].dtype == array.dtype


def test_bytes_repeat_and_data_are_aligned():
    data = block_bytes(ARRAYS, {"b": 1, "a": 2})
    assert data == block_bytes(dict(reversed(ARRAYS.items())), {"a": 2, "b": 1})
    assert (8 + int.from_bytes(data[:8], "little")) % 64 == 0


def test_a_map_is_read_only(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(block_bytes(ARRAYS, {}))
    with pytest.raises(ValueError, match="read-only"):
        map_block(path)["text"][0] = 1


@pytest.mark.parametrize("damage", [b"", b"\xff" * 40, bytes(block_bytes(ARRAYS, {}))[:-40]])
def test_damage_is_one_line(tmp_path, damage):
    path = tmp_path / "a.safetensors"
    path.write_bytes(damage)
    with pytest.raises(UserError, match=r"a\.safetensors: not a readable"):
        map_block(path)
    with pytest.raises(UserError, match="missing"):
        map_block(tmp_path / "b.safetensors")
