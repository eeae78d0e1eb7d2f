"""The ablation from the outside, with rows that cost nothing, and one that is trained."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from eval_world import write_store
from loop_world import run_steps, small_store

from scripts import ablation
from tipai_jax.config.command_line import load_config
from tipai_jax.config.records import differences
from tipai_jax.errors import UserError
from tipai_jax.evaluation import run as evaluation
from tipai_jax.tasks.auditor import TERMS
from tipai_jax.training import loop
from tipai_jax.training.setup import Setup

RECORD = {
    "global_pair_auc": {"value": 0.9},
    "pair_auc_by_difficulty": {"hard": {"value": 0.8}},
    "objects": {"auc": {"value": 0.7}},
    "phrases": None,
    "ece": {"value": 0.01},
    "shifts": {"shift-style": {"global_pair_auc": {"value": 0.6}, "objects": {"auc": {"value": None}}}},
}


@pytest.fixture
def trained(monkeypatch):
    """Rows that train at once; `trained.status` is how the next one ends, `trained.runs` are those that were
    asked for, `trained.measured` what was to be measured.
    """
    world = SimpleNamespace(status="finished", runs=[], measured=[])

    def fit(config, *, quiet):
        workdir = ablation.Path(config.workdir)
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "log.jsonl").write_text("".join(json.dumps({"seconds": each}) + "\n" for each in (3.0, 40.0, 36.6)))
        world.runs.append(workdir.name)
        return SimpleNamespace(status=world.status, exit_code=130 if world.status == "interrupted" else 0)

    def evaluate(request):
        world.measured.append((request.workdir.name, request.split, request.baselines))
        return RECORD

    monkeypatch.setattr(loop, "fit", fit)
    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    return world


def test_a_row_has_the_figures_of_its_record_and_of_the_shifted_splits(trained, tmp_path, capsys):
    assert ablation.main(["--workdir", str(tmp_path), "--rows", "0", "2"]) == 0
    head, rule, first, second = capsys.readouterr().out.splitlines()
    titles = ["pair AUC", "hard", "object AUC", "phrase AUC", "ECE"]
    shifted = ["shift-style: pair AUC", "shift-style: object AUC"]
    assert head.strip("| ").split(" | ")[1:] == [*titles, *shifted, "s"] and rule == "|" + "---|" * 9
    assert first.endswith("| 0.900 | 0.800 | 0.700 | - | 0.010 | 0.600 | - | 77 |") and "plan.py" in first
    assert second.startswith(f"| {ablation.CHANGES[1][0]} |")
    assert trained.measured == [("0", "test", False), ("2", "test", False)]


def test_an_interrupted_row_ends_the_table(trained, tmp_path):
    trained.status = "interrupted"
    assert ablation.main(["--workdir", str(tmp_path)]) == 130
    assert trained.runs == ["0"] and not trained.measured


def test_a_row_that_does_not_exist(trained, tmp_path):
    with pytest.raises(UserError, match="--rows invalid choice: 99") as caught:
        ablation.main(["--workdir", str(tmp_path), "--rows", "99"])
    assert "\n" not in str(caught.value) and not trained.runs


def test_the_rows_lead_from_the_plan_to_the_best_and_each_changes_something():
    configs = [config for _, config in ablation.rows()]
    assert configs[0] == load_config("plan.py") and len(configs) == len(ablation.CHANGES) + 1
    assert all(differences(before, after) for before, after in itertools.pairwise(configs))
    assert differences(configs[-1], load_config("base.py")) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ablation.CHANGES) + 1))
def test_every_row_can_be_trained(number):
    """A step of each, narrow; the terms are those whose weight is not zero."""
    config = list(ablation.rows())[number][1]
    narrow = {"width": 8} if config.model.heads == "phrases" else {"hidden": 8}
    config = replace(
        config,
        store=str(small_store().path),
        model=replace(config.model, **narrow),
        optim=replace(config.optim, warmup_steps=1),
        data=replace(config.data, batch_size=32, steps_per_dispatch=2),
    )
    figures = run_steps(Setup(config, small_store()), 1)[1]
    assert all(np.isfinite(figures[name]).all() and figures[name].any() for name in TERMS if getattr(config.loss, name))


@pytest.mark.slow
def test_a_row_is_trained_and_measured_as_any_run_and_once(tmp_path, capsys):
    """The plan for real, on a store whose prompts have no phrases."""
    write_store(tmp_path / "store", splits={"train": 600, "validation": 40, "test": 20})
    options = ["--workdir", str(tmp_path / "runs"), "--store", str(tmp_path / "store"), "--rows", "0"]
    assert ablation.main(options) == 0
    table = capsys.readouterr().out
    record = json.loads((tmp_path / "runs/0/eval.json").read_text())
    assert record["baselines"] == {} and record["not_measured"] == ["baselines: not asked for"]
    assert record["global_pair_auc"]["value"] > 0.6 and f"| {record['global_pair_auc']['value']:.3f} |" in table
    checkpoints = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs/0/checkpoints").rglob("*")}
    assert ablation.main(options) == 0
    again = capsys.readouterr()
    assert again.out == table and "measured already" in again.err
    assert checkpoints == {path: path.stat().st_mtime_ns for path in (tmp_path / "runs/0/checkpoints").rglob("*")}
    with_baselines = evaluation.Request(workdir=tmp_path / "runs/0", split="test")
    assert evaluation.evaluate(with_baselines)["baselines"]
