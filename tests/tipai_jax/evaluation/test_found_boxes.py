"""The rule of the boxes: fitted over both images of a pair, and none where nothing says what a box is."""

import dataclasses

import numpy as np
import pytest
from eval_world import write_store

from tipai_jax.evaluation.calibration import fit_calibration
from tipai_jax.evaluation.found_boxes import REACHES, find_boxes, fit_boxes
from tipai_jax.evaluation.predictions import Predictions

EVERY = lambda pairs: np.ones((len(pairs), 2), bool)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"), splits={"validation": 40}).pairs


@pytest.fixture(scope="module")
def risk(pairs):
    """The truth at 0.8 in rejected images; in chosen ones a false alarm of 0.1 to 0.6."""
    rng = np.random.default_rng(0)
    risk = np.zeros((len(pairs), 2, 49), np.float32)
    risk[:, 1] = 0.8 * (pairs.patch_label[:, 1] == 0)
    risk[np.arange(len(pairs)), 0, rng.integers(0, 49, len(pairs))] = rng.uniform(0.1, 0.6, len(pairs))
    return risk


def test_the_rule_leaves_the_false_alarms_of_chosen_images_out(pairs, risk):
    rule = fit_boxes(risk, EVERY(pairs), pairs)
    assert rule is not None and rule.threshold == pytest.approx(0.8) and rule.f1 == 1.0
    assert 0.08 < rule.reach < 0.22, "the true boxes are two cells of seven wide, 0.29"


def test_the_rule_has_the_largest_f1_of_all(pairs, risk):
    """By search; with false alarms as hot as what is right, so that no rule is perfect."""
    noisy = risk.copy()
    noisy[:, 0] *= 1.6
    noisy[::2, 1] *= 0.7
    rule = fit_boxes(noisy, EVERY(pairs), pairs)
    which = np.flatnonzero(pairs.annotated & ~pairs.control)

    def f1(threshold, reach):
        found = find_boxes(noisy, EVERY(pairs), pairs, which, threshold=threshold, reach=reach)
        return 2 * found.right(0.25).sum() / (len(found.risk) + len(found.truth))

    best = max(f1(threshold, reach) for threshold in np.unique(noisy)[1:].tolist() for reach in REACHES)
    assert rule is not None and f1(rule.threshold, rule.reach) == pytest.approx(rule.f1) == pytest.approx(best)
    assert best < 1


def test_only_images_that_break_their_prompt_have_boxes(pairs, risk):
    breaks = EVERY(pairs)
    breaks[:, 0] = False
    which = np.flatnonzero(pairs.annotated & ~pairs.control)
    found = find_boxes(risk, breaks, pairs, which, threshold=0.05, reach=0.15)
    assert found.offsets[len(which)] == 0 < found.offsets[-1]
    rule = fit_boxes(risk, breaks, pairs)
    assert rule is not None and rule.f1 == 1.0
    assert fit_boxes(risk, ~EVERY(pairs), pairs) is None


def test_without_boxes_in_the_data_nothing_is_marked_and_a_note_says_so(pairs, risk):
    plain = dataclasses.replace(pairs, annotated=np.zeros(len(pairs), bool))
    ours = Predictions(global_logit=np.zeros((len(pairs), 2), np.float32), risk=risk)
    assert fit_boxes(risk, EVERY(pairs), plain) is None
    fitted = fit_calibration(ours, plain, everything=False)
    assert (fitted.risk_threshold, fitted.box_reach) == (0.5, None)
    assert any("no region is marked in any image" in note for note in fitted.notes(()))
    known = fit_calibration(Predictions(global_logit=np.tile([1.0, -1.0], (len(pairs), 1)), risk=risk), pairs)
    assert known.box_reach in REACHES and not any("boxes" in note for note in known.notes(()))
