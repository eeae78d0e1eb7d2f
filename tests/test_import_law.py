"""The import law: which room may import what. Each room is imported whole in a process where the rest does not exist;
what is imported late is read off the source.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
JAX = ("jax", "jaxlib", "flax", "optax", "orbax", "grain")
TORCH = ("torch", "transformers", "diffusers")
ABOVE = ("train_step", "train", "loop", "run_setup", "predict", "checkpoint", "evaluate", "cli")
SHARED = ("errors", "hub", "store", "render")
"""What `precompute` may take from `tipai_jax`: this and nothing else."""
BRIDGE = "tipai_jax/auditor.py"
"""The one file of `tipai_jax` where the frozen encoder is called, late, by whoever hands it pictures."""

PROGRAM = """
import importlib, sys
room, blocked = sys.argv[1], tuple(sys.argv[2:])

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if any(name == each or name.startswith(each + ".") for each in blocked):
            raise ImportError(f"the import law: {room} must not import {name}")

sys.meta_path.insert(0, Blocker())
for name in sys.stdin.read().split():
    importlib.import_module(name)
"""


def modules(room: str) -> list[str]:
    """The modules of a room: a package with all below it, or a single file."""
    base = ROOT / room.replace(".", "/")
    paths = sorted(base.rglob("*.py")) if base.is_dir() else [base.with_suffix(".py")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


def tipai(*rooms: str) -> tuple[str, ...]:
    return tuple(f"tipai_jax.{room}" for room in rooms)


OTHERS = sorted(
    {path.stem for path in (ROOT / "tipai_jax").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    - {"__init__", *SHARED}
)

LAW = {
    "tipai_jax.errors": (*JAX, *TORCH, "numpy", "precompute"),
    "tipai_jax.hub": (*JAX, *TORCH, "numpy", "precompute", *tipai("store", "render", *OTHERS)),
    "tipai_jax.config": (
        *JAX,
        *TORCH,
        "numpy",
        "precompute",
        *tipai("store", "data", "heads", "losses", "metrics", "tasks", *ABOVE),
    ),
    "tipai_jax.cli": (
        *JAX,
        *TORCH,
        "numpy",
        "precompute",
        *tipai("store", "data", "heads", "losses", "metrics", "tasks"),
    ),
    "tipai_jax.store": (
        *JAX,
        *TORCH,
        "PIL",
        "precompute",
        *tipai("config", "data", "heads", "losses", "metrics", "tasks", "render", *ABOVE),
    ),
    "tipai_jax.render": (
        *JAX,
        *TORCH,
        "pyarrow",
        "precompute",
        *tipai("config", "data", "heads", "losses", "metrics", "tasks", *ABOVE),
    ),
    "tipai_jax.heads": (*TORCH, "precompute", *tipai("config", "store", "data", "tasks", "metrics", *ABOVE)),
    "tipai_jax.metrics": (*TORCH, "precompute", *tipai("config", "store", "data", "heads", "tasks", *ABOVE)),
    "tipai_jax.losses": (*TORCH, "precompute", *tipai("config", "store", "data", "tasks", *ABOVE)),
    "tipai_jax.data": (*TORCH, "precompute", *tipai("heads", "losses", "metrics", "tasks", *ABOVE)),
    "tipai_jax.tasks": (*TORCH, "precompute", *tipai(*ABOVE)),
    "tipai_jax": (*TORCH, "precompute"),
    "precompute": (*JAX, *tipai(*OTHERS)),
}


ONLY = {
    "precompute": tipai(*SHARED),
    "tipai_jax.errors": (),
    "tipai_jax.hub": tipai("errors"),
    "tipai_jax.store": tipai("errors", "store"),
    "tipai_jax.render": tipai("errors", "render", "store"),
}
"""What these rooms may import of `tipai_jax`."""


def import_all(room: str, blocked: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    names = "\n".join(modules(room))
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, room, *blocked], input=names, cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.parametrize("room", LAW)
def test_a_room_imports_nothing_it_must_not(room):
    done = import_all(room, LAW[room])
    assert done.returncode == 0, done.stderr.splitlines()[-1]


def imported(source: str) -> set[str]:
    """Every module that a source imports anywhere, also inside functions; relative imports are not used here."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, ast.unparse(node)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def against_the_law(room: str, path: str, source: str) -> set[str]:
    """What a file of a room imports, now or late, and must not; of our own the rooms in ONLY take what is named there
    and nothing else.
    """
    names = imported(source)
    strange = {
        name
        for name in names
        if room in ONLY and within(name, ("tipai_jax",)) and not within(name, (*ONLY[room], "tipai_jax.__version__"))
    }
    return set() if path == BRIDGE else strange | {name for name in names if within(name, LAW[room])}


@pytest.mark.parametrize("room", LAW)
def test_late_imports_keep_the_law_too(room):
    paths = [ROOT / name.replace(".", "/") for name in modules(room)]
    files = [path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in paths]
    found = {(name := str(file.relative_to(ROOT))): against_the_law(room, name, file.read_text()) for file in files}
    assert found and not {name: names for name, names in found.items() if names}


def test_a_late_import_is_seen():
    late = "def f():\n    from tipai_jax.verdict import Verdict\n    import torch.nn\n"
    assert against_the_law("precompute", "precompute/x.py", late) == {"tipai_jax.verdict.Verdict"}
    assert (
        against_the_law("tipai_jax", "tipai_jax/x.py", late) == {"torch.nn"}
        and against_the_law("tipai_jax", BRIDGE, late) == set()
    )
    assert against_the_law("precompute", "precompute/x.py", "from tipai_jax import Auditor\n") == {"tipai_jax.Auditor"}
    assert against_the_law("tipai_jax.render", "tipai_jax/render/x.py", "from tipai_jax.measure import figures\n") == {
        "tipai_jax.measure.figures"
    }
    assert against_the_law(
        "tipai_jax.store", "tipai_jax/store/x.py", "def f():\n    from tipai_jax.train import fit\n"
    ) == {"tipai_jax.train.fit"}


def test_the_blocker_blocks():
    done = import_all("tipai_jax.heads", ("flax",))
    assert done.returncode == 1 and "the import law: tipai_jax.heads must not import flax" in done.stderr


COMMANDS = {
    "tipai_jax/train.py": (),
    "tipai_jax/evaluate.py": (),
    "tipai_jax/report.py": (),
    "tipai_jax/table.py": (),
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
    "scripts/look.py": (),
    "scripts/export_tfds.py": ("numpy",),
}
"""Every command, and what it may import beyond our own light rooms before it answers `--help`: half a second is asked
of it.
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
    heavy = {*JAX, *TORCH, "numpy", "pyarrow", "PIL", "tyro", "tensorflow_datasets", "gradio"} - {*COMMANDS[command]}
    done = subprocess.run(
        [sys.executable, "-c", HELP, str(ROOT / command), *heavy], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "usage" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "imported:"


def test_the_package_itself_costs_nothing():
    blocked = ("numpy", "pyarrow", "PIL", "tyro", *JAX, *TORCH)
    program = PROGRAM.replace("sys.stdin.read().split()", "['tipai_jax']")
    done = subprocess.run(
        [sys.executable, "-c", program, "tipai_jax", *blocked], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
