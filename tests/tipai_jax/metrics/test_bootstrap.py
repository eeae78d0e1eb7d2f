import time

import numpy as np
import pytest

from tipai_jax.metrics import difference_by_group, mean_by_group, roc_auc, roc_auc_by_group
from tipai_jax.metrics.bootstrap import numbered, percentiles, resamples


def rows(groups=60, per_group=4, seed=0):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), per_group)
    return rng.normal(size=groups)[group] + 0.1 * rng.normal(size=len(group)), group


def recomputed(values, group, statistic, *, seed, n):
    """The interval of any statistic, computed on the rows of each resample: the reference of the fast ones."""
    index, count = numbered(group)
    drawn = np.concatenate(list(resamples(count, seed=seed, n=n)))
    found = [statistic(np.repeat(values, times[index].astype(np.int64), axis=0)) for times in drawn]
    return percentiles(np.array(found, np.float64), 0.95)


def test_fast_means_are_the_recomputed_ones():
    values, group = rows()
    slow = recomputed(values, group, np.mean, seed=3, n=200)
    np.testing.assert_allclose(mean_by_group(values, group, seed=3, n=200), slow, rtol=1e-9)


def test_the_group_is_the_unit():
    """Rows of a group say the same thing, so resampling rows would be twice too sure."""
    values, group = rows()
    lo, hi = mean_by_group(values, group)
    lo_rows, hi_rows = mean_by_group(values, np.arange(len(values)))
    assert hi - lo > 1.7 * (hi_rows - lo_rows)
    standard_error = values.reshape(60, 4).mean(1).std() / np.sqrt(60)
    lo, hi = mean_by_group(values, group, n=8000)
    assert hi - lo == pytest.approx(2 * 1.96 * standard_error, rel=0.05)
    lo, hi = mean_by_group(values, group, n=8000, level=0.9)
    assert hi - lo == pytest.approx(2 * 1.645 * standard_error, rel=0.05)


def test_it_covers_the_truth_about_as_often_as_it_says():
    inside = 0
    for seed in range(100):
        values, group = rows(groups=80, per_group=2, seed=seed)
        lo, hi = mean_by_group(values, group, seed=seed, n=300)
        inside += lo <= 0 <= hi
    assert 85 <= inside <= 100


def test_group_names_may_be_words_and_nan_rows_are_left_out():
    values, group = rows()
    names = np.array([f"prompt {g:03d}" for g in group])
    assert mean_by_group(values, names) == mean_by_group(values, group)
    holed = np.concatenate([values, [np.nan, np.nan]])
    assert mean_by_group(holed, np.concatenate([group, [3, 5]])) == mean_by_group(values, group)
    assert np.isnan(mean_by_group(np.array([np.nan]), np.array([0]))).all()


def test_paired_difference_sees_what_single_intervals_do_not():
    values, group = rows()
    better = values + 0.05 + 0.02 * np.random.default_rng(1).normal(size=len(values))
    assert mean_by_group(better, group).lo < mean_by_group(values, group).hi
    assert difference_by_group(better, values, group).lo > 0


def areas(groups=80, k=9, seed=0, decimals=6):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), 2)
    label = rng.integers(-1, 2, size=(2 * groups, k)).astype(np.int8)
    score = rng.normal(size=label.shape) + 0.7 * (label == 1) + rng.normal(size=groups)[group][:, None]
    return np.round(score, decimals).astype(np.float32), label, group


@pytest.mark.parametrize("decimals", [6, 1])
def test_fast_areas_are_the_recomputed_ones(decimals):
    score, label, group = areas(decimals=decimals)
    both = np.stack([score, label.astype(np.float32)], axis=1)
    slow = recomputed(both, group, lambda v: roc_auc(v[:, 0], v[:, 1]), seed=5, n=200)
    np.testing.assert_allclose(roc_auc_by_group(score, label, group, seed=5, n=200), slow, atol=1e-12)


def test_binned_areas_are_near_the_exact_ones():
    score, label, group = areas(groups=700)
    assert len(np.unique(score)) > 4096
    both = np.stack([score, label.astype(np.float32)], axis=1)
    slow = recomputed(both, group, lambda v: roc_auc(v[:, 0], v[:, 1]), seed=5, n=60)
    np.testing.assert_allclose(roc_auc_by_group(score, label, group, seed=5, n=60), slow, atol=1e-4)


def test_a_resample_with_only_one_kind_is_left_out():
    score, label, group = np.array([0.1, 0.9]), np.array([0, 1]), np.array([0, 1])
    assert roc_auc_by_group(score, label, group, n=50) == (1.0, 1.0)
    assert np.isnan(roc_auc_by_group(score, np.ones(2, int), group, n=50)).all()


def test_speed_on_a_test_split():
    """1,000 resamples of 4,000 pairs, and of 200,000 patches, in seconds of one core."""
    rng = np.random.default_rng(0)
    begun = time.process_time()
    mean_by_group(rng.random(4000), np.arange(4000) // 2)
    assert time.process_time() - begun < 2
    score = rng.random((4000, 49), np.float32)
    begun = time.process_time()
    roc_auc_by_group(score, (rng.random(score.shape) < 0.8).astype(np.int8), np.arange(4000) // 2)
    assert time.process_time() - begun < 20
