"""The record of an evaluation: what it was made with and by which commands, and the file.

Everything in `eval.json` that is neither a figure nor a target. No clock and no path of a machine goes in, so that the
same evaluation writes the same bytes.
"""

import hashlib
import json
import platform
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tipai_jax import __version__
from tipai_jax.config.records import for_digest, to_json
from tipai_jax.config.schema import FREE_FIELDS, RunConfig, option_of
from tipai_jax.errors import UserError
from tipai_jax.evaluation.inference import Run, embed_command
from tipai_jax.files.atomic import write_file
from tipai_jax.files.nested import flatten
from tipai_jax.store import Store

MEASURES = 14
"""Raised whenever a figure is added or comes to mean something else: a record of another number is measured again."""

__all__ = ["config_digest", "known_record", "made_by", "made_for", "provenance", "train_command", "write_record"]


def config_digest(run: Run) -> str:
    """sha256 of the resolved config of a run, without where things lie, what is logged and what is asked of it."""
    fixed = {name: value for name, value in for_digest(run.config).items() if name not in FREE_FIELDS}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


def made_for(run: Run) -> dict[str, Any]:
    """Which checkpoint a calibration belongs to, as its record says it."""
    return {"store_digest": run.store["digest"], "config_digest": config_digest(run), "step": run.step}


def provenance(run: Run, store: Store, *, split: str, seed: int, heatmaps: int, command: str) -> dict[str, Any]:
    """What the figures were made with, and by what."""
    encoder = store.manifest.encoder
    return {
        "command": command,
        "version": __version__,
        "measures": MEASURES,
        "task": run.task.name,
        "unit": run.task.unit,
        "split": split,
        "heatmaps_drawn": heatmaps,
        "encoder": {"name": encoder.name, "digest": encoder.digest, "patches": encoder.patches},
        "store_digest": store.manifest.digest,
        "training_store_digest": run.store["digest"],
        "config_digest": config_digest(run),
        "checkpoint": {"step": run.step, "validation_score": run.score},
        "seeds": {"training": run.config.seed, "bootstrap": seed},
        "small_world_only": bool(store.manifest.small_world_only or run.store["small_world_only"]),
        "intervals": run.task.figures().intervals,
    }


def made_by(run: Run, training_store: Store | None, store: Store) -> dict[str, Any]:
    """Commands that would make the run and its store again, and the versions that the figures were computed with.

    Unlike `provenance` this does not tell one evaluation from another: the figures of a store that was moved stay what
    they are.
    """
    commands = {"embed": embed_command(store), "train": train_command(run.config)}
    if training_store is not None and training_store.manifest.digest != store.manifest.digest:
        commands["embed, to train on"] = embed_command(training_store)
    libraries = {name: version(name) for name in ("jax", "flax", "numpy")}
    return {
        "commands": commands,
        "versions": {"tipai_jax": __version__, "python": platform.python_version(), **libraries},
    }


def train_command(config: RunConfig) -> str:
    """A command line that trains this config: the file whose values are the defaults of its task, and what differs."""
    plain, ours = flatten(to_json(type(config)())), flatten(to_json(config))
    changed = {name: value for name, value in ours.items() if value != plain[name] and name not in ("store", "workdir")}
    options = [f"{option_of(name)}={value}" for name, value in changed.items()]
    command = ["python", "-m", "tipai_jax.train", "--config", config.file, "--store", config.store]
    return shlex.join([*command, "--workdir", config.workdir, *options])


def known_record(path: Path, made_with: dict[str, Any]) -> dict[str, Any] | None:
    """The record at `path`, if it was made with just this, whatever the command was called; a file that is no record
    counts as none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(record, dict) and all(
        record.get(name) == value for name, value in made_with.items() if name != "command"
    )
    return record if same and "targets" in record else None


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write `eval.json`, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        write_file(path, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written ({error.strerror}); choose another file") from None
