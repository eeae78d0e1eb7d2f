"""What a config's dataclasses check themselves with: numbers, whole numbers, choices; each mistake is one line."""

import math
import typing
from typing import Any, Literal

from tipai_jax.errors import UserError

__all__ = ["check_kinds", "is_number", "is_whole", "require"]


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
