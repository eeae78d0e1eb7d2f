"""The old name of the command `python -m tipai_jax.report.tables`; it goes with version 0.3."""

from tipai_jax.errors import run_main
from tipai_jax.report.tables import main

if __name__ == "__main__":
    raise SystemExit(run_main(main))
