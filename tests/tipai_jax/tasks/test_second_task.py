"""The seam: a task that shares nothing with pairs goes through train, resume, sweep, evaluate, targets, table and
report, and none of them is touched for it.
"""

import json
import os
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from loop_world import log_lines, small_store
from second_task import HalvesConfig, HalvesEvaluator, HalvesTask

from tipai_jax import evaluate, train
from tipai_jax.config import records
from tipai_jax.errors import UserError
from tipai_jax.evaluation import build as evaluators
from tipai_jax.evaluation.inference import load_run
from tipai_jax.report import tables
from tipai_jax.store import Store
from tipai_jax.tasks import build as tasks
from tipai_jax.training import loop
from tipai_jax.training.checkpoint import Checkpoints

CONFIG = """
from second_task import HalvesConfig
from tipai_jax.config import DataConfig, LogConfig, OptimConfig

def get_config():
    return HalvesConfig(
        optim=OptimConfig(peak_lr=3e-2, warmup_steps=3),
        data=DataConfig(batch_size=32, epochs=6, start_fraction=0.5, full_at_epoch=2, steps_per_dispatch=2),
        log=LogConfig(every_steps=4, progress=False),
    )
"""


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """The task is made known; that is all. Nothing reads the pairs for it."""
    monkeypatch.setattr(records, "KINDS", [*records.KINDS, HalvesConfig])
    monkeypatch.setitem(tasks.TASKS, HalvesConfig, HalvesTask)
    monkeypatch.setitem(evaluators.EVALUATORS, HalvesTask, HalvesEvaluator)
    monkeypatch.setattr(Store, "pairs", property(lambda store: pytest.fail("the pairs were read")))


@pytest.fixture
def command(tmp_path):
    (tmp_path / "halves.py").write_text(CONFIG)
    return ["--config", str(tmp_path / "halves.py"), "--store", str(small_store().path)]


def trained(command, workdir, *more):
    assert train.main([*command, "--workdir", str(workdir), *more]) == 0
    return workdir


def leaves(workdir, which="last"):
    return jax.tree.leaves(nnx.to_pure_dict(nnx.state(load_run(workdir, which).model, nnx.Param)))


def test_it_is_trained_and_its_frozen_layer_is_not(command, tmp_path):
    workdir = trained(command, tmp_path / "run")
    lines = [line["validation"] for line in log_lines(workdir) if "validation" in line]
    assert (
        set(lines[-1]) == {"loss", "square", "spread", "accuracy", "auc"} and lines[-1]["auc"] > 0.8 > lines[0]["auc"]
    )
    best = Checkpoints(workdir).best()
    chosen = max(line["auc"] - 0.1 * (1 - line["accuracy"]) for line in lines[1:])
    assert best.score == pytest.approx(chosen, abs=1e-6)
    first = HalvesTask(HalvesConfig()).build(small_store().manifest.encoder, seed=0)
    run = load_run(workdir, "last")
    np.testing.assert_array_equal(run.model.trunk.kernel[...], first.trunk.kernel[...])
    assert not np.allclose(run.model.score.kernel[...], first.score.kernel[...])
    assert best.record["config"]["task"] == "halves" and len(best.record["frozen_sha256"]) == 64
    with (workdir / "log.jsonl").open() as file:
        assert "prompts_per_s" in file.read()


def test_the_weight_of_a_term_follows_its_schedule(command, tmp_path):
    """The loss of a step is the sum of its terms under the weights of that step."""
    workdir = trained(command, tmp_path / "run", "--log.every-steps", "1")
    config = load_run(workdir).config
    schedules = HalvesTask(config).schedules(config, steps=30)
    for line in (line for line in log_lines(workdir) if "validation" not in line):
        weights = {name: values[line["step"] - 1] for name, values in schedules.weights.items()}
        assert line["loss"] == pytest.approx(sum(weights[name] * line[name] for name in weights), abs=1e-5)


def test_a_frozen_layer_that_changed_is_refused(command, tmp_path):
    workdir = trained(command, tmp_path / "run")
    for seal in (workdir / "checkpoints").glob("*.json"):
        content = json.loads(seal.read_text())
        content["record"]["frozen_sha256"] = "0" * 64
        seal.write_text(json.dumps(content))
    with pytest.raises(UserError, match="frozen parameters are not those"):
        load_run(workdir)


def test_it_goes_on_after_a_signal_as_if_there_had_been_none(command, tmp_path, monkeypatch):
    whole, settle, seen = trained(command, tmp_path / "whole"), loop._settle, []

    def stop_after(sent, folders):
        seen.append(sent)
        if len(seen) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return settle(sent, folders)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "_settle", stop_after)
        assert train.main([*command, "--workdir", str(tmp_path / "cut")]) == 143
    cut = trained(command, tmp_path / "cut")
    for mine, theirs in zip(leaves(cut), leaves(whole), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert log_lines(cut) == log_lines(whole)


def test_a_sweep_of_its_own_settings(command, tmp_path, capsys):
    workdir = trained(command, tmp_path / "sweep", "--sweep.seeds", "2", "--sweep.loss.spread", "0,1")
    assert "spread 1" in capsys.readouterr().out
    alone = trained(command, tmp_path / "alone", "--seed", "1", "--loss.spread", "1")
    for mine, theirs in zip(leaves(workdir / "spread-1_seed-1"), leaves(alone), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert evaluate.main(["--workdir", str(workdir)]) == 0
    assert "ROC-AUC of halves" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"--sweep.loss.patch cannot be swept.*--sweep.loss.spread"):
        train.main([*command, "--workdir", str(tmp_path / "x"), "--sweep.loss.patch", "1,2"])


def test_evaluation_targets_table_and_report(command, tmp_path, capsys):
    workdir = trained(command, tmp_path / "run")
    assert evaluate.main(["--workdir", str(workdir)]) == 0
    shown = capsys.readouterr().out
    assert "10 prompts of the test split" in shown and "mean rank, upper" in shown and "2.00" in shown
    record = json.loads((workdir / "eval.json").read_text())
    names = [row["name"] for row in record["targets"]]
    assert names[0] == "ROC-AUC of halves" and "converged at epoch" in names and record["task"] == "halves"
    page = (workdir / "report.html").read_text()
    assert "evaluation of half-spaces" in page and "AUC: a note." in page and "auc on validation" in page
    assert "pair" not in page.split("<body>")[1].replace("repair", "").lower()
    assert tables.main([str(workdir)]) == 0
    assert "| mean rank, upper | 2.00 |" in capsys.readouterr().out
    assert evaluate.main(["--workdir", str(workdir)]) == 0 and "measured already" in capsys.readouterr().err


def test_help_lists_the_options_of_the_task(command, capsys):
    with pytest.raises(SystemExit):
        train.main([*command, "--help"])
    shown = capsys.readouterr().out
    assert (
        "options of the task 'halves'" in shown and "--loss.spread FLOAT (0.5)\n        Weight of the spread" in shown
    )
    assert "--model." not in shown and "--loss.patch" not in shown


def test_a_run_of_another_task_in_the_same_folder_is_refused(command, tmp_path):
    workdir = trained(command, tmp_path / "run")
    store = ["--store", str(small_store().path)]
    with pytest.raises(UserError, match=r"holds a run of another config .*task: 'halves' -> 'auditor'"):
        train.main(["--config", "base.py", *store, "--workdir", str(workdir), "--optim.warmup-steps", "3"])
    assert Path(workdir, "config.json").exists()
