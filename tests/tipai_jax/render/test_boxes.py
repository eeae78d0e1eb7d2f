"""Frames stand where they should, and boxes are found where the map is hot."""

import numpy as np
import pytest
from PIL import Image

from tipai_jax.render.boxes import Mark, draw_marks, find_boxes


def drawn_pixels(marks, size=(100, 80), **options):
    before = Image.new("RGB", size, (120, 120, 120))
    after = draw_marks(before, marks, **options)
    assert (np.asarray(before) == 120).all(), "the picture itself is left alone"
    return (np.asarray(after) != 120).any(axis=-1)


def test_a_frame_is_a_frame():
    changed = drawn_pixels([Mark(0.2, 0.25, 0.6, 0.75)])
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert abs(rows[0] - 20) <= 2 and abs(rows[-1] - 60) <= 2
    assert abs(columns[0] - 20) <= 2 and abs(columns[-1] - 60) <= 2
    assert not changed[30:50, 30:50].any(), "its inside stays free"
    assert changed[20, 20:60].all()


def test_a_dashed_frame_has_gaps():
    whole, dashed = drawn_pixels([Mark(0.2, 0.25, 0.8, 0.75)]), drawn_pixels([Mark(0.2, 0.25, 0.8, 0.75, dashed=True)])
    assert 0.3 * whole.sum() < dashed.sum() < 0.8 * whole.sum()


@pytest.mark.parametrize(
    "mark",
    [Mark(-0.5, -0.5, 1.5, 1.5), Mark(0.0, 0.0, 1.0, 1.0), Mark(0.98, 0.98, 1.0, 1.0), Mark(0.0, 0.0, 0.001, 0.001)],
)
def test_frames_at_the_edge_stay_visible(mark):
    assert drawn_pixels([mark]).any()


def test_frames_and_tabs_grow_with_the_picture():
    """So that they can be read once the picture is scaled down to a screen."""
    line = lambda side: drawn_pixels([Mark(0.2, 0.5, 0.8, 0.9)], size=(side, side))[:, side // 2][
        : round(0.7 * side)
    ].sum()
    assert (line(300), line(960)) == (2 + 2, 4 + 2)  # with the white rim
    tab = lambda side: (
        drawn_pixels([Mark(0.2, 0.5, 0.8, 0.9, label="object")], size=(side, side))
        & ~drawn_pixels([Mark(0.2, 0.5, 0.8, 0.9)], size=(side, side))
    ).sum()
    assert tab(1320) > 10 * tab(330)


def test_a_tab_stays_inside_and_two_tabs_never_overlap():
    bare = drawn_pixels([Mark(0.9, 0.0, 1.0, 0.3)])
    labelled = drawn_pixels([Mark(0.9, 0.0, 1.0, 0.3, label="attribute")])
    assert (labelled & ~bare).sum() > 200
    one = drawn_pixels([Mark(0.2, 0.4, 0.6, 0.7, label="object")], size=(200, 160))
    two = drawn_pixels([Mark(0.2, 0.4, 0.6, 0.7, label="object")] * 2, size=(200, 160))
    assert two.sum() > one.sum() + 200, "the second tab found a place of its own"


def test_find_boxes_by_hand():
    heat = np.zeros((20, 40), np.float32)
    heat[2:5, 4:10] = 0.7
    heat[10:14, 30:32] = 0.9
    heat[13, 28:33] = 0.8  # touches the second: one region with it
    heat[18, 18] = 1.0  # too small
    assert find_boxes(heat, 0.5, min_share=0.005) == [
        (28 / 40, 10 / 20, 33 / 40, 14 / 20, pytest.approx(0.9)),
        (4 / 40, 2 / 20, 10 / 40, 5 / 20, pytest.approx(0.7)),
    ]
    assert len(find_boxes(heat, 0.5, min_share=0.0)) == 3
    assert find_boxes(heat, 0.5, min_share=0.0, most=1)[0][4] == 1.0
    assert find_boxes(heat, 1.1) == []


def test_regions_that_meet_late_are_one():
    heat = np.zeros((6, 7), np.float32)
    heat[:, 0] = heat[:, 6] = heat[5] = heat[:3, 3] = 1.0  # a U with a separate bar in it
    assert sorted(find_boxes(heat, 0.5)) == [(0.0, 0.0, 1.0, 1.0, 1.0), (3 / 7, 0.0, 4 / 7, 0.5, 1.0)]


def test_corners_do_not_connect():
    assert len(find_boxes(np.eye(4, dtype=np.float32), 0.5, min_share=0.0)) == 4
