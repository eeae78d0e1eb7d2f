"""Figures of objects, boxes, phrases and reasons, against numbers worked out by hand on a few made-up pairs."""

import dataclasses

import numpy as np
import pytest
from eval_world import write_store

from tipai_jax.evaluation import figure
from tipai_jax.evaluation.calibration import Calibration
from tipai_jax.evaluation.calibrators import Platt
from tipai_jax.evaluation.part_figures import PairObjects, part_figures
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.store import CATEGORIES

CALIBRATION = Calibration(
    global_score=Platt(),
    patch=Platt(),
    reason=dict.fromkeys(CATEGORIES, Platt()),
    worst_patch=Platt(),
    conformal=None,
    risk_threshold=0.5,
    box_reach=0.15,
)
LEFT, RIGHT = [0.0, 0.0, 1 / 7, 1 / 7], [6 / 7, 6 / 7, 1.0, 1.0]


@pytest.fixture(autouse=True)
def few_groups_are_enough(monkeypatch):
    monkeypatch.setattr(figure, "MIN_GROUPS", 1)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Four pairs without controls, of the categories object and attribute."""
    every = write_store(tmp_path_factory.mktemp("store"), splits={"test": 30}).pairs
    return every.select(np.flatnonzero(~every.control)[:4])


def predictions(risk=None, phrase=None, reason=None, score=None):
    grid = np.zeros((4, 2, 49), np.float32) if risk is None else risk
    return Predictions(
        global_logit=np.zeros((4, 2), np.float32) if score is None else np.asarray(score, np.float32),
        patch_logit=-grid,
        risk=grid,
        reason_logit=np.full((4, 2, 5), -9.0, np.float32) if reason is None else reason,
        phrase_logit=phrase,
    )


def measured(pairs, ours, objects=None, present=None):
    return part_figures(ours, pairs, objects, present=present, calibration=CALIBRATION)


def test_objects(pairs):
    """Two objects an image, the wrong one at the left: hot in two of four images, a tie in one, cold in one."""
    risk = np.zeros((4, 2, 49), np.float32)
    risk[:2, 1, 0], risk[3, 1, 48] = 0.9, 0.9
    objects = PairObjects(
        np.array([LEFT, RIGHT] * 4), np.array([1, 0] * 4), np.array([1, 1, 1, 0] * 2), np.arange(0, 9, 2)
    )
    found = measured(pairs, predictions(risk), objects)["objects"]
    assert (found["auc"]["value"], found["auc"]["n"]) == ((1 + 1 + 0.5 + 0) / 4, 4)
    assert found["auc_against_named"]["value"] == (1 + 0.5) / 2 and found["auc_against_unnamed"]["value"] == 0.5
    assert found["hottest_right"]["value"] == (1 + 1 + 0.5 + 0) / 4 and found["hottest_by_chance"]["value"] == 0.5
    assert measured(pairs, predictions(risk))["objects"]["auc"]["reason"].startswith(
        "the data do not say which objects"
    )


def test_boxes_count_false_alarms_in_chosen_images_but_only_where_one_is_shown(pairs):
    """The true boxes of all rejected images, found exactly; then a hotter one in the chosen images as well; then the
    same where the chosen ones are said to keep their prompt, and so get no box; then where all are said to.
    """
    risk = np.zeros((4, 2, 49), np.float32)
    risk[:, 1] = 0.9 * (pairs.patch_label[:, 1] == 0)
    say = lambda *logits: measured(pairs, predictions(risk, score=[logits] * 4))["boxes"]
    values = lambda found: [found[name]["value"] for name in ("ap25", "marked_in_chosen", "marked_in_rejected")]
    marked = float(np.mean([(label == 0).any() for label in pairs.patch_label[:, 1]]))
    assert values(say(-1, -1)) == [pytest.approx(1.0), 0, marked]
    risk[:, 0, 24] = 1.0
    ap, *shown = values(say(-1, -1))
    assert ap < 0.6 and shown == [1, marked]
    assert values(say(1, -1)) == [pytest.approx(1.0), 0, marked]
    assert values(say(1, 1)) == [0, 0, 0]


def test_boxes_are_ordered_by_their_highest_risk(pairs):
    """A right box of risk 0.9 in each rejected image, and a wide wrong one of 0.7, which has more risk in all."""
    risk = np.zeros((4, 2, 7, 7), np.float32)
    risk[:, 1] = 0.9 * (pairs.patch_label[:, 1].reshape(4, 7, 7) == 0)
    risk[:, 0, 1:6, 1:6] = 0.7
    ours = predictions(risk.reshape(4, 2, 49), score=[(-1, -1)] * 4)
    assert measured(pairs, ours)["boxes"]["ap25"]["value"] == pytest.approx(1.0)
    nothing = part_figures(ours, pairs, None, calibration=dataclasses.replace(CALIBRATION, box_reach=None))["boxes"]
    assert nothing["ap25"]["value"] is None and "no region is marked" in nothing["ap25"]["reason"]


def test_phrases(pairs):
    """Two phrases, the first broken: it has the lower logit in three of four rejected images."""
    label = np.full((4, 8), -1, np.int8)
    label[:, :2] = 0, 1
    phrase = np.zeros((4, 2, 8), np.float32)
    phrase[:3, 1, 0], phrase[3, 1, 0] = -1.0, 1.0
    ours = predictions(phrase=phrase, score=[[1, -1], [1, -1], [1, 1], [1, -1]])
    known = dataclasses.replace(pairs, phrase_label=label)
    found = measured(known, ours, present=label >= 0)["phrases"]
    assert (found["auc"]["value"], found["auc_same_phrase"]["value"]) == (3 / 4, 3 / 4)
    assert (found["named_right"]["value"], found["named_right"]["n"]) == (2 / 3, 3), (
        "one image is said to keep its prompt"
    )
    assert found["named_by_chance"]["value"] == 0.5
    third = label >= 0
    third[0, 2] = True
    unknown = measured(known, ours, present=third)["phrases"]
    assert (unknown["named_right"]["n"], unknown["auc"]["n"]) == (2, 4), "nobody knows whether the first is right"
    nothing = measured(pairs, ours, present=label >= 0)["phrases"]
    assert nothing["auc"]["reason"].startswith("the data do not say which phrases")
    assert measured(pairs, predictions())["phrases"] is None


def test_reasons_within_pairs_and_patches_at_the_same_place(pairs):
    reason = np.full((4, 2, 5), -9.0, np.float32)
    truth = pairs.category.argmax(axis=1)
    reason[np.arange(4), 1, truth] = 9.0
    assert measured(pairs, predictions(reason=reason))["reason_macro_f1"]["value"] == 1.0
    reason[:, 0] = reason[:, 1]
    assert measured(pairs, predictions(reason=reason))["reason_macro_f1"]["value"] == 0.0, "as the prompt alone does"
    risk = np.zeros((4, 2, 49), np.float32)
    marked = np.flatnonzero((pairs.patch_label[:, 1] == 0).any(axis=1))
    risk[marked[0], 1] = 0.5
    found = measured(pairs, predictions(risk))["patch_auc_same_place"]
    assert (
        found["value"] == pytest.approx((1 + 0.5 * (len(marked) - 1)) / len(marked)) and found["n"] == len(marked) > 1
    )
