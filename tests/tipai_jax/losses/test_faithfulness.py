import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from twins import losses as twins
from twins.parity import assert_function_parity

from tipai_jax.losses import faithfulness_loss, reduce


def logit(p):
    return jnp.float32(np.log(p / (1 - p)))


def test_the_numbers_of_the_plan():
    assert float(faithfulness_loss(logit(0.3), jnp.int8(0))) == pytest.approx(0.36, abs=0.005)
    assert float(faithfulness_loss(logit(0.85), jnp.int8(1))) == pytest.approx(0.16, abs=0.005)


def test_unknown_labels_count_nowhere():
    logits, label = jnp.array([0.3, -2.0, 50.0]), jnp.array([1, 0, -1], jnp.int8)
    sums = reduce(faithfulness_loss(logits, label), label >= 0)
    assert float(sums.weight) == 2
    assert float(sums.mean) == pytest.approx((np.log1p(np.exp(-0.3)) + np.log1p(np.exp(-2.0))) / 2, rel=1e-6)
    gradient = jax.grad(lambda x: reduce(faithfulness_loss(x, label), label >= 0).mean)(logits)
    np.testing.assert_array_equal(gradient != 0, [True, True, False])


def test_stable_where_the_sigmoid_is_zero_or_one():
    logits, label = jnp.array([200.0, -200.0, 200.0, -200.0]), jnp.array([1, 0, 0, 1], jnp.int8)
    np.testing.assert_allclose(faithfulness_loss(logits, label), [0, 0, 200, 200])
    assert bool(jnp.isfinite(jax.grad(lambda x: faithfulness_loss(x, label).sum())(logits)).all())


def test_agrees_with_the_twin():
    rng = np.random.default_rng(0)
    label = rng.integers(-1, 2, size=(5, 2, 9)).astype(np.int8)
    logits = rng.normal(size=(5, 2, 9)).astype(np.float32) * 3
    assert_function_parity(
        lambda x: faithfulness_loss(x, jnp.asarray(label)),
        lambda x: twins.faithfulness(x, torch.tensor(label)),
        (logits,),
    )
