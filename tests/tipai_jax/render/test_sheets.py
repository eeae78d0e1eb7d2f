"""Nothing on a sheet is cut off: it grows with its words, and its margins stay white."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tipai_jax.render.phrases import Run, phrase_tint
from tipai_jax.render.sheets import MARGIN, Panel, contact_sheet, legend, panel_sheet

PANELS = [
    Panel(Image.new("RGB", (30, 20), (0, 0, 255)), "chosen", "0.9"),
    Panel(Image.new("RGB", (20, 40), (0, 255, 0)), "rejected"),
]


def test_more_words_make_it_higher_and_the_margins_stay_white():
    short = panel_sheet("a car", [], PANELS, side=150)
    wordy = Panel(PANELS[0].image, "name " * 30, "words " * 60)
    long = panel_sheet("a car " * 60, ["a note " * 40], [wordy, PANELS[1]], side=150)
    assert short.width == long.width == 2 * MARGIN + 2 * 150 + 10
    assert long.height > short.height + 150
    for sheet in (short, long):
        pixels = np.asarray(sheet)
        for edge in (pixels[:, : MARGIN - 2], pixels[:, -MARGIN + 2 :], pixels[: MARGIN - 2], pixels[-MARGIN + 2 :]):
            assert (edge == 255).all()


def test_a_prompt_in_coloured_words_stands_below_its_own_panel():
    runs = [Run("a red car", 0.05), Run(" on the beach")]
    plain, told = (
        np.asarray(panel_sheet("t", [], [PANELS[0], replace(PANELS[1], runs=each)], side=150)) for each in ((), runs)
    )
    assert told.shape[0] > plain.shape[0] + 20
    _, columns = np.nonzero((told == phrase_tint(0.05)).all(axis=2))
    assert len(columns) > 300 and columns.min() >= MARGIN + 150 + 10, "under the second panel"


def test_pictures_keep_their_proportions():
    pixels = np.asarray(panel_sheet("t", [], PANELS, side=120)).astype(int)
    blue = (pixels[..., 2] > 200) & (pixels[..., 0] < 50)
    rows, columns = np.flatnonzero(blue.any(axis=1)), np.flatnonzero(blue.any(axis=0))
    assert len(columns) == 120 and abs(len(rows) - 80) <= 1
    green = (pixels[..., 1] > 200) & (pixels[..., 0] < 50) & (pixels[..., 2] < 50)
    rows, columns = np.flatnonzero(green.any(axis=1)), np.flatnonzero(green.any(axis=0))
    assert abs(len(columns) - 60) <= 1 and len(rows) == 120


def test_a_narrow_legend_still_has_its_bar():
    for width in (300, 800):
        pixels = np.asarray(legend(width)).astype(int)
        assert pixels.shape[1] == width
        assert (pixels[..., 0] - pixels[..., 1] > 150).any(), "red"
        assert ((pixels[..., :2].min(axis=-1) > 200) & (pixels[..., 2] < 140)).any(), "yellow"


def test_the_ends_of_the_legend_can_be_named():
    other = legend(800, ends=("high", "low"))
    assert other.size == legend(800).size and other.tobytes() != legend(800).tobytes()
    sheets = [panel_sheet("t", [], PANELS, side=150, **ends) for ends in ({}, {"ends": ("high", "low")})]
    assert sheets[0].size == sheets[1].size and sheets[0].tobytes() != sheets[1].tobytes()


def test_contact_sheet_places_row_by_row_and_scales_down():
    sheets = [Image.new("RGB", (100, 50), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    page = contact_sheet(sheets, columns=2)
    assert page.size == (210, 110)
    assert page.getpixel((50, 25)) == (255, 0, 0) and page.getpixel((160, 25)) == (0, 255, 0)
    assert page.getpixel((50, 85)) == (0, 0, 255)
    assert page.getpixel((160, 85)) == (255, 255, 255)
    assert contact_sheet(sheets, columns=2, width=50).size == (110, 60)
    assert contact_sheet(sheets[:1], columns=2).size == (100, 50)


def test_nothing_to_show_is_refused():
    with pytest.raises(ValueError, match="needs a panel"):
        panel_sheet("t", [], [])
    with pytest.raises(ValueError, match="at least one sheet"):
        contact_sheet([])
