"""The interval of an ECE: coverage of a calibrated scorer, and the correction of the bootstrap's bias."""

import numpy as np
import pytest

from tipai_jax.metrics import ece
from tipai_jax.metrics.ece_bootstrap import ece_by_group

RNG = np.random.default_rng(0)


def test_the_interval_covers_a_calibrated_scorer_s_own_value():
    n = 4000
    probability = RNG.random(n)
    label = (RNG.random(n) < probability).astype(np.int8)
    low, high = ece_by_group(probability, label, np.arange(n) // 2, seed=1)
    value = ece(probability, label).ece
    assert low <= value <= high < 0.05
    assert low >= 0.0
    again = ece_by_group(probability, label, np.arange(n) // 2, seed=1)
    assert (low, high) == tuple(again)


def test_whole_groups_are_drawn():
    """Ten identical rows a group hold no more than one: the interval must not shrink."""
    probability = RNG.random(200)
    label = (RNG.random(200) < 0.5).astype(np.int8)
    groups = np.arange(200)
    single = ece_by_group(probability, label, groups, seed=0)
    tenfold = ece_by_group(np.repeat(probability, 10), np.repeat(label, 10), np.repeat(groups, 10), seed=0)
    assert tenfold.hi - tenfold.lo == pytest.approx(single.hi - single.lo, rel=1e-6)


def test_nothing_has_no_interval():
    nothing = np.zeros(0)
    assert np.isnan(ece_by_group(nothing, nothing, nothing)).all()
