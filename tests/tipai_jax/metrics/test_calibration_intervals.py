"""The debiased ECE and the largest gap over sets of examples: coverage, bias, groups as the unit."""

import numpy as np
import pytest
from scipy import stats

from tipai_jax.metrics import ece, ece_by_group, largest_gap_by_group
from tipai_jax.metrics.calibration import bin_of


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


TRUE = {
    "calibrated": lambda p: p,
    "twice too sure": lambda p: sigmoid(0.5 * stats.logistic.ppf(p)),
    "too low": lambda p: sigmoid(stats.logistic.ppf(p) + 0.5),
    "wrong in one bin": lambda p: np.where(p > 14 / 15, p - 0.25, p),
}
"""The share of positives among examples of a probability."""


def alike(groups, rng, each=4):
    """Standard normal numbers, `each` a group, correlated within it."""
    group = np.repeat(np.arange(groups), each)
    return np.sqrt(0.4) * rng.normal(size=groups)[group] + np.sqrt(0.6) * rng.normal(size=len(group)), group


def examples(kind, groups, rng):
    """Probabilities, labels and groups, both alike within a group."""
    probability = sigmoid(2.2 * alike(groups, rng)[0])
    noise, group = alike(groups, rng)
    return probability, (stats.norm.cdf(noise) < TRUE[kind](probability)).astype(np.int8), group


def true_ece(kind):
    probability = sigmoid(2.2 * stats.norm.ppf((np.arange(400_000) + 0.5) / 400_000))
    gaps = np.bincount(bin_of(probability), weights=TRUE[kind](probability) - probability)
    return np.abs(gaps).sum() / len(probability)


@pytest.mark.parametrize("groups", [20, 60, 400])
@pytest.mark.parametrize("kind", list(TRUE))
def test_the_ece_is_covered(kind, groups):
    rng, truth, repeats = np.random.default_rng(groups), true_ece(kind), 60
    inside, values = 0, []
    for _ in range(repeats):
        found = ece_by_group(*examples(kind, groups, rng), n=200)
        inside += found.interval.lo <= truth <= found.interval.hi
        values.append(found.value)
    assert inside / repeats >= 0.93
    plug_in = np.mean([ece(*examples(kind, groups, rng)[:2]).ece for _ in range(repeats)])
    assert abs(np.mean(values) - truth) < (0.4 if kind == "calibrated" else 1.0) * abs(plug_in - truth) + 0.005


def test_the_plug_in_and_the_draws():
    probability, label, group = examples("twice too sure", 500, np.random.default_rng(0))
    found = ece_by_group(probability, label, group, kind="mass")
    assert found.plug_in == pytest.approx(ece(probability, label, kind="mass").ece)
    assert found.interval.lo < found.value < found.plug_in < found.interval.hi
    assert found == ece_by_group(probability, label, group, kind="mass")
    assert (
        ece_by_group(probability, label, group, level=0.8).interval.hi < ece_by_group(probability, label, group)[1].hi
    )


def test_the_group_is_the_unit():
    """Copies know no more: nearly the same interval, where ten times as many examples would have one third of it."""
    probability, label, _ = examples("twice too sure", 100, np.random.default_rng(0))
    groups = np.arange(len(label))
    lo, hi = ece_by_group(probability, label, groups).interval
    copied = ece_by_group(np.repeat(probability, 10), np.repeat(label, 10), np.repeat(groups, 10)).interval
    assert copied.hi - copied.lo == pytest.approx(hi - lo, rel=0.15)


def test_nothing_has_no_error():
    nothing = np.zeros(0)
    assert np.isnan(ece_by_group(nothing, nothing, nothing).value)
    found = largest_gap_by_group(nothing, nothing, np.zeros((0, 3), bool), nothing)
    assert np.isnan(found.value) and found.which == -1 and np.isnan(found.gaps).all()


def in_sets(shift, groups, rng):
    """Probabilities that are too low by `shift` in each of some sets; a group lies in one set."""
    probability = 0.1 + 0.8 * sigmoid(2.2 * alike(groups, rng)[0])
    noise, group = alike(groups, rng)
    place = rng.integers(len(shift), size=groups)[group]
    label = (stats.norm.cdf(noise) < np.clip(probability + np.asarray(shift)[place], 0, 1)).astype(np.int8)
    return probability, label, place[:, None] == np.arange(len(shift)), group


@pytest.mark.parametrize("groups", [60, 400])
@pytest.mark.parametrize("shift", [(0.0,) * 6, (0.1, 0, 0, 0, 0, 0), (0.08, 0.08, -0.08, 0.08, 0.08, -0.08)])
def test_the_largest_gap_is_covered(shift, groups):
    rng, repeats, inside, seen = np.random.default_rng(groups), 80, 0, []
    for _ in range(repeats):
        found = largest_gap_by_group(*in_sets(shift, groups, rng), least=3, n=200)
        inside += found.interval.lo <= max(np.abs(shift)) <= found.interval.hi
        seen.append((found.value, found.plug_in, found.chance <= 0.05))
    assert inside / repeats >= 0.93
    value, plug_in, alarms = np.mean(seen, axis=0)
    if not any(shift):
        assert value < 0.6 * plug_in and alarms <= 0.12


def test_which_set_and_which_are_too_small():
    probability, label, member, group = in_sets((0.0, 0.0, -0.3), 300, np.random.default_rng(0))
    found = largest_gap_by_group(probability, label, member, group)
    assert found.which == 2 and found.gaps[2] == -found.plug_in and found.chance < 0.01
    by_hand = [label[which].mean() - probability[which].mean() for which in member.T]
    np.testing.assert_allclose(found.gaps, by_hand)
    few = member & (np.arange(3) < 2) | (np.cumsum(member[:, 2:], axis=0) <= 20) & member & (np.arange(3) == 2)
    found = largest_gap_by_group(probability, label, few, group)
    assert np.isnan(found.gaps[2]) and found.which in (0, 1)
