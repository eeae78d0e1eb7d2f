"""Products in bfloat16: near those in float32, forwards and backwards, under vmap, and float32 wherever
somebody looks.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from twins.parity import embeddings

from tipai_jax.heads.auditor_heads import AuditorHeads
from tipai_jax.heads.product import operand, product

SHAPES = [(5, 24), (5, 2, 24), (5, 2, 9, 24), (32, 2, 49, 96)]


def value_and_gradients(inputs, kernel):
    return jax.value_and_grad(lambda x, k: jnp.sum(jnp.tanh(product(x, k))), (0, 1))(inputs, kernel)


@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_gradients_are_near_those_in_float32(shape):
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.normal(0, shape[-1] ** -0.5, shape), jnp.bfloat16)
    kernel = jnp.asarray(rng.normal(0, 1, (shape[-1], 7)), jnp.float32)
    exact, (by_inputs, by_kernel) = jax.jit(value_and_gradients)(inputs.astype(jnp.float32), kernel)
    found, (near_inputs, near_kernel) = jax.jit(value_and_gradients)(inputs, kernel)
    assert near_inputs.dtype == jnp.bfloat16 and near_kernel.dtype == found.dtype == jnp.float32
    np.testing.assert_allclose(found, exact, atol=2e-2 * inputs.size**0.5)
    for near, far in ((near_inputs, by_inputs), (near_kernel, by_kernel)):
        difference = np.asarray(near, np.float32) - np.asarray(far)
        assert 0 < np.linalg.norm(difference) < 0.01 * np.linalg.norm(far)


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_is_the_plain_product(shape):
    rng = np.random.default_rng(1)
    inputs, kernel = (
        jnp.asarray(rng.normal(size=shape), jnp.float16),
        jnp.asarray(rng.normal(size=(shape[-1], 3)), jnp.float32),
    )
    assert operand(inputs).dtype == jnp.float32
    plain = jax.value_and_grad(lambda x, k: jnp.sum(jnp.tanh(x @ k)), (0, 1))
    found, expected = (f(operand(inputs), kernel) for f in (value_and_gradients, plain))
    for here, there in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-5, atol=2e-5)


def test_members_of_a_sweep_multiply_as_alone():
    rng = np.random.default_rng(2)
    inputs = jnp.asarray(rng.normal(size=(4, 2, 9, 16)), jnp.bfloat16)
    kernels = jnp.asarray(rng.normal(size=(3, 16, 5)), jnp.float32)
    together = jax.jit(jax.vmap(value_and_gradients, in_axes=(None, 0)))(inputs, kernels)
    for i, kernel in enumerate(kernels):
        value, (_, by_kernel) = jax.jit(value_and_gradients)(inputs, kernel)
        np.testing.assert_allclose(together[0][i], value, rtol=1e-3)
        np.testing.assert_allclose(together[1][1][i], by_kernel, atol=2e-2)


def test_the_heads_answer_nearly_the_same_and_keep_their_weights_in_float32():
    inputs = [jnp.asarray(each) for each in embeddings(b=3, k=9, d=32)]
    exact, near = (AuditorHeads(32, hidden=16, dtype=dtype, rngs=nnx.Rngs(0)) for dtype in ("float32", "bfloat16"))
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(near))} == {jnp.dtype("float32")}
    for one, other in zip(jax.tree.leaves(exact(*inputs)), jax.tree.leaves(near(*inputs)), strict=True):
        assert other.dtype == jnp.float32
        np.testing.assert_allclose(other, one, atol=0.02)
