#!/usr/bin/env bash
# Builds the documentation site into build/site from README.md, docs/ and the notebook; nothing is fetched to read it.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat << 'END'
usage: scripts/docs.sh [--execute | --help]

Builds the documentation site into build/site. Open build/site/index.html: no network is needed, and a server only for
the search (python -m http.server --directory build/site).

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
  .venv/bin/python -m nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False --log-level WARN docs/tour.ipynb
fi
rm -rf build/docs build/site
mkdir -p build/docs
cp docs/*.md docs/*.png docs/*.webp docs/*.json build/docs/
cp README.md build/docs/index.md
cp CONTRIBUTING.md build/docs/contributing.md
cp CHANGELOG.md build/docs/changelog.md
sed -i -e 's#(docs/#(#g; s#(\(\.\./\)*CONTRIBUTING\.md#(contributing.md#g; s#(\(\.\./\)*CHANGELOG\.md#(changelog.md#g; s#(tour\.ipynb)#(tour.md)#g' build/docs/*.md
# A file of the repository that a page links to lies beside the pages, as text that a browser shows.
for linked in $(grep -ohE '\]\(\.\./[^)#]+|\]\((LICENSE|NOTICE|CITATION\.cff)' build/docs/*.md | sed -e 's#](##; s#^\.\./##' | sort -u); do
  mkdir -p "build/docs/source/$(dirname "$linked")"
  cp "$linked" "build/docs/source/$linked.txt"
  sed -i -e "s#(\.\./$linked)#(source/$linked.txt)#g; s#($linked)#(source/$linked.txt)#g" build/docs/*.md
done
.venv/bin/python -m nbconvert --to markdown --log-level WARN --output-dir build/docs docs/tour.ipynb
# Formulas become MathML, which browsers draw by themselves; code keeps its dollars.
.venv/bin/python - build/docs/*.md << 'PYTHON'
import re
import sys
from pathlib import Path

from latex2mathml.converter import convert

CODE = r"```.*?```|`[^`\n]*`"
FORMULA = r"\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\s](?:[^$\n]*[^$\s])?)\$"


def formula(found: re.Match[str]) -> str:
    if found["block"]:
        return convert(found["block"].strip(), display="block")
    return f"<span>{convert(found['inline'])}</span>" if found["inline"] else found[0]


for name in sys.argv[1:]:
    page = Path(name)
    page.write_text(re.sub(f"{CODE}|{FORMULA}", formula, page.read_text(), flags=re.DOTALL))
PYTHON
NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict
if grep -HoE '<(script|link|img|iframe)[^>]+(src|href)="?(https?:)?//[^" >]+' build/site/*.html; then
  echo "error: these pages would fetch something from a network" >&2; exit 1
fi
if grep -HoE '\\(frac|sum|cdot|lambda)' build/site/*.html; then
  echo "error: these formulas are not drawn" >&2; exit 1
fi
echo "build/site/index.html"
