"""The command that trains, and the same as a library: `fit(config)`, `load_run(workdir)`.

Owns the command line of training and its exit codes: 0 done (or nothing left to do), 2 a mistake or a loss that is not
finite, 130 and 143 interrupted and saved. The loop itself is `loop.py`; it is imported late, so that `--help` and a
misspelt option answer at once.

    python -m tipai_jax.train --config base.py --store store/scenes --workdir runs/base [--optim.peak-lr=3e-4 ...]
    python -m tipai_jax.train --workdir runs/sweep --sweep.seeds 4 --sweep.optim.peak-lr 5e-5,1e-4    # eight runs,
    trained together
"""

import os
import sys
from typing import TYPE_CHECKING, Literal

from tipai_jax.cli import parse_config
from tipai_jax.config import Config
from tipai_jax.errors import run_main
from tipai_jax.sweep import Grid, begin_sweep, members_of, sweep_table, take_sweep

if TYPE_CHECKING:
    from pathlib import Path

    from tipai_jax.loop import FitResult
    from tipai_jax.predict import Run

__all__ = ["fit", "fit_sweep", "load_run", "main"]

DESCRIPTION = (
    "Train the auditor's heads from a store of embeddings. With --sweep.seeds N or --sweep.SETTING A,B,C (such as"
    " --sweep.optim.peak-lr 5e-5,1e-4) a whole grid is trained together as one compiled program, each member into a"
    " folder of its own below --workdir."
)


def fit(config: Config) -> "FitResult":
    """Train, or go on with, the run of `config.workdir`; see `tipai_jax.loop.fit`."""
    from tipai_jax import loop

    return loop.fit(config)


def fit_sweep(config: Config, grid: Grid) -> int:
    """Train every combination of the grid together, and print what validation says of each setting; returns the exit
    code.

    Raises:
        UserError: the grid cannot be trained, or `config.workdir` holds something else.
    """
    from tipai_jax import loop

    members = members_of(config, grid)
    begin_sweep(config, grid, members)
    results = loop.fit_members(members)
    scores = [None if result.status == "failed" else {"global_pair_auc": result.best_score} for result in results]
    if all(result.status in ("finished", "already finished", "failed") for result in results):
        print(sweep_table(members, grid, scores, title="validation, best checkpoint"))
        print(f"\npython -m tipai_jax.evaluate --workdir {config.workdir} measures every member on the test split")
    return max(result.exit_code for result in results)


def load_run(workdir: "str | Path", which: Literal["best", "last"] = "best") -> "Run":
    """The trained heads of a run; see `tipai_jax.predict.load_run`."""
    from tipai_jax import predict

    return predict.load_run(workdir, which)


def main(argv: list[str] | None = None) -> int:
    """Train as the command line says; returns the exit code."""
    grid, arguments = take_sweep(sys.argv[1:] if argv is None else argv)
    config = parse_config(arguments, prog="python -m tipai_jax.train", description=DESCRIPTION)
    from tipai_jax import processes

    processes.start(os.environ)
    return fit_sweep(config, grid) if grid else fit(config).exit_code


def console() -> int:
    """Run the command `tipai-train`; returns its exit code, see `run_main`."""
    return run_main(main)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
