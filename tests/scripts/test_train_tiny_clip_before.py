"""The training script from the outside: it trains, resumes, and writes a folder that transformers reads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_tiny_clip_before.py"


@pytest.mark.slow
def test_trains_resumes_and_exports(tmp_path):
    def run(steps, *others, code=0):
        sizes = ["--steps", str(steps), "--squares", "2", "--examine", "2", "--loaders", "0"]
        command = [sys.executable, SCRIPT, "--workdir", tmp_path / "w", "--out", tmp_path / "out", *sizes]
        done = subprocess.run([*command, *others], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done

    assert "resumed" not in run(1).stdout
    assert "resumed at step 1" in run(2).stdout
    refused = run(2, "--seed", "1", code=2)
    assert "--workdir" in refused.stderr and "Traceback" not in refused.stderr
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["tipai_small_world_only"] is True and config["tipai_patches"] in ("raw", "dense", "crops", "tiles")
    assert "Small world only" in (tmp_path / "out" / "README.md").read_text()
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert (figures["steps"], figures["scenes"]) == (2, 8)
    with safe_open(tmp_path / "out" / "model.safetensors", "np") as weights:
        assert {str(weights.get_tensor(name).dtype) for name in weights.keys()} == {"float16"}  # noqa: SIM118


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path):
    """They start, average, stop together, and the first one alone writes; a batch that cannot be shared is refused."""
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        SCRIPT,
        "--workdir",
        tmp_path / "w",
    ]
    sizes = ["--steps", "2", "--examine", "2", "--loaders", "0", "--precision", "float32"]
    done = subprocess.run([*launch, *sizes, "--squares", "4"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("matrix products") == 1
    assert "torchrun --standalone --nproc-per-node 2" in (tmp_path / "w" / "encoder" / "README.md").read_text()
    alone = subprocess.run(
        [sys.executable, SCRIPT, "--workdir", tmp_path / "w", *sizes, "--squares", "4"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert alone.returncode == 2 and "'processes': 2" in alone.stderr
    refused = subprocess.run([*launch, *sizes, "--squares", "3"], capture_output=True, text=True, check=False)
    assert refused.returncode != 0 and "cannot be shared by 2 processes" in refused.stderr
