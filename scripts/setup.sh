#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat << 'END'
usage: scripts/setup.sh [--dry-run | --help]

Makes .venv at the top of the repository with everything that the project and its tests need (about three minutes,
3 GB), and does nothing when that is done. The other scripts call it. Where nvidia-smi finds a card, the CUDA builds of
jax and torch are installed. PYTHON names the interpreter (default: python3, which must be 3.11 or later).

  --dry-run    print the commands that would install, and run none of them
END
}

dry_run=
case "$*" in
  "") ;;
  --dry-run) dry_run=yes ;;
  -h | --help) usage; exit ;;
  *) echo "error: $*: expected no argument or --dry-run (see scripts/setup.sh --help)" >&2; exit 2 ;;
esac

# The driver decides: CUDA 13 needs 580 or later, CUDA 12 needs 525; torch of constraints.txt is built for CUDA 13.
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1 || true)
major=${driver%%.*}
extras=demo,docs,test
torch="torch>=2.10,<3"
if [[ ! $major =~ ^[0-9]+$ ]]; then
  builds="no NVIDIA card found: jax and torch for the CPU"
elif [ "$major" -ge 580 ]; then
  builds="NVIDIA card found, driver $driver: jax and torch for CUDA 13, several GB more"
  extras=$extras,cuda13
  torch="torch===$(sed -n 's/^torch==//p' constraints.txt)" # unlike ==, === does not prefer a build such as 2.13.0+cpu
elif [ "$major" -ge 525 ]; then
  builds="NVIDIA card found, driver $driver: jax for CUDA 12; torch needs driver 580 for the card and will use the CPU"
  extras=$extras,cuda12
else
  builds="NVIDIA card found, but its driver $driver is older than 525, which CUDA 12 needs: jax and torch for the CPU"
fi

stamp=.venv/installed-from
wanted=$( (cat pyproject.toml constraints.txt scripts/setup.sh; echo "$extras") | sha256sum | cut -d' ' -f1)
if [ -z "$dry_run" ] && [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "error: $python is older than 3.11; set PYTHON to a newer one" >&2
  exit 2
fi

run() {
  if [ -n "$dry_run" ]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

echo "$builds"
echo "setting up .venv (about three minutes, 3 GB) ..."
run "$python" -m venv .venv
install="run .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt"
$install "$torch"
$install --editable ".[$extras]"
if [ -z "$dry_run" ]; then
  echo "$wanted" > "$stamp"
fi
