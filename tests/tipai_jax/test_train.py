"""The loop as a user meets it: resume, signals, refusals, NaN. Small runs of 15 steps, three epochs of five."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from loop_world import log_lines, small_config, small_store
from synthetic_store import write_store

import tipai_jax.train
from tipai_jax.config import TargetsConfig
from tipai_jax.errors import UserError
from tipai_jax.evaluation.inference import load_run, predict
from tipai_jax.files.lock import alone_in
from tipai_jax.store import ShardedArray, Store, open_store
from tipai_jax.tasks import auditor
from tipai_jax.training import checkpoint, loop
from tipai_jax.training.checkpoint import Checkpoints
from tipai_jax.training.loop import fit


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupted."""
    config = small_config(tmp_path_factory.mktemp("runs") / "whole")
    return config, fit(config)


def parameters(workdir, which="last"):
    return nnx.to_pure_dict(nnx.state(load_run(workdir, which).model, nnx.Param))


def assert_same_run(here, there):
    """Bit for bit: parameters, and every line of the log but for the clock."""
    for mine, theirs in zip(jax.tree.leaves(parameters(here)), jax.tree.leaves(parameters(there)), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert log_lines(Path(here)) == log_lines(Path(there))


def test_a_run_leaves_what_it_promises(whole):
    config, result = whole
    workdir = Path(config.workdir)
    assert (result.status, result.step, result.total_steps, result.exit_code) == ("finished", 15, 15, 0)
    lines = log_lines(workdir)
    assert [(line["step"], "validation" in line) for line in lines] == [
        (0, True),
        (4, False),
        (5, True),
        (8, False),
        (10, True),
        (12, False),
        (15, False),
        (15, True),
    ]
    assert set(lines[1]) == {
        "step",
        "epoch",
        "loss",
        "pair",
        "patch",
        "faithfulness",
        "saliency",
        "reason",
        "grad_norm",
        "update_norm",
        "param_norm",
        "lr",
    }
    scores = {
        line["step"]: line["validation"]["global_pair_auc"] for line in lines if "validation" in line and line["step"]
    }
    assert result.best_score == max(scores.values()) and scores[result.best_step] == result.best_score
    assert lines[-1]["validation"]["loss"] < lines[0]["validation"]["loss"]
    assert json.loads((workdir / "config.json").read_text())["store"]["digest"] == small_store().manifest.digest


def test_a_finished_run_says_so_and_repeats_nothing(whole, capsys, monkeypatch):
    config, _ = whole
    before = {path: path.stat().st_mtime_ns for path in files_of(config)}
    monkeypatch.setattr(loop, "_loop", None)
    result = fit(config)
    assert (result.status, result.exit_code, result.step) == ("already finished", 0, 15)
    assert "finished, 15 steps are done" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in files_of(config)}


def files_of(config):
    """What a finished run leaves alone: all but its lock, and the config whose free fields may be new."""
    return [
        path for path in Path(config.workdir).rglob("*") if path.is_file() and path.name not in (".lock", "config.json")
    ]


def test_the_free_fields_of_a_finished_run_can_be_changed(whole):
    config = dataclasses.replace(whole[0], targets=TargetsConfig(ece=0.02))
    assert fit(config).status == "already finished"
    assert json.loads((Path(config.workdir) / "config.json").read_text())["config"]["targets"]["ece"] == 0.02


@pytest.mark.parametrize("chunks", [2, 4, 6])
def test_interrupted_and_resumed_is_uninterrupted(whole, tmp_path, monkeypatch, chunks):
    """A signal after some chunks: in the middle of an epoch, at its last chunk, in the second epoch."""
    config = dataclasses.replace(whole[0], workdir=str(tmp_path / "run"))
    settle, seen = loop._settle, []

    def stop_after(sent, folders):
        seen.append(sent)
        if len(seen) == chunks:
            os.kill(os.getpid(), signal.SIGTERM)
        return settle(sent, folders)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_settle", stop_after)
        first = fit(config)
    assert (first.status, first.exit_code) == ("interrupted", 143) and 0 < first.step < 15
    assert fit(config).status == "finished"
    assert_same_run(config.workdir, whole[0].workdir)


