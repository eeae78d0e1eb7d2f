#!/usr/bin/env bash
# Runs a part of the tests with the oldest or the newest dependencies that pyproject.toml allows, in an environment
# of its own that is removed at the end:
#   scripts/check_pins.sh lowest     # the lower ends of the direct dependencies, from constraints-lowest.txt
#   scripts/check_pins.sh highest    # whatever the package index has now
# PYTHON names the interpreter (default: python3, which must be 3.11 or later); jax 0.11 needs 3.12. It takes about ten
# minutes and 10 GB of disk below TMPDIR: torch comes as the package index has it, for CUDA on most machines.
set -euo pipefail
cd "$(dirname "$0")/.."
case "$*" in
  lowest) constraints=(--constraint constraints-lowest.txt) ;;
  highest) constraints=() ;;
  *) echo "error: ${*:-no argument}: expected lowest or highest" >&2; exit 2 ;;
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
