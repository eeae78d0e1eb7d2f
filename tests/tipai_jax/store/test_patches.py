import numpy as np
import pytest

from tipai_jax.store.patches import label_cells, overlapping, to_view, view_box

SIDE = 224  # a cell is 32 pixels


def labels(*boxes, absent=()):
    pixels = np.array(boxes, dtype=float).reshape(-1, 4) / SIDE
    return label_cells(pixels, np.array([i in absent for i in range(len(pixels))], bool)).reshape(7, 7)


def test_a_box_on_cell_borders_touches_no_neighbour():
    grid = labels([32, 64, 96, 96])  # row 2, columns 1 and 2
    expected = np.ones((7, 7), int)
    expected[2, 1:3] = 0
    np.testing.assert_array_equal(grid, expected)


def test_a_quarter_of_a_cell_is_enough_and_less_is_unknown():
    # 160 px wide, so no cell holds half of it; its last 8 px are a quarter of the cells in column 5
    grid = labels([0, 0, 168, 64])
    assert (grid[:2, :5] == 0).all() and (grid[:2, 5] == 0).all() and (grid[:2, 6] == 1).all()
    grid = labels([0, 0, 167, 64])  # 7 of 32 px: 22 %
    assert (grid[:2, 5] == -1).all()
    assert (grid[2:] == 1).all()


def test_half_of_a_small_box_is_enough():
    # 8 x 8 px: 6 % of a cell, yet the cell holds all of it
    grid = labels([4, 4, 12, 12])
    assert grid[0, 0] == 0 and (grid.reshape(-1)[1:] == 1).all()
    # 4 px left and 4 px right of the border: each cell holds exactly half
    grid = labels([28, 4, 36, 12])
    assert grid[0, 0] == 0 and grid[0, 1] == 0
    # 3 px left, 5 right: only the right one holds half, the left is touched
    grid = labels([29, 4, 37, 12])
    assert grid[0, 0] == -1 and grid[0, 1] == 0


def test_the_union_counts_not_the_sum():
    # the same 6 px twice cover 19 % of a cell, not 38 %; the box is long, so no cell holds half of it
    once = [0, 0, 224, 6]
    assert (labels(once, once)[0] == -1).all()
    # two different strips of 6 px make 37.5 %
    assert (labels(once, [0, 10, 224, 16])[0] == 0).all()


def test_absent_places_are_unknown_and_blame_nothing():
    grid = labels([32, 32, 96, 96], absent={0})
    assert (grid[1:3, 1:3] == -1).all() and (grid == 0).sum() == 0 and (grid == 1).sum() == 45
    grid = labels([32, 32, 96, 96], [64, 32, 96, 64], absent={0})
    assert grid[1, 2] == 0 and grid[1, 1] == -1


def test_no_box_is_all_faithful():
    assert (labels() == 1).all()


def test_many_pictures_at_once_equal_one_at_a_time():
    rng = np.random.default_rng(1)
    counts = np.array([2, 0, 1, 4, 0])
    boxes = np.sort(rng.uniform(size=(counts.sum(), 2, 2)), axis=1).reshape(-1, 4)
    absent = rng.uniform(size=len(boxes)) < 0.3
    offsets = np.concatenate([[0], np.cumsum(counts)])
    many = label_cells(boxes, absent, offsets=offsets)
    assert many.shape == (5, 49) and many.dtype == np.int8
    for i in range(5):
        part = slice(offsets[i], offsets[i + 1])
        np.testing.assert_array_equal(many[i], label_cells(boxes[part], absent[part]))
    assert label_cells(np.zeros((0, 4)), np.zeros(0, bool), offsets=np.zeros(1, int)).shape == (0, 49)


def test_which_pictures_have_overlapping_boxes():
    boxes = np.array([[0, 0, 2, 2], [2, 0, 4, 2], [0, 0, 4, 4], [0, 0, 1, 1], [3, 3, 4, 4], [0.5, 0.5, 2, 2]])
    np.testing.assert_array_equal(overlapping(boxes, np.array([0, 0, 1, 2, 2, 2])), [2])  # 0 touches at a border only
    assert overlapping(boxes[:0], np.zeros(0, int)).size == 0


def test_union_against_pixels():
    rng = np.random.default_rng(0)
    for _ in range(20):
        corners = np.sort(rng.integers(0, SIDE + 1, (3, 2, 2)), axis=1).reshape(-1, 4)
        corners = corners[(corners[:, 0] < corners[:, 2]) & (corners[:, 1] < corners[:, 3])]
        mask = np.zeros((SIDE, SIDE), bool)
        held = np.zeros((7, 7), bool)
        for x1, y1, x2, y2 in corners:
            one = np.zeros_like(mask)
            one[y1:y2, x1:x2] = True
            mask |= one
            held |= one.reshape(7, 32, 7, 32).sum((1, 3)) >= 0.5 * one.sum()
        cover = mask.reshape(7, 32, 7, 32).mean((1, 3))
        expected = np.where((cover >= 0.25) | held, 0, np.where(cover > 0, -1, 1))
        np.testing.assert_array_equal(labels(*corners), expected)


def test_view_of_a_wide_image_is_its_centre():
    assert view_box(300, 100, view="centre", share=1.0) == (100, 0, 200, 100)
    assert view_box(100, 300, view="centre", share=0.5) == (25, 125, 75, 175)
    assert view_box(300, 100, view="whole", share=1.0) == (0, 0, 300, 100)
    xyxy, inside = to_view(np.array([[0, 0, 50, 50], [150, 0, 300, 50]]), (100.0, 0.0, 200.0, 100.0))
    np.testing.assert_array_equal(inside, [False, True])
    np.testing.assert_allclose(xyxy[1], [0.5, 0, 1, 0.5])


@pytest.mark.parametrize("side", [7, 112, 224, 1022])
def test_pixel_borders_meet_cell_borders_exactly(side):
    step = side // 7
    for i in range(7):
        xyxy, inside = to_view(np.array([[i * step, 0, (i + 1) * step, step]]), (0.0, 0.0, float(side), float(side)))
        grid = label_cells(xyxy, ~inside)
        assert (grid == 0).sum() == 1 and (grid == -1).sum() == 0 and grid[i] == 0
