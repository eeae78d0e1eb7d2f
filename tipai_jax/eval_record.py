"""The record of an evaluation: what it was made with, the bins of its reliability diagram, and the file.

It owns everything in `eval.json` that is neither a figure nor a target. No clock and no path of a machine goes in, so
that the same evaluation writes the same bytes.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from tipai_jax import __version__
from tipai_jax.calibrate import Calibration, score_examples
from tipai_jax.calibrators import sigmoid
from tipai_jax.config import FREE_FIELDS, to_json
from tipai_jax.errors import UserError
from tipai_jax.measure import ECE_BINS
from tipai_jax.metrics import ece
from tipai_jax.predict import Run
from tipai_jax.predictions import Predictions
from tipai_jax.store import PairTable, Store

#: Raised whenever a figure comes to mean something else: a record of another number is measured again.
MEASURES = 3

__all__ = ["config_digest", "known_record", "provenance", "reliability", "write_record"]


def config_digest(run: Run) -> str:
    """sha256 of the resolved config of a run, without where things lie, what is logged and what is asked of it."""
    fixed = {name: value for name, value in to_json(run.config).items() if name not in FREE_FIELDS}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


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


def known_record(path: Path, made_with: dict[str, Any]) -> dict[str, Any] | None:
    """The record at `path`, if it was made with just this, whatever the command was called; a file that is no record counts as none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(record, dict) and all(record.get(name) == value for name, value in made_with.items() if name != "command")
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
