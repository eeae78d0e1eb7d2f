"""Prediction sets: the thresholds by hand, coverage on fresh examples, and too few examples."""

import math

import numpy as np
import pytest

from tipai_jax.evaluation.conformal import ABSTAINS, BREAKS, KEEPS, Conformal, examples_needed, fit_conformal

NINE = tuple(float(i) for i in range(1, 10))


def test_thresholds_by_hand():
    """Nine examples: at 0.8 the eighth of ten places decides, counted from the side where the class belongs."""
    conformal = Conformal(keeps=NINE, breaks=tuple(-x for x in reversed(NINE)))
    assert conformal.thresholds(0.8) == (2.0, -2.0)
    assert conformal.thresholds(0.9) == (1.0, -1.0)
    assert conformal.thresholds(0.95) == (-math.inf, math.inf)  # ten examples cannot vouch for that
    logits = np.array([-3.0, -2.0, 0.0, 2.0, 3.0])
    assert conformal.predict(logits, 0.8).tolist() == [BREAKS, BREAKS, ABSTAINS, KEEPS, KEEPS]
    assert conformal.predict(logits, 0.95).tolist() == [ABSTAINS] * 5


def test_a_set_may_hold_both_or_neither_and_both_abstain():
    overlapping = Conformal(keeps=tuple(x - 8.0 for x in NINE), breaks=tuple(x - 2.0 for x in NINE))
    keeps, breaks = overlapping.sets(np.array([-6.5, 0.0, 6.5]), 0.8)
    assert keeps.tolist() == [False, True, True] and breaks.tolist() == [True, True, False]
    apart = Conformal(keeps=NINE, breaks=tuple(-x for x in reversed(NINE)))
    assert [each.tolist() for each in apart.sets(np.array([0.0]), 0.5)] == [[False], [False]]
    assert apart.predict(np.array(0.0), 0.5) == ABSTAINS


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_coverage_of_each_class_on_fresh_examples(level):
    """A scorer that is biased and overconfident is covered all the same."""
    rng = np.random.default_rng(0)

    def draw(n):
        label = (rng.random(n) < 0.7).astype(int)
        return 9.0 * (label * 1.2 + rng.gumbel(size=n)) - 20.0, label

    conformal = fit_conformal(*draw(20_000))
    logit, label = draw(20_000)
    keeps, breaks = conformal.sets(logit, level)
    assert keeps[label == 1].mean() == pytest.approx(level, abs=0.012)
    assert breaks[label == 0].mean() == pytest.approx(level, abs=0.012)


def test_a_level_that_is_none():
    with pytest.raises(ValueError, match=r"level is 1.0; it must lie above 0 and below 1"):
        Conformal(keeps=NINE, breaks=NINE).thresholds(1.0)


@pytest.mark.parametrize(("level", "needed"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_the_examples_that_a_level_needs_are_those_of_a_finite_threshold(level, needed):
    assert examples_needed(level) == needed
    of = lambda n: Conformal(keeps=tuple(map(float, range(n))), breaks=tuple(map(float, range(n))))
    assert np.isfinite(of(needed).thresholds(level)).all() and of(needed).too_few(level) == ""
    assert not np.isfinite(of(needed - 1).thresholds(level)).any()
    assert f"fewer than {needed} validation images of each kind" in of(needed - 1).too_few(level)
    assert Conformal(keeps=NINE, breaks=()).too_few(level)
