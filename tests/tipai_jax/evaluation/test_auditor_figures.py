"""Figures against numbers worked out by hand and against scikit-learn, on a table small enough to look at."""

import dataclasses

import numpy as np
import pytest
from eval_world import write_store
from sklearn.metrics import roc_auc_score

from tipai_jax.evaluation import figure
from tipai_jax.evaluation.auditor_figures import difference, figures, wins
from tipai_jax.evaluation.calibration import Calibration
from tipai_jax.evaluation.calibrators import Platt, sigmoid
from tipai_jax.evaluation.conformal import Conformal
from tipai_jax.evaluation.figure import MIN_GROUPS
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.store import CATEGORIES

IDENTITY = Calibration(
    global_score=Platt(),
    patch=Platt(),
    reason=dict.fromkeys(CATEGORIES, Platt()),
    worst_patch=Platt(),
    conformal=Conformal((-1.0, 0.5, 2.0, 3.0), (-3.0, -2.0, -0.5, 1.0)),
    risk_threshold=0.5,
    box_reach=0.15,
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    store = write_store(tmp_path_factory.mktemp("store"), splits={"test": 30})
    return store.pairs


@pytest.fixture(scope="module")
def noise(pairs):
    rng = np.random.default_rng(1)
    b = len(pairs)
    patch = rng.normal(size=(b, 2, 49)) + (pairs.patch_label == 1)
    return Predictions(
        global_logit=(rng.normal(size=(b, 2)) + np.array([0.7, 0.0])).astype(np.float32),
        patch_logit=patch.astype(np.float32),
        risk=sigmoid(-patch).astype(np.float32),
        reason_logit=rng.normal(size=(b, 2, 5)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def found(pairs, noise):
    return figures(noise, pairs, calibration=IDENTITY, seed=3)


@pytest.fixture
def few_groups_are_enough(monkeypatch):
    """So that a test can count by hand."""
    monkeypatch.setattr(figure, "MIN_GROUPS", 1)


def test_pair_auc_leaves_controls_out_and_counts_ties_half(pairs):
    real = np.flatnonzero(~pairs.control)
    score = np.zeros((len(pairs), 2), np.float32)  # all tie
    score[real[:10], 0] = 1.0
    score[real[10:15], 1] = 1.0
    score[pairs.control, 1] = 9.0
    found = figures(Predictions(global_logit=score), pairs, calibration=IDENTITY, seed=0)
    assert found["n_examples"] == len(pairs) > len(real)
    wanted = (10 + 0.5 * (len(real) - 15)) / len(real)
    assert found["global_pair_auc"]["value"] == pytest.approx(wanted)
    assert found["global_pair_auc"]["n"] == len(real)
    low, high = found["global_pair_auc"]["ci95"]
    assert low < wanted < high
    assert found["patch_pair_auc"] is None and found["category_roc_auc"] is None and found["heatmap"] is None


@pytest.mark.usefixtures("few_groups_are_enough")
def test_margin_bins_by_hand(pairs):
    """Eight pairs of margins .1 .2 .3 .3 .3 .4 .5 .6: quarters end at .2, .3 and .4, and a bin is closed above: all of
    .3 are in one.
    """
    rows = np.flatnonzero(~pairs.control)[:8]
    few = dataclasses.replace(pairs.select(rows), margin=np.array([0.6, 0.1, 0.3, 0.2, 0.3, 0.5, 0.3, 0.4], np.float32))
    score = np.zeros((8, 2), np.float32)
    score[[1, 2, 0], 0] = 1.0  # .1 and one of .3 and .6 won
    score[[3, 4, 5], 1] = 1.0  # .2, one of .3 and .5 lost, the others tie
    found = figures(Predictions(global_logit=score), few, calibration=IDENTITY, seed=0)["pair_auc_by_margin"]
    assert {name: (figure["value"], figure["n"]) for name, figure in found.items()} == {
        "0.1 to 0.2": (0.5, 2),
        "0.3": (0.5, 3),
        "0.4": (0.5, 1),
        "0.5 to 0.6": (0.5, 2),
    }
    score[3, 1] = 0.0
    again = figures(Predictions(global_logit=score), few, calibration=IDENTITY, seed=0)["pair_auc_by_margin"]
    assert again["0.1 to 0.2"]["value"] == 0.75 and set(again["0.3"]) == {"value", "ci95", "n"}


def test_margins_that_are_equal_or_nearly_so_and_none_at_all(pairs, noise):
    one = figures(noise, pairs, calibration=IDENTITY, seed=0)["pair_auc_by_margin"]
    assert list(one) == ["0.7"] and one["0.7"]["n"] == (~pairs.control).sum()
    near = dataclasses.replace(pairs, margin=np.linspace(0.5, 0.50001, len(pairs), dtype=np.float32))
    found = figures(noise, near, calibration=IDENTITY, seed=0)["pair_auc_by_margin"]
    assert len(found) == 4 and sum(figure["n"] for figure in found.values()) == (~pairs.control).sum()
    controls = pairs.select(pairs.control)
    score = Predictions(global_logit=np.zeros((len(controls), 2), np.float32))
    assert figures(score, controls, calibration=IDENTITY, seed=0)["pair_auc_by_margin"] == {}


@pytest.mark.usefixtures("few_groups_are_enough")
def test_the_parts_add_up(pairs, noise):
    found = figures(noise, pairs, calibration=IDENTITY, seed=0)
    for part in ("pair_auc_by_category", "pair_auc_by_difficulty"):
        entries = found[part].values()
        total = sum(entry["n"] for entry in entries)
        assert total == found["global_pair_auc"]["n"]
        assert sum(entry["n"] * entry["value"] for entry in entries) / total == pytest.approx(
            found["global_pair_auc"]["value"]
        )
    unseen = pairs.unseen & ~pairs.control
    assert found["unseen_combination_pair_auc"]["n"] == unseen.sum()
    assert found["unseen_combination_pair_auc"]["value"] == pytest.approx(wins(noise)[unseen].mean())


def test_patch_auc_is_sklearn_s_over_known_labels(pairs, noise):
    label = pairs.patch_label.copy()
    label[3, 0, :20] = -1
    changed = dataclasses.replace(pairs, patch_label=label)
    found = figures(
        Predictions(global_logit=noise.global_logit, patch_logit=noise.patch_logit),
        changed,
        calibration=IDENTITY,
        seed=0,
    )
    known = label >= 0
    assert found["patch_pair_auc"]["value"] == pytest.approx(
        roc_auc_score(label[known], noise.patch_logit[known]), abs=1e-9
    )
    assert found["patch_pair_auc"]["n"] == known.sum() < label.size
    rejected = known & (np.arange(2) == 1)[None, :, None] & ~pairs.control[:, None, None]
    within = found["patch_pair_auc_within_rejected"]
    assert within["value"] == pytest.approx(roc_auc_score(label[rejected], noise.patch_logit[rejected]), abs=1e-9)


def test_category_auc_is_images_broken_in_it_against_all_others(pairs, noise, found):
    found = found["category_roc_auc"]
    for c, name in enumerate(("object", "attribute", "counting", "spatial", "text")):
        truth = np.zeros((len(pairs), 2), int)
        truth[:, 1] = pairs.category[:, c] == 1
        assert found[name]["value"] == pytest.approx(
            roc_auc_score(truth.ravel(), noise.reason_logit[..., c].ravel()), abs=1e-9
        )
        assert found[name]["n"] == 2 * len(pairs) and found[name]["positives"] == truth.sum()


@pytest.mark.usefixtures("few_groups_are_enough")
def test_within_pairs_the_prompt_earns_nothing(pairs):
    """A reason that knows the category of the prompt and nothing of the image: high against all images, at chance
    within pairs.
    """
    reason = np.repeat(np.where(pairs.category == 1, 1.0, -1.0).astype(np.float32)[:, None], 2, axis=1)
    score = np.zeros((len(pairs), 2), np.float32)
    found = figures(Predictions(global_logit=score, reason_logit=reason), pairs, calibration=IDENTITY, seed=0)
    assert all(figure["value"] > 0.8 for figure in found["category_roc_auc"].values())
    assert all(figure["value"] == 0.5 for figure in found["category_roc_auc_within_pairs"].values())
    reason[:, 1] += 1.0
    better = figures(Predictions(global_logit=score, reason_logit=reason), pairs, calibration=IDENTITY, seed=0)[
        "category_roc_auc_within_pairs"
    ]
    assert all(figure["value"] == 1.0 and figure["n"] == 2 * figure["positives"] for figure in better.values())


def test_ece_by_hand(pairs):
    """All chosen images at 0.8, all rejected ones at 0.4: two bins, each wrong by its distance from 1 and from 0."""
    logit = lambda p: np.log(p / (1 - p))
    score = np.tile(np.array([[logit(0.8), logit(0.4)]], np.float32), (len(pairs), 1))
    found = figures(Predictions(global_logit=score), pairs, calibration=IDENTITY, seed=0)
    wanted = 0.5 * 0.2 + 0.5 * 0.4
    assert found["ece"]["plug_in"] == pytest.approx(wanted, abs=1e-6)
    assert found["ece"]["value"] == pytest.approx(wanted, abs=0.05)
    assert found["ece"]["n"] == 2 * (~pairs.control).sum()
    assert found["ece_equal_mass"]["plug_in"] == pytest.approx(wanted, abs=1e-6)
    perfect = dataclasses.replace(IDENTITY, global_score=Platt(100.0, 0.0))
    calibrated = figures(Predictions(global_logit=score), pairs, calibration=perfect, seed=0)
    assert calibrated["ece"]["value"] < 1e-6 and calibrated["ece_before"]["plug_in"] == pytest.approx(wanted, abs=1e-6)
    assert (
        figures(Predictions(global_logit=score), pairs, calibration=perfect, uncalibrated=False, seed=0)["ece_before"]
        is None
    )


@pytest.mark.usefixtures("few_groups_are_enough")
def test_a_control_that_is_flagged_is_an_alarm(pairs):
    score = np.tile(np.array([[2.0, -2.0]], np.float32), (len(pairs), 1))
    controls = np.flatnonzero(pairs.control)
    score[controls] = 2.0
    score[controls[:2], 1] = -1.0
    control = figures(Predictions(global_logit=score), pairs, calibration=IDENTITY, seed=0)["control"]
    assert control["alarm_rate"]["value"] == pytest.approx(2 / len(controls)) and control["alarm_rate"]["n"] == len(
        controls
    )
    assert control["alarm_rate_faithful"]["value"] == 0.0 and control["alarm_rate_broken"]["value"] == 1.0
    gap = 2 / len(controls) * (1 / (1 + np.exp(-2.0)) - 1 / (1 + np.exp(1.0)))
    assert control["score_gap"]["value"] == pytest.approx(float(gap))


def test_heatmaps_of_the_truth_are_nearly_perfect_and_absent_boxes_have_none(pairs, noise):
    risk = (pairs.patch_label == 0).astype(np.float32)
    found = figures(Predictions(global_logit=noise.global_logit, risk=risk), pairs, calibration=IDENTITY, seed=0)[
        "heatmap"
    ]
    absent = np.array([any(box.absent for box in boxes) for boxes in pairs.boxes])
    assert absent.any()
    assert {entry["n"] for entry in found.values()} == {int((~pairs.control & ~absent).sum())}
    assert found["auc_judd"]["value"] > 0.97 and found["cc"]["value"] > 0.8 and found["dice"]["value"] > 0.85
    assert found["box_overlap"]["value"] == found["pointing_game"]["value"] == 1.0
    only = lambda risk: figures(
        Predictions(global_logit=noise.global_logit, risk=risk), pairs, calibration=IDENTITY, seed=0
    )["heatmap"]
    constant = only(np.full_like(risk, 0.5))
    assert constant["cc"]["value"] == pytest.approx(0.0, abs=1e-9) and constant["auc_judd"]["value"] == pytest.approx(
        0.5
    )
    turned = only(1 - risk)  # what was right must come out wrong
    assert turned["auc_judd"]["value"] < 0.1 and turned["cc"]["value"] < -0.8
    assert turned["pointing_game"]["value"] == 0.0
    beside = np.roll(risk.reshape(-1, 2, 7, 7), 3, axis=-1).reshape(
        risk.shape
    )  # a box at the wrong place touches nothing
    assert only(beside)["box_overlap"]["value"] < 0.2
    assert only(np.zeros_like(risk))["box_overlap"]["value"] == 0.0


def test_the_difference_is_paired(pairs, noise, found):
    again = difference(noise, noise, pairs)
    groups = len(np.unique(pairs.group[~pairs.control]))
    unseen = 1 - 0.025 ** (1 / groups)  # so many other groups may differ, and none of so few would show it
    assert again["value"] == 0.0 and again["ci95"] == pytest.approx([-unseen, unseen])
    chance = Predictions(global_logit=np.zeros((len(pairs), 2), np.float32))
    gap = difference(noise, chance, pairs)
    whole = found["global_pair_auc"]
    assert gap["value"] == pytest.approx(whole["value"] - 0.5)
    np.testing.assert_allclose(gap["ci95"], np.array(whole["ci95"]) - 0.5, atol=0.02)


def test_the_same_twice_and_another_seed_another_interval_where_noise_is_drawn(pairs, noise, found):
    assert figures(noise, pairs, calibration=IDENTITY, seed=3) == found
    other = figures(noise, pairs, calibration=IDENTITY, seed=4)
    assert other["global_pair_auc"] == found["global_pair_auc"]
    assert other["ece"]["plug_in"] == found["ece"]["plug_in"] and other["ece"]["ci95"] != found["ece"]["ci95"]


@pytest.mark.usefixtures("few_groups_are_enough")
def test_conformal_coverage_and_consistency_by_hand(pairs):
    """Thresholds at 0.8 are -1 and 1, so logits between them decide nothing; at 0.95 four examples are too few, and
    there is no figure.
    """
    rows = np.flatnonzero(~pairs.control)[:4]
    few = pairs.select(rows)
    score = np.array([[2.0, -2.0], [0.0, 0.5], [-3.0, 3.0], [1.5, -0.5]], np.float32)
    patch = np.full((4, 2, 49), 1.0, np.float32)
    patch[0, 1, 7] = patch[1, 0, 0] = patch[2, 1, 48] = -1.0
    ours = Predictions(
        global_logit=score,
        patch_logit=patch,
        risk=sigmoid(-patch).astype(np.float32),
        reason_logit=np.zeros((4, 2, 5), np.float32),
    )
    found = figures(ours, few, calibration=IDENTITY, seed=0)
    at = {name: figure["value"] for name, figure in found["conformal"]["0.8"].items()}
    assert at == {
        "coverage": 6 / 8,
        "coverage_keeps": 3 / 4,
        "coverage_breaks": 3 / 4,
        "abstains": 3 / 8,
        "coverage_controls": None,
    }
    assert found["conformal"]["0.95"]["coverage"] == {
        "value": None,
        "ci95": None,
        "n": 8,
        "reason": "fewer than 19 validation images of each kind: too few for a prediction at 95 %",
    }
    # agree: 2 with 1 and -2 with -1; then 0.5 with 1; 1.5 with 1. Not: 0 (kept) with -1, -3 with 1, 3 with -1, -0.5
    # with 1
    assert found["consistency"]["inconsistent_rate"]["value"] == 4 / 8
    assert found["consistency"]["accuracy_consistent"]["value"] == 3 / 4
    assert found["consistency"]["accuracy_inconsistent"]["value"] == 2 / 4


@pytest.mark.usefixtures("few_groups_are_enough")
def test_both_images_of_a_control_keep_their_prompt(pairs):
    """At 0.8 a set holds "keeps" from -1 on."""
    few = pairs.select(np.flatnonzero(pairs.control)[:2])
    assert len(few) == 2
    ours = Predictions(global_logit=np.array([[-2.0, -0.5], [3.0, 0.0]], np.float32))
    figure = figures(ours, few, calibration=IDENTITY, seed=0)["conformal"]["0.8"]
    assert (
        figure["coverage_controls"]["value"] == 3 / 4
        and figure["coverage_controls"]["n"] == 4
        and figure["coverage"]["n"] == 0
    )


def test_a_scorer_without_patches_has_no_consistency(pairs, noise):
    found = figures(Predictions(global_logit=noise.global_logit), pairs, calibration=IDENTITY, seed=0)
    assert found["consistency"] is None and found["conformal"]["0.9"]["coverage"]["n"] > 0


@pytest.mark.parametrize("groups", [MIN_GROUPS - 1, MIN_GROUPS])
def test_a_figure_needs_groups(pairs, noise, groups):
    """A figure of fewer groups is not given and says why; from there on nothing is different."""
    kept = ~pairs.control
    few = np.flatnonzero(kept & np.isin(pairs.group, np.unique(pairs.group[kept])[:groups]))
    ours = Predictions(**{name: each[few] for name, each in vars(noise).items() if each is not None})
    found = figures(ours, pairs.select(few), calibration=IDENTITY, seed=0)
    gap = difference(ours, ours, pairs.select(few))
    measured = [found["global_pair_auc"], found["patch_pair_auc"], found["ece"], gap]
    for one in measured:
        assert one["n"] > 0
        if groups < MIN_GROUPS:
            assert one["value"] is one["ci95"] is None and one["reason"] == "fewer than 10 prompt groups"
        else:
            assert one["value"] is not None and len(one["ci95"]) == 2 and "reason" not in one
