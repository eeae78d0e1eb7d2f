#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat << 'END'
usage: scripts/quickstart.sh [--help]

The main job on a fresh machine: sets up .venv, draws scenes (data/scenes), embeds them
(store/scenes), trains an auditor and evaluates it (runs/quickstart). Steps that are done are not
repeated, and an interrupted run goes on where it stopped. After the installation it took
seventeen minutes on two cores with some other work. PYTHON names the interpreter for .venv
(default: python3).
END
}

if [ $# -gt 0 ]; then
  if [ "$*" = "--help" ] || [ "$*" = "-h" ]; then
    usage
    exit
  fi
  echo "error: $*: expected no argument (see scripts/quickstart.sh --help)" >&2
  exit 2
fi
bash scripts/setup.sh

run() {
  printf '\n$ %s\n' "$*"
  PATH="$PWD/.venv/bin:$PATH" "$@"
}

begun=$SECONDS
run python precompute/scenes.py --out data/scenes --pairs 40000 --seed 0
run python precompute/embed.py --data data/scenes --encoder tiny --dtype auto --out store/scenes
run python -m tipai_jax.train --config base.py --store store/scenes --workdir runs/quickstart
verdict=0
run python -m tipai_jax.evaluate --workdir runs/quickstart --heatmaps 12 || verdict=$?
printf '\n%s minutes since the installation\n' "$(( (SECONDS - begun + 59) / 60 ))"
exit "$verdict"