def test_killed_after_a_checkpoint_goes_on_from_it(whole, tmp_path, monkeypatch):
    """What a kill -9 leaves: log lines beyond the last checkpoint, and a checkpoint without a seal."""
    config = dataclasses.replace(whole[0], workdir=str(tmp_path / "run"))
    seal = checkpoint.write_file

    def killed(path, data):
        if path.name == "00000010.json":
            raise KeyboardInterrupt
        seal(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_file", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(config)
    assert log_lines(tmp_path / "run")[-1]["step"] == 10 and Checkpoints(tmp_path / "run").last().step == 5
    assert fit(config).status == "finished"
    assert_same_run(config.workdir, whole[0].workdir)


@pytest.mark.parametrize(("validation", "step"), [(2, 5), (4, 15)])
def test_a_signal_during_validation_loses_nothing(whole, tmp_path, monkeypatch, capsys, validation, step):
    """In the second validation, and in the last, which a run is not finished without."""
    config = dataclasses.replace(whole[0], workdir=str(tmp_path / "run"))
    validate, calls = loop.Setup.validate, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == validation:
            os.kill(os.getpid(), signal.SIGINT)
        return validate(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Setup, "validate", interrupted)
        first = fit(config)
    assert (first.status, first.step, first.exit_code) == ("interrupted", step, 130)
    assert f"SIGINT: stopped and saved at step {step} of 15" in capsys.readouterr().err
    assert Checkpoints(tmp_path / "run").last().score is None
    assert fit(config).status == "finished"
    assert_same_run(config.workdir, whole[0].workdir)


def test_another_config_or_store_is_refused_with_what_differs(whole, tmp_path):
    config = whole[0]
    other = dataclasses.replace(config, seed=5, optim=dataclasses.replace(config.optim, peak_lr=1e-5))
    with pytest.raises(
        UserError, match=r"holds a run of another config \(seed: 0 -> 5; optim.peak_lr: 0.003 -> 1e-05\)"
    ):
        fit(other)
    write_store(tmp_path / "store", seed=9)
    with pytest.raises(UserError, match="store digest"):
        fit(dataclasses.replace(config, store=str(tmp_path / "store")))
    quieter = dataclasses.replace(config, log=dataclasses.replace(config.log, every_steps=3))
    assert fit(quieter).status == "already finished"


def test_a_flipped_bit_stops_the_resume_and_names_the_file(whole, tmp_path):
    shutil.copytree(whole[0].workdir, tmp_path / "run")
    path = max(
        (tmp_path / "run" / "checkpoints" / "00000015" / "params").rglob("*"),
        key=lambda path: path.stat().st_size * path.is_file(),
    )
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(UserError, match="sha256 differs") as caught:
        load_run(tmp_path / "run", "last")
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    ("column", "term"), [("image", "pair and reason"), ("patches", "patch and faithfulness and saliency")]
)
def test_not_a_number_stops_the_run_with_step_and_term(whole, tmp_path, monkeypatch, column, term):
    """A bad embedding that the second epoch meets: the checkpoint of the first is kept, nothing later is written."""
    pair_columns = auditor.pair_columns
    config = dataclasses.replace(whole[0], workdir=str(tmp_path / "run"))
    order = loop.Setup(config, small_store()).orders[0]
    early = {int(row) for step in range(5) for row in order.batch(step)[0]}
    step, bad = next(
        (step, int(row)) for step in range(5, 10) for row in order.batch(step)[0] if row not in early and row % 10 == 4
    )

    class Poisoned(ShardedArray):
        def __init__(self, rows, picture):
            super().__init__(rows._parts)
            self.picture = picture

        def take(self, rows):
            taken = super().take(rows)
            taken[rows == self.picture] = np.nan
            return taken

    def poisoned(store, pairs, *, phrases):
        columns = pair_columns(store, pairs, phrases=phrases)
        if len(pairs) != 150:
            return columns
        rows = Poisoned(columns.tables[column], pairs.rejected[bad])
        return dataclasses.replace(columns, tables={**columns.tables, column: rows})

    monkeypatch.setattr(auditor, "pair_columns", poisoned)
    with pytest.raises(UserError, match=rf"at step {step + 1} {term} is nan, not a finite number"):
        fit(config)
    assert [seal.step for seal in Checkpoints(tmp_path / "run").seals()] == [5]
    assert log_lines(tmp_path / "run")[-1]["step"] <= step


def test_two_processes_cannot_write_one_run(whole):
    with (
        alone_in(Path(whole[0].workdir), what="", doing="", option=""),
        pytest.raises(UserError, match="another process is training here"),
    ):
        fit(whole[0])


def test_a_workdir_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be used as the folder of a run"):
        fit(small_config(tmp_path / "file" / "run"))


def test_predictions_of_the_best_run(whole):
    run, store = load_run(whole[0].workdir), open_store(small_store().path)
    pairs = store.pairs.select(store.pairs.split == "validation")
    found = predict(run.task, run.model, auditor.pair_columns(store, pairs), batch_size=16)  # 40 = 16 + 16 + 8
    assert {name: values.shape for name, values in found.items()} == {
        "global_logit": (40, 2),
        "patch_logit": (40, 2, 49),
        "risk": (40, 2, 49),
        "reason_logit": (40, 2, 5),
    }
    real = ~pairs.control
    wins = found["global_logit"][real, 0] > found["global_logit"][real, 1]
    assert wins.mean() == pytest.approx(run.score, abs=1e-6)
    np.testing.assert_allclose(found["risk"], 1 / (1 + np.exp(found["patch_logit"])), rtol=1e-4)


def trained_on(run, **encoder):
    """The run as if its store had been embedded by an encoder with these fields instead."""
    # files_digest is missing in runs trained before it was recorded
    recorded = {name: value for name, value in run.store["encoder"].items() if name != "files_digest"}
    return dataclasses.replace(run, store={**run.store, "encoder": {**recorded, **encoder}})


