"""From a command line to a config: finds the config file, applies the overrides, names what was misspelt.

Imports no jax and no numpy, so that `--help` answers at once.
"""

import argparse
import ast
import dataclasses
import importlib.util
import inspect
import itertools
import re
import sys
import textwrap
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from tipai_jax.config.checks import meant
from tipai_jax.config.records import KINDS, fields_of, old_names, removed_names
from tipai_jax.config.schema import RunConfig, option_of
from tipai_jax.errors import Parser, UserError
from tipai_jax.renamed import GONE

__all__ = ["load_config", "parse_config"]

DEFAULT_CONFIG = "base.py"
PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED = (PACKAGE / "configs", PACKAGE.parent / "configs")
"""The project's own config files: beside the package's modules where it was installed, beside the package in a
checkout.
"""


def load_config(name: str) -> RunConfig:
    """The config of a file that defines `get_config() -> RunConfig`.

    Args:
        name: a path, or the name of a file in `configs/` (of the current folder, then of the project); `.py` may be
            left out.

    Raises:
        UserError: no such file, no Python file, no `get_config` in it, or that fails or returns something else.
    """
    path = _find(name)
    if path.suffix != ".py":
        raise UserError(
            f"--config {name}: expected a .py file that defines get_config() -> a config of tipai_jax.config"
        )
    spec = importlib.util.spec_from_file_location(f"_config_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not callable(getattr(module, "get_config", None)):
            raise UserError(
                f"{path}: a config file defines get_config() -> a config of tipai_jax.config; this one does not"
            )
        config = module.get_config()
    except (SyntaxError, ImportError, NameError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: cannot be read as a config: {error}{_field_meant(error)}") from error
    if not isinstance(config, RunConfig):
        raise UserError(
            f"{path}: get_config() returned a {type(config).__name__}, expected a config of tipai_jax.config"
        )
    return config


def _find(name: str) -> Path:
    names = [name] if name.endswith(".py") else [name, f"{name}.py"]
    folders = [Path(), Path("configs"), *SHIPPED]
    for folder in folders:
        for each in names:
            if (folder / each).is_file():
                return folder / each
    known = sorted({path.name for folder in folders[1:] for path in folder.glob("*.py")})
    raise UserError(
        f"--config {name}: no such file, nor in configs/ (there: {', '.join(known) or 'nothing'})"
        f"{meant(names[-1], known)}"
    )


def parse_config(argv: Sequence[str], *, prog: str, description: str) -> Any:
    """The config of a command line such as `--config base.py --store S --optim.peak-lr=3e-4`.

    Args:
        argv: the arguments after the command's name. `--config` may stand anywhere and defaults to `base.py`; the
            others override its values, written with dashes or underscores.
        prog: the command as the user types it, for the help text.
        description: what the command does and needs, for the help text.

    Raises:
        UserError: an unknown option (with what was probably meant) or a value that does not fit; one line.
        SystemExit: with code 0, after `--help`.
    """
    name, rest = _take_config(argv)
    base = load_config(name)
    if "--help" in rest or "-h" in rest:
        print(_help(base, prog=prog, description=description))
        raise SystemExit(0)
    parser = Parser(prog=prog, add_help=False, argument_default=argparse.SUPPRESS)
    options: dict[str, str] = {}
    for field, hint, _, _ in fields_of(base):
        option = option_of(field)
        options[option] = field
        parser.add_argument(option, dest=field, type=_reader(hint), metavar=_shape(hint))
    gone = {option_of(name) for name in removed_names(base)}
    given = vars(parser.parse_args([_present(argument, options, old_names(base), gone) for argument in rest]))
    return _replaced(base, given)


def _replaced(config: Any, given: dict[str, Any], prefix: str = "") -> Any:
    """The config with the given leaves replaced, each dataclass built once, so that fields that must agree can change
    together.
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        name, value = f"{prefix}{field.name}", getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            inner = {key: each for key, each in given.items() if key.startswith(f"{name}.")}
            changes |= {field.name: _replaced(value, inner, f"{name}.")} if inner else {}
        elif name in given:
            changes[field.name] = given[name]
    return dataclasses.replace(config, **changes)


def _present(argument: str, options: dict[str, str], renamed: dict[str, str], gone: set[str]) -> str:
    """An argument with the present spelling of its option; an old name is noted on stderr.

    Raises:
        UserError: it looks like an option and is none, or none any more.
    """
    if not argument.startswith("--") or argument == "--":
        return argument
    given, equals, value = argument.partition("=")
    option = given.replace("_", "-")
    for before, now in renamed.items():
        if option == option_of(before) or option.startswith(f"{option_of(before)}."):
            option = option_of(now) + option.removeprefix(option_of(before))
            print(f"note: {given} is called {option} now", file=sys.stderr)
    if option in gone:
        raise UserError(f"{given} {GONE}")
    if option not in options:
        raise UserError(f"{given} is not an option of the config{meant(option, list(options))} (--help lists them all)")
    return f"{option}{equals}{value}"


def _reader(hint: Any) -> Callable[[str], Any]:
    """The function that reads a value of this type from the command line."""
    choices, optional = typing.get_args(hint), type(None) in typing.get_args(hint)
    kind = next((each for each in (bool, int, float, str) if each is hint or each in choices), str)

    def read(text: str) -> Any:
        if typing.get_origin(hint) is Literal:
            if text not in choices:
                raise argparse.ArgumentTypeError(f"{text}: expected {' or '.join(map(str, choices))}")
            return text
        if optional and text.lower() == "none":
            return None
        if kind is bool:
            if text.lower() not in ("true", "false"):
                raise argparse.ArgumentTypeError(f"{text}: expected True or False")
            return text.lower() == "true"
        try:
            return kind(text)
        except ValueError:
            what = {int: "a whole number", float: "a number"}[kind]
            raise argparse.ArgumentTypeError(f"{text}: expected {what}{' or none' if optional else ''}") from None

    return read


def _field_meant(error: Exception) -> str:
    """`; did you mean ...?` for a field that no config has, as in `replace(base.model, hiden=3)`; or that it is
    gone.
    """
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if unknown and any(name.split(".")[-1] == unknown[1] for kind in KINDS for name in removed_names(kind())):
        return f"; it {GONE}"
    fields = sorted({name.split(".")[-1] for kind in KINDS for name, *_ in fields_of(kind())})
    return meant(unknown[1], fields) if unknown else ""


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


def _help(base: RunConfig, *, prog: str, description: str) -> str:
    """The help text: the options of this config's task with the values that its file sets."""
    lines = [
        f"usage: {prog} [--config FILE] [--OPTION VALUE ...]",
        "",
        description,
        "",
        f"options of the task {base.task!r}:",
    ]
    lines += [
        "  --config FILE (base.py)",
        "        A path, or the name of a file in configs/; it sets the defaults shown here.",
    ]
    docs: dict[type, dict[str, str]] = {}
    for name, hint, field, owner in fields_of(base):
        kind = type(owner)
        docs.setdefault(
            kind, {name: text for each in reversed(kind.__mro__[:-1]) for name, text in _field_docs(each).items()}
        )
        lines.append(f"  {option_of(name)} {_shape(hint)} ({getattr(owner, field.name)})")
        lines += textwrap.wrap(docs[kind].get(field.name, ""), 112, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return "\n".join(lines)


def _shape(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "{" + ",".join(map(str, typing.get_args(hint))) + "}"
    return hint.__name__.upper() if isinstance(hint, type) else str(hint).upper()


def _field_docs(kind: type) -> dict[str, str]:
    """Name of each field of a dataclass -> the string below it in the source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for item, after in itertools.pairwise(body.body):
        if isinstance(item, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            docs[ast.unparse(item.target)] = " ".join(str(after.value.value).split())
    return docs
