"""The mask is where objects are, right or wrong, of those pairs whose objects are known."""

import dataclasses

import numpy as np
import pytest
from synthetic_store import write_store

from tipai_jax.evaluation.baselines import object_mask
from tipai_jax.store import object_cells
from tipai_jax.store.manifest import Manifest
from tipai_jax.store.tables import ObjectTable


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Objects of the pairs 3 and 7: two in the chosen image of 7, one in its rejected one, one in the chosen of 3."""
    made = write_store(tmp_path)
    rows = [
        (7, 1, (0, 0, 1 / 7, 1 / 7)),
        (3, 0, (0, 0, 1, 1 / 7)),
        (7, 0, (5 / 7, 5 / 7, 1, 1)),
        (7, 0, (0, 0, 0.5, 0.5)),
    ]
    pair, side, corners = zip(*rows)
    x1, y1, x2, y2 = np.array(corners, np.float64).T
    whole = np.zeros(len(rows), np.int8)
    names = np.array(["cat"] * len(rows), object)
    made.__dict__["objects"] = ObjectTable(
        pair=np.array(pair), side=np.array(side), name=names, attributes=names, x1=x1, y1=y1, x2=x2, y2=y2, wrong=whole,
        named=whole, phrase=whole,
    )  # fmt: skip
    plain = Manifest.of_table
    some = lambda self, name: plain(self, "pairs" if name == "objects" else name)
    monkeypatch.setattr(Manifest, "of_table", some)
    return made


def test_the_mask_by_hand(store):
    pairs = store.pairs.select(np.array([9, 7, 3]))
    found = object_mask(store, pairs, cells=7)
    assert found is not None and found[0].tolist() == [1, 2], "nobody knows the objects of pair 9"
    wanted = np.zeros((2, 2, 7, 7))
    wanted[0, 1, 0, 0] = 1
    wanted[0, 0, 5:, 5:] = 1
    wanted[0, 0, :4, :4] = 1
    wanted[0, 0, 3, 3] = 1  # half of it in either direction, a quarter of its area: just covered
    wanted[1, 0, 0] = 1
    np.testing.assert_array_equal(found[1].reshape(2, 2, 7, 7), wanted)
    fine = object_mask(store, pairs, cells=14)
    assert fine is not None and fine[1].shape == (2, 2, 196)
    assert fine[1][0, 0].sum() == 7 * 7 + 4 * 4


def test_the_cells_of_right_objects_alone(store):
    pairs = store.pairs.select(np.array([9, 7, 3]))
    store.__dict__["objects"] = dataclasses.replace(store.objects, wrong=np.array([1, 0, -1, 0], np.int8))
    found = object_cells(store, pairs, cells=7, right=True).reshape(3, 2, 7, 7)
    assert found.sum(axis=(2, 3)).tolist() == [[0, 0], [16, 0], [7, 0]], "one is wrong, of one nothing is known"
    assert found[1, 0, :4, :4].all() and found[2, 0, 0].all()


def test_where_no_objects_are_known_there_is_no_mask(store, tmp_path):
    assert object_mask(store, store.pairs.select(np.array([1, 2])), cells=7) is None
    assert object_mask(store, store.pairs.select(np.zeros(0, np.int64)), cells=7) is None


def test_a_store_without_objects(tmp_path):
    made = write_store(tmp_path)
    assert object_mask(made, made.pairs, cells=7) is None
