"""Calibration of a scorer: what counts as an example, the parts that are fitted, and the file."""

import dataclasses

import numpy as np
import pytest
from eval_world import write_store

from tipai_jax.errors import UserError
from tipai_jax.evaluation import calibration as calibrate
from tipai_jax.evaluation.baselines import zero_shot_cosine
from tipai_jax.evaluation.calibrators import Beta, Isotonic, Platt, sigmoid
from tipai_jax.evaluation.conformal import Conformal
from tipai_jax.evaluation.predictions import Predictions


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"))


def test_controls_are_no_examples_of_the_score(store):
    pairs = store.pairs.select(store.pairs.split == "validation")
    b = len(pairs)
    score = np.stack([np.arange(b), -np.arange(b)], axis=1).astype(np.float32)
    logit, label, group = calibrate.score_examples(Predictions(global_logit=score), pairs)
    kept = np.flatnonzero(~pairs.control)
    assert 0 < len(kept) < b
    assert logit.tolist() == [*kept, *(-kept)]
    assert label.tolist() == [1] * len(kept) + [0] * len(kept)
    assert group.tolist() == [*pairs.group[kept]] * 2


def test_reason_examples_are_every_image_and_unknown_ones_are_left_out(store):
    pairs = store.pairs.select(store.pairs.split == "validation")
    category = pairs.category.copy()
    first = int(np.flatnonzero(~pairs.control)[0])
    category[first] = -1
    known, broken, _ = calibrate.reason_examples(dataclasses.replace(pairs, category=category))
    b = len(pairs)
    assert known[:b].all() and not broken[:b].any(), "a chosen image breaks nothing, and that is known"
    assert not known[b + first].any()
    assert broken[b:].sum() == (~pairs.control).sum() - 1
    assert known[b:][pairs.control].all() and not broken[b:][pairs.control].any()


def test_fit_and_file(store, tmp_path):
    pairs = store.pairs.select(store.pairs.split == "validation")
    fitted = calibrate.fit_calibration(zero_shot_cosine(store, pairs), pairs)
    assert set(fitted.record) == {
        "global_score",
        "patch",
        "worst_patch",
        "boxes",
        *(f"reason.{name}" for name in fitted.reason),
    }
    entry = fitted.record["global_score"]
    assert entry["kind"] == min(entry["held_out_nll"], key=entry["held_out_nll"].get)
    assert 0.0 < fitted.risk_threshold < 1.0
    path = calibrate.save_calibration(fitted, tmp_path)
    assert path.name == "calibration.json"
    assert calibrate.load_calibration(tmp_path) == fitted


def test_a_separable_score_becomes_confident_and_finite(store):
    pairs = store.pairs.select(store.pairs.split == "validation")
    score = np.tile(np.array([[2.0, -2.0]], np.float32), (len(pairs), 1))
    fitted = calibrate.fit_calibration(Predictions(global_logit=score), pairs)
    high, low = fitted.global_score(np.array([2.0, -2.0]))
    assert 0.95 < high < 1.0 and 0.0 < low < 0.05


@pytest.mark.parametrize(
    "calibrator", [Platt(2.0, -0.5), Beta(0.7, 1.2, 0.1), Isotonic((-1.0, 0.0, 2.0), (0.1, 0.5, 0.9))]
)
def test_each_kind_survives_the_file(calibrator, tmp_path):
    whole = calibrate.Calibration(
        global_score=calibrator,
        patch=Platt(),
        reason={"object": calibrator},
        worst_patch=calibrator,
        conformal=Conformal((0.25, 1.5), (-1.0,)),
        risk_threshold=0.4,
        box_reach=0.2,
    )
    calibrate.save_calibration(whole, tmp_path)
    back = calibrate.load_calibration(tmp_path)
    assert back == whole
    np.testing.assert_array_equal(back.global_score(np.linspace(-3, 3, 7)), calibrator(np.linspace(-3, 3, 7)))


def test_a_missing_or_broken_file_has_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no calibration at .*tipai_jax\.evaluate"):
        calibrate.load_calibration(tmp_path)
    (tmp_path / "calibration.json").write_text('{"schema": 1, "global_score"')
    with pytest.raises(UserError, match="cannot be read"):
        calibrate.load_calibration(tmp_path)
    (tmp_path / "calibration.json").write_text('{"schema": 99}')
    with pytest.raises(UserError, match="schema 99"):
        calibrate.load_calibration(tmp_path)


def test_identity_where_there_is_nothing_to_fit(store, tmp_path):
    pairs = store.pairs.select(np.flatnonzero(store.pairs.split == "validation")[:4])
    fitted = calibrate.fit_calibration(Predictions(global_logit=np.zeros((4, 2), np.float32)), pairs)
    assert fitted.global_score == Platt(1.0, 0.0)
    baseline = calibrate.fit_calibration(
        Predictions(global_logit=np.zeros((4, 2), np.float32)), pairs, everything=False
    )
    assert baseline.conformal is None and baseline.worst_patch is None
    calibrate.save_calibration(baseline, tmp_path)
    assert calibrate.load_calibration(tmp_path) == baseline
    np.testing.assert_allclose(fitted.global_score(np.array([0.3])), sigmoid(np.array([0.3])))
