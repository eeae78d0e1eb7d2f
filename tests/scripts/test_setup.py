"""Which builds of jax and torch `scripts/setup.sh` would install: its dry run, with our own nvidia-smi on the PATH."""

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("bash", "cat", "cut", "dirname", "head", "sed", "sha256sum")


def set_up(folder: Path, *arguments: str, answer: str | None = None, code: int = 0) -> subprocess.CompletedProcess:
    """Run a copy of the script where nvidia-smi prints `answer` and exits with `code`, or is missing (None)."""
    (folder / "bin").mkdir()
    for name in TOOLS:
        (folder / "bin" / name).symlink_to(str(shutil.which(name)))
    if answer is not None:
        (folder / "bin" / "nvidia-smi").write_text(f"#!{folder}/bin/bash\necho '{answer}'\nexit {code}\n")
        (folder / "bin" / "nvidia-smi").chmod(0o755)
    for name in ("pyproject.toml", "constraints.txt", "scripts/setup.sh"):
        (folder / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "checkout" / name)
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    environment = os.environ | {"PATH": str(folder / "bin"), "PYTHON": sys.executable} | offline
    command = ["bash", str(folder / "checkout" / "scripts" / "setup.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize(
    ("answer", "code", "builds", "extras", "exact"),
    [
        (None, 0, "no NVIDIA card found", "demo,docs,test", False),
        ("No devices were found", 6, "no NVIDIA card found", "demo,docs,test", False),
        (
            "NVIDIA-SMI has failed: no communication with the driver.",
            9,
            "no NVIDIA card found",
            "demo,docs,test",
            False,
        ),
        ("470.256.02", 0, "older than 525", "demo,docs,test", False),
        ("570.86.10", 0, "jax for CUDA 12; torch needs driver 580", "demo,docs,test,cuda12", False),
        ("580.95.05\n580.95.05", 0, "jax and torch for CUDA 13", "demo,docs,test,cuda13", True),
    ],
)
def test_the_driver_decides_which_builds_are_installed(tmp_path, answer, code, builds, extras, exact):
    done = set_up(tmp_path, "--dry-run", answer=answer, code=code)
    assert done.returncode == 0, done.stderr
    assert builds in done.stdout.splitlines()[0]
    torch, project = [shlex.split(line)[-1] for line in done.stdout.splitlines() if " -m pip install " in line]
    assert torch.startswith("torch===2." if exact else "torch>=") and project == f".[{extras}]"
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= declared.keys()


def test_a_dry_run_makes_nothing(tmp_path):
    assert set_up(tmp_path, "--dry-run").returncode == 0
    left = sorted(path.name for path in (tmp_path / "checkout").iterdir())
    assert left == ["constraints.txt", "pyproject.toml", "scripts"]


def test_an_unknown_argument_is_one_line(tmp_path):
    done = set_up(tmp_path, "--dryrun")
    message = "error: --dryrun: expected no argument or --dry-run (see scripts/setup.sh --help)\n"
    assert done.returncode == 2 and done.stderr == message


def test_help_says_what_there_is(tmp_path):
    done = set_up(tmp_path, "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: scripts/setup.sh") and "--dry-run" in done.stdout
