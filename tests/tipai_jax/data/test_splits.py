import dataclasses

import numpy as np
import pytest
from loop_world import small_store

from tipai_jax.data.splits import split_pairs
from tipai_jax.errors import UserError
from tipai_jax.store import open_store


def test_a_split_in_the_order_of_the_store():
    pairs = split_pairs(small_store(), "validation")
    assert pairs.pair_id.tolist() == [f"pair-{i}" for i in range(150, 190)]


def other(**columns):
    store = open_store(small_store().path)
    store.pairs = dataclasses.replace(store.pairs, **columns)
    return store


def test_an_empty_split_is_refused():
    with pytest.raises(
        UserError, match=r"no pair in the split 'validation' \(there: train\); .* set `split` in pairs.jsonl"
    ):
        split_pairs(other(split=np.full(200, "train")), "validation")


def test_controls_alone_are_refused():
    with pytest.raises(UserError, match="holds controls only"):
        split_pairs(other(control=np.ones(200, bool)), "train")
