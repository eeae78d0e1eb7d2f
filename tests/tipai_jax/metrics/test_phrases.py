"""Named phrases, alternatives and reasons: by hand, against scikit-learn, and what reading the prompt alone gives."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tipai_jax.metrics.phrases import (
    alternative_right,
    macro_f1,
    macro_f1_by_group,
    named_phrase_right,
    named_reason,
    reasons_within_pairs,
)


def test_the_named_phrase():
    offsets = np.array([0, 2, 4, 6, 7, 9])
    kept = np.array([-0.1, -2.0, -0.5, -0.5, -3.0, -0.1, -1.0, -1.0, -2.0])
    label = np.array([1, 0, 0, 1, 1, 0, 0, -1, 0])
    found = named_phrase_right(kept, label, offsets, np.ones(5, bool))
    np.testing.assert_array_equal(found, [1.0, 0.5, 0.0, np.nan, np.nan])  # the last ones: one phrase; one unknown
    found = named_phrase_right(kept, label, offsets, np.array([False, True, False, True, True]))
    np.testing.assert_array_equal(found, [np.nan, 0.5, np.nan, np.nan, np.nan])


def test_the_named_alternative():
    named, truth = np.array(["blue", "green", "red"]), np.array(["blue", "red", ""])
    np.testing.assert_array_equal(alternative_right(named, truth, truth != ""), [1.0, 0.0, np.nan])


def test_the_named_reason():
    probability = np.array([[0.2, 0.7, 0.6], [0.2, 0.3, 0.1], [0.5, 0.1, 0.2]])
    assert named_reason(probability, 0.5).tolist() == [1, -1, 0]


def one_hot(truth, categories=5):
    return (truth[:, None] == np.arange(categories)).astype(np.int8)


def test_where_every_chosen_image_is_clean_it_is_scikit_learn_s():
    rng = np.random.default_rng(0)
    truth, rejected = rng.integers(0, 5, size=300), rng.integers(-1, 5, size=300)
    counts = reasons_within_pairs(np.full(300, -1), rejected, one_hot(truth))
    assert macro_f1(counts) == pytest.approx(f1_score(truth, rejected, labels=range(5), average="macro"))
    assert macro_f1(reasons_within_pairs(np.full(300, -1), truth, one_hot(truth))) == 1.0


def test_pairs_by_hand():
    """Right, named the wrong way round, named in both, named in none, another category; two broken, one named."""
    chosen, rejected = np.array([-1, 0, 0, -1, -1, -1]), np.array([0, -1, 0, -1, 1, 1])
    category = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [1, -1, 0], [1, 1, 0]])
    counts = reasons_within_pairs(chosen, rejected, category)
    assert [each.sum(0).tolist() for each in counts] == [[1, 1, 0], [1, 0, 0], [4, 0, 0]]
    assert macro_f1(counts) == pytest.approx((2 / (2 + 1 + 4) + 1.0) / 2)  # nothing breaks the third
    assert np.isnan(macro_f1(reasons_within_pairs(chosen, rejected, np.zeros((6, 3), np.int8))))


def test_a_head_that_reads_the_prompt_alone_is_never_right():
    """It even knows the category from the prompt, so that its plain macro-F1 over images is 2/3."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, size=4000)
    knows = named_reason(0.9 * one_hot(truth) + 0.05 * rng.random((4000, 5)), 0.5)
    both = np.concatenate([np.full(4000, -1), truth])
    assert f1_score(both, np.tile(knows, 2), labels=range(5), average="macro") == pytest.approx(2 / 3, abs=0.01)
    assert macro_f1(reasons_within_pairs(knows, knows, one_hot(truth))) == 0.0
    for heads in (0.2, 0.5, 0.8):  # and with a coin for each image
        tossed = np.where(rng.random((2, 4000)) < heads, truth, -1)
        found = macro_f1(reasons_within_pairs(*tossed, one_hot(truth)))
        assert found == pytest.approx(2 * heads * (1 - heads) / (1 + 2 * heads * (1 - heads)), abs=0.03)
        assert found < 1 / 3 + 0.02


@pytest.mark.parametrize("groups", [30, 200])
@pytest.mark.parametrize("right", [0.6, 0.9, 0.98])
def test_the_macro_f1_is_covered(right, groups):
    rng = np.random.default_rng(groups)

    def drawn(count):
        group = np.repeat(np.arange(count), 3)
        truth = rng.integers(0, 3, size=count)[group]
        fine = (rng.random(count)[group] < right) | (rng.random(len(group)) < 0.3)
        rejected = np.where(fine, truth, rng.integers(-1, 3, size=len(group)))
        return reasons_within_pairs(np.full(len(group), -1), rejected, one_hot(truth, 3)), group

    whole = macro_f1(drawn(100_000)[0])
    ends = [macro_f1_by_group(*drawn(groups)) for _ in range(200)]
    assert np.mean([lo <= whole <= hi for lo, hi in ends]) >= 0.93


def test_without_a_mistake_there_is_still_an_interval():
    truth, group = np.arange(120) % 3, np.arange(120) // 3
    counts = reasons_within_pairs(np.full(120, -1), truth, one_hot(truth, 3))
    lo, hi = macro_f1_by_group(counts, group)
    assert hi == 1.0 and lo == pytest.approx(0.025 ** (1 / 120))
    empty = reasons_within_pairs(np.full(120, -1), truth, np.zeros((120, 3), np.int8))
    assert np.isnan(macro_f1_by_group(empty, group)).all()
