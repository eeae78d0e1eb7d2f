import jax.numpy as jnp
import numpy as np
import pytest
from twins import losses as twins
from twins.parity import assert_function_parity

from tipai_jax.losses import pair_loss


def test_the_number_of_the_plan():
    assert float(pair_loss(jnp.float32(0.95), jnp.float32(0.60))) == pytest.approx(0.53, abs=0.005)


def test_by_hand():
    loss = pair_loss(jnp.array([0.0, 1.0, 2.0]), jnp.array([0.0, 0.0, 3.0]))
    np.testing.assert_allclose(loss, [np.log(2), np.log(1 + np.exp(-1)), np.log(1 + np.e)], rtol=1e-6)


def test_no_overflow_where_the_formula_has_one():
    np.testing.assert_allclose(pair_loss(jnp.array([-500.0, 500.0]), jnp.array([500.0, -500.0])), [1000.0, 0.0])


def test_agrees_with_the_twin():
    rng = np.random.default_rng(0)
    assert_function_parity(pair_loss, twins.pair, tuple(rng.normal(size=(2, 33)).astype(np.float32)))
