import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from twins import losses as twins
from twins.parity import assert_function_parity

from tipai_jax.losses import pair_loss, patch_loss, patch_positions, reduce

LABEL = np.array([[0, 1, -1, 0], [1, 1, 1, 1], [0, -1, -1, 1]], np.int8)


def scores(seed=0):
    return tuple(np.random.default_rng(seed).normal(size=(2, 3, 4)).astype(np.float32))


def test_the_patches_of_the_plan():
    """Car 0.90 against 0.30, beach 0.85 against 0.85: the mean over K of log(1 + exp(-difference))."""
    chosen, rejected = jnp.array([[0.90, 0.85]]), jnp.array([[0.30, 0.85]])
    loss = patch_loss(chosen, rejected, jnp.ones((1, 2), bool))
    assert float(loss[0]) == pytest.approx((np.log(1 + np.exp(-0.6)) + np.log(2)) / 2, rel=1e-6)
    only = patch_loss(chosen, rejected, jnp.array([[True, False]]))
    assert float(only[0]) == pytest.approx(np.log(1 + np.exp(-0.6)), rel=1e-6)


def test_positions():
    np.testing.assert_array_equal(patch_positions(jnp.asarray(LABEL), "unfaithful"), LABEL == 0)
    assert bool(patch_positions(jnp.asarray(LABEL), "all").all())


def test_over_all_is_the_double_mean_of_the_plan():
    chosen, rejected = (jnp.asarray(x) for x in scores())
    over = patch_positions(jnp.asarray(LABEL), "all")
    total = reduce(patch_loss(chosen, rejected, over), over.any(-1))
    assert float(total.mean) == pytest.approx(float(pair_loss(chosen, rejected).mean()), rel=1e-6)


def test_other_positions_and_empty_pairs_touch_nothing():
    chosen, rejected = (jnp.asarray(x) for x in scores())
    over = jnp.asarray(LABEL == 0)
    gradient = jax.grad(lambda c: patch_loss(c, rejected, over).sum())(chosen)
    np.testing.assert_array_equal(gradient != 0, LABEL == 0)
    assert float(patch_loss(chosen, rejected, over)[1]) == 0.0


@pytest.mark.parametrize("over", [LABEL == 0, np.ones((3, 4), bool)])
def test_agrees_with_the_twin(over):
    assert_function_parity(
        lambda c, r: patch_loss(c, r, jnp.asarray(over)), lambda c, r: twins.patch(c, r, torch.tensor(over)), scores()
    )
