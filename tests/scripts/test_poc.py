"""poc.sh from end to end in a copy of the tree, with heads of random weights: every step runs, and the second time
nothing is repeated.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from auditor_world import make_bundle, tiny_fingerprint

ROOT = Path(__file__).resolve().parents[2]


def tree(folder: Path) -> Path:
    """The repository as links, with an environment that is there already."""
    (folder / "scripts").mkdir(parents=True)
    for name in ("precompute", "tipai_jax", "scripts/demo.py", "scripts/poc.sh"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "scripts/setup.sh").write_text("exit 0\n")
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    make_bundle(tiny_fingerprint("tiles")).save(folder / "heads")
    return folder


@pytest.mark.slow
def test_it_runs_to_its_end_and_repeats_nothing(tmp_path):
    folder = tree(tmp_path / "tree")

    def run(**more: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **more}
        done = subprocess.run(
            ["bash", folder / "scripts/poc.sh", "--no-demo"],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    first = run()
    sheets = sorted((folder / "data/poc/pairs").glob("*_comparison.png"))
    assert len(sheets) == 20 and len(list((folder / "data/poc/heatmaps").glob("*_heatmap.png"))) == 80
    assert (
        "the worst truly breaks its prompt:" in first
        and f"file://{folder}/data/poc/pairs" in first
        and "No trained auditor yet" in first
    )
    second = run(AUDITOR="heads")
    assert (
        "80 images judged" not in first and '"judged": 80' in second and second.count(" 0 of them drawn now") == 2
    )  # those of the first call
    (others,) = (path for path in (folder / "data/poc/pairs").iterdir() if path.is_dir())
    assert others.name.startswith("auditor@") and len(list(others.glob("*_comparison.png"))) == 20
    assert second.count("truly breaks its prompt") == 2 and "scripts/demo.py --data data/poc --auditor heads" in second


def test_an_auditor_that_is_not_there_is_refused(tmp_path):
    folder = tree(tmp_path / "tree")  # with steps that do nothing before the auditor's turn
    (folder / ".venv/bin/python").write_text(
        f'#!/bin/sh\ncase "$1" in precompute/*) exit 0;; esac\nexec "{sys.executable}" "$@"\n'
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AUDITOR": "runs/typo"}
    (folder / "data/poc").mkdir(parents=True)
    done = subprocess.run(
        ["bash", folder / "scripts/poc.sh", "--no-demo"], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 2 and "error: runs/typo: no trained auditor there yet" in done.stderr, (
        done.stdout + done.stderr
    )


def test_an_unknown_word_is_refused():
    done = subprocess.run(["bash", ROOT / "scripts/poc.sh", "--fast"], capture_output=True, text=True, check=False)
    expected = "error: --fast: expected nothing or --no-demo (see scripts/poc.sh --help)\n"
    assert done.returncode == 2 and done.stderr == expected
