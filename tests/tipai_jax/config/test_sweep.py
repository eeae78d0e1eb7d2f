"""A sweep: the grid as a user types it, and members that are what they would be alone."""

import dataclasses
import json
import os
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from loop_world import log_lines, small_config, small_store

from tipai_jax.config.sweep import members_of, read_grid, sweep_table, take_sweep
from tipai_jax.errors import UserError
from tipai_jax.evaluation.inference import load_run
from tipai_jax.train import fit_sweep
from tipai_jax.training import hyperparameters, loop
from tipai_jax.training import setup as run_setup
from tipai_jax.training.checkpoint import Checkpoints
from tipai_jax.training.loop import fit
from tipai_jax.training.setup import Setup

GRID = {"seeds": (0, 1), "optim.peak_lr": (1e-3, 3e-3)}


def parameters(workdir):
    return nnx.to_pure_dict(nnx.state(load_run(workdir, "last").model, nnx.Param))


def assert_close(here, there):
    """Two folders hold the same run, up to the order in which sums are added."""
    for mine, theirs in zip(jax.tree.leaves(parameters(here)), jax.tree.leaves(parameters(there)), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    mine, theirs = log_lines(Path(here)), log_lines(Path(there))
    assert [line["step"] for line in mine] == [line["step"] for line in theirs] and len(mine) > 5
    for one, other in zip(mine, theirs):
        assert one.keys() == other.keys()
        flat = lambda line: [
            value for name, value in (line | line.get("validation", {})).items() if name != "validation"
        ]
        np.testing.assert_allclose(flat(one), flat(other), atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Four members: two seeds of two learning rates."""
    config = small_config(tmp_path_factory.mktemp("runs") / "sweep")
    assert fit_sweep(config, GRID) == 0
    return config


def test_the_grid_of_a_command_line():
    swept, rest = take_sweep(
        ["--config", "base.py", "--sweep.seeds", "3", "--sweep.optim.peak-lr=5e-5,1e-4", "--seed", "4"]
    )
    grid = read_grid(swept, small_config())
    assert grid == {"seeds": (0, 1, 2), "optim.peak_lr": (5e-5, 1e-4)} and rest == [
        "--config",
        "base.py",
        "--seed",
        "4",
    ]
    members = members_of(small_config("runs/x"), grid)
    assert [Path(member.workdir).name for member in members][:3] == [
        "peak_lr-5e-05_seed-0",
        "peak_lr-0.0001_seed-0",
        "peak_lr-5e-05_seed-1",
    ]
    assert [(member.seed, member.optim.peak_lr) for member in members][3:5] == [(1, 1e-4), (2, 5e-5)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--sweep.model.hidden", "8,16"],
            r"--sweep.model.hidden cannot be swept: the members share one compiled program",
        ),
        (["--sweep.optim.peek-lr", "1"], r"did you mean --sweep.optim.peak-lr\?"),
        (["--sweep.seeds", "1,2"], r"expected how many seeds, for example --sweep.seeds 8; got '1,2'"),
        (["--sweep.loss.patch", "1,x"], r"expected different numbers with commas between them"),
        (["--sweep.loss.patch"], r"got ''"),
        (["--sweep.loss.patch", "1,1"], r"expected different numbers"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_in_one_line(arguments, message):
    with pytest.raises(UserError, match=message):
        read_grid(take_sweep(arguments)[0], small_config())


def test_a_value_that_the_config_does_not_allow():
    with pytest.raises(UserError, match=r"optim.peak_lr is -1.0"):
        members_of(small_config(), {"optim.peak_lr": (-1.0,)})


@pytest.mark.slow
def test_a_member_is_the_run_alone(sweep, tmp_path):
    """Seed and learning rate of the last member; its checkpoint, its log and its best step."""
    member = members_of(sweep, GRID)[-1]
    alone = dataclasses.replace(member, workdir=str(tmp_path / "alone"))
    result = fit(alone)
    assert_close(member.workdir, alone.workdir)
    best = Checkpoints(Path(member.workdir)).best()
    assert (best.step, best.score) == (result.best_step, pytest.approx(result.best_score, abs=1e-5))
    assert not np.allclose(
        *(jax.tree.leaves(parameters(each.workdir))[0] for each in members_of(sweep, GRID)[2:]), atol=1e-4
    )


@pytest.mark.slow
def test_members_that_meet_the_same_batches_share_them(tmp_path):
    """Without seeds the rows are planned once, and weights of the loss are swept as well."""
    config, grid = small_config(tmp_path / "sweep"), {"loss.patch": (0.5, 2.0), "optim.clip_norm": (0.1,)}
    members = members_of(config, grid)
    run = Setup(members, small_store())
    assert run.one_order and run.chunk(0).row.shape == (2, 32)
    fit_sweep(config, grid)
    alone = dataclasses.replace(members[1], workdir=str(tmp_path / "alone"))
    fit(alone)
    assert_close(members[1].workdir, alone.workdir)


@pytest.mark.slow
def test_interrupted_and_gone_on_with(sweep, tmp_path, monkeypatch):
    """A signal in mid-epoch; and members that a kill left at different steps wait for each other."""
    config = dataclasses.replace(sweep, workdir=str(tmp_path / "sweep"))
    settle, seen = loop._settle, []

    def stop_after(sent, folders):
        seen.append(sent)
        if len(seen) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return settle(sent, folders)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_settle", stop_after)
        assert fit_sweep(config, GRID) == 143
    late = Path(members_of(config, GRID)[1].workdir)
    last = Checkpoints(late).last()
    (late / "checkpoints" / f"{last.step:08d}.json").unlink()  # as if killed before this one was sealed
    assert 0 < Checkpoints(late).last().step < last.step
    assert fit_sweep(config, GRID) == 0
    for mine, theirs in zip(members_of(config, GRID), members_of(sweep, GRID)):
        assert_close(mine.workdir, theirs.workdir)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("from_step", "message"),
    [
        (7, "at step 9 pair and patch and faithfulness and saliency and reason is nan"),
        (8, "at step 9 update_norm is nan"),
    ],
)
def test_a_member_that_is_not_a_number_is_named_and_frozen(sweep, tmp_path, monkeypatch, capsys, from_step, message):
    """A bad step in the middle of a dispatch shows in the loss of the next one, a bad last step in its norms."""
    config = dataclasses.replace(sweep, workdir=str(tmp_path / "sweep"))
    bad, others = members_of(config, GRID)[2], members_of(config, GRID)
    made = hyperparameters.hyperparameters_of

    def poisoned(member, schedules, **how):
        found = made(member, schedules, **how)
        if member.workdir == bad.workdir:
            return dataclasses.replace(
                found, lr=np.where(np.arange(15) < from_step, found.lr, np.nan).astype(np.float32)
            )
        return found

    monkeypatch.setattr(run_setup, "hyperparameters_of", poisoned)
    assert fit_sweep(config, GRID) == 2
    assert f"training stopped: {message}" in capsys.readouterr().err
    assert [seal.step for seal in Checkpoints(Path(bad.workdir)).seals()] == [5]
    for mine, theirs in zip(others, members_of(sweep, GRID)):
        if mine.workdir != bad.workdir:
            assert_close(mine.workdir, theirs.workdir)
    before = Path(bad.workdir, "log.jsonl").read_text()
    assert fit_sweep(config, GRID) == 2 and Path(bad.workdir, "log.jsonl").read_text() == before


def test_another_sweep_in_the_same_folder_is_refused(sweep):
    with pytest.raises(UserError, match=r"holds another sweep \(peak_lr-0.001_seed-0, "):
        fit_sweep(sweep, {"seeds": (0, 1)})
    assert json.loads((Path(sweep.workdir) / "sweep.json").read_text())["grid"]["seeds"] == [0, 1]


def test_table_by_hand():
    members = members_of(small_config(), {"loss.patch": (1.0, 2.0), "seeds": (0, 1, 2)})
    figures = [{"auc": 0.5}, {"auc": 0.7}, None, {"auc": 0.25}, None, None]
    lines = sweep_table(members, {"loss.patch": (1.0, 2.0), "seeds": (0, 1, 2)}, figures, title="test").splitlines()
    assert lines[0] == "| test | seeds | auc |"
    assert lines[2:] == ["| patch 1 | 2 (1 failed) | 0.6000 ± 0.1414 |", "| patch 2 | 1 (2 failed) | 0.2500 |"]


@pytest.mark.parametrize("grid", [{"optim.peak_lr": (1.2345678e-4, 1.2345679e-4)}, {"seeds": (1_000_000, 1_000_001)}])
def test_different_values_never_share_a_folder(grid):
    assert len({member.workdir for member in members_of(small_config(), grid)}) == 2


def test_figures_that_one_member_lacks():
    members = members_of(small_config(), {"seeds": (0, 1)})
    table = sweep_table(members, {"seeds": (0, 1)}, [{"auc": 0.5, "rank": 2.0}, {"auc": 0.7}], title="test")
    assert table.splitlines()[2] == "| all | 2 | 0.6000 ± 0.1414 | 2.0000 |"


def test_a_sweep_whose_members_all_fail_in_validation_ends_in_one_line(tmp_path, monkeypatch):
    config = small_config(tmp_path / "sweep")
    validate = Setup.validate

    def poisoned(self, *arguments):
        return [figures | {"loss": float("nan")} for figures in validate(self, *arguments)]

    monkeypatch.setattr(Setup, "validate", poisoned)
    with pytest.raises(UserError, match=r"every member failed, the first one: .* validation loss is nan"):
        fit_sweep(config, {"seeds": (0, 1)})
