"""What a config's dataclasses check themselves with: numbers, whole numbers, choices; each mistake is one line."""

import difflib
import functools
import math
import sys
import typing
from collections.abc import Sequence
from typing import Any, Literal

from tipai_jax.errors import UserError
from tipai_jax.renamed import FIELDS

__all__ = ["check_kinds", "is_number", "is_whole", "meant", "present_names", "require", "understands_old_names"]


def require(fine: bool, name: str, value: Any, allowed: str) -> None:
    """Refuse a value.

    Raises:
        UserError: not `fine`; the line names the field, its value and what is allowed.
    """
    if not fine:
        raise UserError(f"config: {name} is {value!r}; allowed is {allowed}")


def is_number(value: Any, *, high: float = math.inf, open_low: bool = False) -> bool:
    """Whether this is a finite number from 0 (above 0 with `open_low`) to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return (value > 0 if open_low else value >= 0) and value <= high


def is_whole(value: Any, low: int) -> bool:
    """Whether this is a whole number from `low`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def check_kinds(config: Any, prefix: str) -> None:
    """Choices and booleans are what they must be; a whole number where a float belongs becomes one.

    Raises:
        UserError: a field holds something else.
    """
    for name, hint in typing.get_type_hints(type(config)).items():
        if typing.get_origin(hint) is typing.ClassVar:
            continue
        value = getattr(config, name)
        if typing.get_origin(hint) is Literal:
            choices = typing.get_args(hint)
            require(value in choices, f"{prefix}{name}", value, " or ".join(map(repr, choices)))
        elif hint is bool:
            require(isinstance(value, bool), f"{prefix}{name}", value, "true or false")
        elif (hint is float or float in typing.get_args(hint)) and type(value) is int:
            object.__setattr__(config, name, float(value))


def meant(given: str, known: Sequence[str]) -> str:
    """`; did you mean ...?` from the spelling, or from the last part of the name (`--peak-lr`, `--lr`)."""
    tails = {name.strip("-").split(".")[-1]: name for name in known}
    tail = given.strip("-").split(".")[-1]
    found = difflib.get_close_matches(given, known, n=1, cutoff=0.6)
    found = found or [tails[near] for near in difflib.get_close_matches(tail, tails, n=1, cutoff=0.6)]
    found = found or [name for each, name in tails.items() if tail and tail in each]
    return f"; did you mean {found[0]}?" if found else ""


def understands_old_names(kind: type) -> type:
    """A decorator of a dataclass: the old names of its fields are understood, with a note (`tipai_jax.renamed`)."""
    plain = kind.__init__

    @functools.wraps(plain)
    def init(self: Any, *values: Any, **named: Any) -> None:
        plain(self, *values, **present_names(type(self), named))

    kind.__init__ = init  # type: ignore[misc]
    return kind


def present_names(kind: type, named: dict[str, Any]) -> dict[str, Any]:
    """Values by the present names of the fields of a dataclass; each old name is noted on stderr."""
    renamed = FIELDS.get(kind.__name__, {})
    for name in [name for name in renamed if name in named]:
        print(f"note: the field {name} of {kind.__name__} is called {renamed[name]} now", file=sys.stderr)
    present = {name: value for name, value in named.items() if name not in renamed}
    return present | {renamed[name]: value for name, value in named.items() if name in renamed}
