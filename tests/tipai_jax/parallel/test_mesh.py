"""One device, four devices and `jax.pmap` + `pmean` make the same steps. In a process of its own: devices are counted
once.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tipai_jax.errors import UserError
from tipai_jax.parallel.mesh import make_placement

TESTS = Path(__file__).resolve().parents[2]

PROGRAM = """
import functools, json
import jax, jax.numpy as jnp, numpy as np, optax
from loop_world import dense_plan, run_steps, small_config, small_store
from tipai_jax.training.optim import make_optimizer
from tipai_jax.training.setup import Setup
from tipai_jax.tasks.auditor import build_heads
from tipai_jax.training.state import TrainState
from tipai_jax.training.step import split_heads
from flax import nnx

config = small_config(model={"dropout": 0.0})
one, four = (Setup(config, small_store(), devices=jax.devices()[:n]) for n in (1, 4))
STEPS = 5  # a whole epoch: its last batch holds 22 of 32

def gap(here, there):
    pairs = zip(jax.tree.leaves(here), jax.tree.leaves(there))
    return max(float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) for a, b in pairs)

state_one, figures_one = run_steps(one, STEPS)
state_four, figures_four = run_steps(four, STEPS)

graph = split_heads(build_heads(config.model, d=16, k=49, seed=config.seed))[0]
hyper = one.hyper.at(0)
optimizer = make_optimizer(lr=one.members[0].hyper.lr, weight_decay=config.optim.weight_decay, clip_norm=None)
task = one.task

@functools.partial(jax.pmap, axis_name="data", in_axes=(None, 0), out_axes=None)
def step(state, batch):
    def loss(params):  # this device's share of the global means: its totals over everybody's weights
        sums = task.losses(task.forward(nnx.merge(graph, params), batch, key=None), batch, hyper)
        devices = jax.lax.psum(1, "data")
        mean = lambda name: sums[name].total / jax.lax.psum(sums[name].weight, "data")
        return devices * sum(weight * mean(name) for name, weight in hyper.weights.items())
    total, grads = jax.value_and_grad(loss)(state.params)
    total, grads = jax.lax.pmean((total, grads), "data")
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    return TrainState(state.step + 1, optax.apply_updates(state.params, updates), state.frozen, opt_state), total

state, losses = jax.device_get(one.initial), []
for i in range(STEPS):
    elements, _ = one.source.load(dense_plan(one, i))
    batch = jax.device_get(one.source.batch(one.source.columns, jax.tree.map(lambda leaf: leaf[0], elements)))
    state, total = step(state, jax.tree.map(lambda leaf: leaf.reshape(4, -1, *leaf.shape[1:]), batch))
    state = jax.device_get(state)
    losses.append(float(total))

print(json.dumps({
    "spread": len(state_four.params["patch_head"]["score"]["bias"].sharding.device_set),
    "shard": four.source.load(four.chunk(0))[0]["row"].sharding.shard_shape((2, 32)),
    "tail": int(dense_plan(one, 4).valid.sum()),
    "moved": gap(one.initial.params, state_one.params),
    "four": gap(state_one.params, state_four.params),
    "four_loss": gap(figures_one["loss"], figures_four["loss"]),
    "pmap": gap(state_one.params, state.params),
    "pmap_loss": gap(figures_one["loss"], np.array(losses)),
    "traces": four.steps.traces["train"],
}))
"""


@pytest.mark.slow
def test_one_device_four_devices_and_pmap_agree():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, cwd=TESTS.parent
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["spread"], found["shard"], found["tail"], found["traces"]) == (4, [2, 8], 22, 1)
    assert found["moved"] > 1e-3  # so that agreement means something
    assert max(found["four"], found["four_loss"], found["pmap"], found["pmap_loss"]) < 2e-6, found


def test_a_batch_that_does_not_divide_is_refused(monkeypatch):
    placement = make_placement()
    monkeypatch.setattr(type(placement), "devices", 3)
    placement.check_batch(33)
    with pytest.raises(UserError, match=r"data.batch_size is 32, which 3 devices cannot share evenly; take 30 or 33"):
        placement.check_batch(32)
