"""The benchmark: the reference computes what we compute, the count is right by hand, and the command runs from end to
end.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from twins.parity import close, flat, shaken

from scripts import bench
from scripts.benchmark.machine import Limit
from scripts.benchmark.ours import config_of, phrases_config_of
from scripts.benchmark.phrase_reference import PhraseLoop, phrase_loss, tensors
from scripts.benchmark.reference import Heads, PairSet, total_loss
from scripts.benchmark.rounds import Timing, alternate, clocked, ratio
from scripts.benchmark.rows import Row, at_least, at_most, markdown
from scripts.benchmark.shapes import Shape, pair_bytes, pair_flops, step_bytes, step_flops
from scripts.benchmark.synthetic import write_store
from scripts.benchmark.theirs import arrays_of
from scripts.benchmark.vit import LARGE, images_per_second, peak_of, vit_flops
from scripts.benchmark.whole import Whole
from tipai_jax.data.batches import gather
from tipai_jax.tasks.auditor import TERMS, build_heads
from tipai_jax.tasks.build import make_task
from tipai_jax.tasks.task import Hyper
from tipai_jax.training.setup import Setup
from tipai_jax.training.step import split_heads

ROOT = Path(__file__).parents[2]
SHAPE = Shape(d=16, k=49, batch=8, hidden=12, pairs=24)


def copied(params, d: int, hidden: int) -> Heads:
    """The reference's heads with our parameters."""
    heads = Heads(d, hidden)
    tensor = lambda leaf: torch.from_numpy(np.array(leaf))
    for name in ("global_head", "patch_head", "reason_head"):
        first, _, last = getattr(heads, name)
        for layer, ours in ((first, params[name]["joint"]), (last, params[name]["score"])):
            layer.weight.data, layer.bias.data = tensor(ours["kernel"]).T.contiguous(), tensor(ours["bias"])
    return heads


def test_the_reference_has_our_loss_and_our_gradients(tmp_path):
    store = write_store(tmp_path / "store", SHAPE)
    run = Setup(config_of(SHAPE, store.path, tmp_path / "run"), store)
    elements, _ = run.source.load(run.chunk(0))
    batch = run.source.batch(run.source.columns, jax.tree.map(lambda leaf: leaf[0], elements))
    graph = split_heads(build_heads(run.config.model, d=16, k=49, seed=0))[0]

    def loss(params):
        task = run.task
        hyper = run.hyper.at(0)
        terms = task.losses(task.forward(nnx.merge(graph, params), batch, key=None), batch, hyper)
        return sum(hyper.weights[name] * term.mean for name, term in terms.items())

    value, grads = jax.value_and_grad(loss)(run.initial.params)
    heads = copied(run.initial.params, 16, 12)
    theirs = total_loss(heads, PairSet(arrays_of(store)).__getitems__(np.asarray(batch.row).tolist()))
    theirs.backward()
    assert theirs.item() == pytest.approx(float(value), abs=1e-5)
    for name in ("global_head", "patch_head", "reason_head"):
        first, _, last = getattr(heads, name)
        for layer, ours in ((first, grads[name]["joint"]), (last, grads[name]["score"])):
            np.testing.assert_allclose(layer.weight.grad.T, ours["kernel"], atol=1e-6, rtol=1e-4)
            np.testing.assert_allclose(layer.bias.grad, ours["bias"], atol=1e-6, rtol=1e-4)


def test_the_reference_of_the_phrase_heads_is_ours(tmp_path):
    store = write_store(tmp_path / "store", SHAPE)
    config = phrases_config_of(SHAPE, store.path, tmp_path / "run")
    task, weights = make_task(config), {name: getattr(config.loss, name) for name in TERMS}
    hyper = Hyper({name: weight for name, weight in weights.items() if weight}, {})
    loop = PhraseLoop(store, SHAPE.batch)
    batch = gather(loop.columns, np.arange(SHAPE.batch), np.ones(SHAPE.batch, bool))
    label = np.where(batch.phrase_present, np.arange(batch.phrase_label.shape[1]) % 2, -1)
    batch = replace(batch, phrase_label=label.astype(np.int8))  # the store of random pairs knows none
    ours = jax.tree.map(jnp.asarray, batch)
    graph, params = nnx.split(shaken(task.build(store.manifest.encoder, seed=0)))

    def loss(params):
        terms = task.losses(task.forward(nnx.merge(graph, params), ours, key=None), ours, hyper)
        return sum(hyper.weights[name] * term.mean for name, term in terms.items())

    value, grads = jax.jit(jax.value_and_grad(loss))(params)
    named = lambda tree: {name: torch.tensor(each.copy()) for name, each in flat(nnx.to_pure_dict(tree)).items()}
    loop.model.load_state_dict(named(params))
    theirs = phrase_loss(loop.model, tensors(batch))
    theirs.backward()
    assert theirs.item() == pytest.approx(float(value), rel=1e-5)
    found = dict(loop.model.named_parameters())
    assert found.keys() == named(grads).keys()
    for name, each in named(grads).items():
        close(each, found[name].grad, f"gradient of {name}")


