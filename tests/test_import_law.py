"""The import law, derived from the packages that exist: packages import downwards only, and each side keeps to its
libraries.

A new file is under the law without being named here; only what a package of the shared row is, and where both sides
meet, is written down.
"""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
JAX = ("jax", "jaxlib", "flax", "optax", "orbax", "grain")
TORCH = ("torch", "transformers", "diffusers")
SHARED = ("errors", "grids", "files", "store", "render")
"""What `precompute` may import of `tipai_jax`; these import numpy, scipy, pyarrow, safetensors and Pillow only."""
WITHOUT_JAX = ("config", "report", "heads.inputs")
"""What a command imports before it answers: no jax."""
BRIDGES = ("auditor", "demo")
"""The packages of `tipai_jax` in whose functions the frozen encoder is called; the demo, which nothing but a
command imports, takes `precompute` anywhere.
"""
TOP = {"__init__", "errors", "grids", "train", "evaluate", "audit"}
"""The files at the top of the package: what everything shares, and the commands."""


def files() -> dict[str, Path]:
    """Every module of both packages, by its dotted name."""
    paths = [path for room in ("tipai_jax", "precompute") for path in sorted((ROOT / room).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imported(source: str) -> Iterator[tuple[str, bool]]:
    """(module, inside a function) of every import of a source; relative imports are not used here."""
    tree = ast.parse(source)
    late = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.Lambda)
        for inner in ast.walk(node)
    }
    types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        hidden = id(node) in late or id(node) in types
        if isinstance(node, ast.Import):
            yield from ((alias.name, hidden) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, ast.unparse(node)
            yield from ((f"{node.module}.{alias.name}", hidden) for alias in node.names)


def package_of(module: str) -> str | None:
    """The package of `tipai_jax` that a module lies in, or the file at the top; None for a module of something else."""
    parts = module.split(".")
    if parts[0] != "tipai_jax" or len(parts) < 2 or parts[1] == "__version__":
        return None
    return "auditor" if parts[1] == "Auditor" else parts[1]


def outside(module: str, libraries: tuple[str, ...]) -> bool:
    return module.split(".")[0] in libraries


def broken(name: str, source: str) -> list[str]:
    """What a module imports and must not."""
    own, wrong = package_of(name), []
    for module, hidden in imported(source):
        target = package_of(module)
        if name.startswith("precompute"):
            bad = outside(module, JAX) or (target is not None and target not in SHARED)
        elif own in SHARED:
            bad = outside(module, (*JAX, *TORCH, "precompute")) or (target is not None and target not in SHARED)
        else:
            bad = outside(module, (*TORCH, "precompute")) and not (own in BRIDGES and hidden)
            bad &= not (own == "demo" and outside(module, ("precompute",)))
            bad |= any(name.startswith(f"tipai_jax.{each}") for each in WITHOUT_JAX) and outside(module, JAX)
        wrong += [module] if bad else []
    return wrong


def test_every_module_keeps_the_law():
    found = {name: wrong for name, path in files().items() if (wrong := broken(name, path.read_text()))}
    assert len(files()) > 100 and not found


def test_packages_import_downwards_only():
    """No cycle between packages, late imports and imports for types included."""
    graph: dict[str, set[str]] = {}
    for name, path in files().items():
        own = package_of(name)
        if own is not None:
            found = {package_of(module) for module, _ in imported(path.read_text())} - {None, own}
            graph.setdefault(own, set()).update(found)
    assert len(graph) > 15
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError with the packages of a cycle


def test_six_files_at_the_top():
    assert {path.stem for path in (ROOT / "tipai_jax").glob("*.py")} == TOP


def test_every_package_says_what_it_holds():
    for path in (ROOT / "tipai_jax").glob("*/__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert 20 < len(text) < 400, path


@pytest.mark.parametrize(
    ("name", "source", "wrong"),
    [
        (
            "precompute.x",
            "def f():\n    from tipai_jax.auditor.verdict import Verdict\n    import torch.nn\n",
            ["tipai_jax.auditor.verdict.Verdict"],
        ),
        ("precompute.x", "from tipai_jax import Auditor\nimport jax\n", ["tipai_jax.Auditor", "jax"]),
        ("tipai_jax.training.x", "def f():\n    import torch\n", ["torch"]),
        ("tipai_jax.auditor.x", "def f():\n    import torch\n", []),
        ("tipai_jax.auditor.x", "import torch\n", ["torch"]),
        ("tipai_jax.store.x", "def f():\n    from tipai_jax.train import main\n", ["tipai_jax.train.main"]),
        ("tipai_jax.report.page", "import jax.numpy\n", ["jax.numpy"]),
    ],
)
def test_what_breaks_the_law_is_seen(name, source, wrong):
    assert broken(name, source) == wrong


WITHOUT = """
import importlib, sys
blocked = tuple(sys.argv[1].split(","))

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if any(name == each or name.startswith(each + ".") for each in blocked):
            raise ImportError(f"must not import {name}")

sys.meta_path.insert(0, Blocker())
for name in sys.stdin.read().split():
    importlib.import_module(name)
"""


def import_without(names: list[str], libraries: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, ",".join(libraries)]
    return subprocess.run(command, input="\n".join(names), cwd=ROOT, capture_output=True, text=True, check=False)


SIDES = {
    "the shared row": (lambda name: package_of(name) in SHARED, (*JAX, *TORCH, "precompute")),
    "config and report": (lambda name: package_of(name) in ("config", "report"), (*JAX, *TORCH, "precompute")),
    "tipai_jax": (lambda name: name.startswith("tipai_jax"), (*TORCH, "precompute", "gradio")),
    "precompute": (lambda name: name.startswith("precompute"), JAX),
}


@pytest.mark.parametrize("side", SIDES)
def test_a_side_can_be_imported_where_the_other_does_not_exist(side):
    chosen, libraries = SIDES[side]
    names = [name for name in files() if chosen(name) and not name.endswith("__main__") and ".demo" not in name]
    done = import_without(names, libraries)
    assert names and done.returncode == 0, done.stderr.splitlines()[-1]


def test_the_blocker_blocks():
    done = import_without(["tipai_jax.heads.plan_head"], ("flax",))
    assert done.returncode == 1 and "must not import flax" in done.stderr


def test_the_package_itself_costs_nothing():
    done = import_without(["tipai_jax"], ("numpy", "pyarrow", "PIL", *JAX, *TORCH))
    assert done.returncode == 0, done.stderr


COMMANDS = {
    "tipai_jax/train.py": (),
    "tipai_jax/evaluate.py": (),
    "tipai_jax/report/__main__.py": (),
    "tipai_jax/report/tables.py": (),
    "tipai_jax/table/__main__.py": (),
    "tipai_jax/audit.py": (),
    "tipai_jax/store/verify.py": ("numpy", "pyarrow"),
    "precompute/embed.py": (),
    "precompute/scenes.py": ("numpy", "PIL"),
    "precompute/generate.py": (),
    "precompute/score.py": (),
    "precompute/heatmaps.py": (),
    "precompute/pairs.py": (),
    "scripts/ablation.py": (),
    "scripts/demo.py": (),
    "tipai_jax/demo/__main__.py": (),
    "scripts/look.py": (),
    "scripts/export_tfds.py": ("numpy",),
    "scripts/results.py": (),
    "scripts/bench.py": (),
}
"""Every command, and what it may import beyond our own light modules before it answers `--help`: half a second is
asked.
"""

HELP = """
import runpy, sys
path, heavy = sys.argv[1], sys.argv[2:]
sys.argv = [path, "--help"]
try:
    runpy.run_path(path, run_name="__main__")
except SystemExit as stop:
    assert stop.code in (0, None), stop.code
print("imported:", *sorted(name for name in heavy if name in sys.modules))
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_waits_for_nothing_heavy(command):
    heavy = {*JAX, *TORCH, "numpy", "pyarrow", "PIL", "tensorflow_datasets", "gradio"} - {*COMMANDS[command]}
    call = [sys.executable, "-c", HELP, str(ROOT / command), *heavy]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "usage" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "imported:"
