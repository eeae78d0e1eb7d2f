#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat << 'END'
usage: scripts/check_pins.sh lowest | highest | --help

Runs a part of the tests with the oldest or the newest dependencies that pyproject.toml allows, in an environment of its
own that is removed at the end.

  lowest     the lower ends of the direct dependencies, from constraints-lowest.txt
  highest    whatever the package index has now

PYTHON names the interpreter (default: python3, which must be 3.11 or later); jax 0.11 needs 3.12. It takes about ten
minutes and 10 GB of disk below TMPDIR: torch comes as the package index has it, for CUDA on most machines.
END
}

case "$*" in
  lowest) constraints=(--constraint constraints-lowest.txt) ;;
  highest) constraints=() ;;
  -h | --help) usage; exit ;;
  *)
    echo "error: ${*:-nothing}: expected no argument but lowest or highest (see scripts/check_pins.sh --help)" >&2
    exit 2
    ;;
esac

tests=(
  tests/test_main_job.py tests/tipai_jax/heads tests/tipai_jax/losses tests/tipai_jax/metrics tests/tipai_jax/store
  tests/tipai_jax/data tests/precompute/encoders tests/precompute/readers tests/precompute/world
)

environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT
"${PYTHON:-python3}" -m venv "$environment"
install="$environment/bin/python -m pip install --quiet --disable-pip-version-check"
$install --upgrade pip
$install "${constraints[@]}" --editable '.[test]'
"$environment/bin/python" -m pip list --disable-pip-version-check
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} "$environment/bin/python" -m pytest -n 0 "${tests[@]}"
