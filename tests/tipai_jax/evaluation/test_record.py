"""What a record was made with: commands that make it again, a digest of what matters, and no path of the machine."""

import dataclasses
import json
import shlex
from pathlib import Path

import pytest
from eval_world import write_store

from tipai_jax.config.command_line import load_config, parse_config
from tipai_jax.errors import UserError
from tipai_jax.evaluation import record
from tipai_jax.evaluation.inference import Run, embed_command
from tipai_jax.evaluation.record import (
    config_digest,
    known_record,
    made_by,
    made_for,
    provenance,
    train_command,
    write_record,
)
from tipai_jax.tasks.build import make_task


def again(command):
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "tipai_jax.train"]
    return parse_config(words[3:], prog="train", description="")


def test_the_train_command_gives_the_config_back():
    for name in ("plan.py", "base.py"):
        config = load_config(name)
        assert again(train_command(config)) == config
    plain = load_config("plan.py")
    odd = dataclasses.replace(
        plain,
        workdir="runs/a b",
        profile="1:2",
        optim=dataclasses.replace(plain.optim, clip_norm=1.5, peak_lr=1e-7),
        log=dataclasses.replace(plain.log, progress=False),
    )
    assert again(train_command(odd)) == odd
    assert train_command(plain) == "python -m tipai_jax.train --config plan.py --store store/scenes --workdir runs/plan"


def test_the_embed_command_names_the_encoder_and_never_a_folder_elsewhere(tmp_path, monkeypatch):
    store = write_store(tmp_path / "store", splits={"test": 4}, draw_in=tmp_path / "data")
    wanted = "--encoder FOLDER/planted --patches dense --dtype float32 --device cpu"
    elsewhere = embed_command(store)
    assert f"--data FOLDER {wanted}" in elsewhere, "the images lie outside the folder that the command is run in"
    assert str(tmp_path / "data") not in elsewhere
    monkeypatch.chdir(tmp_path)
    assert f"--data data {wanted}" in embed_command(store)


def run_of(config, store, **changes):
    """A finished run without its heads, which no record reads."""
    made = {
        "config": config,
        "task": make_task(config),
        "model": None,
        "step": 657,
        "score": 0.875,
        "store": {"path": str(store.path), "digest": store.manifest.digest, "small_world_only": False},
        "workdir": Path(config.workdir),
    }
    return Run(**made | changes)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store") / "store", splits={"train": 6, "test": 4})


@pytest.fixture(scope="module")
def run(store):
    return run_of(load_config("base.py"), store)


ASKED = {"split": "test", "seed": 3, "heatmaps": 2, "command": "as typed"}


def test_the_record_names_its_task_and_its_checkpoint(run, store):
    made = provenance(run, store, **ASKED)
    assert (made["task"], made["unit"], made["split"]) == ("auditor", "pairs", "test")
    assert made["checkpoint"] == {"step": 657, "validation_score": 0.875}
    assert made["seeds"] == {"training": run.config.seed, "bootstrap": 3} and made["heatmaps_drawn"] == 2
    assert made["encoder"] == {"name": "planted", "digest": "a" * 64, "patches": "dense"}
    assert made["store_digest"] == made["training_store_digest"] == store.manifest.digest
    assert made["intervals"] == run.task.figures().intervals and "groups" in made["intervals"]
    assert made["small_world_only"] is True, "of the store that is evaluated on, whatever the training store was"
    assert made["measures"] == record.MEASURES and made["command"] == "as typed"
    unknown = provenance(dataclasses.replace(run, score=None), store, **ASKED)
    assert unknown["checkpoint"]["validation_score"] is None, "parameters saved in mid-epoch have no score"


def test_neither_a_clock_nor_a_path_of_the_machine_goes_in(run, store):
    made = provenance(run, store, **ASKED)
    assert json.dumps(made) == json.dumps(provenance(run, store, **ASKED))
    assert str(store.path) not in json.dumps(made)


def test_a_digest_changes_with_what_is_trained_and_not_with_what_is_asked(run, store):
    config = run.config
    free = dataclasses.replace(
        config,
        workdir="elsewhere",
        store="moved",
        log=dataclasses.replace(config.log, progress=not config.log.progress),
        targets=dataclasses.replace(config.targets, ece=0.01),
    )
    assert config_digest(run_of(free, store)) == config_digest(run)
    for changed in (
        dataclasses.replace(config, seed=config.seed + 1),
        dataclasses.replace(config, optim=dataclasses.replace(config.optim, peak_lr=1e-7)),
        dataclasses.replace(config, model=dataclasses.replace(config.model, width=config.model.width + 4)),
    ):
        assert config_digest(run_of(changed, store)) != config_digest(run)


def test_a_calibration_is_made_for_one_checkpoint(run, store):
    made = made_for(run)
    assert made == {"store_digest": store.manifest.digest, "config_digest": config_digest(run), "step": 657}
    assert made_for(dataclasses.replace(run, step=658)) != made


def test_another_store_to_train_on_has_its_own_command(run, store, tmp_path):
    other = write_store(tmp_path / "other", splits={"test": 4}, seed=5)
    same = made_by(run, store, store)["commands"]
    assert set(same) == {"embed", "train"} and same["train"] == train_command(run.config)
    found = made_by(run, store, other)["commands"]
    assert str(other.path) in found["embed"] and str(store.path) in found["embed, to train on"]
    assert set(made_by(run, None, other)["commands"]) == {"embed", "train"}
    assert {"tipai_jax", "python", "jax", "flax", "numpy"} == set(made_by(run, None, other)["versions"])


def test_a_record_is_known_by_what_it_was_made_with(run, store, tmp_path, monkeypatch):
    path, made = tmp_path / "eval.json", provenance(run, store, **ASKED)
    assert known_record(path, made) is None, "there is none"
    write_record(path, made | {"targets": []})
    assert known_record(path, made) == made | {"targets": []}
    called = {**ASKED, "command": "called otherwise"}
    assert known_record(path, provenance(run, store, **called)) is not None, "the command is no part of it"
    for change in ({"split": "train"}, {"seed": 4}, {"heatmaps": 3}):
        assert known_record(path, provenance(run, store, **ASKED | change)) is None, change
    assert known_record(path, provenance(dataclasses.replace(run, score=0.5), store, **ASKED)) is None
    with monkeypatch.context() as patched:
        patched.setattr(record, "MEASURES", record.MEASURES + 1)
        assert known_record(path, provenance(run, store, **ASKED)) is None, "its figures meant something else"
    write_record(path, made)
    assert known_record(path, made) is None, "it never was finished"
    for content in ("{", "[]"):
        path.write_text(content)
        assert known_record(path, made) is None


def test_a_record_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "eval.json"
    write_record(path, {"value": 0.5})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_record(path, {"value": float("nan")})
    assert json.loads(path.read_text()) == {"value": 0.5} and list(tmp_path.iterdir()) == [path]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--out .*file/eval.json: cannot be written .*; choose another file"):
        write_record(tmp_path / "file" / "eval.json", {})
