"""The terms of the auditor's loss on a batch, against the same terms written out pair by pair in numpy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loop_world import small_store

from tipai_jax.config import AuditorConfig, LossConfig, ModelConfig
from tipai_jax.data.batches import gather
from tipai_jax.grids import bilinear_matrix
from tipai_jax.heads.output import AuditorOutput
from tipai_jax.store import box_mask
from tipai_jax.tasks.auditor import TERMS, AuditorTask, pair_columns
from tipai_jax.tasks.task import Hyper
from tipai_jax.training.hyperparameters import hyperparameters_of, terms_in_use

ROWS = np.array(
    [0, 1, 2, 3, 4, 5, 10, 13]
)  # control, absent only, not annotated, two boxes, ...; the last one is padding
VALID = np.arange(8) < 7


@pytest.fixture(scope="module")
def batch():
    store = small_store()
    return jax.tree.map(jnp.asarray, gather(pair_columns(store, store.pairs), ROWS, VALID))


@pytest.fixture(scope="module")
def output():
    draw = np.random.default_rng(0)
    logits = {"global_logit": (8, 2), "patch_logit": (8, 2, 49), "reason_logit": (8, 2, 5)}
    arrays = {name: jnp.asarray(draw.normal(size=shape).astype(np.float32)) for name, shape in logits.items()}
    return AuditorOutput(**arrays, risk=jnp.asarray(draw.uniform(size=(8, 2, 49)).astype(np.float32)))


def sigmoid(logit):
    return 1 / (1 + np.exp(-np.asarray(logit, np.float64)))


def terms(output, batch, **changes):
    every = Hyper(dict.fromkeys(set(TERMS) - {"phrase"}, 1.0), {})
    sums = AuditorTask(AuditorConfig(loss=LossConfig(**changes))).losses(output, batch, every)
    return {name: (float(each.mean), float(each.weight)) for name, each in sums.items()}


def test_pair_counts_real_pairs_with_a_better_image(output, batch):
    score = sigmoid(output.global_logit)
    expected = [np.log1p(np.exp(-(score[i, 0] - score[i, 1]))) for i in (1, 2, 3, 4, 5)]  # 0 and 10 are controls
    assert terms(output, batch)["pair"] == (pytest.approx(np.mean(expected), rel=1e-5), 5)
    logit = np.asarray(output.global_logit, np.float64)
    expected = [np.log1p(np.exp(-(logit[i, 0] - logit[i, 1]))) for i in (1, 2, 3, 4, 5)]
    assert terms(output, batch, score_space="logit")["pair"][0] == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("over", ["all", "unfaithful"])
def test_patch_counts_known_places(output, batch, over):
    score, expected = sigmoid(output.patch_logit), []
    for i in (1, 3, 4, 5):  # 2 is not annotated
        label = batch.patch_label[i, 1]
        places = label >= 0 if over == "all" else label == 0
        if places.any():
            expected.append(np.log1p(np.exp(-(score[i, 0] - score[i, 1])))[places].mean())
    assert terms(output, batch, patch_over=over)["patch"] == (pytest.approx(np.mean(expected), rel=1e-5), len(expected))


@pytest.mark.parametrize(("over", "images"), [("rejected", [1]), ("both", [0, 1])])
def test_faithfulness_counts_every_known_label_of_controls_too(output, batch, over, images):
    score, expected = sigmoid(output.patch_logit), []
    for i in (0, 1, 3, 4, 5, 6):
        for image in images:
            for place in range(49):
                label = batch.patch_label[i, image, place]
                if label >= 0:
                    expected.append(-np.log(score[i, image, place] if label else 1 - score[i, image, place]))
    assert terms(output, batch, faithfulness_over=over)["faithfulness"] == (
        pytest.approx(np.mean(expected), rel=1e-5),
        len(expected),
    )
    assert (batch.patch_label[0] == 1).all()


def test_unfaithful_patches_and_those_of_right_objects_weigh_as_asked(output, batch):
    shown = np.random.default_rng(2).random(batch.patch_object.shape) < 0.3
    batch, score = dataclasses.replace(batch, patch_object=jnp.asarray(shown)), sigmoid(output.patch_logit)
    total = weights = 0.0
    for i in (0, 1, 3, 4, 5, 6):
        for image, place in np.argwhere(np.asarray(batch.patch_label[i]) >= 0):
            faithful = batch.patch_label[i, image, place] == 1
            weight = 5 if not faithful else 3 if shown[i, image, place] else 1
            total -= weight * np.log(score[i, image, place] if faithful else 1 - score[i, image, place])
            weights += weight
    found = terms(output, batch, faithfulness_over="both", unfaithful_weight=5.0, object_weight=3.0)["faithfulness"]
    assert found == (pytest.approx(total / weights, rel=1e-5), weights)


def test_saliency_is_dice_at_full_size_where_pixels_are_to_blame(output, batch):
    enlarge, expected, boxes = bilinear_matrix(224, 7).astype(np.float64), [], small_store().pairs.boxes
    for i in (3, 4, 5):
        heat = enlarge @ np.asarray(output.risk[i, 1], np.float64).reshape(7, 7) @ enlarge.T
        truth = box_mask(boxes[int(ROWS[i])])
        expected.append(1 - 2 * heat[truth].sum() / (heat.sum() + truth.sum()))
    assert terms(output, batch)["saliency"] == (pytest.approx(np.mean(expected), rel=1e-5), 3)


def test_reason_expects_no_fault_in_the_chosen_image(output, batch):
    score = sigmoid(output.reason_logit)
    labels = {0: None, 1: 1, 3: 3, 4: 4, 5: 0, 6: None}  # row -> failing category; controls (rows 0 and 10) none
    expected = [-np.log(1 - score[i, 0]).sum() for i in range(7)]
    for i, category in labels.items():
        target = np.arange(5) == category
        expected.append(-np.log(np.where(target, score[i, 1], 1 - score[i, 1])).sum())
    assert terms(output, batch)["reason"] == (pytest.approx(np.sum(expected) / 65, rel=1e-5), 65)


def test_the_weights_of_the_config_are_those_of_every_step(output, batch):
    config = AuditorConfig(loss=LossConfig(pair=2.0, patch=0.0, reason=0.3))
    task = AuditorTask(config)
    schedules = task.schedules(config, steps=1000)
    terms = terms_in_use([schedules])
    hyper = hyperparameters_of(config, schedules, total_steps=1000, terms=terms).at(999)
    assert {name: float(weight) for name, weight in hyper.weights.items()} == pytest.approx(
        {"pair": 2.0, "faithfulness": 0.5, "saliency": 0.1, "reason": 0.3}
    )
    assert list(task.losses(output, batch, hyper)) == terms  # a term of weight 0 is not computed


def test_padding_counts_nowhere_even_when_it_is_not_a_number(output, batch):
    clean = terms(output, batch)
    broken = dataclasses.replace(
        output, **{n: x.at[7].set(jnp.nan) for n, x in output.__dict__.items() if x is not None}
    )
    assert terms(broken, batch) == clean


def test_validation_counts_wins_of_real_pairs(output, batch):
    (sums,) = AuditorTask(AuditorConfig()).validation(output, batch).values()
    wins = [float(output.global_logit[i, 0] > output.global_logit[i, 1]) for i in (1, 2, 3, 4, 5)]
    assert (float(sums.total), float(sums.weight)) == (sum(wins), 5)


def test_a_phrase_counts_in_both_images_where_the_rejected_one_is_known(output, batch):
    """Else the chosen images, which keep everything, would teach that what is seldom known is always kept."""
    store = small_store()
    batch = jax.tree.map(jnp.asarray, gather(pair_columns(store, store.pairs, phrases=True), ROWS, VALID))
    label = np.full(batch.phrase_label.shape, -1, np.int8)
    label[1, :2], label[2, 0] = (0, 1), 0
    logit = np.random.default_rng(1).normal(size=(8, 2, label.shape[1])).astype(np.float32)
    task = AuditorTask(AuditorConfig(model=ModelConfig(heads="phrases"), loss=LossConfig(phrase=1.0)))
    known = dataclasses.replace(batch, phrase_label=jnp.asarray(label))
    spoken = dataclasses.replace(output, phrase_logit=jnp.asarray(logit))
    found = task.losses(spoken, known, Hyper({"phrase": 1.0}, {}))["phrase"]
    kept, broken = lambda x: np.log1p(np.exp(-x)), lambda x: np.log1p(np.exp(x))
    expected = [kept(logit[1, 0, 0]), broken(logit[1, 1, 0]), kept(logit[1, 0, 1]), kept(logit[1, 1, 1])]
    expected += [kept(logit[2, 0, 0]), broken(logit[2, 1, 0])]
    assert (float(found.mean), float(found.weight)) == (pytest.approx(np.mean(expected), rel=1e-5), 6)
