"""The ablation from the outside, with rows that cost nothing: what is recorded, what is kept, what is refused."""

import json
from types import SimpleNamespace

import pytest
from eval_world import write_store

from scripts import ablation
from tipai_jax.errors import UserError
from tipai_jax.evaluation.run import Request, evaluate
from tipai_jax.training import loop

KEYS = ("global_pair_auc", "hard", "patch_pair_auc", "worst_category", "auc_judd", "ece")


@pytest.fixture
def trained(monkeypatch):
    """Rows that train at once; `trained.status` is how the next one ends, `trained.runs` are those that were
    asked for.
    """
    world = SimpleNamespace(status="finished", runs=[])

    def fit(config):
        workdir = ablation.Path(config.workdir)
        (workdir / "checkpoints").mkdir(parents=True, exist_ok=True)
        world.runs.append(workdir.name)
        return SimpleNamespace(status=world.status, exit_code=130 if world.status == "interrupted" else 0)

    monkeypatch.setattr(loop, "fit", fit)
    monkeypatch.setattr(ablation, "measure", lambda config, split: {key: {"value": 0.5} for key in KEYS})
    return world


def run(folder, *arguments):
    code = ablation.main(["--workdir", str(folder), *arguments])
    path = folder / "ablation.json"
    return code, json.loads(path.read_text()) if path.exists() else {}


def test_rows_of_earlier_calls_are_kept_with_their_seconds(trained, tmp_path, capsys):
    _, first = run(tmp_path, "--rows", "0", "1")
    first[ablation.CHANGES[0][0]]["seconds"]["value"] = 77.0
    (tmp_path / "ablation.json").write_text(json.dumps(first))
    code, record = run(tmp_path, "--rows", "0", "2", "--split", "test")
    assert code == 0 and list(record) == [name for name, _ in ablation.CHANGES[:3]]
    assert [row["split"] for row in record.values()] == ["test", "validation", "test"]
    assert record[ablation.CHANGES[0][0]]["seconds"] == {"value": 77.0}
    assert "| 0.500 | 77 |" in capsys.readouterr().out


def test_what_another_call_began_is_not_timed(trained, tmp_path, capsys):
    trained.status = "interrupted"
    run(tmp_path, "--rows", "0")
    trained.status = "finished"
    _, record = run(tmp_path, "--rows", "0")
    assert record[ablation.CHANGES[0][0]]["seconds"] == {"value": None}
    assert capsys.readouterr().out.endswith("| 0.500 | - |\n")


def test_an_interrupted_row_ends_the_table(trained, tmp_path):
    trained.status = "interrupted"
    assert run(tmp_path) == (130, {}) and trained.runs == ["0"]


def test_a_row_that_does_not_exist(trained, tmp_path):
    with pytest.raises(UserError, match="--rows invalid choice: 99") as caught:
        run(tmp_path, "--rows", "99")
    assert "\n" not in str(caught.value) and not trained.runs


def test_every_row_is_a_config_that_can_be_built():
    assert len(ablation.rows()) == len(ablation.CHANGES) + 1


@pytest.mark.slow
def test_a_row_is_trained_and_measured_as_any_run(tmp_path):
    """The first row for real: its figures are those of an evaluation of its run on the same split."""
    write_store(tmp_path / "store", splits={"train": 600, "validation": 40, "test": 20})
    code, record = run(tmp_path / "runs", "--rows", "0", "--store", str(tmp_path / "store"))
    row = record[ablation.CHANGES[0][0]]
    measured = evaluate(Request(workdir=tmp_path / "runs" / "0", split="validation"))
    assert code == 0 and row["seconds"]["value"] > 0 and row["global_pair_auc"]["value"] > 0.6
    assert {name: row[name] for name in ("global_pair_auc", "patch_pair_auc", "ece")} == {
        name: measured[name] for name in ("global_pair_auc", "patch_pair_auc", "ece")
    }
