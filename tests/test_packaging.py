"""What pyproject.toml promises: console commands, one place for the version, and pins that fit its ranges."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tipai_jax

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMMANDS = PROJECT["project"]["scripts"]


def test_the_version_stands_in_one_place():
    assert "version" not in PROJECT["project"] and "version" in PROJECT["project"]["dynamic"]
    path = ROOT / PROJECT["tool"]["hatch"]["version"]["path"]
    assert path == Path(tipai_jax.__file__).resolve() and f'__version__ = "{tipai_jax.__version__}"' in path.read_text()


def test_each_command_that_people_type_is_declared():
    assert {"tipai-embed", "tipai-train", "tipai-evaluate", "tipai-audit"} <= COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_exits_with_the_code_of_its_main(command):
    module, function = COMMANDS[command].split(":")
    assert callable(getattr(importlib.import_module(module), function))
    program = f"import sys; from {module} import {function}; sys.exit({function}())"
    run = [sys.executable, "-c", program, "--no-such-option"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr


def normal(name: str) -> str:
    """One spelling of a package's name."""
    return name.lower().replace("_", "-")


def names_and_lower_ends(requirements: list[str]) -> dict[str, str]:
    """The name and the lower end of each requirement, which has the form `name[extra]>=1.2,<2`."""
    found = {}
    for requirement in requirements:
        match = re.fullmatch(r"([\w-]+)(\[\w+\])?>=([\w.]+)(,<[\w.]+)?", requirement)
        assert match, requirement
        found[normal(match[1])] = match[3]
    return found


def pins(file: str) -> dict[str, str]:
    """The version that a file of constraints gives to each package."""
    lines = (line.split("==") for line in (ROOT / file).read_text().splitlines() if not line.startswith("#"))
    return {normal(name): version for name, version in lines}


EXTRAS = PROJECT["project"]["optional-dependencies"]
DIRECT = PROJECT["project"]["dependencies"] + EXTRAS["test"]


def test_the_lowest_pins_are_the_lower_ends_of_the_ranges():
    assert pins("constraints-lowest.txt") == names_and_lower_ends(DIRECT)


def test_every_direct_dependency_is_pinned():
    wanted = names_and_lower_ends(DIRECT + EXTRAS["demo"] + EXTRAS["bench"])
    assert not wanted.keys() - pins("constraints.txt").keys()
