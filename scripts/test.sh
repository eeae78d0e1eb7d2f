#!/usr/bin/env bash
# The test suite in the project's own environment; extra arguments go to pytest, for example: scripts/test.sh -m 'not slow' tests/tipai_jax/losses
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
exec .venv/bin/python -m pytest "$@"
