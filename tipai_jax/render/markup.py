"""Markup as text: elements whose words are escaped unless they are markup already.

It serves HTML and SVG alike, and knows of neither more than which elements have no end.
"""

from collections.abc import Iterable
from html import escape

__all__ = ["Markup", "element", "join"]

#: Elements of HTML that are never closed.
_VOID = ("br", "hr", "img", "link", "meta")


class Markup(str):
    """Text that is markup: it is put into other markup as it stands."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | int | float | None) -> Markup:
    """One element.

    Args:
        name: of the element.
        children: its content in order; `Markup` as it stands, any other text escaped.
        attributes: an underscore becomes a dash, one at the end is dropped (`class_`); None leaves the attribute out,
            an int or a float is written with at most two decimals.

    Returns:
        The element with its end, unless it is one that has none.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        assert not children, f"{name} has no content"
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Markup:
    """Pieces one after the other; words are escaped."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children))


def _plain(value: str | int | float) -> str:
    """Numbers without a tail of zeros, and never minus zero."""
    if isinstance(value, str):
        return value
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
