"""The command that trains, and the same as a library: `fit(config)`, `load_run(workdir)`.

Owns the command line of training and its exit codes: 0 done (or nothing left to do), 2 a mistake or a loss that is not
finite, 130 and 143 interrupted and saved. The loop itself is `loop.py`; it is imported late, so that `--help` and a
misspelt option answer at once.

    python -m tipai_jax.train --config base.py --store store/scenes --workdir runs/base [--optim.peak-lr=3e-4 ...]
"""

import sys
from typing import TYPE_CHECKING, Literal

from tipai_jax.cli import parse_config
from tipai_jax.config import Config
from tipai_jax.errors import run_main

if TYPE_CHECKING:
    from pathlib import Path

    from tipai_jax.loop import FitResult
    from tipai_jax.predict import Run

__all__ = ["fit", "load_run", "main"]


def fit(config: Config) -> "FitResult":
    """Train, or go on with, the run of `config.workdir`; see `tipai_jax.loop.fit`."""
    from tipai_jax import loop

    return loop.fit(config)


def load_run(workdir: "str | Path", which: Literal["best", "last"] = "best") -> "Run":
    """The trained heads of a run; see `tipai_jax.predict.load_run`."""
    from tipai_jax import predict

    return predict.load_run(workdir, which)


def main(argv: list[str] | None = None) -> int:
    """Train as the command line says; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    config = parse_config(arguments, prog="python -m tipai_jax.train", description="Train the auditor's heads from a store of embeddings.")
    return fit(config).exit_code


if __name__ == "__main__":
    raise SystemExit(run_main(main))
