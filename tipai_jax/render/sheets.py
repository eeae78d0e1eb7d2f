"""Sheets: a title band, panels in a row with a line of words under each, the colour scale; and many sheets on one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from tipai_jax.render.colours import legend_colours
from tipai_jax.render.images import fit_size
from tipai_jax.render.phrases import Run, words_image
from tipai_jax.render.words import draw_lines, font, line_height, wrap

__all__ = ["Panel", "contact_sheet", "legend", "panel_sheet"]

INK, FAINT, PAPER = (24, 24, 27), (95, 95, 102), (255, 255, 255)
MARGIN, GAP, TITLE, SMALL = 14, 10, 19, 14
ENDS = ("keeps the prompt (no colour)", "breaks it (yellow: at the threshold of the run, red: twice that)")


@dataclass(frozen=True)
class Panel:
    """An image, its name, the words under it, and below them a prompt in coloured words."""

    image: Image.Image
    name: str
    words: str = ""
    runs: Sequence[Run] = ()


def panel_sheet(
    title: str, lines: Sequence[str], panels: Sequence[Panel], *, side: int = 300, ends: tuple[str, str] = ENDS
) -> Image.Image:
    """One sheet: the title and its lines above a row of panels of one height, the colour scale at the foot.

    Args:
        title: the prompt, say; broken into as many lines as it needs.
        lines: smaller text under the title.
        panels: left to right; each image is scaled to fit a square, on a pale ground.
        side: of that square, in pixels.
        ends: what the two ends of the colour scale mean, that without colour and the red one.

    Returns:
        An RGB image, as high as its text needs.

    Raises:
        ValueError: there is no panel.
    """
    if not panels:
        raise ValueError("panel_sheet: a sheet needs a panel")
    width = 2 * MARGIN + len(panels) * side + (len(panels) - 1) * GAP
    room = width - 2 * MARGIN
    heads = wrap(title, size=TITLE, width=room)
    notes = [piece for line in lines for piece in wrap(line, size=SMALL, width=room)]
    names = [wrap(panel.name, size=SMALL, width=side) for panel in panels]
    words = [wrap(panel.words, size=SMALL, width=side) if panel.words else [] for panel in panels]
    band = MARGIN + len(heads) * line_height(TITLE) + len(notes) * line_height(SMALL) + 12
    above = max(map(len, names)) * line_height(SMALL) + 2
    prompts = [words_image(panel.runs, width=side, size=SMALL) if panel.runs else None for panel in panels]
    spoken = [len(entry) * line_height(SMALL) + 2 for entry in words]
    below = max(end + (prompt.height + 4 if prompt else 0) for end, prompt in zip(spoken, prompts))
    scale = legend(room, ends=ends)
    height = band + above + side + 4 + below + 8 + scale.height + MARGIN
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    top = draw_lines(pen, heads, at=(MARGIN, MARGIN), size=TITLE, fill=INK)
    draw_lines(pen, notes, at=(MARGIN, top + 2), size=SMALL, fill=FAINT)
    for place, panel in enumerate(panels):
        left = MARGIN + place * (side + GAP)
        draw_lines(pen, names[place], at=(left, band), size=SMALL, fill=FAINT)
        sheet.paste(_fit(panel.image, side), (left, band + above))
        foot = draw_lines(pen, words[place], at=(left, band + above + side + 4), size=SMALL, fill=INK)
        if (prompt := prompts[place]) is not None:
            sheet.paste(prompt, (left, foot + 4))
    sheet.paste(scale, (MARGIN, height - MARGIN - scale.height))
    return sheet


def _fit(image: Image.Image, side: int) -> Image.Image:
    """An image in the middle of a square, its proportions kept."""
    size = fit_size(image.size, side)
    square = Image.new("RGB", (side, side), (238, 238, 240))
    square.paste(
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS), ((side - size[0]) // 2, (side - size[1]) // 2)
    )
    return square


def legend(width: int, *, ends: tuple[str, str] = ENDS) -> Image.Image:
    """The colour scale with its two ends named, `width` pixels wide."""
    left, right = ends
    letters = font(SMALL)
    high = line_height(SMALL)
    strip = Image.new("RGB", (width, high), PAPER)
    bar = min(260, max(20, width - round(letters.getlength(left + right)) - 3 * GAP))
    colours = legend_colours(np.linspace(0.0, 1.0, bar)[None, :])
    pen = ImageDraw.Draw(strip)
    draw_lines(pen, [left], at=(0, 0), size=SMALL, fill=FAINT)
    start = round(letters.getlength(left)) + GAP
    strip.paste(Image.fromarray(np.repeat(colours, high - 6, axis=0)), (start, 3))
    pen.rectangle((start, 3, start + bar - 1, high - 4), outline=FAINT)
    draw_lines(pen, [right], at=(start + bar + GAP, 0), size=SMALL, fill=FAINT)
    return strip


def contact_sheet(sheets: Sequence[Image.Image], *, columns: int = 1, width: int | None = None) -> Image.Image:
    """Many sheets on one, row by row.

    Args:
        sheets: the sheets, of any sizes.
        columns: how many stand side by side.
        width: of one column in pixels; wider sheets are scaled down to it. The widest sheet's if None.

    Returns:
        An RGB image.

    Raises:
        ValueError: there is no sheet, or no column.
    """
    if not sheets or columns < 1:
        raise ValueError("contact_sheet: needs at least one sheet and one column")
    column = width or max(sheet.width for sheet in sheets)
    scaled = []
    for sheet in sheets:
        share = min(1.0, column / sheet.width)
        size = (max(1, round(sheet.width * share)), max(1, round(sheet.height * share)))
        scaled.append(
            sheet.convert("RGB").resize(size, Image.Resampling.LANCZOS) if share < 1.0 else sheet.convert("RGB")
        )
    rows = [scaled[start : start + columns] for start in range(0, len(scaled), columns)]
    heights = [max(sheet.height for sheet in row) for row in rows]
    wide = min(columns, len(scaled))
    page = Image.new("RGB", (wide * column + (wide - 1) * GAP, sum(heights) + GAP * (len(rows) - 1)), PAPER)
    top = 0
    for row, high in zip(rows, heights):
        for place, sheet in enumerate(row):
            page.paste(sheet, (place * (column + GAP), top))
        top += high + GAP
    return page
