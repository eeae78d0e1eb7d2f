"""The command that writes the report of an evaluated run again: python -m tipai_jax.report --workdir runs/base."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tipai_jax.errors import Parser, run_main

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the report that the command line asks for; returns 0."""
    says = "Write the report of an evaluated run again, from what lies in its folder."
    parser = Parser(prog="python -m tipai_jax.report", description=says)
    parser.add_argument("--workdir", type=Path, required=True, help="folder of the run, as given to tipai_jax.evaluate")
    record = "what --out of tipai_jax.evaluate named (default: WORKDIR/eval.json)"
    parser.add_argument("--record", type=Path, metavar="FILE", help=record)
    asked = parser.parse_args(sys.argv[1:] if argv is None else list(argv))
    from tipai_jax.report.write import RECORD, write_report

    print(write_report(asked.record or asked.workdir / RECORD, workdir=asked.workdir))
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
