"""What the tests of the loop share: one small store, small configs, and steps run from them without files.

Equal programs are compiled once for the whole session (XLA's cache of compiled programs, in a temporary folder).
"""

import atexit
import dataclasses
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from synthetic_store import write_store

from tipai_jax.config import AuditorConfig, DataConfig, InputFeatures, LogConfig, LossConfig, ModelConfig, OptimConfig
from tipai_jax.data.pipeline import Chunk
from tipai_jax.store import Store
from tipai_jax.training.setup import Setup
from tipai_jax.training.step import NORMS


@cache
def session_folder() -> Path:
    """A folder that goes when the tests end."""
    folder = Path(tempfile.mkdtemp(prefix="tipai-loop-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def compile_once() -> None:
    """Keep compiled programs for the rest of the session."""
    jax.config.update("jax_compilation_cache_dir", str(session_folder() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@cache
def small_store() -> Store:
    """150 pairs to train on (five batches of 32, the last one of 22), 40 for validation, d = 16."""
    compile_once()
    return write_store(session_folder() / "store")


def small_config(workdir: Path | str = "unused", **changes: dict[str, Any]) -> AuditorConfig:
    """A run of 15 steps with dropout and every term; `data={"epochs": 2}` and the like change single fields."""
    config = AuditorConfig(
        store=str(small_store().path),
        workdir=str(workdir),
        model=ModelConfig(hidden=8, dropout=0.2, global_inputs=InputFeatures(products=True)),
        loss=LossConfig(patch_over="unfaithful", faithfulness_over="both"),
        optim=OptimConfig(peak_lr=3e-3, warmup_steps=3),
        data=DataConfig(batch_size=32, epochs=3, start_fraction=0.5, full_at_epoch=2, steps_per_dispatch=2),
        log=LogConfig(every_steps=4, progress=False),
    )
    rooms = {name: dataclasses.replace(getattr(config, name), **fields) for name, fields in changes.items()}
    return dataclasses.replace(config, **rooms)


def run_steps(run: Setup, count: int) -> tuple[Any, dict[str, np.ndarray]]:
    """The state after the first `count` steps at least, and the figures of all steps run, norms NaN where nobody
    looked; nothing touches a file.
    """
    state, figures, step = jax.tree.map(lambda leaf: leaf.copy(), run.initial), [], 0
    while step < count:
        state, record = run.train(state, *run.source.load(run.chunk(step)))
        steps = run.steps_from(step)
        at_end = lambda norm, steps=steps: np.append(np.full(steps - 1, np.nan), norm)
        figures.append(
            {name: at_end(values) if name in NORMS else np.asarray(values)[:steps] for name, values in record.items()}
        )
        step += steps
    return state, {name: np.concatenate([each[name] for each in figures]) for name in figures[0]}


def dense_plan(run: Setup, first: int) -> Chunk:
    """The plan of a single step, whatever the run's chunks are."""
    row, valid = run.orders[0].batch(first)
    return Chunk(row[None], valid[None], np.array([first], np.int32))


def log_lines(workdir: Path) -> list[dict[str, Any]]:
    """The log of a run without what measures the machine."""
    lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if name != "seconds" and not name.endswith("_per_s")}
        for line in lines
    ]
