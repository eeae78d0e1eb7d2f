"""The command that measures a run: `eval.json`, the calibration, heatmap sheets, a table of targets, and `report.html`.

    python -m tipai_jax.evaluate --workdir runs/base [--store OTHER] [--split test] [--out FILE] [--heatmaps N] [--data
    FOLDER]

It owns the command line, the order of things and the exit codes: 0 every target that could be measured is met, 1 one is
missed, 2 bad input. What a figure means is `measure.py`'s, what is asked is `targets.py`'s, what is shown
`report.py`'s.
Imports late, so that `--help` answers at once.
"""

import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tipai_jax.errors import Parser, UserError, run_main
from tipai_jax.sweep import Grid, read_sweep, sweep_table

if TYPE_CHECKING:
    from tipai_jax.calibrate import Calibration
    from tipai_jax.predict import Run
    from tipai_jax.predictions import Predictions
    from tipai_jax.store import PairTable, Store

__all__ = ["Request", "evaluate", "main"]

PROG = "python -m tipai_jax.evaluate"


@dataclass(frozen=True)
class Request:
    """What is to be evaluated.

    Attributes:
        workdir: folder of a trained run; `calibration.json`, `baselines/` and `heatmaps/` are written into it.
        store: embeddings to evaluate on; those the run was trained from if None.
        split: train, validation or test.
        out: where the record goes, and the report beside it; WORKDIR/eval.json if None.
        heatmaps: how many pairs to draw.
        data: folder of the pictures; where they lay when they were embedded if None.
        seed: of the bootstrap and of the ridge probe's sample.
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
    again: bool = False
    command: str = f"{PROG} ..."


def parse(argv: Sequence[str]) -> Request:
    """The request of a command line.

    Raises:
        UserError: an unknown option, or a value that does not fit.
        SystemExit: with code 0, after `--help`.
    """
    parser = Parser(prog=PROG, description="Measure a trained run against its targets and the baselines.")
    parser.add_argument("--workdir", type=Path, required=True, help="folder of the run, as given to tipai_jax.train")
    parser.add_argument(
        "--store", type=Path, help="another store of the same encoder (default: the one the run was trained from)"
    )
    parser.add_argument(
        "--split", default="test", choices=("train", "validation", "test"), help="which pairs (default: test)"
    )
    parser.add_argument("--out", type=Path, help="the record (default: WORKDIR/eval.json)")
    parser.add_argument(
        "--heatmaps", type=int, default=0, metavar="N", help="draw N pairs into WORKDIR/heatmaps (default: 0)"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="folder of the pictures (default: where they were embedded from)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the bootstrap and of the ridge probe's sample (default: 0)"
    )
    parser.add_argument("--again", action="store_true", help="measure again what has been measured")
    asked = vars(parser.parse_args(list(argv)))
    if asked["heatmaps"] < 0 or asked["seed"] < 0:
        raise UserError("--heatmaps and --seed are whole numbers from 0")
    return Request(**asked, command=shlex.join([*PROG.split(), *argv]))


class _Clock:
    """Says on stderr what is being done, and how long the last thing took."""

    def __init__(self) -> None:
        self.began = self.last = time.perf_counter()

    def done(self, what: str) -> None:
        now = time.perf_counter()
        print(f"  {what}: {now - self.last:.1f} s", file=sys.stderr, flush=True)
        self.last = now


def evaluate(request: Request) -> dict[str, Any]:
    """Measure a run, and write the record, the calibration, the sheets and the report.

    Args:
        request: what is to be evaluated.

    Returns:
        The record as written: the figures of `measure.figures`, `baselines` by name, `targets`, and what it was made
        with. The same request on the same files gives the same bytes.

    Raises:
        UserError: no run, no store, a store of another encoder, an empty split, or heads that give NaN.
    """
    from tipai_jax.data.splits import split_pairs
    from tipai_jax.eval_record import known_record, made_by, provenance, reliability, write_record
    from tipai_jax.measure import figures
    from tipai_jax.report import write_report
    from tipai_jax.store import open_store
    from tipai_jax.targets import check, read_log
    from tipai_jax.train import load_run

    clock = _Clock()
    run = load_run(request.workdir)
    home, home_missing = _training_store(run, named=request.store is None)
    store = home if request.store is None else open_store(request.store)
    assert store is not None, "without a store that was named, a missing one is refused"
    run.check_encoder(store)
    pairs = split_pairs(store, request.split)
    data = data_folder(
        store, request.data, needed=request.heatmaps > 0
    )  # a wrong folder is to be known before the work, not after it
    made_with = provenance(
        run, store, split=request.split, seed=request.seed, heatmaps=request.heatmaps, command=request.command
    )
    out = request.out or request.workdir / "eval.json"
    if (
        not request.again
        and (known := known_record(out, made_with))
        and _is_whole(known, run, home, request, data=data, out=out)
    ):
        print(f"{out}: measured already, nothing to do (--again measures again)", file=sys.stderr)
        targets = check(known, targets=run.config.targets, log=read_log(request.workdir))
        if targets != known["targets"]:
            write_record(out, known | {"targets": targets})
        write_report(out, workdir=request.workdir)
        return known | {"targets": targets}
    ours = _opinions(run, store, pairs)
    clock.done(f"opinions on {len(pairs)} pairs")
    calibration = _calibration(run, home, request.workdir)
    clock.done("calibration")
    record = {
        **made_with,
        **made_by(run, home, store),
        **figures(ours, pairs, calibration=calibration, seed=request.seed),
        "reliability": reliability(ours, pairs, calibration),
    }
    clock.done("figures")
    if home is None:
        record |= {"baselines": {}, "not_measured": [f"baselines: {home_missing}"]}
    else:
        record |= {"baselines": _baselines(run, home, store, pairs, ours, request, clock), "not_measured": []}
    record["targets"] = check(record, targets=run.config.targets, log=read_log(request.workdir))
    record["extremes"] = _draw(store, pairs, ours, calibration, request, data=data, out=out)
    clock.done("heatmaps")
    write_record(out, record)
    write_report(out, workdir=request.workdir)
    return record


def _is_whole(
    record: Mapping[str, Any], run: "Run", home: "Store | None", request: Request, *, data: Path | None, out: Path
) -> bool:
    """Whether nothing is missing of a record that could be measured now, and its sheets and the calibration are there."""
    from tipai_jax.calibrate import load_calibration
    from tipai_jax.eval_record import made_for
    from tipai_jax.report import report_folder

    try:
        if load_calibration(request.workdir).record.get("made_for") != made_for(run):
            return False
    except UserError:
        return False

    drawn = len(list((request.workdir / "heatmaps").glob("pair-*.png")))
    shown = [entry["sheet"] for side in record["extremes"].values() for entry in side]
    sheets = data is None or (
        any(shown) == bool(shown) and all((report_folder(out) / name).is_file() for name in shown if name)
    )
    return (home is None or not record["not_measured"]) and (not request.heatmaps or drawn > 0) and sheets


def _training_store(run: "Run", *, named: bool) -> tuple["Store | None", str]:
    """The store that the run was trained from, for calibration and baselines; None and why, where it can be done
    without.

    Raises:
        UserError: it is not there any more or has changed, and the evaluation is to run on it (`named`).
    """
    from tipai_jax.store import open_store

    try:
        store = open_store(run.store["path"])
    except UserError as error:
        if named:
            raise
        return None, f"the store the run was trained from cannot be opened ({error})"
    if store.manifest.digest == run.store["digest"]:
        return store, ""
    changed = (
        f"{store.path}: digest {store.manifest.digest[:12]}, but {run.workdir} was trained from digest"
        f" {run.store['digest'][:12]}"
    )
    if named:
        run.check_encoder(store)
        raise UserError(f"{changed}; train again, or name a store to evaluate on with --store")
    return None, changed


def _opinions(run: "Run", store: "Store", pairs: "PairTable") -> "Predictions":
    """What the heads say of pairs.

    Raises:
        UserError: something that is not a finite number.
    """
    import numpy as np

    from tipai_jax.predict import predict
    from tipai_jax.predictions import Predictions

    said = Predictions.from_mapping(predict(run.model, store, pairs))
    bad = ~np.isfinite(said.score).all(axis=1)
    for part in (said.patch, said.risk, said.reason):
        bad |= ~np.isfinite(part).reshape(len(bad), -1).all(axis=1)
    if bad.any():
        first = pairs.pair_id[int(np.flatnonzero(bad)[0])]
        raise UserError(
            f"{run.workdir}: the heads give no finite number for {int(bad.sum())} pairs (first: {first}); check the"
            f" store: python -m tipai_jax.store.verify {store.path}"
        )
    return said


def _calibration(run: "Run", home: "Store | None", workdir: Path) -> "Calibration":
    """Fitted on the validation split of the training store and saved; or the one saved before, where that store is
    gone.
    """
    from dataclasses import replace

    from tipai_jax.calibrate import fit_calibration, load_calibration, save_calibration
    from tipai_jax.data.splits import split_pairs
    from tipai_jax.eval_record import made_for

    if home is None:
        calibration = load_calibration(workdir)
        if calibration.record.get("made_for") != made_for(run):
            raise UserError(
                f"{workdir}/calibration.json belongs to another checkpoint; bring back {run.store['path']} and evaluate"
                " again"
            )
        return calibration
    pairs = split_pairs(home, "validation")
    calibration = fit_calibration(_opinions(run, home, pairs), pairs)
    calibration = replace(
        calibration,
        record={"made_for": made_for(run), "split": "validation", "n_pairs": len(pairs), **calibration.record},
    )
    save_calibration(calibration, workdir)
    return calibration


def _baselines(
    run: "Run", home: "Store", store: "Store", pairs: "PairTable", ours: "Predictions", request: Request, clock: _Clock
) -> dict[str, Any]:
    """The figures of each baseline, fitted and calibrated on the training store, and how far ours are above it."""
    from tipai_jax.baselines import BLIND, fit_blind, ridge_probe, zero_shot_cosine
    from tipai_jax.calibrate import fit_calibration
    from tipai_jax.data.splits import split_pairs
    from tipai_jax.measure import difference, figures

    train, validation = split_pairs(home, "train"), split_pairs(home, "validation")
    folder = request.workdir / "baselines"
    makers = {
        "zero_shot_cosine": lambda: zero_shot_cosine,
        "ridge_probe": lambda: ridge_probe(home, train=train, validation=validation, seed=request.seed),
        **{
            which: lambda which=which: fit_blind(run.config, home, which=which, pairs=len(train), folder=folder)
            for which in BLIND
        },
    }
    measured = {}
    for name, make in makers.items():
        scorer = make()
        calibration = fit_calibration(scorer(home, validation), validation, everything=False)
        theirs = scorer(store, pairs)
        measured[name] = {
            **figures(theirs, pairs, calibration=calibration, uncalibrated=name in BLIND, seed=request.seed),
            "global_pair_auc_difference": difference(ours, theirs, pairs, seed=request.seed),
        }
        clock.done(f"baseline {name}")
    return measured


def data_folder(store: "Store", named: Path | None, *, needed: bool) -> Path | None:
    """Where the pictures lie; None if that is not known and they are not `needed`.

    Raises:
        UserError: the named folder is none; or pictures are needed, no folder was named and the one of old is gone.
    """
    if named is not None and not named.is_dir():
        raise UserError(
            f"--data {named}: no such folder; it is to hold the pictures that {store.path} was embedded from"
        )
    folder = named or store.data_folder
    if folder is None and needed:
        raise UserError(
            f"{store.path}: the folder of its pictures is not there any more; name it with --data, or leave"
            " --heatmaps out"
        )
    return folder


def _draw(
    store: "Store",
    pairs: "PairTable",
    ours: "Predictions",
    calibration: "Calibration",
    request: Request,
    *,
    data: Path | None,
    out: Path,
) -> dict[str, Any]:
    """The sheets that were asked for, and those of the best and worst pairs for the report; returns what the record
    says of the latter.
    """
    from tipai_jax.extremes import extremes
    from tipai_jax.gallery import draw_gallery, opinion_of, pick_pairs
    from tipai_jax.report import report_folder

    if request.heatmaps:
        assert data is not None
        stamp = "small world only: drawn scenes, no photographs" if store.manifest.small_world_only else ""
        opinion = lambda row: opinion_of(ours, calibration, row)
        draw_gallery(
            store,
            pairs,
            pick_pairs(pairs, request.heatmaps),
            opinion=opinion,
            data=data,
            out=request.workdir / "heatmaps",
            stamp=stamp,
        )
    return extremes(store, pairs, ours, calibration, data=data, folder=report_folder(out))


def _evaluate_sweep(request: Request, grid: Grid, folders: Sequence[Path]) -> int:
    """Evaluate every member of a sweep, each into its own folder, and print the means over the seeds."""
    from tipai_jax.config import from_json
    from tipai_jax.run_folder import FAILED

    if request.out is not None:
        raise UserError(
            f"--out: {request.workdir} is a sweep of {len(folders)} runs, each writes its own eval.json; leave --out"
            " away"
        )
    members, figures = [], []
    for folder in folders:
        members.append(from_json(json.loads((folder / "config.json").read_text())["config"]))
        if (folder / FAILED).exists():
            print(f"{folder.name}: failed in training, not measured", file=sys.stderr)
            figures.append(None)
            continue
        print(f"{folder.name}:", file=sys.stderr, flush=True)
        record = evaluate(replace(request, workdir=folder))
        found = {name: record[name] for name in ("global_pair_auc", "patch_pair_auc", "ece")} | {
            "auc_judd": (record["heatmap"] or {}).get("auc_judd")
        }
        figures.append({name: figure and figure["value"] for name, figure in found.items()})
    print(sweep_table(members, grid, figures, title=f"{request.split} split"))
    return 0


def main(argv: list[str] | None = None) -> int:
    """Evaluate as the command line says; 0 where all targets are met (or a sweep was measured), 1 where one is missed."""
    from tipai_jax.report import report_path
    from tipai_jax.table import show

    request = parse(sys.argv[1:] if argv is None else argv)
    if (sweep := read_sweep(request.workdir)) is not None:
        return _evaluate_sweep(request, *sweep)
    record = evaluate(request)
    print(show(record))
    print(f"\nwritten: {request.out or request.workdir / 'eval.json'}, {request.workdir / 'calibration.json'}")
    if request.heatmaps:
        print(f"heatmaps: {request.workdir / 'heatmaps'}/*.png")
    print(f"report: {report_path(request.out or request.workdir / 'eval.json')}")
    return 1 if any(row["pass"] is False for row in record["targets"]) else 0


def console() -> int:
    """Run the command `tipai-evaluate`; returns its exit code, see `run_main`."""
    return run_main(main)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