def test_a_store_of_another_encoder_is_refused_with_what_differs_and_the_command_that_fits(whole, tmp_path):
    run, store = load_run(whole[0].workdir), small_store()
    run.check_encoder(store)
    digests = r"digests eeeeeeeeeeee and ffffffffffff\); train on this store, or "
    with pytest.raises(UserError, match=rf"\(equal name, patches, dtype and sizes, but other weights, .*; {digests}"):
        trained_on(run, digest="f" * 64).check_encoder(store)
    known = {"digest": "f" * 64, "files_digest": "a" * 64}
    with pytest.raises(UserError, match=r"\(patches raw, the run's tiles; digests"):
        trained_on(run, **known, patches="tiles").check_encoder(store)
    other = trained_on(run, **known, name="tiny", patches="tiles", dtype="bfloat16")
    with pytest.raises(UserError) as refused:
        other.check_encoder(store)
    message = str(refused.value)
    assert "(name random, the run's tiny; patches raw, the run's tiles; dtype float32, the run's bfloat16;" in message
    options = f"--encoder tiny --patches tiles --dtype bfloat16 --device cpu --out {store.path}-tiny-tiles-bfloat16"
    assert message.endswith(f"embed the data as the run needs it: python precompute/embed.py --data FOLDER {options}")
    assert "\n" not in message


def test_the_command_names_the_data_where_they_are_known(whole, tmp_path, monkeypatch):
    store = write_store(tmp_path / "store", train=20, validation=10, test=0)
    (tmp_path / "my pairs").mkdir()
    (tmp_path / "store/source.json").write_text('{"data": "../my pairs"}')
    monkeypatch.chdir(tmp_path)
    run = trained_on(load_run(whole[0].workdir), digest="f" * 64, dtype="float16")
    options = (
        r"--data 'my pairs' --encoder FOLDER/random --patches raw --dtype float16 --device cpu --out \S+/store-float16$"
    )
    with pytest.raises(UserError, match=options):
        run.check_encoder(store)


def test_another_number_format_of_the_same_weights_is_noted_and_let_pass(whole, tmp_path, capsys):
    run = load_run(whole[0].workdir)
    unknown = trained_on(run, digest="f" * 64, dtype="bfloat16")
    with pytest.raises(UserError, match="dtype float32, the run's bfloat16; only the number format seems to differ"):
        unknown.check_encoder(small_store())
    manifest = small_store().manifest
    same = dataclasses.replace(manifest.encoder, files_digest="a" * 64)
    store = Store(small_store().path, dataclasses.replace(manifest, encoder=same))
    capsys.readouterr()
    trained_on(run, digest="f" * 64, dtype="bfloat16", files_digest="a" * 64).check_encoder(store)
    line = capsys.readouterr().err
    assert "was embedded in float32" in line and "trained on bfloat16 by the same encoder" in line
    assert line.count("\n") == 1
    with pytest.raises(UserError, match=r"bfloat16; other weights, configuration, tokenizer or preprocessing; digests"):
        trained_on(run, digest="f" * 64, dtype="bfloat16", files_digest="b" * 64).check_encoder(store)
    with pytest.raises(UserError, match=r"image_size 224, the run's 112"):
        trained_on(run, digest="f" * 64, dtype="bfloat16", image_size=112, files_digest="a" * 64).check_encoder(store)


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(
        UserError, match=r"no finished checkpoint here; train first: .* --config FILE --store STORE --workdir "
    ):
        load_run(tmp_path)


@pytest.mark.slow
def test_the_command_is_stopped_by_sigterm_and_goes_on(whole, tmp_path):
    config = tmp_path / "mine.py"
    config.write_text(
        "import dataclasses\nfrom loop_world import small_config\ndef get_config():\n    return"
        f" dataclasses.replace(small_config({str(tmp_path / 'run')!r}), store={whole[0].store!r})\n"
    )
    command = [
        sys.executable,
        "-m",
        "tipai_jax.train",
        "--config",
        str(config),
        "--data.epochs",
        "40000",
        "--log.progress=True",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not list((tmp_path / "run" / "checkpoints").glob("*.json")):
        assert running.poll() is None, running.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    running.terminate()
    said = running.communicate(timeout=120)[1]
    assert running.returncode == 143, said
    assert "SIGTERM: stopped and saved at step" in said and "Traceback" not in said
    bad = subprocess.run([*command, "--seed=3"], env=environment, capture_output=True, text=True)
    assert bad.returncode == 2 and bad.stderr.startswith("error: ") and bad.stderr.count("\n") == 1


def test_the_first_screen_of_the_help_says_what_is_needed_first(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        tipai_jax.train.main(["--help"])
    screen = capsys.readouterr().out.splitlines()[:12]
    store = next(number for number, line in enumerate(screen) if "precompute/embed.py" in line)
    run = next(number for number, line in enumerate(screen) if "tipai_jax.train --config base.py --store" in line)
    assert "First make a store" in screen[store - 1] and store < run
