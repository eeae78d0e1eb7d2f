#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat << 'END'
usage: scripts/setup.sh [--help]

Makes .venv at the top of the repository with everything that the project and its tests need (about
three minutes, 2.7 GB), and does nothing when that is done. The other scripts call it. PYTHON names
the interpreter (default: python3, which must be 3.11 or later).
END
}

if [ $# -gt 0 ]; then
  if [ "$*" = "--help" ] || [ "$*" = "-h" ]; then
    usage
    exit
  fi
  echo "error: $*: expected no argument (see scripts/setup.sh --help)" >&2
  exit 2
fi

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
