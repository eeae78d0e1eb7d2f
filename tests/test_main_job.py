"""The main job as a user types it, small: scenes, embed, train, evaluate, and all of it again, which must repeat nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def run(folder, *command, code=0):
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, check=False
    )
    assert done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    train = ["-m", "tipai_jax.train", "--config", str(ROOT / "configs" / "base.py"), "--store", "store/scenes", "--workdir", "runs/base"]
    steps = {
        "scenes": [str(ROOT / "precompute" / "scenes.py"), "--out", "data/scenes", "--pairs", "400", "--seed", "0"],
        "embed": [str(ROOT / "precompute" / "embed.py")],
        "train": [*train, "--data.epochs", "2", "--optim.warmup-steps", "4", "--model.attention-width", "64"],
        "evaluate": ["-m", "tipai_jax.evaluate", "--workdir", "runs/base", "--heatmaps", "2"],
    }
    said = {name: run(folder, *command) for name, command in steps.items() if name != "evaluate"}
    done = subprocess.run([sys.executable, *steps["evaluate"]], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return folder, steps, said


def test_the_record_holds_every_figure(job):
    record = json.loads((job[0] / "runs" / "base" / "eval.json").read_text())
    wanted = (
        "n_pairs global_pair_auc patch_pair_auc category_roc_auc pair_auc_by_category pair_auc_by_difficulty unseen_combination_pair_auc "
        "ece ece_equal_mass ece_before heatmap baselines targets control small_world_only"
    )
    assert set(wanted.split()) <= record.keys()
    assert record["small_world_only"] is True
    assert set(record["category_roc_auc"]) == {"object", "attribute", "counting", "spatial", "text"}
    assert set(record["heatmap"]) == {"iou", "dice", "cc", "auc_judd"}
    assert set(record["baselines"]) == {"zero_shot_cosine", "ridge_probe", "text_only", "image_only"}
    low, high = record["global_pair_auc"]["ci95"]
    assert 0 <= low <= record["global_pair_auc"]["value"] <= high <= 1
    assert record["baselines"]["text_only"]["global_pair_auc"]["value"] == 0.5
    assert len(list((job[0] / "runs" / "base" / "heatmaps").glob("pair-*.png"))) == 2


def test_nothing_is_repeated(job):
    folder, steps, _ = job
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and {"data", "store", "runs"} & set(path.parts) and path.name != ".lock"}
    assert "already drawn" in run(folder, *steps["scenes"])
    assert "complete already" in run(folder, *steps["embed"])
    run(folder, *steps["train"])
    again = subprocess.run([sys.executable, *steps["evaluate"]], cwd=folder, capture_output=True, text=True, check=False)
    assert "measured already" in again.stderr and again.returncode in (0, 1)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_another_encoders_store_is_refused(job):
    folder, steps, _ = job
    refused = run(folder, *steps["embed"], "--patches", "dense", code=2)
    assert "error: " in refused and "Traceback" not in refused
