"""The ridge probe against scikit-learn, and what it must and must not be able to learn."""

import numpy as np
import pytest
from eval_world import write_store
from sklearn.linear_model import Ridge

from tipai_jax.evaluation.auditor_figures import wins
from tipai_jax.evaluation.baselines import ridge_probe
from tipai_jax.evaluation.baselines.ridge import PENALTIES, Probe, fit_probe, fit_ridge
from tipai_jax.metrics import roc_auc

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"), noise=0.6)


@pytest.fixture(scope="module")
def splits(store):
    return {name: store.pairs.select(store.pairs.split == name) for name in ("train", "validation", "test")}


def test_every_penalty_is_sklearn_s_ridge():
    features = RNG.normal(size=(80, 12)) * np.linspace(0.1, 3, 12) + 5.0
    targets = features[:, :2] @ RNG.normal(size=(2, 3)) + RNG.normal(size=(80, 3))
    centred = features - features.mean(axis=0)
    unit = float(np.linalg.eigvalsh(centred.T @ centred).mean())
    for (weights, bias), penalty in zip(fit_ridge(features, targets), PENALTIES):
        theirs = Ridge(alpha=penalty * unit).fit(features, targets)
        np.testing.assert_allclose(weights, theirs.coef_.T, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(bias, theirs.intercept_, rtol=1e-6, atol=1e-8)


def test_the_factored_probe_is_the_concatenated_one():
    d, m = 6, 3
    weights, bias = RNG.normal(size=(3 * d, m)), RNG.normal(size=m)
    probe = Probe(*(weights[part * d : (part + 1) * d] for part in range(3)), bias=bias)
    text, image = RNG.normal(size=(4, d)), RNG.normal(size=(4, 5, d))
    tiled = np.broadcast_to(text[:, None], image.shape)
    wanted = np.concatenate([tiled, image, tiled * image], axis=-1) @ weights + bias
    np.testing.assert_allclose(probe(text, image), wanted, atol=1e-12)


def test_it_learns_what_was_planted(store, splits):
    probe = ridge_probe(store, train=splits["train"], validation=splits["validation"], seed=0)
    test = splits["test"]
    predicted = probe(store, test)
    real = ~test.control
    assert wins(predicted)[real].mean() > 0.95
    assert roc_auc(predicted.patch_logit, test.patch_label) > 0.9
    broken = np.stack([np.zeros_like(test.category), test.category == 1], axis=1)
    assert all(roc_auc(predicted.reason_logit[..., c], broken[..., c]) > 0.8 for c in range(5))
    labelled = test.patch_label >= 0
    assert predicted.risk[test.patch_label == 0].mean() > predicted.risk[test.patch_label == 1].mean() + 0.2
    assert predicted.risk.min() == 0 and predicted.risk.max() <= 1 and predicted.patch_logit[labelled].max() > 1, (
        "it is clipped"
    )


def test_each_target_has_the_penalty_that_validation_prefers():
    """Pure noise takes the strongest penalty by a quality that falls with the weights; a clean signal the weakest."""
    text, image = RNG.normal(size=(2, 60, 4))
    targets = np.stack([image[:, 0], RNG.normal(size=60)], axis=1)

    def quality(probe):
        fitted = probe(text, image[:, None])[:, 0]
        return [-float(np.square(fitted[:, 0] - targets[:, 0]).mean()), -float(np.square(probe.image[:, 1]).sum())]

    probe, penalties = fit_probe(text, image, targets, quality=quality)
    assert penalties == [min(PENALTIES), max(PENALTIES)]
    weights = [fit[0] for fit in fit_ridge(np.concatenate([text, image, text * image], axis=1), targets)]
    weakest, strongest = weights[int(np.argmin(PENALTIES))], weights[int(np.argmax(PENALTIES))]
    np.testing.assert_allclose(probe.image[:, 0], weakest[4:8, 0], rtol=1e-5)
    np.testing.assert_allclose(probe.image[:, 1], strongest[4:8, 1], rtol=1e-5)


def test_the_same_seed_is_the_same_probe(store, splits):
    first, again = (
        ridge_probe(store, train=splits["train"], validation=splits["validation"], seed=1, patch_rows=500)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.patch.image, again.patch.image)
    np.testing.assert_array_equal(first.whole.product, again.whole.product)


def test_without_an_unfaithful_patch_there_is_no_patch_probe(store, splits):
    import dataclasses

    blank = {
        name: dataclasses.replace(table, patch_label=np.full_like(table.patch_label, -1))
        for name, table in splits.items()
    }
    probe = ridge_probe(store, train=blank["train"], validation=blank["validation"], seed=0)
    predicted = probe(store, splits["test"])
    assert (
        probe.patch is None
        and predicted.patch_logit is None
        and predicted.risk is None
        and predicted.global_logit.shape == (len(splits["test"]), 2)
    )
