import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tipai_jax.metrics import pair_auc, pair_wins, roc_auc


def test_pair_auc_by_hand_ties_half():
    chosen, rejected = np.array([0.9, 0.5, 0.1, 0.7]), np.array([0.1, 0.5, 0.2, 0.3])
    np.testing.assert_array_equal(pair_wins(chosen, rejected), [1, 0.5, 0, 1])
    assert pair_auc(chosen, rejected) == 0.625
    assert float(pair_auc(jnp.asarray(chosen), jnp.asarray(rejected))) == 0.625


@pytest.mark.parametrize("decimals", [8, 1, 0])
def test_roc_auc_is_that_of_scikit_learn_with_ties(decimals):
    rng = np.random.default_rng(decimals)
    label = rng.integers(0, 2, 500)
    score = np.round(rng.normal(size=500) + label, decimals).astype(np.float32)
    assert roc_auc(score, label) == pytest.approx(roc_auc_score(label, score), abs=1e-12)


def test_roc_auc_leaves_unknown_labels_out_and_says_when_it_has_no_answer():
    score, label = np.array([[0.9, 0.1], [0.5, 0.99]]), np.array([[1, 0], [1, -1]], np.int8)
    assert roc_auc(score, label) == 1.0
    assert np.isnan(roc_auc(score, np.ones_like(label)))
