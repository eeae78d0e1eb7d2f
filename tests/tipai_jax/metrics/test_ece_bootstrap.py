"""The interval of an ECE: bins, the value against `metrics.ece`, and the correction of the bootstrap's bias."""

import numpy as np
import pytest

from tipai_jax.metrics import ece
from tipai_jax.metrics.ece_bootstrap import bin_of, binned_ece, ece_by_group

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", ["width", "mass"])
@pytest.mark.parametrize("n", [15, 150, 1500])
def test_without_ties_it_is_metrics_ece(kind, n):
    probability = RNG.random(n)
    label = (RNG.random(n) < probability**2).astype(np.int8)
    assert binned_ece(probability, label, kind=kind) == pytest.approx(ece(probability, label, kind=kind).ece, abs=1e-12)


def test_equal_probabilities_share_a_bin_whatever_the_order_of_the_rows():
    probability = np.full(60, 0.5)
    label = np.repeat([1, 0], 30)  # sorted by label: parted by rank this would look like an ECE of one half
    assert len(set(bin_of(probability, kind="mass").tolist())) == 1
    assert binned_ece(probability, label, kind="mass") == pytest.approx(0.0)


def test_bins_by_hand():
    assert bin_of(np.array([0.0, 0.1, 0.2, 0.21, 1.0]), bins=5, kind="width").tolist() == [0, 0, 0, 1, 4]
    assert bin_of(np.array([0.9, 0.1, 0.5, 0.5]), bins=2, kind="mass").tolist() == [1, 0, 1, 1]


def test_the_interval_covers_a_calibrated_scorer_s_own_value():
    n = 4000
    probability = RNG.random(n)
    label = (RNG.random(n) < probability).astype(np.int8)
    low, high = ece_by_group(probability, label, np.arange(n) // 2, seed=1)
    value = binned_ece(probability, label)
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
    assert np.isnan(ece_by_group(nothing, nothing, nothing)).all() and np.isnan(binned_ece(nothing, nothing))
