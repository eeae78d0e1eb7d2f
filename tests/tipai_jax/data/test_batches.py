import jax
import numpy as np
from loop_world import small_store

from tipai_jax.data.batches import gather, host_columns
from tipai_jax.store import box_mask, upsample_matrix


def test_a_batch_holds_what_the_store_says():
    store = small_store()
    pairs = store.pairs
    rows = np.array([3, 140, 7])
    batch = gather(host_columns(store, pairs), rows, np.ones(3, bool))
    np.testing.assert_array_equal(batch.text, store.text.whole()[pairs.prompt[rows]])
    np.testing.assert_array_equal(batch.patches[:, 0], store.patches.whole()[pairs.chosen[rows]])
    np.testing.assert_array_equal(batch.patches[:, 1], store.patches.whole()[pairs.rejected[rows]])
    np.testing.assert_array_equal(batch.image[1, 1], store.image.whole()[pairs.rejected[140]])
    np.testing.assert_array_equal(batch.patch_label, pairs.patch_label[rows])
    assert batch.image.dtype == np.float16 and batch.row.tolist() == [3, 140, 7]
    truth = box_mask(pairs.boxes[3]).astype(np.float64)
    assert batch.mask_area[0] == truth.sum()
    enlarge = upsample_matrix(224).astype(np.float64)
    np.testing.assert_allclose(batch.mask[0], (enlarge.T @ truth @ enlarge).reshape(-1), rtol=1e-5)


def test_nothing_to_blame_is_area_zero():
    store = small_store()
    area = host_columns(store, store.pairs).mask_area
    kinds = np.arange(len(area)) % 10
    assert (area[kinds <= 2] == 0).all() and (area[kinds > 2] > 0).all()  # control, absent only, not annotated


def test_gathering_on_the_device_is_gathering_on_the_host():
    store = small_store()
    host = host_columns(store, store.pairs)
    device = jax.tree.map(jax.numpy.asarray, host_columns_whole(host))
    rows, valid = np.array([[5, 0], [9, 0]]), np.array([[True, True], [True, False]])
    here, there = gather(host, rows, valid), jax.jit(gather)(device, rows, valid)
    for name in here.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name), err_msg=name)


def host_columns_whole(columns):
    return type(columns)(
        **{**columns.__dict__, **{name: getattr(columns, name).whole() for name in ("text", "image", "patches")}}
    )
