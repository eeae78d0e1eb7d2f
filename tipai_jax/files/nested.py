"""Nested mappings with dotted names."""

from collections.abc import Mapping
from typing import Any

__all__ = ["flatten", "nest"]


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted names of the leaves of a nested mapping, in order."""
    leaves: dict[str, Any] = {}
    for name, value in record.items():
        leaves |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return leaves


def nest(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    tree: dict[str, Any] = {}
    for name, value in leaves.items():
        *parents, last = name.split(".")
        here = tree
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = value
    return tree
