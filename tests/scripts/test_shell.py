"""The shell scripts answer --help and refuse unknown arguments before they set up or start anything.

What commands write by default is ignored by git.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path.name for path in (ROOT / "scripts").glob("*.sh"))


def run(name: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of a script, beside a setup.sh that fails, in a folder without anything else."""
    (folder / "scripts").mkdir(exist_ok=True)
    (folder / "scripts/setup.sh").write_text("echo started >&2; exit 9\n")
    shutil.copy(ROOT / "scripts" / name, folder / "scripts" / name)
    return subprocess.run(["bash", folder / "scripts" / name, *arguments], capture_output=True, text=True, check=False)


def test_every_script_is_covered():
    assert {"poc.sh", "quickstart.sh", "setup.sh", "test.sh"} <= set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_shows_the_usage_and_starts_nothing(name, option, tmp_path):
    done = run(name, tmp_path, option)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith(f"usage: scripts/{name} ")
    assert list(tmp_path.iterdir()) == [tmp_path / "scripts"]


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name != "test.sh"])
@pytest.mark.parametrize("arguments", [["--fast"], ["--help", "x"], ["extra"]])
def test_an_unknown_argument_is_refused(name, arguments, tmp_path):
    done = run(name, tmp_path, *arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"error: {' '.join(arguments)}: expected n") and done.stderr.endswith(
        f"(see scripts/{name} --help)\n"
    )


def test_arguments_of_the_tests_go_to_pytest(tmp_path):
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    assert run("test.sh", tmp_path, "-n", "0").returncode == 9  # set up first
    (tmp_path / "scripts/setup.sh").write_text("exit 0\n")
    done = subprocess.run(
        ["bash", tmp_path / "scripts/test.sh", "-n", "0", "--fixtures"], capture_output=True, text=True, check=False
    )
    assert done.stdout == "-m pytest -n 2 --dist loadfile -n 0 --fixtures\n"


def test_git_ignores_what_commands_write_by_default():
    """The defaults of every command, and what the README's examples name."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    outputs = [
        "data/scenes/pairs.jsonl",
        "data/poc/catalog.db",
        "data/tfds/x",
        "store/scenes/manifest.json",
        "runs/base/eval.json",
        "runs/quickstart/x",
        "runs/bench/x",
        "runs/ablation/ablation.json",
        "runs/tiny_clip/x",
        "audit/picture.png",
        "audit.parquet",
        "audit.parquet.parts/plan.json",
        "bench.json",
        "bench.png",
        "scores.parquet",
        "my-auditor/config.json",
    ]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", *outputs], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == outputs
