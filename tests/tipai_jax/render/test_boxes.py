"""Frames stand where they should, and regions are found where the map is hot, whatever the size of the view."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tipai_jax.render.boxes import MAP_SIDE, Mark, draw_marks, find_regions, regions_of_grid
from tipai_jax.render.heatmap import enlarge


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


def test_regions_by_hand():
    heat = np.zeros((20, 40), np.float32)
    heat[2:5, 4:10] = 0.7
    heat[10:14, 30:32] = 0.9
    heat[13, 28:33] = 0.8  # touches the second: one region with it
    heat[18, 18] = 1.0  # too small
    first, second, speck = 6 * 0.9 + 5 * 0.8, 18 * 0.7, 1.0
    total = first + second + speck
    found = [dataclasses.astuple(region) for region in find_regions(heat, 0.5, min_share=0.005)]
    assert found == [
        (28 / 40, 10 / 20, 33 / 40, 14 / 20, pytest.approx(0.9), pytest.approx(first / total)),
        (4 / 40, 2 / 20, 10 / 40, 5 / 20, pytest.approx(0.7), pytest.approx(second / total)),
    ]
    everything = find_regions(heat, 0.5, min_share=0.0)
    assert [region.peak for region in everything] == pytest.approx([1.0, 0.9, 0.7]), "the highest risk first"
    assert sum(region.share for region in everything) == pytest.approx(1.0)
    assert box(everything[0]) == (18 / 40, 18 / 20, 19 / 40, 19 / 20)
    assert find_regions(heat, 1.1) == []


def test_a_pixel_at_the_threshold_belongs_to_a_region_and_one_below_does_not():
    heat = np.full((4, 4), 0.25, np.float32)
    assert [box(region) for region in find_regions(heat, 0.25)] == [(0.0, 0.0, 1.0, 1.0)]
    assert find_regions(heat, 0.2501) == []


def test_regions_that_meet_late_are_one():
    heat = np.zeros((6, 7), np.float32)
    heat[:, 0] = heat[:, 6] = heat[5] = 0.5  # a U
    heat[:3, 3] = 1.0  # with a separate bar in it
    bar, around = find_regions(heat, 0.5)
    assert box(around) == (0.0, 0.0, 1.0, 1.0) and box(bar) == (3 / 7, 0.0, 4 / 7, 0.5)
    assert bar.peak == 1.0 and around.peak == 0.5, "the peak is that of the region and not of its box"
    assert bar.share == pytest.approx(3 / 11.5) and around.share == pytest.approx(8.5 / 11.5)


def test_corners_do_not_connect():
    assert len(find_regions(np.eye(4, dtype=np.float32), 0.5, min_share=0.0)) == 4


def test_of_equal_risks_the_upper_and_then_the_left_one_comes_first():
    heat = np.zeros((9, 9), np.float32)
    heat[7, 1] = heat[1, 7] = heat[1, 1] = 1.0
    found = [box(region)[:2] for region in find_regions(heat, 0.5)]
    assert found == [(1 / 9, 1 / 9), (7 / 9, 1 / 9), (1 / 9, 7 / 9)]


GRID = np.zeros((7, 7), np.float32)
GRID[1, 1], GRID[4:6, 5], GRID[5, 2] = 0.9, 0.7, 0.65


def test_regions_of_a_grid_are_those_of_its_enlarged_map():
    found = regions_of_grid(GRID, 0.4)
    assert sorted(found, key=box) == sorted(find_regions(enlarge(GRID, (MAP_SIDE, MAP_SIDE)), 0.4), key=box)
    assert [region.share for region in found] == sorted((region.share for region in found), reverse=True)
    for region, (row, column) in zip(found, ((4.5, 5), (1, 1), (5, 2)), strict=True):
        middle = ((region.x1 + region.x2) / 2, (region.y1 + region.y2) / 2)
        assert middle == pytest.approx(((column + 0.5) / 7, (row + 0.5) / 7), abs=1 / MAP_SIDE)
    assert regions_of_grid(GRID, 0.95) == []


def test_at_most_eight_regions_those_with_the_largest_shares():
    grid = np.zeros((7, 7), np.float32)
    grid[::2, ::2] = 0.7 + 0.01 * np.arange(16).reshape(4, 4)  # sixteen specks, the last the hottest
    found = regions_of_grid(grid, 0.5)
    assert len(found) == 8 and found == sorted(found, key=lambda region: -region.share)
    others = [region.share for region in find_regions(enlarge(grid, (MAP_SIDE, MAP_SIDE)), 0.5)]
    assert len(others) == 16 and [region.share for region in found] == sorted(others, reverse=True)[:8]


@pytest.mark.parametrize("size", [(300, 300), (1400, 1400), (225, 225)])
def test_regions_of_a_grid_are_the_same_for_every_square_view_from_224_up(size):
    assert regions_of_grid(GRID, 0.4, size=size) == regions_of_grid(GRID, 0.4, size=(224, 224)) != []


@pytest.mark.parametrize("size", [(150, 300), (300, 150), (900, 600), (112, 112)])
def test_regions_of_a_view_that_is_no_such_square_lie_in_the_same_places(size):
    """The map keeps the shape of the view, so an edge may move by a pixel of either map and no further."""
    height, width = (min(1.0, MAP_SIDE / max(size)) * side for side in size)
    for found, square in zip(regions_of_grid(GRID, 0.4, size=size), regions_of_grid(GRID, 0.4), strict=True):
        assert (found.x1, found.x2) == pytest.approx((square.x1, square.x2), abs=1 / width + 1 / MAP_SIDE)
        assert (found.y1, found.y2) == pytest.approx((square.y1, square.y2), abs=1 / height + 1 / MAP_SIDE)
        assert found.peak == pytest.approx(square.peak, abs=0.05)
        assert found.share == pytest.approx(square.share, abs=0.02)


def test_the_map_has_the_shape_of_the_view():
    """The edges lie on pixels of the map, at most 224 along its longer side."""
    for size, (height, width) in (((300, 150), (224, 112)), ((100, 50), (100, 50)), ((448, 1344), (75, 224))):
        for region in regions_of_grid(GRID, 0.4, size=size):
            for edge, side in ((region.x1, width), (region.x2, width), (region.y1, height), (region.y2, height)):
                assert edge * side == pytest.approx(round(edge * side), abs=1e-9)


def test_a_risk_beyond_its_range_is_clipped_and_a_very_flat_view_has_a_map():
    (region,) = regions_of_grid(np.full((7, 7), 1.5, np.float32), 0.5)
    assert box(region) == (0.0, 0.0, 1.0, 1.0) and region.peak == 1.0 and region.share == pytest.approx(1.0)
    assert [box(region) for region in regions_of_grid(np.ones((7, 7), np.float32), 0.5, size=(1, 3000))] == [
        (0.0, 0.0, 1.0, 1.0)
    ]
