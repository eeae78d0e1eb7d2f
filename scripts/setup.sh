#!/usr/bin/env bash
# Makes .venv at the top of the repository with everything the project needs, the tests' tools included; does nothing when that is done.
# Sourced or run by quickstart.sh and test.sh. PYTHON names the interpreter to use (default: python3, which must be 3.11 or later).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stamp=.venv/installed-from
wanted=$(cat pyproject.toml constraints.txt scripts/setup.sh | sha256sum | cut -d' ' -f1)
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $python is older than 3.11; set PYTHON to a newer one" >&2; exit 2; }
echo "setting up .venv (about three minutes, 2.7 GB) ..."
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "torch>=2.10,<3"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,test]'
echo "$wanted" > "$stamp"
