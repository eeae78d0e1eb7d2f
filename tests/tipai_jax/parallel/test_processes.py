"""Two processes on this machine train the run that one trains: same losses, one log, checkpoints that a process alone
reads.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from loop_world import log_lines, small_config, small_store

from tipai_jax.config.records import to_json
from tipai_jax.errors import UserError
from tipai_jax.evaluation.inference import load_run
from tipai_jax.parallel.processes import start
from tipai_jax.training.checkpoint import Checkpoints
from tipai_jax.training.loop import fit

TESTS = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, os, sys
from tipai_jax.parallel import processes
from tipai_jax.config.records import from_json

processes.start(os.environ)
import jax
from tipai_jax.training.loop import fit

result = fit(from_json(json.loads(sys.argv[1])))
print("ENDED", jax.process_index(), len(jax.devices()), result.status, result.step)
"""


def run_in_two(config) -> list[str]:
    """Train a config in two processes of one device each; what each of them said last."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(TESTS.parent),
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
        "JAX_NUM_PROCESSES": "2",
    }
    command = [sys.executable, "-c", PROGRAM, json.dumps(to_json(config))]
    started = [
        subprocess.Popen(
            command,
            env={**common, "JAX_PROCESS_ID": str(i)},
            cwd=TESTS.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    said = [process.communicate(timeout=600) for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(error[-3000:] for _, error in said)
    return [out.splitlines()[-1] for out, _ in said]


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["resident", "streaming"])
def test_two_processes_are_one_run(tmp_path, placement):
    config = small_config(tmp_path / "two", model={"dropout": 0.0}, data={"placement": placement, "epochs": 2})
    assert small_store().path.exists()
    assert run_in_two(config) == ["ENDED 0 2 finished 10", "ENDED 1 2 finished 10"]
    alone = small_config(tmp_path / "one", model={"dropout": 0.0}, data={"placement": placement, "epochs": 2})
    fit(alone)
    here, there = log_lines(tmp_path / "two"), log_lines(tmp_path / "one")
    assert [line["step"] for line in here] == [line["step"] for line in there]
    figures = [[(line | line.get("validation", {}))["loss"] for line in lines] for lines in (here, there)]
    np.testing.assert_allclose(*figures, atol=2e-6)
    assert Checkpoints(tmp_path / "two").last().step == 10
    assert load_run(tmp_path / "two").step == load_run(tmp_path / "one").step


@pytest.mark.parametrize(
    "said",
    [
        {"JAX_NUM_PROCESSES": "2"},
        {"JAX_COORDINATOR_ADDRESS": "here:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "2"},
        {"JAX_COORDINATOR_ADDRESS": "here", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "0"},
    ],
)
def test_variables_that_make_no_sense_are_refused(said):
    with pytest.raises(
        UserError, match="a run of many processes needs JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID"
    ):
        start(said)


def test_variables_are_checked_where_asserts_are_left_out():
    said = {"JAX_COORDINATOR_ADDRESS": "here:1", "JAX_NUM_PROCESSES": "1", "JAX_PROCESS_ID": "1"}
    program = f"from tipai_jax.parallel.processes import start; start({said})"
    command = [sys.executable, "-O", "-c", program]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "UserError: JAX_COORDINATOR_ADDRESS=here:1" in done.stderr


def test_a_process_alone_starts_nothing():
    start({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"})  # a batch script of an allocation for four, not one of four tasks
    assert jax.process_count() == 1
