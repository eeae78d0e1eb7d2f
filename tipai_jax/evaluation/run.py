"""The order of an evaluation: load a run, measure it, draw, hold it against its targets, write record and report.

What is measured is the task's (`evaluator.py`); the same request on the same files gives the same bytes.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tipai_jax.errors import UserError
from tipai_jax.evaluation.build import evaluator_of
from tipai_jax.evaluation.evaluator import Inputs
from tipai_jax.evaluation.inference import Run, load_run
from tipai_jax.evaluation.record import known_record, made_by, provenance, write_record
from tipai_jax.evaluation.targets import Target, of_log, of_names
from tipai_jax.report.write import RECORD, report_folder, write_report
from tipai_jax.store import Store, open_store
from tipai_jax.training.metric_log import read_log

__all__ = ["Request", "data_folder", "evaluate"]


@dataclass(frozen=True)
class Request:
    """What is to be evaluated.

    Attributes:
        workdir: folder of a trained run; `calibration.json`, `baselines/` and `heatmaps/` are written into it.
        store: embeddings to evaluate on; those the run was trained from if None.
        split: train, validation, test or shift-NAME; with test go all shifted splits of the store.
        out: where the record goes, and the report beside it; WORKDIR/eval.json if None.
        heatmaps: how many examples to draw.
        data: folder of the images; where they lay when they were embedded if None.
        seed: of what intervals draw and of samples, such as those that baselines are fitted on.
        baselines: measure the baselines too; without them the record says so.
        again: measure even if the record of the same evaluation is there.
        command: for the record.
    """

    workdir: Path
    store: Path | None = None
    split: str = "test"
    out: Path | None = None
    heatmaps: int = 0
    data: Path | None = None
    seed: int = 0
    baselines: bool = True
    again: bool = False
    command: str = "python -m tipai_jax.evaluate ..."

    @property
    def record(self) -> Path:
        """Where the record goes."""
        return self.out or self.workdir / RECORD


class _Clock:
    """Reports on stderr what has been done, and how long it took."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def __call__(self, what: str) -> None:
        now = time.perf_counter()
        print(f"  {what}: {now - self._last:.1f} s", file=sys.stderr, flush=True)
        self._last = now


def evaluate(request: Request) -> dict[str, Any]:
    """Measure a run, and write the record, the calibration, the sheets and the report.

    Args:
        request: what is to be evaluated.

    Returns:
        The record as written: the figures of the task, `baselines` by name, `targets`, and what it was made with.

    Raises:
        UserError: no run, no store, a store of another encoder, an empty split, or heads that give NaN.
    """
    progress = _Clock()
    run = load_run(request.workdir)
    training_store, store_missing = _training_store(run, needed=request.store is None)
    store = training_store if request.store is None else open_store(request.store)
    assert store is not None, "without a store that was named, a missing one is refused"
    run.check_encoder(store)
    kind = evaluator_of(run.task)
    inputs = Inputs(
        run=run,
        training_store=training_store,
        store=store,
        split=request.split,
        seed=request.seed,
        workdir=request.workdir,
        baselines=request.baselines and training_store is not None,
        progress=progress,
    )
    evaluator = kind(inputs)
    data = data_folder(store, request.data, needed=request.heatmaps > 0)  # a wrong folder shows before the work
    made = {"split": request.split, "seed": request.seed, "heatmaps": request.heatmaps, "command": request.command}
    made_with = provenance(run, store, **made)
    known = None if request.again else known_record(request.record, made_with)
    if known and kind.calibrated(run, request.workdir) and _is_whole(known, training_store, request, data=data):
        return _measured_already(known, run, request)
    record = {**made_with, **made_by(run, training_store, store), **evaluator.evaluate()}
    missing = store_missing if request.baselines else "not asked for"
    record["not_measured"] = [f"baselines: {missing}"] if missing else []
    record["layout"] = run.task.figures().as_json()
    record["targets"] = _targets(record, run, request)
    folders = {"sheets": request.workdir / "heatmaps", "best_and_worst": report_folder(request.record)}
    record |= {"sheets": [], "best_and_worst": {}} | evaluator.draw(count=request.heatmaps, data=data, **folders)
    progress("drawings")
    write_record(request.record, record)
    write_report(request.record, workdir=request.workdir)
    return record


def _targets(record: Mapping[str, Any], run: Run, request: Request) -> list[Target]:
    asked = evaluator_of(run.task).targets(record, run.config.targets)
    named = of_names(record, run.config.targets.figures)
    return [*asked, *named, *of_log(read_log(request.workdir), score=run.task.select)]


def _measured_already(known: dict[str, Any], run: Run, request: Request) -> dict[str, Any]:
    """The known record; its targets anew, for what is asked may have changed, and so may have the log."""
    print(f"{request.record}: measured already, nothing to do (--again measures again)", file=sys.stderr)
    targets = _targets(known, run, request)
    if targets != known["targets"]:
        write_record(request.record, known | {"targets": targets})
    write_report(request.record, workdir=request.workdir)
    return known | {"targets": targets}


def _is_whole(record: Mapping[str, Any], training_store: Store | None, request: Request, *, data: Path | None) -> bool:
    """Whether nothing is missing of a record that could be measured or drawn now."""
    folder = report_folder(request.record)
    drawn = all((request.workdir / "heatmaps" / name).is_file() for name in record.get("sheets", [""]))
    shown = [entry["sheet"] for side in record["best_and_worst"].values() for entry in side]
    there = all((folder / name).is_file() for name in shown if name)
    sheets = data is None or (any(shown) == bool(shown) and there)
    baselines = not record["not_measured"] or training_store is None or not request.baselines
    return baselines and (not request.heatmaps or drawn) and sheets


def _training_store(run: Run, *, needed: bool) -> tuple[Store | None, str]:
    """The store the run was trained from, for calibration and baselines; None and why, where it can be done without.

    Raises:
        UserError: it is not there any more or has changed, and the evaluation is to run on it (`needed`).
    """
    try:
        store = open_store(run.store["path"])
    except UserError as error:
        if needed:
            raise
        return None, f"the store the run was trained from cannot be opened ({error})"
    found, wanted = store.manifest.digest, run.store["digest"]
    if found == wanted:
        return store, ""
    changed = f"{store.path}: digest {found[:12]}, but {run.workdir} was trained from digest {wanted[:12]}"
    if needed:
        run.check_encoder(store)
        raise UserError(f"{changed}; train again, or name a store to evaluate on with --store")
    return None, changed


def data_folder(store: Store, named: Path | None, *, needed: bool) -> Path | None:
    """Where the images lie; None if that is not known and they are not `needed`.

    Raises:
        UserError: the named folder is none; or images are needed, no folder was named and the one of old is gone.
    """
    if named is not None and not named.is_dir():
        raise UserError(f"--data {named}: no such folder; it is to hold the images that {store.path} was embedded from")
    folder = named or store.data_folder
    if folder is None and needed:
        raise UserError(
            f"{store.path}: the folder of its images is not there any more; name it with --data, or leave"
            " --heatmaps out"
        )
    return folder
