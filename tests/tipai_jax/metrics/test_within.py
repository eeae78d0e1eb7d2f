"""Ranking among the parts of one image, against slow and obvious versions, and what a blind scorer gets."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tipai_jax.metrics.within import (
    auc_within,
    chance_of_top,
    comparisons_within,
    paired_wins,
    risk_of_boxes,
    top_right,
)


def parts(images=200, seed=0, decimals=1):
    """Scores with ties and labels of 0 to 6 parts an image."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(0, 7, size=images))])
    label = rng.integers(-1, 2, size=offsets[-1]).astype(np.int8)
    return np.round(rng.normal(size=offsets[-1]) + 0.5 * label, decimals), label, offsets


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_the_area_of_each_image_is_scikit_learn_s(decimals):
    score, label, offsets = parts(decimals=decimals)
    found, compared = auc_within(score, label, offsets), comparisons_within(label, offsets)
    for i, (start, stop) in enumerate(itertools.pairwise(offsets)):
        known = label[start:stop] >= 0
        s, y = score[start:stop][known], label[start:stop][known]
        assert compared[i] == y.sum() * (y == 0).sum()
        if compared[i]:
            assert found[i] == pytest.approx(roc_auc_score(y, s))
        else:
            assert np.isnan(found[i])
    assert 20 < np.isfinite(found).sum() < 200


def test_over_images_by_hand():
    """The first image has one comparison, won; the second four, one of them won and one tied."""
    offsets = np.array([0, 2, 6, 6])
    label = np.array([1, 0, 1, 1, 0, 0])
    score = np.array([0.9, 0.1, 0.5, 0.2, 0.3, 0.5])
    found = auc_within(score, label, offsets)
    assert found[:2].tolist() == [1.0, 1.5 / 4] and np.isnan(found[2])
    assert comparisons_within(label, offsets).tolist() == [1, 4, 0]


def test_a_level_of_the_whole_image_earns_nothing():
    """What a blind scorer knows about whole images lifts a pooled area and leaves those within images alone."""
    _, label, offsets = parts(images=2000)
    owner = np.repeat(np.arange(2000), np.diff(offsets))
    known = label >= 0
    level = np.bincount(owner[label == 1], minlength=2000) / np.maximum(np.bincount(owner, minlength=2000), 1)
    assert roc_auc_score(label[known], level[owner][known]) > 0.7
    found = auc_within(level[owner], label, offsets)
    assert set(found[np.isfinite(found)]) == {0.5}


def test_the_hottest_part():
    offsets = np.array([0, 3, 6, 8, 10, 10])
    score = np.array([1.0, 3, 2, 5, 5, 5, 1, 2, 1, 2])
    wanted = np.array([0, 1, 0, 1, 0, 1, 1, 1, 0, 0], bool)
    np.testing.assert_array_equal(top_right(score, wanted, offsets), [1.0, 2 / 3, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(top_right(-score, wanted, offsets), [0.0, 2 / 3, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(chance_of_top(wanted, offsets), [1 / 3, 2 / 3, 1.0, 0.0, np.nan])


def pixels(risk, box, size=1400):
    """The mean under a box, pixel by pixel."""
    x1, y1, x2, y2 = (round(edge * size) for edge in box)
    return np.kron(risk.reshape(7, 7), np.ones((size // 7, size // 7)))[y1:y2, x1:x2].mean()


def test_the_risk_of_boxes_is_the_mean_of_their_pixels():
    rng = np.random.default_rng(0)
    risk, offsets = rng.random((3, 49)), np.array([0, 4, 4, 9])
    corners = np.round(np.sort(rng.random((9, 2, 2)), axis=1) * 1400) / 1400
    boxes = corners.reshape(9, 4)
    wanted = [pixels(risk[0 if m < 4 else 2], box) for m, box in enumerate(boxes)]
    np.testing.assert_allclose(risk_of_boxes(risk, boxes, offsets), wanted)


def test_boxes_at_the_edges():
    risk = np.arange(49.0)[None]
    whole, over, small, line, point = (
        [0, 0, 1, 1],
        [0.9, 0.9, 1.4, 1.2],
        [0.02, 0.02, 0.1, 0.1],
        [1, 0, 1, 0],
        [0.5] * 4,
    )
    boxes = np.array([whole, over, small, line, point, [1.2, 0, 1.5, 0.1], [-0.5, -0.5, -0.2, -0.2]])
    found = risk_of_boxes(risk, boxes, np.array([0, 7]))
    np.testing.assert_allclose(found, [24, 48, 0, 6, 24, 6, 0])
    with pytest.raises(ValueError, match="square"):
        risk_of_boxes(np.zeros((1, 48)), boxes, np.array([0, 7]))


def test_a_map_of_noise_does_not_prefer_large_boxes():
    """The mean of noise is at chance between a large and a small box; the maximum would favour the large one."""
    risk = np.random.default_rng(0).random((4000, 49))
    boxes = np.tile([[0.0, 0.0, 0.6, 0.6], [0.72, 0.72, 0.85, 0.85]], (4000, 1))
    offsets = np.arange(0, 8001, 2)
    found = auc_within(risk_of_boxes(risk, boxes, offsets), np.tile([1, 0], 4000), offsets)
    assert found.mean() == pytest.approx(0.5, abs=0.03)
    highest = risk.reshape(-1, 7, 7)[:, :5, :5].max((1, 2)) > risk.reshape(-1, 7, 7)[:, 5, 5]
    assert highest.mean() > 0.9


def test_the_same_place_in_both_images():
    rng = np.random.default_rng(0)
    place = rng.normal(size=(50, 49))  # what prompt and place say, the same in both images
    compared = rng.random((50, 49)) < 0.2
    compared[3] = False
    blind = paired_wins(place, place, compared)
    assert np.isnan(blind[3]) and set(np.delete(blind, 3)) == {0.5}
    worse = place - 0.1 * compared
    assert set(np.delete(paired_wins(place, worse, compared), 3)) == {1.0}
    assert paired_wins(np.array([[1.0, 0, 5]]), np.array([[0.0, 1, 5]]), np.ones((1, 3), bool)).tolist() == [0.5]
