#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat << 'END'
usage: scripts/check_wheel.sh [--help]

Builds the wheel, installs it into a new environment in another folder and runs the commands there, from scenes to a
verdict: the wheel must hold every package, asset and config. The dependencies are those of .venv, so that nothing is
downloaded; the editable installation in .venv is not used. It takes a minute.
END
}

case "$*" in
  "") ;;
  -h | --help) usage; exit ;;
  *) echo "error: $*: expected no argument (see scripts/check_wheel.sh --help)" >&2; exit 2 ;;
esac

python=$PWD/.venv/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HF_HUB_OFFLINE=1 JAX_PLATFORMS=cpu CUDA_VISIBLE_DEVICES= PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONPATH

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

"$python" -m pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir "$work" .
"$python" -m venv --without-pip "$work/venv"
"$python" -m pip --python "$work/venv/bin/python" install --quiet --no-index --no-deps "$work"/*.whl
# A folder named in a .pth file is searched for packages, but the .pth files in it, such as an editable one's, are not.
packages='import sysconfig; print(sysconfig.get_path("purelib"))'
"$python" -c "$packages" > "$("$work/venv/bin/python" -c "$packages")/dependencies.pth"
mkdir "$work/elsewhere"
cd "$work/elsewhere"
PATH=$work/venv/bin:$PATH

python - <<'PYTHON' || fail "what was imported is not the wheel"
import importlib.metadata
import sys
from pathlib import Path

import precompute
import tipai_jax

for package in (tipai_jax, precompute):
    assert Path(package.__file__).is_relative_to(sys.prefix), package.__file__
assert importlib.metadata.version("tipai_jax") == tipai_jax.__version__
assert Path(tipai_jax.__file__).with_name("py.typed").is_file(), "py.typed is missing"
PYTHON
python -m pip check || fail "the dependencies in .venv are not those that the wheel asks for"

commands=("$work"/venv/bin/tipai-*)
[ "${#commands[@]}" -ge 5 ] || fail "expected at least five console commands, found: ${commands[*]}"
for command in "${commands[@]}"; do
  "$command" --help > help.txt || fail "$(basename "$command") --help: failed"
  grep -q usage help.txt || fail "$(basename "$command") --help: printed no usage"
  code=0
  "$command" --no-such-option > /dev/null 2> complaint.txt || code=$?
  [ "$code" = 2 ] || fail "$(basename "$command") --no-such-option: exit code $code, expected 2: $(cat complaint.txt)"
done

python -m precompute.scenes --out data/scenes --pairs 60 --seed 0
tipai-embed --data data/scenes --encoder tiny --out store/scenes
tipai-train --config base.py --store store/scenes --workdir runs/base \
  --data.epochs 1 --data.batch-size 8 --optim.warmup-steps 1 --model.width 16
code=0
tipai-evaluate --workdir runs/base > table.txt || code=$?
[ "$code" -le 1 ] || fail "tipai-evaluate: exit code $code, expected 0 (targets met) or 1 (one missed)"
[ -s runs/base/eval.json ] && [ -s runs/base/report.html ] || fail "tipai-evaluate wrote no eval.json or no report.html"
images=(data/scenes/images/*)
tipai-audit "${images[0]}" --prompt "a red cat" --auditor runs/base
echo "the wheel is whole: $(basename "$work"/*.whl), $(cd "$work/venv/bin" && echo tipai-*)"
