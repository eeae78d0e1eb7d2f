"""Every config in configs/ builds and runs two steps; plan.py is the plan to the letter."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from loop_world import run_steps, small_store

from tipai_jax.config import AuditorConfig
from tipai_jax.config.command_line import load_config
from tipai_jax.config.records import differences
from tipai_jax.training.setup import Setup

CONFIGS = sorted(path.name for path in (Path(__file__).resolve().parents[2] / "configs").glob("*.py"))


def test_plan_is_the_plan():
    assert (
        differences(load_config("plan.py"), AuditorConfig()) == []
    )  # the defaults are held to the plan's table in test_config.py
    assert (load_config("plan.py").store, load_config("plan.py").workdir) == ("store/scenes", "runs/plan")


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_runs_two_steps(name):
    config = load_config(name)
    optim = dataclasses.replace(config.optim, warmup_steps=1)
    data = dataclasses.replace(config.data, batch_size=8, steps_per_dispatch=2)
    run = Setup(dataclasses.replace(config, optim=optim, data=data), small_store())
    state, figures = run_steps(run, 2)
    assert int(state.step) == 2
    assert all(
        (values[np.isfinite(values)] > 0).all() and values[-1] > 0 for values in figures.values()
    )  # norms are looked at once


@pytest.mark.parametrize("name", CONFIGS)
def test_a_docstring_is_a_contract(name):
    text = (Path(__file__).resolve().parents[2] / "configs" / name).read_text()
    assert all(word in text for word in ("Command:", "Minutes:", "Figures:")) and f"--config {name}" in text
