import math

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tipai_jax.config import ModelConfig, OptimConfig
from tipai_jax.errors import UserError
from tipai_jax.files.nested import flatten
from tipai_jax.tasks.auditor import build_heads
from tipai_jax.training.optim import decay_mask, make_optimizer, make_schedule
from tipai_jax.training.step import split_heads


def test_schedule_by_hand():
    schedule = make_schedule(OptimConfig(peak_lr=0.8, warmup_steps=4), total_steps=12)
    by_hand = [0.2, 0.4, 0.6, 0.8] + [0.4 * (1 + math.cos(math.pi * i / 8)) for i in range(8)]
    np.testing.assert_allclose(schedule(np.arange(12)), by_hand, rtol=1e-5)
    assert float(schedule(12)) == pytest.approx(0, abs=1e-8)


def test_schedule_without_warmup_and_constant():
    assert float(make_schedule(OptimConfig(peak_lr=0.8, warmup_steps=0), total_steps=4)(0)) == pytest.approx(0.8)
    constant = make_schedule(OptimConfig(peak_lr=0.8, warmup_steps=2, schedule="constant"), total_steps=9)
    np.testing.assert_allclose(constant(np.arange(9)), [0.4] + [0.8] * 8, rtol=1e-6)


def test_a_warmup_longer_than_the_run_is_refused():
    with pytest.raises(
        UserError, match=r"warmup_steps is 500, but the whole run has 500 steps; set --optim.warmup-steps below"
    ):
        make_schedule(OptimConfig(), total_steps=500)


def test_first_update_by_hand():
    """Adam's first update is lr * sign of the gradient; the decay adds lr * weight_decay * parameter,
    for kernels only."""
    params = {"a": {"kernel": jnp.array([[2.0, -4.0]]), "bias": jnp.array([3.0])}}
    grads = {"a": {"kernel": jnp.array([[1.0, -8.0]]), "bias": jnp.array([0.5])}}
    optimizer = make_optimizer(lr=np.full(10, 0.1, np.float32), weight_decay=0.5, clip_norm=None)
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    np.testing.assert_allclose(updates["a"]["kernel"], [[-0.1 - 0.1 * 0.5 * 2.0, 0.1 + 0.1 * 0.5 * 4.0]], rtol=1e-5)
    np.testing.assert_allclose(updates["a"]["bias"], [-0.1], rtol=1e-5)


@pytest.mark.parametrize("heads", ["plan", "phrases"])
def test_only_kernels_decay(heads):
    """A kernel is what an input is multiplied with: an axis of inputs and one of outputs. In the plan's heads those are
    all parameters of two axes; in the phrase heads some are tables of which a row is looked up, listed here.
    """
    tables = {"token_kind", "patch_place", "phrase_place", "phrase_kind", "count", "subject", "object"}
    params = split_heads(nnx.eval_shape(lambda: build_heads(ModelConfig(heads=heads), d=16, k=49, seed=0)))[2]
    decays, shapes = flatten(decay_mask(params)), flatten(params)
    wanted = {name: len(leaf.shape) == 2 and name not in tables for name, leaf in shapes.items()}
    assert decays == wanted
    assert heads == "plan" or tables < set(shapes)
