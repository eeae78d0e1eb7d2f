"""The command that trains.

    python -m tipai_jax.train --config base.py --store store/scenes --workdir runs/base [--optim.peak-lr=3e-4 ...]
    python -m tipai_jax.train --workdir runs/sweep --sweep.seeds 4 --sweep.optim.peak-lr 5e-5,1e-4   # eight runs

Exit codes: 0 done (or nothing left to do), 2 a mistake or a loss that is not finite, 130 and 143 interrupted and saved.
The loop is imported late, so that `--help` and a misspelt option answer at once.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

from tipai_jax.config.command_line import parse_config
from tipai_jax.config.sweep import Grid, begin_sweep, members_of, read_grid, sweep_table, take_sweep
from tipai_jax.errors import run_main

__all__ = ["console", "fit_sweep", "main"]

DESCRIPTION = """\
Train heads from a store of embeddings. First make a store, once:
    python precompute/embed.py --data FOLDER --out STORE      (without --data: draws the small world and embeds it)
then train, and measure what was trained:
    python -m tipai_jax.train --config base.py --store STORE --workdir RUN
    python -m tipai_jax.evaluate --workdir RUN
An interrupted run goes on with the same command. --sweep.seeds N or --sweep.SETTING A,B,C (such as
--sweep.optim.peak-lr 5e-5,1e-4) train a whole grid as one compiled program, each member into a folder of its own
below --workdir."""


def fit_sweep(config: Any, grid: Grid) -> int:
    """Train every combination of the grid together, and print the validation score of each setting.

    Args:
        config: the config that the members vary.
        grid: setting -> values.

    Returns:
        The exit code.

    Raises:
        UserError: the grid cannot be trained, or `config.workdir` holds something else.
    """
    from tipai_jax.training import loop

    members = members_of(config, grid)
    begin_sweep(config, grid, members)
    results = loop.fit_members(members)
    scores = [None if result.status == "failed" else {"score": result.best_score} for result in results]
    if all(result.status in ("finished", "already finished", "failed") for result in results):
        print(sweep_table(members, grid, scores, title="validation, best checkpoint"))
        print(f"\npython -m tipai_jax.evaluate --workdir {config.workdir} measures every member on the test split")
    return max(result.exit_code for result in results)


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the command line says; returns the exit code."""
    swept, arguments = take_sweep(sys.argv[1:] if argv is None else argv)
    config = parse_config(arguments, prog="python -m tipai_jax.train", description=DESCRIPTION)
    grid = read_grid(swept, config)
    from tipai_jax.parallel import processes

    processes.start(os.environ)
    if grid:
        return fit_sweep(config, grid)
    from tipai_jax.training import loop

    return loop.fit(config).exit_code


def console() -> int:
    """Run the command `tipai-train`; returns its exit code, see `run_main`."""
    return run_main(main)


if __name__ == "__main__":
    raise SystemExit(console())
