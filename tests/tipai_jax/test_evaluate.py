"""The command, end to end on a planted store: its record, its files, its exit codes, its refusals."""

import dataclasses
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from eval_world import write_store
from PIL import Image

from tipai_jax import evaluate as command
from tipai_jax.config import (
    AuditorConfig,
    CheckpointConfig,
    DataConfig,
    InputFeatures,
    LogConfig,
    ModelConfig,
    OptimConfig,
    TargetsConfig,
)
from tipai_jax.errors import UserError, run_main
from tipai_jax.evaluation import run as evaluation
from tipai_jax.evaluation.auditor import AuditorEvaluator
from tipai_jax.evaluation.inference import load_run
from tipai_jax.evaluation.run import Request, evaluate
from tipai_jax.report.__main__ import main as write_report_again

FIGURES = (
    "global_pair_auc",
    "patch_pair_auc",
    "patch_pair_auc_within_rejected",
    "unseen_combination_pair_auc",
    "ece",
    "ece_equal_mass",
    "ece_before",
)
PRODUCTS = InputFeatures(products=True)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A store with images, and a run trained from it."""
    from tipai_jax.training.loop import fit

    folder = tmp_path_factory.mktemp("world")
    write_store(folder / "store", splits={"train": 80, "validation": 40, "test": 40}, draw_in=folder / "data")
    config = AuditorConfig(
        store=str(folder / "store"),
        workdir=str(folder / "run"),
        model=ModelConfig(hidden=32, global_inputs=PRODUCTS, patch_inputs=PRODUCTS, reason_inputs=PRODUCTS),
        optim=OptimConfig(peak_lr=1e-2, warmup_steps=5),
        data=DataConfig(batch_size=16, epochs=12, start_fraction=1.0, full_at_epoch=0),
        checkpoint=CheckpointConfig(every_epochs=2),
        log=LogConfig(progress=False),
        targets=TargetsConfig(
            pair_auc=0.8, patch_pair_auc=0.7, category_roc_auc=0.6, ece=0.2, auc_judd=0.7, conformal=0.2
        ),
    )
    fit(config)
    return folder


@pytest.fixture(scope="module")
def record(world):
    return evaluate(Request(workdir=world / "run", heatmaps=3, command="as typed"))


def test_the_record_has_every_figure(record):
    for scorer in (record, *(each for name, each in record["baselines"].items() if name != "object_mask")):
        for name in FIGURES:
            assert name in scorer
        assert set(scorer["pair_auc_by_difficulty"]) == {"easy", "medium", "hard"}
        assert set(scorer["pair_auc_by_category"]) == {"object", "attribute", "counting", "spatial", "text"}
    for name in FIGURES:
        figure = record[name]
        low, high = figure["ci95"]
        assert low <= figure["value"] <= high and figure["n"] > 0, name
    assert set(record["heatmap"]) == {
        "iou",
        "dice",
        "cc",
        "auc_judd",
        "box_overlap",
        "pointing_game",
    }
    assert set(record["category_roc_auc"]) == {"object", "attribute", "counting", "spatial", "text"}
    assert {"alarm_rate", "score_gap"} <= set(record["control"])
    assert record["n_examples"] == 80 and record["split"] == "test"
    assert record["small_world_only"] is True and record["encoder"]["name"] == "planted"
    assert record["command"] == "as typed" and record["seeds"] == {"training": 0, "bootstrap": 0}
    assert record["store_digest"] == record["training_store_digest"]


def test_the_heads_learned_and_the_ablations_did_not(record):
    assert record["global_pair_auc"]["value"] > 0.9
    assert record["patch_pair_auc"]["value"] > 0.8
    assert record["heatmap"]["auc_judd"]["value"] > 0.8
    assert set(record["baselines"]) == {
        *("zero_shot_cosine", "zero_shot_phrases", "ridge_probe", "text_only", "image_only"),
        "object_mask",
    }
    assert "do not say which objects" in record["baselines"]["object_mask"]["heatmap"]["auc_judd"]["reason"]
    assert not any("object_mask" in row["name"] for row in record["targets"])
    for name in ("text_only", "image_only"):
        figure = record["baselines"][name]["global_pair_auc"]
        assert figure["ci95"][0] <= 0.5 <= figure["ci95"][1]
        gap = record["baselines"][name]["global_pair_auc_difference"]
        assert gap["value"] == pytest.approx(record["global_pair_auc"]["value"] - figure["value"])
    assert 0.4 < record["baselines"]["text_only"]["patch_pair_auc_within_rejected"]["value"] < 0.6
    assert record["baselines"]["image_only"]["heatmap"]["auc_judd"]["n"] > 0


def test_the_image_only_ablation_reads_no_prompt(world, record):
    """It is trained on images: given another prompt for the same image it says the same."""
    from tipai_jax.evaluation.baselines.ablations import AblationHeads
    from tipai_jax.store import open_store

    (folder,) = (world / "run" / "baselines").glob("image_only-*")
    store = open_store(world / "store")
    pairs = store.pairs.select(store.pairs.split == "test")
    head = AblationHeads(folder)
    logit = head(store, pairs).global_logit
    other = head(store, dataclasses.replace(pairs, prompt=pairs.prompt[::-1].copy())).global_logit
    np.testing.assert_array_equal(logit, other)
    assert np.ptp(logit) > 1e-3, "it does read the image"


def test_a_shortcut_in_the_data_is_found(tmp_path):
    """Where the chosen image always shows the same thing, a head that never saw the prompt tells the two apart, and the
    target says so.
    """
    from tipai_jax.evaluation.auditor_figures import figures
    from tipai_jax.evaluation.baselines import fit_ablation
    from tipai_jax.evaluation.calibration import fit_calibration
    from tipai_jax.evaluation.targets import at_chance

    store = write_store(tmp_path / "store", splits={"train": 1500, "validation": 64, "test": 64}, squares=False)
    train, test = (store.pairs.select(store.pairs.split == split) for split in ("train", "test"))
    head = fit_ablation(
        AuditorConfig(store=str(store.path), workdir=str(tmp_path)),
        store,
        which="image_only",
        pairs=len(train),
        folder=tmp_path / "ablation",
    )
    said = head(store, test)
    found = figures(said, test, calibration=fit_calibration(said, test, everything=False), seed=0)
    assert found["global_pair_auc"]["value"] > 0.7
    assert at_chance("image_only", found["global_pair_auc"])["pass"] is False


def test_files(world, record):
    from tipai_jax.evaluation.calibration import load_calibration

    run = world / "run"
    assert json.loads((run / "eval.json").read_text()) == record
    fitted = load_calibration(run)
    assert fitted.record["split"] == "validation" and fitted.record["made_for"]["step"] == record["checkpoint"]["step"]
    sheets = sorted((run / "heatmaps").glob("pair-*.png"))
    assert len(sheets) == 3 and (run / "heatmaps" / "contact.png").exists()
    for path in sheets:
        with Image.open(path) as sheet:
            assert sheet.width > 1000


def test_again_it_writes_the_same_bytes(world, record):
    before = (world / "run" / "eval.json").read_bytes()
    evaluate(Request(workdir=world / "run", out=world / "again.json", heatmaps=3, command="as typed"))
    assert (world / "again.json").read_bytes() == before
    assert (world / "report-again.html").read_bytes() == (world / "run" / "report.html").read_bytes(), (
        "the sheets are drawn to the same bytes as well"
    )


def test_the_report_lies_beside_the_record_and_can_be_written_again(world, record):
    run = world / "run"
    page = (run / "report.html").read_text()
    assert "14 of 14 targets met" in page and page.count("data:image/webp;base64,") == 20
    sides = record["best_and_worst"]
    assert {path.name for path in (run / "report").iterdir()} == {
        entry["sheet"] for side in sides.values() for entry in side
    }
    gaps = {side: [entry["score"][0] - entry["score"][1] for entry in entries] for side, entries in sides.items()}
    assert (
        gaps["best"] == sorted(gaps["best"], reverse=True)
        and gaps["worst"] == sorted(gaps["worst"])
        and gaps["worst"][-1] <= gaps["best"][-1]
    )
    (run / "report.html").unlink()
    assert write_report_again(["--workdir", str(run)]) == 0
    assert (run / "report.html").read_text() == page
    assert f"--workdir {run}" in record["commands"]["train"] and "precompute/embed.py" in record["commands"]["embed"]


def test_without_pictures_it_is_measured_all_the_same(world, record):
    hidden = world / "pictures"
    (world / "data").rename(hidden)
    try:
        asked = Request(workdir=world / "run", out=world / "bare.json")
        bare = evaluate(asked)
        assert evaluate(asked) == bare, "what cannot be drawn is not measured again"
    finally:
        hidden.rename(world / "data")
    assert {name: bare[name] for name in FIGURES} == {name: record[name] for name in FIGURES}
    page = (world / "report-bare.html").read_text()
    assert (
        "There are no sheets: the folder of the images is not there any more" in page
        and "data:image" not in page.split("<body>")[1]
    )
    evaluate(asked)
    assert (world / "report-bare.html").read_text().count("data:image/webp;base64,") == 20, (
        "the images are back, and so are the sheets"
    )


class Measuring(Exception):
    """Raised in the place of a measurement, so that a test sees whether one was begun."""


@pytest.fixture
def measuring_raises(monkeypatch):
    def evaluate(self):
        raise Measuring

    monkeypatch.setattr(AuditorEvaluator, "evaluate", evaluate)


def test_new_targets_are_held_against_the_old_figures(world, record, monkeypatch, measuring_raises):
    """Targets may be changed after the run; nothing is measured again for that."""
    asked = Request(workdir=world / "run", heatmaps=3)
    run = load_run(world / "run")
    stricter = replace(run, config=replace(run.config, targets=replace(run.config.targets, pair_auc=0.9999)))
    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "load_run", lambda workdir: stricter)
        again = evaluate(asked)
    row = next(row for row in again["targets"] if row["name"] == "global pair AUC")
    assert row["threshold"] == 0.9999
    assert json.loads((world / "run" / "eval.json").read_text())["targets"] == again["targets"]
    assert evaluate(asked) == record


def test_a_record_without_its_sheets_is_not_whole(world, record, measuring_raises):
    asked = Request(workdir=world / "run", heatmaps=3)
    sheets = {path: path.read_bytes() for path in (world / "run" / "heatmaps").glob("*.png")}
    assert {path.name for path in sheets} == set(record["sheets"]) and len(sheets) == 4
    next(iter(sheets)).unlink()  # one is enough
    with pytest.raises(Measuring):
        evaluate(asked)
    for path, content in sheets.items():
        path.write_bytes(content)
    assert evaluate(asked) == record


@pytest.mark.parametrize("change", [{"again": True}, {"heatmaps": 2}, {"split": "validation"}, {"seed": 1}])
def test_what_was_measured_is_measured_again_where_the_request_differs(world, record, measuring_raises, change):
    asked = Request(workdir=world / "run", heatmaps=3, command="called otherwise")
    assert evaluate(asked) == record
    with pytest.raises(Measuring):
        evaluate(replace(asked, **change))


def test_a_run_without_its_calibration_is_measured_again(world, record, measuring_raises):
    (world / "run" / "calibration.json").rename(world / "aside.json")  # without it no auditor can be made of the run
    with pytest.raises(Measuring):
        evaluate(Request(workdir=world / "run", heatmaps=3))
    (world / "aside.json").rename(world / "run" / "calibration.json")


def test_exit_codes_follow_the_targets(world, record, monkeypatch, capsys):
    assert all(row["pass"] for row in record["targets"]), record["targets"]
    monkeypatch.setattr(evaluation, "evaluate", lambda request: record)
    assert command.main(["--workdir", str(world / "run")]) == 0
    shown = capsys.readouterr().out
    assert "14 of 14 targets met" in shown and "eval.json" in shown and "small world only" in shown
    missed = record | {"targets": [*record["targets"][1:], record["targets"][0] | {"pass": False}]}
    monkeypatch.setattr(evaluation, "evaluate", lambda request: missed)
    assert command.main(["--workdir", str(world / "run")]) == 1
    assert "FAIL" in capsys.readouterr().out


def test_another_store_of_the_same_encoder(world, record, tmp_path):
    other = write_store(tmp_path / "other", splits={"test": 20}, seed=5)
    found = evaluate(Request(workdir=world / "run", store=tmp_path / "other", out=tmp_path / "other.json"))
    assert found["store_digest"] == other.manifest.digest != found["training_store_digest"]
    assert found["n_examples"] == 40 and set(found["baselines"]) == set(record["baselines"])
    assert found["global_pair_auc"]["value"] > 0.8


def test_another_store_while_the_training_store_is_gone(world, record, tmp_path, monkeypatch):
    write_store(tmp_path / "other", splits={"test": 20}, seed=5)
    hidden = world / "hidden"
    (world / "store").rename(hidden)
    try:
        found = evaluate(Request(workdir=world / "run", store=tmp_path / "other", out=tmp_path / "other.json"))
        with pytest.raises(UserError, match="no finished store here"):
            evaluate(Request(workdir=world / "run"))
    finally:
        hidden.rename(world / "store")
    assert found["baselines"] == {} and "trained from cannot be opened" in found["not_measured"][0]
    assert found["ece"]["value"] is not None


def refused(argv, capsys):
    assert run_main(lambda: command.main([str(argument) for argument in argv])) == 2
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    return line


def test_a_store_of_another_encoder_is_refused_with_both_digests(world, record, tmp_path, capsys):
    write_store(tmp_path / "foreign", splits={"test": 10}, encoder="b" * 64)
    before = (world / "run" / "eval.json").read_bytes()
    line = refused(["--workdir", world / "run", "--store", tmp_path / "foreign"], capsys)
    assert "a" * 12 in line and "b" * 12 in line
    assert (world / "run" / "eval.json").read_bytes() == before


def test_bad_input_has_one_line(world, record, tmp_path, capsys):
    run = world / "run"
    assert "no finished checkpoint" in refused(["--workdir", tmp_path / "none"], capsys)
    assert "--workdir" in refused([], capsys)
    assert "--heatmap" in refused(["--workdir", run, "--heatmap", "3"], capsys)
    assert "--heatmaps" in refused(["--workdir", run, "--heatmaps", "-1"], capsys)
    expected = "--split all: expected one of train, validation, test"
    assert expected in refused(["--workdir", run, "--split", "all"], capsys)
    assert "no such folder" in refused(["--workdir", run, "--heatmaps", "1", "--data", tmp_path / "nowhere"], capsys)
    assert "no finished store" in refused(["--workdir", run, "--store", tmp_path / "nowhere"], capsys)
    write_store(tmp_path / "small", splits={"test": 10})
    assert "validation" in refused(["--workdir", run, "--store", tmp_path / "small", "--split", "validation"], capsys)


def test_a_training_store_that_changed_is_refused(world, record, tmp_path, capsys):
    hidden = world / "hidden"
    (world / "store").rename(hidden)
    try:
        write_store(world / "store", splits={"train": 20, "validation": 10, "test": 10}, seed=9)
        line = refused(["--workdir", world / "run"], capsys)
    finally:
        shutil.rmtree(world / "store")
        hidden.rename(world / "store")
    assert "was trained from digest" in line and "--store" in line
