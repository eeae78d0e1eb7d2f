"""The guess from the prompt: rates by kind, count and number of phrases, and not a look at an image."""

import dataclasses

import numpy as np
import pytest
from synthetic_store import write_store

from tipai_jax.evaluation.baselines import phrase_rates


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"))


def test_the_rate_of_each_cell_by_a_plain_loop(store):
    """Among the known phrases of pairs that are no controls; rare cells are drawn to the rate of all."""
    train = store.pairs.select(store.pairs.split == "train")
    seen: dict[tuple, list[int]] = {}
    for row in np.flatnonzero(~train.control):
        phrases = [each for each in store.prompts.phrase[train.prompt[row]] if each >= 0]
        for place, each in enumerate(phrases):
            if train.phrase_label[row, place] >= 0:
                cell = (
                    store.phrases.kind[each],
                    int(store.prompts.phrase_count[train.prompt[row], place]),
                    len(phrases),
                )
                seen.setdefault(cell, []).append(int(train.phrase_label[row, place] == 0))
    every = [each for cell in seen.values() for each in cell]
    overall = (sum(every) + 1) / (len(every) + 2)

    rates = phrase_rates(store, train)
    assert rates is not None
    test = store.pairs.select(store.pairs.split == "test")
    logit = rates(store, test)
    np.testing.assert_array_equal(logit[:, 0], logit[:, 1])
    checked = 0
    for row, prompt in enumerate(test.prompt):
        phrases = [each for each in store.prompts.phrase[prompt] if each >= 0]
        for place, each in enumerate(phrases):
            known = seen.get(
                (store.phrases.kind[each], int(store.prompts.phrase_count[prompt, place]), len(phrases)), []
            )
            broken = (sum(known) + 5 * overall) / (len(known) + 5)
            assert logit[row, 0, place] == pytest.approx(np.log((1 - broken) / broken), abs=1e-5)
            checked += 1
    assert checked > 15


def test_data_that_do_not_say_which_phrase_is_broken_have_no_such_guess(store):
    plain = dataclasses.replace(store.pairs, phrase_label=np.full_like(store.pairs.phrase_label, -1))
    assert phrase_rates(store, plain) is None
