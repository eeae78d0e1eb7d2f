"""The record of an evaluation: what it was made with, by which commands, the bins of its reliability diagram, and the
file.

It owns everything in `eval.json` that is neither a figure nor a target. No clock and no path of a machine goes in, so
that the same evaluation writes the same bytes.
"""

import hashlib
import json
import os
import platform
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tipai_jax import __version__
from tipai_jax.calibrate import Calibration, score_examples
from tipai_jax.calibrators import sigmoid
from tipai_jax.config import FREE_FIELDS, Config, flatten, to_json
from tipai_jax.errors import UserError
from tipai_jax.measure import ECE_BINS
from tipai_jax.metrics import ece
from tipai_jax.predict import Run
from tipai_jax.predictions import Predictions
from tipai_jax.store import PairTable, Store

#: Raised whenever a figure comes to mean something else: a record of another number is measured again.
MEASURES = 5

__all__ = [
    "config_digest",
    "known_record",
    "made_by",
    "made_for",
    "provenance",
    "reliability",
    "train_command",
    "write_record",
]


def config_digest(run: Run) -> str:
    """sha256 of the resolved config of a run, without where things lie, what is logged and what is asked of it."""
    fixed = {name: value for name, value in to_json(run.config).items() if name not in FREE_FIELDS}
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
        "split": split,
        "heatmaps_drawn": heatmaps,
        "encoder": {"name": encoder.name, "digest": encoder.digest, "patches": encoder.patches},
        "store_digest": store.manifest.digest,
        "training_store_digest": run.store["digest"],
        "config_digest": config_digest(run),
        "checkpoint": {"step": run.step, "validation_pair_auc": run.score},
        "seeds": {"training": run.config.seed, "bootstrap": seed},
        "small_world_only": bool(store.manifest.small_world_only or run.store["small_world_only"]),
        "intervals": "95 %, percentiles of 1000 bootstrap resamples of whole prompt groups (pairs.group)",
    }


def made_by(run: Run, home: Store | None, store: Store) -> dict[str, Any]:
    """Commands that would make the run and its store again, and the versions that the figures were computed with.

    Unlike `provenance` this does not tell one evaluation from another: the figures of a store that was moved stay what
    they are.
    """
    commands = {"embed": _embed_command(store), "train": train_command(run.config)}
    if home is not None and home.manifest.digest != store.manifest.digest:
        commands["embed, to train on"] = _embed_command(home)
    libraries = {name: version(name) for name in ("jax", "flax", "numpy")}
    return {
        "commands": commands,
        "versions": {"tipai_jax": __version__, "python": platform.python_version(), **libraries},
    }


def train_command(config: Config) -> str:
    """A command line that trains this config: the plan's `base.py`, whose values are the defaults, and whatever differs
    from it.
    """
    plain, ours = flatten(to_json(Config())), flatten(to_json(config))
    changed = {name: value for name, value in ours.items() if value != plain[name] and name not in ("store", "workdir")}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in changed.items()]
    return shlex.join(
        [
            "python",
            "-m",
            "tipai_jax.train",
            "--config",
            "base.py",
            "--store",
            config.store,
            "--workdir",
            config.workdir,
            *options,
        ]
    )


def _embed_command(store: Store) -> str:
    """A command line that embeds what is in a store; FOLDER or tfds:NAME where it is not known any more where the data
    lie.
    """
    manifest, folder = store.manifest, store.data_folder
    unknown = "tfds:NAME" if manifest.data["kind"] == "tfds" else "FOLDER"
    near = folder is not None and folder.is_relative_to(Path.cwd())
    asked = {
        "data": folder.relative_to(Path.cwd()) if folder is not None and near else unknown,
        "encoder": manifest.encoder.name,
        "patches": manifest.encoder.patches,
        "dtype": manifest.encoder.dtype,
        "device": manifest.device,
        "limit": manifest.data.get("limit"),
        "out": store.path,
    }
    options = [part for name, value in asked.items() if value is not None for part in (f"--{name}", str(value))]
    return shlex.join(["python", "precompute/embed.py", *options])


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


def reliability(ours: Predictions, pairs: PairTable, calibration: Calibration) -> dict[str, Any]:
    """The bins of the reliability diagram, before and after calibration; an empty bin holds None."""
    logit, label, _ = score_examples(ours, pairs)
    plain = lambda values: [None if value != value else float(value) for value in values]
    bins = {}
    for name, probability in (("before", sigmoid(logit)), ("after", calibration.global_score(logit))):
        found = ece(probability, label, bins=ECE_BINS, kind="width")
        bins[name] = {
            "confidence": plain(found.confidence),
            "frequency": plain(found.frequency),
            "count": [int(count) for count in found.count],
        }
    return bins


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write `eval.json`, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written ({error.strerror}); choose another file") from None
