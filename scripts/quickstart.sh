#!/usr/bin/env bash
# The main job on a fresh machine: set up, draw scenes, embed them, train, evaluate. Every step knows what it has done: run again, nothing is repeated,
# and an interrupted run goes on where it stopped. Nine minutes after the installation on two cores that nobody else uses.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh

run() {
  printf '\n$ %s\n' "$*"
  PATH="$PWD/.venv/bin:$PATH" "$@"
}

begun=$SECONDS
run python precompute/scenes.py --out data/scenes --pairs 40000 --seed 0
run python precompute/embed.py --data data/scenes --encoder tiny --dtype auto --out store/scenes
run python -m tipai_jax.train --config scenes.py --store store/scenes --workdir runs/quickstart
verdict=0
run python -m tipai_jax.evaluate --workdir runs/quickstart --heatmaps 12 || verdict=$?
printf '\n%s minutes since the installation\n' "$(( (SECONDS - begun + 59) / 60 ))"
exit "$verdict"
