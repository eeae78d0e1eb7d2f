import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tipai_jax.losses import reduce


def test_by_hand():
    sums = reduce(jnp.array([1.0, 2.0, 4.0]), jnp.array([1.0, 0.5, 0.0]))
    assert (float(sums.total), float(sums.weight), float(sums.mean)) == (2.0, 1.5, pytest.approx(4 / 3))


def test_a_value_without_weight_counts_nowhere_even_if_it_is_nan():
    values, weight = jnp.array([1.0, jnp.nan, jnp.inf]), jnp.array([True, False, False])
    assert float(reduce(values, weight).mean) == 1.0
    np.testing.assert_array_equal(jax.grad(lambda v: reduce(v, weight).mean)(values), [1, 0, 0])


def test_nothing_at_all_is_zero_with_a_gradient():
    values = jnp.array([1.0, 2.0])
    assert float(reduce(values, jnp.zeros(2)).mean) == 0.0
    np.testing.assert_array_equal(jax.grad(lambda v: reduce(v, jnp.zeros(2)).mean)(values), [0, 0])


def test_shapes_must_agree():
    with pytest.raises(Exception, match="shape"):
        reduce(jnp.ones((3, 2)), jnp.ones(3))
