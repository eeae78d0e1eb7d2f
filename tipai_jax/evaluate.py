"""The command that measures a run: `eval.json`, the calibration, heatmap sheets, a table of targets, and `report.html`.

    python -m tipai_jax.evaluate --workdir runs/base [--store OTHER] [--split test] [--out FILE] [--heatmaps N]

Exit codes: 0 every target that could be measured is met, 1 one is missed, 2 bad input. Imports late, so that `--help`
answers at once.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tipai_jax.errors import Parser, UserError, run_main, whole_number

if TYPE_CHECKING:
    from tipai_jax.config.sweep import Grid
    from tipai_jax.evaluation.run import Request

__all__ = ["console", "main", "parse"]

PROG = "python -m tipai_jax.evaluate"


def parse(argv: Sequence[str]) -> "Request":
    """The request of a command line.

    Raises:
        UserError: an unknown option, or a value that does not fit.
        SystemExit: with code 0, after `--help`.
    """
    parser = Parser(prog=PROG, description="Measure a trained run against its targets and the baselines.")
    add = parser.add_argument
    add("--workdir", type=Path, required=True, help="folder of the run, as given to tipai_jax.train")
    add("--store", type=Path, help="another store of the same encoder (default: the one the run was trained from)")
    split = "what is evaluated on (default: test, and with it every split of the store that is called shift-NAME)"
    add("--split", type=_split, default="test", metavar="SPLIT", help=split)
    add("--out", type=Path, help="the record (default: WORKDIR/eval.json)")
    heatmaps = "draw N examples into WORKDIR/heatmaps (default: 0)"
    add("--heatmaps", type=whole_number(0), default=0, metavar="N", help=heatmaps)
    add("--data", type=Path, metavar="FOLDER", help="folder of the images (default: where they were embedded from)")
    seed = "of what intervals draw and of samples, such as those that baselines are fitted on (default: 0)"
    add("--seed", type=whole_number(0), default=0, help=seed)
    add("--again", action="store_true", help="measure again what has been measured")
    asked = vars(parser.parse_args(list(argv)))
    from tipai_jax.evaluation.run import Request

    return Request(**asked, command=shlex.join([*PROG.split(), *argv]))


def _split(text: str) -> str:
    from tipai_jax.store import SPLITS, is_split  # late, for --help: it imports numpy

    if not is_split(text):
        raise argparse.ArgumentTypeError(f"{text}: expected one of {', '.join(SPLITS)}, or shift-NAME")
    return text


def _evaluate_sweep(request: "Request", grid: "Grid", folders: Sequence[Path]) -> int:
    """Evaluate every member of a sweep, each into its own folder, and print the means over the seeds."""
    from dataclasses import replace

    from tipai_jax.config.records import from_json
    from tipai_jax.config.sweep import sweep_table
    from tipai_jax.evaluation.run import evaluate
    from tipai_jax.report.tables import headline_figures
    from tipai_jax.training.run_dir import FAILED

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
        figures.append(headline_figures(evaluate(replace(request, workdir=folder))))
    print(sweep_table(members, grid, figures, title=f"{request.split} split"))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate as the command line says; 0 where all targets are met (or a sweep was measured), 1 where one
    is missed.
    """
    from tipai_jax.config.sweep import read_sweep

    request = parse(sys.argv[1:] if argv is None else argv)
    from tipai_jax.evaluation.run import evaluate
    from tipai_jax.report.tables import show
    from tipai_jax.report.write import report_path

    if (sweep := read_sweep(request.workdir)) is not None:
        return _evaluate_sweep(request, *sweep)
    record = evaluate(request)
    print(show(record))
    print(f"\nwritten: {request.record}")
    if request.heatmaps:
        print(f"heatmaps: {request.workdir / 'heatmaps'}/*.png")
    print(f"report: {report_path(request.record)}")
    return 1 if any(row["pass"] is False for row in record["targets"]) else 0


def console() -> int:
    """Run the command `tipai-evaluate`; returns its exit code, see `run_main`."""
    return run_main(main)


if __name__ == "__main__":
    raise SystemExit(console())