def test_the_count_by_hand():
    shape = Shape(d=2, k=1, batch=3, hidden=5)
    assert pair_flops(shape) == {
        "patches": 2 * 2 * 2 * 2 * 5,
        "images": 2 * 2 * 4 * 2 * 5,
        "prompts": 2 * 2 * 3 * 2 * 5,
        "second layers": 6 * 2 * 5 + 6 * 2 * 5 + 6 * 2 * 5 * 5,
    }
    assert step_flops(shape) == 3 * (80 + 160 + 120 + 420)
    assert pair_bytes(shape) == {"embeddings": (2 * 2 + 1) * 2 * 14, "hidden units": (2 * 3 + 3) * 5 * 8}
    assert shape.parameters == 3 * (20 + 5) + 7 * 6
    assert step_bytes(shape) == 3 * (140 + 360) + 28 * 117
    assert Limit(flops=780.0, bytes=4776.0).step_seconds(shape) == pytest.approx(3.0 + 1.0)


def test_a_ratio_is_taken_within_each_round():
    ours, theirs = Timing(1.0, 1.0, (1.0, 2.0, 4.0), 3), Timing(3.0, 3.0, (3.0, 8.0, 8.0), 3)
    assert ratio(ours, theirs) == (3.0, 2.0, 4.0)


def test_every_candidate_has_its_turn_in_each_round():
    turns = []

    def call(name):
        return clocked(lambda steps: turns.append((name, steps)), steps=3, group=2)

    found = alternate({"a": call("a"), "b": call("b")}, rounds=2)
    assert turns == [("a", 2), ("b", 2)] + 2 * (2 * [("a", 2)] + 2 * [("b", 2)])
    assert found["a"].looks == 4 and len(found["b"].rounds) == 2


def test_rows_show_whether_they_hold_and_nothing_where_nothing_was_measured():
    rows = [at_least("a", 3.0, 3.5), at_most("b", 3.0, 3.5, "%"), at_most("c", None, 15, "s"), Row("d", 12345.6, "ms")]
    assert [row.holds for row in rows] == [False, True, None, None]
    assert markdown(rows).splitlines()[2:] == [
        "| a | 3 | at least 3.5 | **no** |",
        "| b | 3 % | at most 3.5 | yes |",
        "| c |  | at most 15 |  |",
        "| d | 1.235e+04 ms |  |  |",
    ]


def test_flops_of_a_vision_tower_by_hand():
    tiny = {
        "hidden_size": 8,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 8,
        "patch_size": 4,
        "projection_dim": 6,
    }
    patches, layer, out = 2 * 4 * 48 * 8, 2 * 5 * (4 * 64 + 2 * 256) + 4 * 25 * 8, 2 * 8 * 6
    assert vit_flops(tiny) == patches + 2 * layer + out
    assert vit_flops(LARGE) == pytest.approx(162e9, rel=0.01)  # twice the 81 G multiply-adds that are quoted for it
    assert images_per_second(tiny, device="cpu", batch_size=2, batches=1) > 0
    assert (
        peak_of("NVIDIA H200") == 989e12
        and peak_of("NVIDIA L40S") == 362e12
        and peak_of("NVIDIA L4") == 121e12
        and peak_of("something else") is None
    )


@pytest.mark.slow
def test_sizes_and_members_are_measured(tmp_path, monkeypatch):
    """The two parts that the command's own test leaves out; the process that `whole` starts is run there."""
    monkeypatch.setattr("scripts.benchmark.whole.run_whole", lambda store, workdir, shape, **how: Whole(1.0, 2.0, 1000))
    quick = bench.Bench(tmp_path, quick=True, gpu=False)
    rows = {row.name: row for row in [*bench.sweep(quick), *bench.grow(quick)]}
    assert (
        rows["eight runs together, over eight times one run"].value > 0
        and rows["eight runs together on a GPU, over one run"].value is None
    )
    assert (
        rows["batch 16: a step"].detail["gflop_per_s"] > 0
        and rows["cost of a FLOP, dearest size over cheapest"].value >= 1
    )
    assert (
        rows["memory of the streaming path, 64 pairs over 32"].value == 1.0
        and rows["seconds of a pair, 64 pairs over 32"].value == 0.5
    )


@pytest.mark.slow
def test_the_command_measures_and_draws(tmp_path):
    parts = ["step", "whole", "images"]
    files = ["--json", tmp_path / "bench.json", "--plot", tmp_path / "bench.svg", "--workdir", tmp_path / "work"]
    command = [
        sys.executable,
        ROOT / "scripts" / "bench.py",
        "--quick",
        "--only",
        *parts,
        *(files if find_spec("matplotlib") else files[:2] + files[4:]),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "JAX_PLATFORMS": "cpu"}, cwd=tmp_path
    )
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, (
        done.stderr
    )  # at these sizes no row needs to hold
    record = json.loads((tmp_path / "bench.json").read_text())
    assert record["quick"] is True and record["machine"]["jax"] and list(record["parts"]) == parts
    measured = [row for rows in record["parts"].values() for row in rows if row["value"] is not None]
    assert len(measured) >= 20 and all(np.isfinite(row["value"]) for row in measured)
    empty = [row["name"] for rows in record["parts"].values() for row in rows if row["value"] is None]
    assert all("GPU" in name for name in empty) and "| the whole of it on a GPU |  | at most 15 |  |" in done.stdout
