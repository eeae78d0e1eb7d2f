#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat << 'END'
usage: scripts/poc.sh [--no-demo] [--help]

The proof of concept from end to end, with models that need no download: draws images for twenty
prompts (data/poc), scores them, draws where they fail and compares the best with the worst. Steps
that are done are not repeated, and an interrupted run goes on where it stopped. After the
installation it takes a minute on two cores. For another generator run the same commands with
--model and another folder.

With a trained auditor (runs/quickstart, made by scripts/quickstart.sh; AUDITOR=FOLDER names
another, relative to the repository) its scores are added, and the demo is served at the end.

  --no-demo   do not serve the demo
END
}

if [ "$*" = "--help" ] || [ "$*" = "-h" ]; then
  usage
  exit
fi
if [ "$*" != "" ] && [ "$*" != "--no-demo" ]; then
  echo "error: $*: expected nothing or --no-demo (see scripts/poc.sh --help)" >&2
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
output=$(run python -m tipai_jax.audit data/poc/catalog.db --auditor "$auditor" --json)
printf '%s\n' "$output"
digest=$(sed -n 's/.*"heads_digest": "\([0-9a-f]\{12\}\).*/\1/p' <<< "$output")
run python precompute/heatmaps.py --data data/poc --scorer "auditor@$digest"
run python precompute/pairs.py --data data/poc --scorer "auditor@$digest"
printf '\nThe comparison sheets: file://%s\n' "$PWD/data/poc/pairs"
if [ "$*" = "--no-demo" ]; then
  printf 'To browse them, make more and see where they fail: .venv/bin/python scripts/demo.py --data data/poc --auditor %s\n' "$auditor"
  exit
fi
run python scripts/demo.py --data data/poc --auditor "$auditor"
