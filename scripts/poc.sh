#!/usr/bin/env bash
# The proof of concept from end to end on the models that need no download: draw pictures for twenty prompts, score them, draw where they fail, set the best
# against the worst, and open the result. Every step knows what it has done: run again, nothing is repeated, and an interrupted run goes on where it stopped.
# A minute on two cores after the installation. With another generator the same commands take --model and another folder. With a trained auditor
# (scripts/quickstart.sh; another with AUDITOR=FOLDER, from this repository on) its scores stand beside the zero-shot ones and the demo is served at the end; --no-demo ends before that.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$*" != "" ] && [ "$*" != "--no-demo" ]; then
  echo "error: $*: expected nothing or --no-demo" >&2
  exit 2
fi
auditor=${AUDITOR:-runs/quickstart}
bash scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH"

run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

run python precompute/generate.py --out data/poc
run python precompute/score.py --data data/poc
run python precompute/heatmaps.py --data data/poc
run python precompute/pairs.py --data data/poc --jsonl data/poc/pairs.jsonl
if [ -z "${AUDITOR:-}" ] && [ ! -f "$auditor/calibration.json" ]; then
  printf '\nThe comparison sheets: file://%s\n' "$PWD/data/poc/pairs"
  printf 'No trained auditor yet: after scripts/quickstart.sh, this script adds its scores and serves the demo.\n'
  exit
fi
said=$(run python -m tipai_jax.audit data/poc/catalog.db --auditor "$auditor" --json)
printf '%s\n' "$said"
digest=$(sed -n 's/.*"heads_digest": "\([0-9a-f]\{12\}\).*/\1/p' <<< "$said")
run python precompute/heatmaps.py --data data/poc --scorer "auditor@$digest"
run python precompute/pairs.py --data data/poc --scorer "auditor@$digest"
printf '\nThe comparison sheets: file://%s\n' "$PWD/data/poc/pairs"
if [ "$*" = "--no-demo" ]; then
  printf 'To browse them, make more and see where they fail: .venv/bin/python scripts/demo.py --data data/poc --auditor %s\n' "$auditor"
  exit
fi
run python scripts/demo.py --data data/poc --auditor "$auditor"
