import numpy as np
import pytest

from tipai_jax.store import Box, Boxes
from tipai_jax.store.masks import box_mask, small_mask, small_masks, upsample_matrix


def box(x1, y1, x2, y2, *, size, absent=False):
    return Box(x1 / size, y1 / size, x2 / size, y2 / size, 0, absent)


def test_upsampling_two_cells_to_four_pixels_by_hand():
    # pixel centres 1/8, 3/8, 5/8, 7/8 lie at -1/4, 1/4, 3/4, 5/4 of the two cells; the outer ones clamp
    expected = [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    np.testing.assert_allclose(upsample_matrix(4, 2), expected, atol=1e-7)


@pytest.mark.parametrize(("size", "cells"), [(224, 7), (100, 7), (5, 7), (7, 7), (1, 3)])
def test_upsampling_is_that_of_torch(size, cells):
    torch = pytest.importorskip("torch")
    small = np.random.default_rng(0).normal(size=(cells, cells)).astype(np.float32)
    matrix = upsample_matrix(size, cells)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(small)[None, None], size=(size, size), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(matrix @ small @ matrix.T, theirs[0, 0].numpy(), atol=2e-5)
    assert matrix.dtype == np.float32


def test_box_becomes_the_pixels_whose_centres_it_holds():
    mask = box_mask([box(2, 1, 5, 3, size=8)], size=8)
    expected = np.zeros((8, 8), bool)
    expected[1:3, 2:5] = True
    np.testing.assert_array_equal(mask, expected)
    # half a pixel on both sides: centres 2.5 and 3.5 are inside, 1.5 and 4.5 are not
    np.testing.assert_array_equal(np.flatnonzero(box_mask([box(1.6, 0, 4.4, 8, size=8)], size=8)[0]), [2, 3])


def test_a_thin_box_keeps_one_pixel():
    mask = box_mask([box(3.6, 2.1, 3.8, 2.3, size=8)], size=8)
    assert mask.sum() == 1 and mask[2, 3]


@pytest.mark.parametrize("size", [224, 64])
def test_small_mask_equals_the_full_product(size):
    rng = np.random.default_rng(1)
    matrix = upsample_matrix(size).astype(np.float64)
    for count in (1, 2, 5):
        corners = np.sort(rng.uniform(0, 1, (count, 2, 2)), axis=1)
        boxes = [Box(*corner[0], *corner[1], 0, False) for corner in corners]
        full = box_mask(boxes, size).astype(np.float64)
        mask, area = small_mask(boxes, size)
        assert area == full.sum()
        np.testing.assert_allclose(mask, (matrix.T @ full @ matrix).reshape(-1), rtol=1e-5, atol=1e-4)


def test_overlapping_boxes_count_once_and_absent_ones_never():
    left, right = box(0, 0, 4, 8, size=8), box(2, 0, 6, 8, size=8)
    _, area = small_mask([left, right, box(0, 0, 8, 8, size=8, absent=True)], size=8)
    assert area == 6 * 8
    mask, area = small_mask([box(0, 0, 8, 8, size=8, absent=True)], size=8)
    assert area == 0 and not mask.any()
    mask, area = small_mask([], size=8)
    assert area == 0 and mask.shape == (49,)


def test_sum_of_an_enlarged_risk_over_the_mask():
    # what the small mask is for: <r, U^T m U> is the sum over the mask of the enlarged risk
    risk = np.random.default_rng(2).uniform(size=(7, 7))
    boxes = [box(30, 40, 100, 90, size=224), box(90, 60, 200, 200, size=224)]
    matrix = upsample_matrix(224).astype(np.float64)
    enlarged = matrix @ risk @ matrix.T
    mask, _ = small_mask(boxes)
    assert (risk.reshape(-1) * mask).sum() == pytest.approx(enlarged[box_mask(boxes)].sum(), rel=1e-6)


def test_many_pictures_at_once_equal_one_at_a_time():
    rng = np.random.default_rng(3)
    counts = np.array([1, 0, 3, 1, 2, 0])
    corners = np.sort(rng.uniform(0, 1, (counts.sum(), 2, 2)), axis=1).reshape(-1, 4)
    absent = rng.uniform(size=counts.sum()) < 0.4
    boxes = Boxes(corners, np.zeros(len(corners), np.int8), absent, np.concatenate([[0], np.cumsum(counts)]))
    masks, areas = small_masks(xyxy=boxes.xyxy, absent=boxes.absent, offsets=boxes.offsets)
    for i, own in enumerate(boxes):
        mask, area = small_mask(own)
        np.testing.assert_allclose(masks[i], mask, rtol=1e-6)
        assert areas[i] == area
    assert masks.dtype == areas.dtype == np.float32
