"""Our figures against torchmetrics and crepes; scikit-learn and pycocotools stand in the tests of their figures."""

import numpy as np
import pytest
import torch
from crepes import ConformalClassifier
from crepes.extras import hinge
from torchmetrics.functional.classification import binary_auroc, binary_calibration_error, multiclass_f1_score

from tipai_jax.evaluation.conformal import fit_conformal
from tipai_jax.metrics import ece, roc_auc
from tipai_jax.metrics.phrases import macro_f1, reasons_within_pairs


def drawn(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    probability = rng.beta(2, 1, n)
    return probability, (rng.random(n) < probability**1.5).astype(np.int64)


@pytest.mark.parametrize("bins", [5, 15])
def test_the_plug_in_ece_is_that_of_torchmetrics(bins):
    probability, label = drawn()
    wanted = binary_calibration_error(torch.tensor(probability), torch.tensor(label), n_bins=bins, norm="l1")
    assert ece(probability, label, bins=bins).ece == pytest.approx(float(wanted), abs=1e-6)


def test_the_roc_area_is_that_of_torchmetrics_ties_included():
    probability, label = drawn()
    score = np.round(probability, 2)
    assert roc_auc(score, label) == pytest.approx(
        float(binary_auroc(torch.tensor(score), torch.tensor(label))), abs=1e-5
    )


def test_the_macro_f1_is_that_of_torchmetrics_where_every_chosen_image_is_clean():
    rng = np.random.default_rng(0)
    truth, named = rng.integers(0, 5, size=400), rng.integers(0, 5, size=400)
    counts = reasons_within_pairs(np.full(400, -1), named, (truth[:, None] == np.arange(5)).astype(np.int8))
    wanted = multiclass_f1_score(torch.tensor(named), torch.tensor(truth), num_classes=5, average="macro")
    assert macro_f1(counts) == pytest.approx(float(wanted), abs=1e-6)


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_prediction_sets_are_those_of_crepes(level):
    """Class-conditional ("Mondrian") split-conformal sets of a probability, without smoothing."""
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, size=301)
    logit = rng.normal(size=301) + 1.5 * label
    new = rng.normal(size=500) * 2
    chance = lambda x: np.stack([1 / (1 + np.exp(x)), 1 / (1 + np.exp(-x))], axis=1)
    classes = np.array([0, 1])
    judge = ConformalClassifier()
    judge.fit(hinge(chance(logit), classes, label), bins=label)
    theirs = np.stack(
        [
            judge.predict_set(hinge(chance(new)), bins=np.full(500, kind), confidence=level, smoothing=False)[:, kind]
            for kind in classes
        ]
    )
    keeps, breaks = fit_conformal(logit, label).sets(new, level)
    np.testing.assert_array_equal(np.stack([breaks, keeps]), theirs.astype(bool))
    assert 0.05 < (keeps & breaks).mean() + (~keeps & ~breaks).mean() < 0.95
