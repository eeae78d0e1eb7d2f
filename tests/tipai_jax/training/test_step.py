from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx
from loop_world import dense_plan, run_steps, small_config, small_store

from tipai_jax.config.command_line import load_config
from tipai_jax.tasks.auditor import build_heads
from tipai_jax.training.interrupt import Interrupt
from tipai_jax.training.setup import Setup
from tipai_jax.training.step import NORMS, make_update, split_heads

GOLDEN = {
    "loss": [1.9152235, 1.9064715],
    "grad_norm": [0.29948592, 0.27344936],
    "update_norm": [0.03333664, 0.07128432],
    "param_norm": [5.6632581, 5.6469169],
}
GOLDEN_SCENES = {
    "loss": [4.230926, 4.542659],
    "grad_norm": [1.677562, 2.104684],
    "update_norm": [0.0719594, 0.159418],
    "param_norm": [30.29354, 30.28754],
}
"""Of configs/base.py with narrow heads."""
LEGITIMATE = (
    "the golden step moved. New numbers are legitimate only if this change means to alter the heads' initial values or"
    " inputs, a loss, the order of the pairs, the optimiser, the synthetic store or (of the scenes) configs/base.py:"
    " say so in the commit and paste them. A refactoring or a speed-up must not move them"
)


@pytest.fixture(scope="module")
def run():
    return Setup(small_config(), small_store())


@pytest.fixture(scope="module")
def epochs(run):
    """Two epochs, which is ten steps in six dispatches (2, 2, 1 | 2, 2, 1)."""
    return run_steps(run, 10)


@pytest.fixture(scope="module")
def plain(run):
    """The state after ten steps made one by one, and the record of each."""
    return one_by_one(run, 10)


def one_by_one(run, steps):
    config = run.config
    graph = split_heads(build_heads(config.model, d=16, k=49, seed=config.seed))[0]
    update = jax.jit(make_update(run.task, graph))
    state, records = run.initial, []
    for step in range(steps):
        elements, _ = run.source.load(dense_plan(run, step))
        state, record = update(
            state, run.hyper, run.source.batch(run.source.columns, jax.tree.map(lambda leaf: leaf[0], elements))
        )
        records.append(jax.device_get(record))
    return state, records


def check_golden(records, golden):
    for name, (first, third) in golden.items():
        np.testing.assert_allclose(
            [records[0][name], records[2][name]], [first, third], rtol=2e-4, err_msg=f"{name}: {LEGITIMATE}"
        )


def test_golden_step(plain):
    check_golden(plain[1], GOLDEN)


def test_golden_step_of_the_scenes():
    config = load_config("base.py")
    assert config.model.heads == "phrases"
    narrow = replace(
        config,
        store=str(small_store().path),
        model=replace(config.model, width=8),
        optim=replace(config.optim, warmup_steps=3),
        data=replace(config.data, batch_size=32, steps_per_dispatch=2),
    )
    check_golden(one_by_one(Setup(narrow, small_store()), 3)[1], GOLDEN_SCENES)


def test_chunks_are_the_plain_loop(plain, epochs):
    """Scan and cond and gathering on the device against one jitted step after the other, dropout included; norms are
    looked at once a dispatch.
    """
    state, records = plain
    for name, values in epochs[1].items():
        looked = np.isfinite(values)
        assert np.flatnonzero(looked).tolist() == ([1, 3, 4, 6, 8, 9] if name in NORMS else list(range(10)))
        expected = np.array([record[name] for record in records])
        np.testing.assert_allclose(values[looked], expected[looked], rtol=1e-5, atol=1e-7, err_msg=name)
    assert int(epochs[0].step) == int(state.step) == 10
    for here, there in zip(jax.tree.leaves(epochs[0].params), jax.tree.leaves(state.params)):
        np.testing.assert_allclose(here, there, atol=2e-6)


def test_traced_once_over_uneven_chunks_and_a_padded_batch(run, epochs):
    assert run.steps.traces["train"] == 1


def test_validation_is_traced_once(run, epochs):
    with Interrupt() as stop:
        twice = [run.validate(epochs[0], step, stop) for step in (5, 10)]
    assert all(figures is not None for figures in twice) and run.steps.traces["evaluate"] == 1


def test_streaming_is_resident(run, epochs):
    state, figures = run_steps(Setup(small_config(data={"placement": "streaming"}), small_store()), 10)
    assert run.source.name == "resident"
    for name, values in figures.items():
        np.testing.assert_allclose(values, epochs[1][name], rtol=1e-6, err_msg=name)
    for here, there in zip(jax.tree.leaves(state.params), jax.tree.leaves(epochs[0].params)):
        np.testing.assert_allclose(here, there, atol=1e-6)


def test_the_state_is_donated(run):
    state = jax.tree.map(lambda leaf: leaf.copy(), run.initial)
    run.train(state, *run.source.load(run.chunk(0)))
    assert state.params["patch_head"]["score"]["kernel"].is_deleted()
    assert not run.initial.params["patch_head"]["score"]["kernel"].is_deleted()


def test_the_reason_head_of_the_plan_shares_nothing(run):
    """So the plan's losses are the plan's, whatever weight the reason head has."""
    params, heads = run.initial.params, build_heads(run.config.model, d=16, k=49, seed=0)
    assert set(params) == {"global_head", "patch_head", "reason_head"}
    elements, _ = run.source.load(dense_plan(run, 0))
    batch = run.source.batch(run.source.columns, jax.tree.map(lambda leaf: leaf[0], elements))
    _, graph, _ = split_heads(heads)
    other = {**params, "reason_head": jax.tree.map(lambda leaf: leaf + 1, params["reason_head"])}
    here, there = (run.task.forward(nnx.merge(graph, each), batch, key=None) for each in (params, other))
    for name in ("global_logit", "patch_logit", "risk"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))
    assert not np.allclose(here.reason_logit, there.reason_logit)
