#!/usr/bin/env bash
# The test suite in the project's own environment, files shared out between two processes; extra arguments go to pytest, for example:
# scripts/test.sh -m 'not slow' tests/tipai_jax/losses, or -n 0 for one process
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # a core for each: torch's threads wait for each other by spinning
exec .venv/bin/python -m pytest -n 2 --dist loadfile "$@"
