"""Intervals of means, differences and areas: known values, groups as the unit, and coverage near the border."""

import numpy as np
import pytest
from scipy import stats

from tipai_jax.metrics import difference_by_group, mean_by_group, roc_auc, roc_auc_by_group
from tipai_jax.metrics.intervals import share_of_the_others, spread_of


def exact(hits, trials):
    """Clopper and Pearson's interval, from scipy."""
    return tuple(stats.binomtest(hits, trials).proportion_ci(0.95, "exact"))


def test_a_proportion_of_single_examples_is_near_the_exact_interval():
    values = np.repeat([1.0, 0.0], [380, 20])
    found = mean_by_group(values, np.arange(400))
    lo, hi = exact(380, 400)
    assert found.lo == pytest.approx(lo, abs=0.004) and found.hi == pytest.approx(hi, abs=0.004)
    assert found.lo < lo and found.hi > hi  # the variance was estimated, so it is a little wider


def test_without_a_miss_the_ends_are_the_exact_ones_of_so_many_groups():
    assert mean_by_group(np.ones(120), np.arange(120) // 2) == pytest.approx(exact(60, 60))
    assert mean_by_group(np.zeros(120), np.arange(120) // 2) == pytest.approx(exact(0, 60))
    lo, hi = mean_by_group(np.full(120, 0.5), np.arange(120) // 2)  # a share of other groups may not have been seen
    assert hi - 0.5 == pytest.approx(0.5 - lo) == pytest.approx(0.5 * exact(0, 60)[1])
    lo, hi = difference_by_group(np.ones(120), np.ones(120), np.arange(120) // 2)
    assert (-lo, hi) == pytest.approx((exact(0, 60)[1],) * 2)
    assert mean_by_group(np.ones(9), np.zeros(9)) == (0.0, 1.0)


def test_the_group_is_the_unit():
    """Ten copies of an example know no more than one."""
    rng = np.random.default_rng(0)
    values, groups = rng.random(60), np.arange(60)
    assert mean_by_group(np.repeat(values, 10), np.repeat(groups, 10)) == pytest.approx(mean_by_group(values, groups))
    normal = 1.96 * values.std(ddof=1) / np.sqrt(60)
    lo, hi = mean_by_group(values, groups)
    assert (hi - lo) / 2 == pytest.approx(normal, rel=0.1)
    score, label = rng.random(60), np.arange(60) % 2
    tenfold = roc_auc_by_group(np.repeat(score, 10), np.repeat(label, 10), np.repeat(groups, 10))
    assert tenfold == pytest.approx(roc_auc_by_group(score, label, groups), abs=1e-9)


def test_names_and_nan_and_values_that_cannot_be():
    values, groups = np.random.default_rng(0).random(80), np.arange(80) // 2
    names = np.array([f"prompt {g:03d}" for g in groups])
    assert mean_by_group(values, names) == mean_by_group(values, groups)
    holed = np.concatenate([values, [np.nan, np.nan]])
    assert mean_by_group(holed, np.concatenate([groups, [3, 99]])) == mean_by_group(values, groups)
    assert np.isnan(mean_by_group(np.array([np.nan]), np.array([0]))).all()
    with pytest.raises(ValueError, match=r"expected 0\.0 to 1\.0"):
        mean_by_group(values - 1, groups)
    wide = mean_by_group(2 * values - 1, groups, within=(-1.0, 1.0))
    assert wide == pytest.approx([2 * end - 1 for end in mean_by_group(values, groups)])


def test_a_paired_difference_sees_what_single_intervals_do_not():
    rng = np.random.default_rng(1)
    groups = np.arange(300)
    theirs = (rng.random(300) < 0.8).astype(np.float64)
    ours = np.where(rng.random(300) < 0.05, 1.0, theirs)
    assert mean_by_group(ours, groups).lo < mean_by_group(theirs, groups).hi
    assert difference_by_group(ours + 0.0, theirs, groups).hi < 0.05
    ours[np.flatnonzero(theirs == 0)[:12]] = 1.0
    assert difference_by_group(ours, theirs, groups).lo > 0


def test_few_groups_with_all_the_variance_have_few_degrees_of_freedom():
    index = np.arange(100)
    away = np.where(index < 4, 24.0, -1.0) / 100
    spread = spread_of(away, index, 100)
    assert spread.freedom == pytest.approx(2 / (4 * 24**4 + 96) * (4 * 24**2 + 96) ** 2, rel=0.1)
    assert 6 < spread.freedom < 12 and spread.groups == 100
    assert spread_of(np.random.default_rng(0).normal(size=100), index, 100).freedom > 60


def delong_variance(score, label):
    """DeLong's variance of a ROC area, by the textbook's loop."""
    hits, misses = score[label == 1], score[label == 0]
    wins = (hits[:, None] > misses) + 0.5 * (hits[:, None] == misses)
    return wins.mean(1).var(ddof=1) / len(hits) + wins.mean(0).var(ddof=1) / len(misses)


def test_the_variance_of_an_area_is_delong_s_where_every_group_is_one_example():
    rng = np.random.default_rng(3)
    label = (rng.random(500) < 0.4).astype(np.int8)
    score = np.round(rng.normal(size=500) + label, 1)
    beaten = share_of_the_others(score, label == 1)
    assert beaten[label == 1].mean() == pytest.approx(roc_auc(score, label))
    lo, hi = roc_auc_by_group(score, label, np.arange(500))
    assert (hi - lo) / 2 == pytest.approx(1.96 * np.sqrt(delong_variance(score, label)), rel=0.05)


def test_an_area_needs_both_kinds_and_leaves_unknown_ones_out():
    score, label, groups = np.random.default_rng(0).random((40, 3)), np.ones((40, 3), np.int8), np.arange(40)
    assert np.isnan(roc_auc_by_group(score, label, groups)).all()
    label[:20] = 0
    label[::4, 1] = -1
    known = label >= 0
    flat = roc_auc_by_group(score[known], label[known], np.broadcast_to(groups[:, None], label.shape)[known])
    assert roc_auc_by_group(score, label, groups) == flat
    lo, hi = roc_auc_by_group(label.astype(np.float64), label, groups)
    assert hi == 1.0 and lo == pytest.approx(exact(20, 20)[0])  # twenty groups hold positives


def grouped(groups, rng):
    """Two to six examples a group."""
    return np.repeat(np.arange(groups), rng.integers(2, 7, size=groups))


def shares(truth, group, alike, rng):
    """Examples of 0 and 1 with that mean; `alike` is the correlation within a group."""
    count = group[-1] + 1
    if truth == 1:
        return np.ones(len(group))
    if alike == 1:
        return (rng.random(count) < truth)[group] * 1.0
    spread = 1 / alike - 1
    return (rng.random(len(group)) < rng.beta(truth * spread, (1 - truth) * spread, size=count)[group]) * 1.0


@pytest.mark.parametrize("groups", [20, 60, 400])
@pytest.mark.parametrize("truth", [0.9, 0.97, 0.995, 1.0])
def test_a_pair_auc_is_covered(truth, groups):
    rng, repeats = np.random.default_rng(groups), 500
    for alike in (0.3, 1.0):
        inside = 0
        for _ in range(repeats):
            group = grouped(groups, rng)
            lo, hi = mean_by_group(shares(truth, group, alike, rng), group)
            inside += lo <= truth <= hi
        assert inside / repeats >= 0.93, alike


@pytest.mark.parametrize("groups", [20, 60, 400])
@pytest.mark.parametrize("truth", [0.9, 0.97, 0.995, 1.0])
def test_a_roc_area_is_covered(truth, groups):
    rng, repeats, inside = np.random.default_rng(groups), 300, 0
    gap = stats.norm.ppf(truth) * np.sqrt(2) if truth < 1 else 50.0
    for _ in range(repeats):
        group = grouped(groups, rng)
        label = (rng.random(len(group)) < 0.4).astype(np.int8)
        score = gap * label + (rng.normal(size=groups)[group] + rng.normal(size=len(group))) / np.sqrt(2)
        lo, hi = roc_auc_by_group(score, label, group)
        inside += lo <= truth <= hi
    assert inside / repeats >= 0.93


@pytest.mark.parametrize("groups", [20, 60, 400])
@pytest.mark.parametrize(("better", "worse"), [(0.05, 0.02), (0.02, 0.02), (0.1, 0.05), (0.01, 0.003)])
def test_a_paired_difference_is_covered(better, worse, groups):
    """`better` and `worse`: shares of examples that only we, only they get right, more often in some groups."""
    rng, repeats, inside = np.random.default_rng(groups), 300, 0
    for _ in range(repeats):
        group = grouped(groups, rng)
        often = np.minimum(rng.gamma(1.0, 1.0, size=groups), 4.0)[group] / (1 - np.exp(-4.0))
        drawn = rng.random(len(group))
        ours, theirs = drawn < better * often, (drawn > 0.5) & (drawn < 0.5 + worse * often)
        lo, hi = difference_by_group(ours, theirs, group)
        inside += lo <= better - worse <= hi
    assert inside / repeats >= 0.93
