"""From a command line to a `Config`: finds the config file, applies the overrides, says what was misspelt.

Owns `--config NAME` and the wording of mistakes; tyro turns the dataclasses into options. Knows nothing of what a
command does with its config, and imports no jax, so that `--help` answers at once.
"""

import ast
import contextlib
import dataclasses
import difflib
import importlib.util
import inspect
import io
import itertools
import re
import textwrap
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from tipai_jax import config as config_module
from tipai_jax import sees as sees_module
from tipai_jax.config import Config
from tipai_jax.errors import UserError

__all__ = ["load_config", "parse_config"]

DEFAULT_CONFIG = "base.py"
PACKAGE = Path(__file__).resolve().parent
SHIPPED = PACKAGE / "configs" if (PACKAGE / "configs").is_dir() else PACKAGE.parent / "configs"
"""The project's configs: inside the package where it is installed from a wheel, beside it in a checkout."""


def load_config(name: str) -> Config:
    """The config of a file that defines `get_config() -> Config`.

    Args:
        name: a path, or the name of a file in `configs/` (of the current folder, then of the project); `.py` may be
            left out.

    Raises:
        UserError: no such file, no Python file, no `get_config` in it, or that fails or returns something else.
    """
    path = _find(name)
    if path.suffix != ".py":
        raise UserError(f"--config {name}: expected a .py file that defines get_config() -> tipai_jax.config.Config")
    spec = importlib.util.spec_from_file_location(f"_config_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not callable(getattr(module, "get_config", None)):
            raise UserError(f"{path}: a config file defines get_config() -> tipai_jax.config.Config; this one does not")
        config = module.get_config()
    except (SyntaxError, ImportError, NameError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: cannot be read as a config: {error}{_meant(error)}") from error
    if not isinstance(config, Config):
        raise UserError(f"{path}: get_config() returned a {type(config).__name__}, expected a tipai_jax.config.Config")
    return config


def _find(name: str) -> Path:
    names = [name] if name.endswith(".py") else [name, f"{name}.py"]
    folders = [Path(), Path("configs"), SHIPPED]
    for folder in folders:
        for each in names:
            if (folder / each).is_file():
                return folder / each
    known = sorted({path.name for folder in folders[1:] for path in folder.glob("*.py")})
    near = _near(names[-1], known)
    raise UserError(f"--config {name}: no such file, nor in configs/ (there: {', '.join(known) or 'nothing'}){near}")


def parse_config(argv: Sequence[str], *, prog: str, description: str) -> Config:
    """The config of a command line such as `--config base.py --store S --optim.peak-lr=3e-4`.

    Args:
        argv: the arguments after the command's name. `--config` may stand anywhere and defaults to `base.py`; the
            others override its values, written with dashes or underscores.
        prog: the command as the user types it, for the help text.
        description: what the command does, for the help text.

    Raises:
        UserError: an unknown option (with what was probably meant) or a value that does not fit; one line.
        SystemExit: with code 0, after `--help`.
    """
    name, rest = _take_config(argv)
    base = load_config(name)
    options = _options(type(base))
    for argument in rest:
        if argument.startswith("--") and argument != "--":
            _check_option(argument, options)
    if "--help" in rest or "-h" in rest:
        print(_help(base, prog=prog, description=description))
        raise SystemExit(0)
    import tyro

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            return tyro.cli(type(base), default=base, args=rest, prog=prog, config=(tyro.conf.FlagConversionOff,))
    except SystemExit as stop:
        raise UserError(f"{_first_complaint(said.getvalue())} (see {prog} --help)") from stop


def _meant(error: Exception) -> str:
    """`; did you mean ...?` for a field that no config has, as in `replace(base.model, hiden=3)`."""
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    fields = sorted({option.split(".")[-1].strip("-").replace("-", "_") for option in _options(Config)})
    near = difflib.get_close_matches(unknown[1], fields, n=1) if unknown else []
    return f"; did you mean {near[0]}?" if near else ""


def _take_config(argv: Sequence[str]) -> tuple[str, list[str]]:
    name, rest, arguments = DEFAULT_CONFIG, [], iter(argv)
    for argument in arguments:
        if argument == "--config":
            name = next(arguments, "")
            if not name or name.startswith("--"):
                raise UserError("--config needs the name of a config file, for example --config base.py")
        elif argument.startswith("--config="):
            name = argument.removeprefix("--config=")
        else:
            rest.append(argument)
    return name, rest


def _options(kind: type, room: str = "") -> list[str]:
    names: list[str] = []
    for name, hint in typing.get_type_hints(kind).items():
        if dataclasses.is_dataclass(hint):
            names += _options(typing.cast(type, hint), f"{room}{name}.")
            continue
        names.append(f"--{room}{name}".replace("_", "-"))
    return names


def _check_option(argument: str, options: list[str]) -> None:
    given = argument.split("=", 1)[0]
    if given == "--help" or given.replace("_", "-") in options:
        return
    raise UserError(
        f"{given} is not an option of the config{_near(given.replace('_', '-'), options)} (--help lists them all)"
    )


def _near(given: str, known: Sequence[str]) -> str:
    """`; did you mean ...?` from the spelling, or from the last part of the name (`--peak-lr`, `--lr`)."""
    tails = {name.strip("-").split(".")[-1]: name for name in known}
    tail = given.strip("-").split(".")[-1]
    found = difflib.get_close_matches(given, known, n=1, cutoff=0.6)
    found = found or [tails[near] for near in difflib.get_close_matches(tail, tails, n=1, cutoff=0.6)]
    found = found or [name for each, name in tails.items() if tail and tail in each]
    return f"; did you mean {found[0]}?" if found else ""


def _first_complaint(text: str) -> str:
    """The sentence inside the box that tyro draws around a mistake."""
    lines = [re.sub(r"\s+", " ", re.sub(r"[\u2500-\u257f]", " ", line)).strip() for line in text.splitlines()]
    lines = [line for line in lines if line][1:]
    inside = itertools.takewhile(
        lambda line: line.strip("- "), itertools.dropwhile(lambda line: not line.strip("- "), lines)
    )
    return " ".join(inside).removeprefix("Error parsing ").rstrip(".") or "the command line cannot be read"


def _help(base: Config, *, prog: str, description: str) -> str:
    """The help text. Ours and not tyro's, which takes a third of a second to draw."""
    lines = [f"usage: {prog} [--config FILE] [--OPTION VALUE ...]", "", description, "", "options:"]
    lines += [
        "  --config FILE (base.py)",
        "        A path, or the name of a file in configs/; it sets the defaults shown here.",
    ]
    docs = _field_docs(inspect.getsource(config_module) + inspect.getsource(sees_module))
    for option, (kind, name, hint, value) in _leaves(base).items():
        lines.append(f"  {option} {_shape(hint)} ({value})")
        lines += textwrap.wrap(docs.get((kind, name), ""), 112, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return "\n".join(lines)


def _leaves(config: Any, room: str = "") -> dict[str, tuple[str, str, Any, Any]]:
    found: dict[str, tuple[str, str, Any, Any]] = {}
    for name, hint in typing.get_type_hints(type(config)).items():
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            found.update(_leaves(value, f"{room}{name}."))
        else:
            found[f"--{room}{name}".replace("_", "-")] = (type(config).__name__, name, hint, value)
    return found


def _shape(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "{" + ",".join(map(str, typing.get_args(hint))) + "}"
    return hint.__name__.upper() if isinstance(hint, type) else str(hint).upper()


def _field_docs(source: str) -> dict[tuple[str, str], str]:
    """(class, field) -> the string below the field."""
    docs: dict[tuple[str, str], str] = {}
    for kind in ast.parse(source).body:
        if isinstance(kind, ast.ClassDef):
            for item, after in itertools.pairwise(kind.body):
                if (
                    isinstance(item, ast.AnnAssign)
                    and isinstance(after, ast.Expr)
                    and isinstance(after.value, ast.Constant)
                ):
                    docs[kind.name, ast.unparse(item.target)] = " ".join(str(after.value.value).split())
    return docs
