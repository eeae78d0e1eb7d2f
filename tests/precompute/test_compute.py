"""What a model computes with: defaults by device, and what is not there is refused."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from catalog_world import write_prompts
from random_pipeline import write_pipeline

from precompute.compute import bar_seconds, best_device, check_device, choose_batch, choose_dtype
from tipai_jax.errors import UserError


def test_defaults_by_device():
    assert choose_dtype("auto", "cuda", parts=2) == choose_dtype(None, "cuda") == "float16"
    assert choose_dtype(None, "cpu", parts=2) == "float32" and choose_dtype("bfloat16", "cpu", parts=2) == "bfloat16"
    with pytest.raises(UserError, match="every worker would measure for itself"):
        choose_dtype("auto", "cpu", parts=2)


@pytest.mark.parametrize(("terminal", "seconds"), [(True, 0.5), (False, 10.0)])
def test_a_bar_is_drawn_seldom_where_each_drawing_is_a_line(terminal, seconds, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert bar_seconds() == seconds


@pytest.mark.parametrize(
    ("device", "most", "patches", "size", "reason"),
    [
        ("cpu", 40_000, "dense", 64, ""),
        ("cpu", 1009, "dense", 64, ""),
        ("cpu", 1008, "dense", 63, "only 1008 images or prompts"),
        ("cpu", 20, "dense", 2, "only 20 images or prompts"),
        ("cpu", 0, "dense", 1, "only 0 images or prompts"),
        ("cpu", 40_000, "crops", 9, "crops of an image take 30 MB"),
        ("cpu", 20, "crops", 2, "only 20 images or prompts"),
        ("cuda", 40_000, "tiles", 256, ""),
        ("cuda", 20, "tiles", 20, "only 20 images or prompts"),
        ("cuda", 40_000, "crops", 145, "crops of an image take 30 MB"),
    ],
)
def test_batches_are_smaller_for_little_data_and_for_crops(device, most, patches, size, reason):
    found, why = choose_batch(device, most=most, patches=patches, image_size=224, cells=49)
    assert found == size and bool(why) == bool(reason) and reason in why


@pytest.mark.parametrize("there", [True, False])
def test_a_gpu_is_taken_where_there_is_one(monkeypatch, there):
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    assert best_device() == ("cuda" if there else "cpu")
    check_device("cpu")
    if there:
        check_device("cuda")
    else:
        with pytest.raises(
            UserError, match="--device cuda: torch finds no CUDA device on this machine; take --device cpu, or wait"
        ):
            check_device("cuda", go_on=", or wait")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize(
    "command",
    [
        ["embed.py", "--data", "pairs", "--encoder", "tiny"],
        ["embed.py", "--data", "pairs", "--encoder", "tiny", "--dry-run"],
        ["embed.py", "--prompts", "prompts.json"],
        ["score.py", "--data", "scored"],
        ["generate.py", "--prompts", "prompts.json", "--model", "sd"],
    ],
    ids=" ".join,
)
def test_without_cuda_every_command_ends_in_one_line_and_writes_nothing(command, pairs, scored, tmp_path):
    (tmp_path / "pairs").symlink_to(pairs)
    (tmp_path / "scored").symlink_to(scored)
    write_prompts(tmp_path / "prompts.json")
    if "sd" in command:
        write_pipeline(tmp_path / "sd")
    before = sorted(tmp_path.rglob("*"))
    script = Path(__file__).resolve().parents[2] / "precompute" / command[0]
    done = subprocess.run(
        [sys.executable, script, *command[1:], "--device", "cuda"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.startswith(
        "error: --device cuda: torch finds no CUDA device on this machine; take --device cpu"
    ), done.stderr
    assert done.stderr.count("\n") == 1 and sorted(tmp_path.rglob("*")) == before
