"""Frames stand where they should, and regions are found where the map is hot, whatever the size of the view."""

import numpy as np
import pytest
from PIL import Image

from tipai_jax.render.boxes import MAP_SIDE, Mark, draw_marks, regions_of_grid


def drawn_pixels(marks, size=(100, 80)):
    before = Image.new("RGB", size, (120, 120, 120))
    after = draw_marks(before, marks)
    assert (np.asarray(before) == 120).all(), "the image itself is left alone"
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
    """So that they can be read once the image is scaled down to a screen."""

    def line(side):
        return drawn_pixels([Mark(0.2, 0.5, 0.8, 0.9)], size=(side, side))[: round(0.7 * side), side // 2].sum()

    assert (line(300), line(960)) == (2 + 2, 4 + 2)  # with the white rim

    def tab(side):
        labelled = drawn_pixels([Mark(0.2, 0.5, 0.8, 0.9, label="object")], size=(side, side))
        return (labelled & ~drawn_pixels([Mark(0.2, 0.5, 0.8, 0.9)], size=(side, side))).sum()

    assert tab(1320) > 10 * tab(330)


def test_a_tab_stays_inside_and_two_tabs_never_overlap():
    bare = drawn_pixels([Mark(0.9, 0.0, 1.0, 0.3)])
    labelled = drawn_pixels([Mark(0.9, 0.0, 1.0, 0.3, label="attribute")])
    assert (labelled & ~bare).sum() > 200
    one = drawn_pixels([Mark(0.2, 0.4, 0.6, 0.7, label="object")], size=(200, 160))
    two = drawn_pixels([Mark(0.2, 0.4, 0.6, 0.7, label="object")] * 2, size=(200, 160))
    assert two.sum() > one.sum() + 200, "the second tab found a place of its own"


def box(region):
    return region.x1, region.y1, region.x2, region.y2


GRID = np.full((7, 7), 0.05, np.float32)
GRID[1, 1], GRID[4:6, 5], GRID[5, 2] = 0.9, 0.7, 0.65
REACH = 0.15


def middle(region):
    return (region.x1 + region.x2) / 2, (region.y1 + region.y2) / 2


def test_a_box_lies_around_each_peak_and_the_highest_risk_comes_first():
    found = regions_of_grid(GRID, 0.4, REACH)
    assert [region.risk for region in found] == pytest.approx([0.9, 0.7, 0.65])
    for region, (row, column) in zip(found, ((1, 1), (4.5, 5), (5, 2)), strict=True):
        assert middle(region) == pytest.approx(((column + 0.5) / 7, (row + 0.5) / 7), abs=1 / MAP_SIDE)
    assert [region.risk for region in regions_of_grid(GRID, 0.66, REACH)] == pytest.approx([0.9, 0.7])
    assert regions_of_grid(GRID, 0.95, REACH) == []


def test_the_threshold_decides_which_boxes_there_are_and_not_how_large():
    low, high = regions_of_grid(GRID, 0.0, REACH), regions_of_grid(GRID, 0.68, REACH)
    assert len(low) > len(high) == 2 and low[:2] == high
    assert len(regions_of_grid(GRID, float(GRID[1, 1]), REACH)) == 1, "a peak at the threshold has a box"


def test_a_box_ends_where_the_risk_has_fallen_to_two_thirds():
    """By hand: between the middles of two cells the risk falls from 0.9 to 0 in 32 pixels, to 0.6 in 10.7."""
    risk = np.zeros((7, 7), np.float32)
    risk[3, 3] = 0.9
    (region,) = regions_of_grid(risk, 0.5, REACH)
    assert MAP_SIDE * (region.x2 - region.x1) == pytest.approx(2 * 10.7, abs=1.5)
    assert MAP_SIDE * (region.y2 - region.y1) == pytest.approx(2 * 10.7, abs=1.5)


def test_two_things_side_by_side_get_a_box_each():
    """One connected region from 0.4 on, with a dip to two thirds of the lower peak and more in it."""
    risk = np.zeros((7, 7), np.float32)
    risk[3, 1:6] = 0.8, 0.7, 0.65, 0.7, 0.9
    left, right = sorted(regions_of_grid(risk, 0.4, 0.3), key=box)
    assert (left.risk, right.risk) == pytest.approx((0.8, 0.9))
    assert left.x2 == pytest.approx(3.5 / 7, abs=1 / MAP_SIDE) and right.x1 == pytest.approx(left.x2, abs=2 / MAP_SIDE)


def test_no_box_goes_farther_than_the_reach_and_no_second_peak_lies_within_it():
    wide = np.zeros((7, 7), np.float32)
    wide[1:6, 1:6] = 0.9
    for reach in (0.1, 0.2):
        (region,) = regions_of_grid(wide, 0.5, reach)
        assert middle(region) == pytest.approx((0.5, 0.5), abs=1 / MAP_SIDE)
        assert region.x2 - region.x1 == pytest.approx(2 * reach, abs=2 / MAP_SIDE)
    pair = np.zeros((7, 7), np.float32)
    pair[3, 2], pair[3, 4] = 0.9, 0.8
    assert len(regions_of_grid(pair, 0.5, 0.2)) == 2 and len(regions_of_grid(pair, 0.5, 0.3)) == 1


def test_without_a_reach_there_are_no_boxes():
    assert regions_of_grid(GRID, 0.4, None) == []


def test_of_equal_risks_the_upper_and_then_the_left_one_comes_first():
    risk = np.zeros((9, 9), np.float32)
    risk[7, 1] = risk[1, 7] = risk[1, 1] = 1.0
    assert [tuple(int(9 * edge) for edge in middle(region)) for region in regions_of_grid(risk, 0.5, REACH)] == [
        (1, 1),
        (7, 1),
        (1, 7),
    ]


def test_at_most_eight_regions_those_of_the_highest_risk():
    risk = np.zeros((7, 7), np.float32)
    risk[::2, ::2] = 0.7 + 0.01 * np.arange(16).reshape(4, 4)  # sixteen specks, the last the hottest
    assert [region.risk for region in regions_of_grid(risk, 0.5, REACH)] == pytest.approx(
        [0.85 - 0.01 * place for place in range(8)]
    )


def test_a_risk_beyond_its_range_is_clipped():
    (region,) = regions_of_grid(np.where(GRID.max() == GRID, 1.5, 0.0).astype(np.float32), 0.5, REACH)
    assert region.risk == 1.0
