"""A prompt in coloured words: each phrase on the tint of how probable it is that the image keeps it.

The tints are those of the heatmap over white, so black letters stay legible on each. No mark is a colour alone: behind
each phrase stands its probability, and one that more likely fails is underlined.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tipai_jax.render.colours import risk_colours
from tipai_jax.render.markup import Markup, element
from tipai_jax.render.words import draw_lines, font, line_height, plain, wrap

__all__ = ["FAILS", "KEY", "Run", "captioned", "phrase_tint", "runs_of", "words_image", "words_markup"]

FAILS = 0.5
"""A phrase that is kept with a lower probability counts as failing."""
TINT = 0.55
"""Of the heatmap's colour in a tint, the rest is white: as opaque as the heatmap lies over an image."""
INK, FAINT, PAPER = (24, 24, 27), (70, 70, 78), (255, 255, 255)
KEY = "number: probability that the image keeps the phrase; underlined: below 0.5"
"""What the marks mean, for the foot of an image or a page."""
MARGIN, LEAST_WIDTH = 10, 280


class Run(NamedTuple):
    """A piece of a prompt: its characters, and of a phrase the probability that the image keeps it; else None."""

    text: str
    kept: float | None = None

    @property
    def fails(self) -> bool:
        """Whether it is a phrase that the image more likely breaks."""
        return self.kept is not None and self.kept < FAILS


def runs_of(prompt: str, phrases: Iterable[tuple[int, int, float]]) -> list[Run]:
    """A prompt in runs, in order and without a gap: joined, their texts are the prompt.

    Args:
        prompt: the words.
        phrases: first character, the one behind the last, and the probability that the image keeps it. One that does
            not occur in the prompt (-1) is left out; of two that overlap the later one keeps what is left of it.
    """
    found, end = [], 0
    for start, stop, kept in sorted(phrases):
        start, stop = max(start, end) if start >= 0 else end, min(stop, len(prompt))
        if stop <= start:
            continue
        found += [Run(prompt[end:start])] if start > end else []
        found.append(Run(prompt[start:stop], float(kept)))
        end = stop
    return [*found, Run(prompt[end:])] if end < len(prompt) else found


def phrase_tint(kept: float) -> tuple[int, int, int]:
    """The ground of a phrase: green where the image keeps it, yellow where that is open, red where it breaks it."""
    colour = risk_colours(np.array(1.0 - kept)).astype(float)
    red, green, blue = (round(255.0 + TINT * (channel - 255.0)) for channel in colour.tolist())
    return red, green, blue


def words_markup(runs: Sequence[Run]) -> Markup:
    """The prompt as HTML: phrases as `mark`s with their probability behind them and, spelt out, in their title."""
    words = (run.text if run.kept is None else _mark(run.text, run.kept, fails=run.fails) for run in runs)
    return element("span", *words, style="line-height:1.8")


def _mark(text: str, kept: float, *, fails: bool) -> Markup:
    red, green, blue = phrase_tint(kept)
    style = f"background:rgb({red},{green},{blue});color:#18181b;border-radius:4px;padding:.1em .3em .2em"
    style += ";-webkit-box-decoration-break:clone;box-decoration-break:clone"  # each line of a phrase has its own ends
    line = "text-decoration:underline 2px #18181b;text-underline-offset:.15em" if fails else None
    words = f"{'more likely broken' if fails else 'more likely kept'}: the image keeps it with probability {kept:.2f}"
    number = element("small", f"\u00a0{kept:.2f}", style="font-size:.75em;font-weight:400")
    return element("mark", element("span", text, style=line), number, style=style, title=words)


@dataclass(frozen=True)
class _Piece:
    """What is drawn in one go: part of a word, or a number."""

    text: str
    size: int
    run: int
    gap: float  # between it and the piece before it on its line; 0 where both belong together

    @property
    def width(self) -> float:
        return font(self.size).getlength(self.text)


