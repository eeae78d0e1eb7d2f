#!/usr/bin/env bash
# Builds the documentation site into build/site from README.md, docs/ and the notebook; nothing is fetched to read it.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat << 'END'
usage: scripts/docs.sh [--execute | --help]

Builds the documentation site into build/site; open build/site/index.html, no server and no network needed.

  --execute    run the notebook docs/tour.ipynb first (two to four minutes) and keep its new outputs
END
}

execute=
case "$*" in
  "") ;;
  --execute) execute=yes ;;
  -h | --help) usage; exit ;;
  *) echo "error: $*: expected no argument or --execute (see scripts/docs.sh --help)" >&2; exit 2 ;;
esac
bash scripts/setup.sh
if [ -n "$execute" ]; then
  .venv/bin/python -m nbconvert --to notebook --execute --inplace --log-level WARN docs/tour.ipynb
fi
rm -rf build/docs build/site
mkdir -p build/docs
cp docs/*.md docs/*.png docs/*.webp build/docs/
sed -e 's#(docs/#(#g' -e 's#(CONTRIBUTING.md)#(contributing.md)#g; s#(CHANGELOG.md)#(changelog.md)#g' README.md > build/docs/index.md
cp CONTRIBUTING.md build/docs/contributing.md
cp CHANGELOG.md build/docs/changelog.md
.venv/bin/python -m nbconvert --to markdown --log-level WARN --output-dir build/docs docs/tour.ipynb
NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --quiet --strict
echo "build/site/index.html"
