#!/usr/bin/env bash
# The proof of concept from end to end on the models that need no download: draw pictures for twenty prompts, score them, draw where they fail, set the best
# against the worst. Every step knows what it has done: run again, nothing is repeated, and an interrupted run goes on where it stopped. A minute on two cores
# after the installation. With another generator the same four commands take --model and another folder. With --demo the page is served at the end, otherwise the
# last lines say how.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$*" != "" ] && [ "$*" != "--demo" ]; then
  echo "error: $*: expected nothing or --demo" >&2
  exit 2
fi
bash scripts/setup.sh

run() {
  printf '\n$ %s\n' "$*"
  PATH="$PWD/.venv/bin:$PATH" "$@"
}

run python precompute/generate.py --out data/poc
run python precompute/score.py --data data/poc
run python precompute/heatmaps.py --data data/poc
run python precompute/pairs.py --data data/poc --jsonl data/poc/pairs.jsonl
if [ -f runs/quickstart/calibration.json ]; then
  run python -m tipai_jax.audit data/poc/catalog.db --auditor runs/quickstart
  digest=$(PATH="$PWD/.venv/bin:$PATH" python -m tipai_jax.audit data/poc/catalog.db --auditor runs/quickstart --json | sed -n 's/.*"heads_digest": "\([0-9a-f]\{12\}\).*/\1/p')
  run python precompute/heatmaps.py --data data/poc --scorer "auditor@$digest"
  run python precompute/pairs.py --data data/poc --scorer "auditor@$digest"
else
  printf '\nno trained auditor yet: after scripts/quickstart.sh, this script adds its scores\n'
fi
printf '\nimages, heatmaps, pairs and catalog.db are in %s\n' "$PWD/data/poc"
if [ "$*" = "--demo" ]; then
  run python scripts/demo.py --data data/poc
else
  printf '\nto browse them, generate more and see where they fail (needs the auditor of scripts/quickstart.sh):\npython scripts/demo.py --data data/poc\nhttp://127.0.0.1:7860\n'
fi
