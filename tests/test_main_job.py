"""The main job as a user types it, small: scenes, embed, train, evaluate, and all of it again, which must repeat
nothing.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def run(folder, *command, code=0):
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    assert done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    train = [
        "-m",
        "tipai_jax.train",
        "--config",
        str(ROOT / "configs" / "base.py"),
        "--store",
        "store/scenes",
        "--workdir",
        "runs/base",
    ]
    steps = {
        "scenes": [str(ROOT / "precompute" / "scenes.py"), "--out", "data/scenes", "--pairs", "400", "--seed", "0"],
        "embed": [str(ROOT / "precompute" / "embed.py")],
        "train": [*train, "--data.epochs", "2", "--optim.warmup-steps", "4", "--model.width", "16"],
        "evaluate": ["-m", "tipai_jax.evaluate", "--workdir", "runs/base", "--heatmaps", "2"],
    }
    said = {name: run(folder, *command) for name, command in steps.items() if name != "evaluate"}
    done = subprocess.run([sys.executable, *steps["evaluate"]], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return folder, steps, said


def test_the_record_holds_every_figure(job):
    record = json.loads((job[0] / "runs" / "base" / "eval.json").read_text())
    wanted = (
        "n_examples global_pair_auc patch_pair_auc category_roc_auc pair_auc_by_category pair_auc_by_difficulty"
        " unseen_combination_pair_auc ece ece_equal_mass ece_before heatmap baselines targets control small_world_only"
    )
    assert set(wanted.split()) <= record.keys()
    assert record["small_world_only"] is True
    assert set(record["category_roc_auc"]) == {"object", "attribute", "counting", "spatial", "text"}
    assert set(record["heatmap"]) == {
        "iou",
        "dice",
        "cc",
        "auc_judd",
        "box_overlap",
        "pointing_game",
    }
    assert set(record["baselines"]) == {
        *("zero_shot_cosine", "zero_shot_phrases", "ridge_probe", "text_only", "image_only"),
        *("phrase_rates", "object_mask"),
    }
    low, high = record["global_pair_auc"]["ci95"]
    assert 0 <= low <= record["global_pair_auc"]["value"] <= high <= 1
    assert record["baselines"]["text_only"]["global_pair_auc"]["value"] == 0.5
    assert len(list((job[0] / "runs" / "base" / "heatmaps").glob("pair-*.png"))) == 2
    page = (job[0] / "runs" / "base" / "report.html").read_text()
    assert "Small world only" in page and page.count("data:image/webp;base64,") == 20 and len(page) < 6e6


def test_nothing_is_repeated(job):
    folder, steps, _ = job
    before = {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and {"data", "store", "runs"} & set(path.parts) and path.name != ".lock"
    }
    assert "already drawn" in run(folder, *steps["scenes"])
    assert "complete already" in run(folder, *steps["embed"])
    run(folder, *steps["train"])
    again = subprocess.run(
        [sys.executable, *steps["evaluate"]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "measured already" in again.stderr and again.returncode in (0, 1)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_random_pairs_are_drawn_to_be_looked_at(job):
    folder, _, _ = job
    look = [str(ROOT / "scripts" / "look.py"), "--workdir", "runs/base", "--pairs", "2", "--seed", "3"]
    assert run(folder, *look).count(".png") == 2
    sheets = sorted((folder / "runs" / "base" / "look").glob("test-seed-3-*.png"))
    with Image.open(sheets[0]) as sheet:
        assert sheet.width > 1200 and len(np.unique(np.asarray(sheet.convert("RGB")).reshape(-1, 3), axis=0)) > 500
    before = sheets[0].read_bytes()
    run(folder, *look)
    assert sheets[0].read_bytes() == before


def test_another_encoders_store_is_refused(job):
    folder, steps, _ = job
    refused = run(folder, *steps["embed"], "--patches", "dense", code=2)
    assert "error: " in refused and "Traceback" not in refused


def make_elsewhere(folder):
    """Pairs of another hand: photographs' proportions, JPEG, shapes that the small world does not have, no field beyond
    the required ones in every other row.
    """
    (folder / "pics").mkdir(parents=True)
    rng, rows = np.random.default_rng(0), []
    colours = {"red": (200, 40, 40), "teal": (30, 150, 150), "ochre": (190, 140, 40)}
    for number in range(60):
        right, wrong = rng.permutation(sorted(colours))[:2].tolist()
        x, y, side = (int(value) for value in (rng.integers(10, 200), rng.integers(10, 110), rng.integers(40, 80)))
        for name, colour in (("good", right), ("bad", wrong)):
            picture = Image.new("RGB", (300, 200), (235, 235, 225))
            ImageDraw.Draw(picture).ellipse((x, y, x + side, y + side), fill=colours[colour])
            picture.save(folder / "pics" / f"{number}-{name}.jpg")
        row = {
            "pair_id": f"e{number}",
            "prompt": f"one {right} disc on parchment, number {number}",
            "chosen_image": f"pics/{number}-good.jpg",
            "rejected_image": f"pics/{number}-bad.jpg",
            "chosen_score": 4.0,
            "rejected_score": 1.5,
        }
        if number % 2:
            row |= {
                "split": "test",
                "unfaithful_patches": [{"bbox": [x, y, x + side, y + side], "category": "attribute"}],
            }
        rows.append(json.dumps(row))
    (folder / "pairs.jsonl").write_text("\n".join(rows) + "\n")


def test_pairs_made_elsewhere_embed_and_evaluate(job):
    folder, _, _ = job
    make_elsewhere(folder / "elsewhere")
    run(
        folder,
        str(ROOT / "precompute" / "embed.py"),
        "--data",
        "elsewhere",
        "--encoder",
        "tiny",
        "--out",
        "store/elsewhere",
    )
    asked = ["--workdir", "runs/base", "--store", "store/elsewhere", "--out", "runs/base/elsewhere.json"]
    done = subprocess.run(
        [sys.executable, "-m", "tipai_jax.evaluate", *asked], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr
    record = json.loads((folder / "runs" / "base" / "elsewhere.json").read_text())
    assert record["conformal"]["0.9"]["coverage"]["n"] > 0 and record["consistency"]["inconsistent_rate"]["n"] > 0
    assert record["n_examples"] >= 30 and record["patch_pair_auc"]["n"] > 0 and record["heatmap"]["auc_judd"]["n"] >= 30
    assert record["store_digest"] != record["training_store_digest"]
    assert record["pair_auc_by_category"]["attribute"]["n"] >= 30 and record["pair_auc_by_category"]["text"]["n"] == 0