def words_image(runs: Sequence[Run], *, width: int, size: int) -> Image.Image:
    """The prompt as an image on white, broken into as many lines as it needs.

    Args:
        runs: of the prompt.
        width: of the image, in pixels.
        size: of the letters, in pixels; the probabilities are smaller.

    Returns:
        An RGB image of that width. A word wider than it is broken inside; nothing is left out.
    """
    lines = _lines(_units(runs, size), width - 2 * _pad(size) - 2)
    step = line_height(size) + max(4, size // 3)
    image = Image.new("RGB", (width, max(1, step * len(lines))), PAPER)
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        _draw_line(pen, line, runs, top=number * step, size=size)
    return image


def captioned(image: Image.Image, runs: Sequence[Run]) -> Image.Image:
    """An image above its prompt in coloured words and a line that says what they mean; of its width, or of
    `LEAST_WIDTH` pixels where it is narrower, with white beside it.
    """
    width = max(image.width, LEAST_WIDTH)
    size = max(15, round(width / 28))
    small, room = max(11, round(0.62 * size)), width - 2 * MARGIN
    words, key = words_image(runs, width=room, size=size), wrap(KEY, size=small, width=room)
    top = image.height + MARGIN
    high = top + words.height + line_height(small) * len(key) + MARGIN
    sheet = Image.new("RGB", (width, high), PAPER)
    sheet.paste(image.convert("RGB"), (0, 0))
    sheet.paste(words, (MARGIN, top))
    draw_lines(ImageDraw.Draw(sheet), key, at=(MARGIN, top + words.height + 2), size=small, fill=FAINT)
    return sheet


def _pad(size: int) -> int:
    """Pixels of a phrase's ground before and behind its letters."""
    return max(3, size // 5)


def _units(runs: Sequence[Run], size: int) -> list[list[_Piece]]:
    """Pieces that no line break divides: a word with the comma behind it, the last word of a phrase with its number."""
    units: list[list[_Piece]] = []
    space, small = font(size).getlength(" "), max(11, round(0.7 * size))
    apart, behind = True, False  # whether a blank, and whether a phrase stands before the next word
    for place, run in enumerate(runs):
        begins = run.kept is not None
        for word in _words(plain(run.text)):
            if word.isspace():
                apart = True
                continue
            if apart:
                units.append([])
            gap = (space if apart else 0.0) + (begins + behind) * _pad(size)
            units[-1].append(_Piece(word, size, place, gap))
            apart = behind = begins = False
        if run.kept is not None and units:
            units[-1].append(_Piece(f"{run.kept:.2f}", small, place, space * 0.6))
            behind = True
    return units


def _words(text: str) -> list[str]:
    """Words and the blanks between them, in turn."""
    parts: list[str] = []
    for letter in text:
        if parts and parts[-1][-1].isspace() == letter.isspace():
            parts[-1] += letter
        else:
            parts.append(letter)
    return parts


def _lines(units: Sequence[Sequence[_Piece]], width: int) -> list[list[_Piece]]:
    lines: list[list[_Piece]] = [[]]
    used = 0.0
    for unit in units:
        wide = sum(piece.gap + piece.width for piece in unit)
        if lines[-1] and used + wide > width:
            lines.append([])
            used = 0.0
        for piece in unit:
            for part in _fitting(piece, width):
                gap = part.gap if lines[-1] else 0.0
                if lines[-1] and used + gap + part.width > width:
                    lines.append([])
                    used = gap = 0.0
                lines[-1].append(replace(part, gap=gap))
                used += gap + part.width
    return lines


def _fitting(piece: _Piece, width: int) -> list[_Piece]:
    """A piece in parts none of which is wider than a line."""
    parts, text, letters = [], piece.text, font(piece.size)
    while len(text) > 1 and letters.getlength(text) > width:
        fits = max(1, bisect_right(range(1, len(text)), width, key=lambda n: letters.getlength(text[:n])))
        parts.append(replace(piece, text=text[:fits], gap=0.0 if parts else piece.gap))
        text = text[fits:]
    return [*parts, replace(piece, text=text, gap=0.0 if parts else piece.gap)]


def _draw_line(pen: ImageDraw.ImageDraw, line: Sequence[_Piece], runs: Sequence[Run], *, top: int, size: int) -> None:
    """One line: the grounds of its phrases first, then letters, and lines under what fails."""
    base, left = top + round(1.02 * size), float(_pad(size))
    places = []
    for piece in line:
        left += piece.gap
        places.append(left)
        left += piece.width
    ends = [place + piece.width for place, piece in zip(places, line)]
    for run in dict.fromkeys(piece.run for piece in line):
        kept = runs[run].kept
        if kept is None:
            continue
        mine = [i for i, piece in enumerate(line) if piece.run == run]
        box = (places[mine[0]] - _pad(size), top, ends[mine[-1]] + _pad(size), top + line_height(size))
        pen.rounded_rectangle(box, radius=_pad(size), fill=phrase_tint(kept))
        said = [i for i in mine if line[i].size == size]
        if runs[run].fails and said:
            thick = max(2, size // 9)
            pen.line((places[said[0]], base + thick, ends[said[-1]], base + thick), fill=INK, width=thick)
    for place, piece in zip(places, line):
        fill = INK if piece.size == size else FAINT
        pen.text((place, base), piece.text, font=font(piece.size), fill=fill, anchor="ls")
