import numpy as np
import pytest

from tipai_jax.store import ShardedArray
from tipai_jax.store.sharded_array import ALIGNMENT

PARTS = [np.arange(n * 6, dtype=np.float16).reshape(n, 2, 3) + 100 * i for i, n in enumerate((4, 1, 5))]
WHOLE = np.concatenate(PARTS)


def test_looks_like_one_array():
    rows = ShardedArray(PARTS)
    assert rows.shape == (10, 2, 3) and rows.dtype == np.float16 and len(rows) == 10
    assert rows.nbytes == WHOLE.nbytes
    np.testing.assert_array_equal(rows.whole(), WHOLE)


@pytest.mark.parametrize("asked", [[9, 0, 4, 4, 3], [[1, 8], [5, 4]], [], 7, list(range(10))[::-1]])
def test_take_equals_indexing(asked):
    asked = np.array(asked, dtype=np.int32)
    taken = ShardedArray(PARTS).take(asked)
    np.testing.assert_array_equal(taken, WHOLE[asked])
    assert taken.shape == (*asked.shape, 2, 3)


def test_take_gives_a_copy():
    rows = ShardedArray(PARTS)
    rows.take(np.array([0]))[:] = -1
    np.testing.assert_array_equal(rows.whole(), WHOLE)


@pytest.mark.parametrize("asked", [[-1], [10]])
def test_out_of_range_is_an_error(asked):
    with pytest.raises(IndexError, match=str(asked[0])):
        ShardedArray(PARTS).take(np.array(asked))


def test_a_mask_is_no_list_of_rows():
    with pytest.raises(IndexError, match="integers"):
        ShardedArray(PARTS).take(np.zeros(10, bool))


def test_shards_must_agree():
    with pytest.raises(ValueError, match="different rows"):
        ShardedArray([PARTS[0], PARTS[1].astype(np.float32)])
    with pytest.raises(ValueError, match="at least one"):
        ShardedArray([])


@pytest.mark.parametrize("rows", [[0], [3, 1, 0], [0] * 11])
def test_what_is_taken_starts_where_xla_takes_it_over(rows):
    assert (
        ShardedArray(PARTS).take(np.array(rows)).ctypes.data % ALIGNMENT == 0
        and ShardedArray(PARTS).whole().ctypes.data % ALIGNMENT == 0
    )
