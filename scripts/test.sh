#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat << 'END'
usage: scripts/test.sh [PYTEST ARGUMENTS] [--help]

Runs the tests in the project's own environment, which is set up first if need be, with two
processes that share out the files. All arguments go to pytest:

  scripts/test.sh -m 'not slow' tests/tipai_jax/losses   only what takes less than ten seconds, only this folder
  scripts/test.sh -n 0                                   one process
END
}

if [ "$*" = "--help" ] || [ "$*" = "-h" ]; then
  usage
  exit
fi
bash scripts/setup.sh
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # a core for each: torch's threads wait for each other by spinning
exec .venv/bin/python -m pytest -n 2 --dist loadfile "$@"
