"""Words on images, with the letters that come with Pillow: broken into lines so that nothing is cut off."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache

from PIL import ImageDraw, ImageFont

__all__ = ["draw_lines", "font", "line_height", "plain", "wrap"]

_PLAIN = str.maketrans({"—": "-", "–": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "\t": " "})
"""What the built-in letters lack, and what is written in its place."""


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in letters at a size in pixels."""
    letters = ImageFont.load_default(size=size)
    assert isinstance(letters, ImageFont.FreeTypeFont), "Pillow gives scalable letters where a size is asked for"
    return letters


def plain(text: str) -> str:
    """A text in signs that the built-in letters have."""
    return text.translate(_PLAIN)


def line_height(size: int) -> int:
    """Pixels from one base line to the next at a size of letters."""
    return round(size * 1.32)


def wrap(text: str, *, size: int, width: int) -> list[str]:
    """Break a text into lines that fit.

    Args:
        text: any text; a line break in it stays one.
        size: of the letters, in pixels.
        width: of the space, in pixels.

    Returns:
        The lines. A word wider than the space is broken inside; nothing is ever left out.
    """
    letters = font(size)
    lines: list[str] = []
    for paragraph in plain(text).split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if letters.getlength(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            while letters.getlength(word) > width and len(word) > 1:
                fits = max(1, bisect_right(range(1, len(word)), width, key=lambda n: letters.getlength(word[:n])))
                lines.append(word[:fits])
                word = word[fits:]
            line = word
        lines.append(line)
    return lines


def draw_lines(
    pen: ImageDraw.ImageDraw, lines: Sequence[str], *, at: tuple[int, int], size: int, fill: tuple[int, int, int]
) -> int:
    """Write lines one below the other.

    Args:
        pen: where to write.
        lines: each fits the space already.
        at: left and top of the first line, in pixels.
        size: of the letters, in pixels.
        fill: their colour.

    Returns:
        The height below the last line, in pixels from the top.
    """
    left, top = at
    for line in lines:
        pen.text((left, top), line, font=font(size), fill=fill)
        top += line_height(size)
    return top
