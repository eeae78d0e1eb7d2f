"""Which images count, and the threshold of the largest Dice."""

import numpy as np
import pytest
from eval_world import write_store

from tipai_jax.evaluation import localise
from tipai_jax.grids import bilinear_matrix
from tipai_jax.metrics import localisation
from tipai_jax.store import box_mask


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"), splits={"test": 20}).pairs


def test_pairs_with_pixels(pairs):
    wanted = [i for i, boxes in enumerate(pairs.boxes) if not pairs.control[i] and any(not box.absent for box in boxes)]
    assert localise.pairs_with_pixels(pairs).tolist() == wanted
    assert 0 < len(wanted) < len(pairs)


def test_the_threshold_has_the_largest_mean_dice(pairs):
    rng = np.random.default_rng(0)
    risk = (0.6 * (pairs.patch_label[:, 1] == 0) + 0.3 * rng.random((len(pairs), 49))).astype(np.float32)
    found = localise.best_threshold(risk, pairs)
    matrix = bilinear_matrix(localise.SIZE, 7)

    which = localise.pairs_with_pixels(pairs).tolist()
    maps = np.stack([matrix @ risk[row].reshape(7, 7) @ matrix.T for row in which])
    masks = np.stack([box_mask(pairs.boxes[row], 224) for row in which])

    def mean_dice(threshold):
        return float(np.mean(localisation.dice(maps, masks, threshold=threshold)))

    best = max(mean_dice(threshold) for threshold in np.linspace(0.1, 0.85, 16))
    assert mean_dice(found) > best - 0.003
    _, figures = localise.localisation_figures(risk, pairs, threshold=found)
    assert figures["dice"].mean() == pytest.approx(mean_dice(found), abs=1e-6)


def test_a_constant_risk_has_no_threshold_to_find(pairs):
    assert localise.best_threshold(np.full((len(pairs), 49), 0.2, np.float32), pairs) == 0.5


def test_at_most_so_many_pictures_are_measured_evenly_spread(pairs):
    risk = np.random.default_rng(0).random((len(pairs), 49), np.float32)
    which, every = localise.localisation_figures(risk, pairs, threshold=0.5)
    few, measured = localise.localisation_figures(risk, pairs, threshold=0.5, most=3)
    assert few.tolist() == [which[0], which[(len(which) - 1) // 2], which[-1]]
    np.testing.assert_array_equal(measured["auc_judd"], every["auc_judd"][np.searchsorted(which, few)])


def test_a_region_is_found_where_one_is_hot():
    risk = np.zeros((3, 49), np.float32)
    risk[0, 24], risk[1, 24] = 0.9, 0.4
    assert localise.region_found(risk, threshold=0.5).tolist() == [1.0, 0.0, 0.0]
    assert localise.region_found(risk[:0], threshold=0.5).shape == (0,)


def test_the_pointing_game_points_at_the_centre_of_the_hottest_cell():
    """A cell in a corner is hottest, and the box lies around its centre, not in the very corner of the image."""
    mask = np.zeros((224, 224), bool)
    mask[8:24, 200:216] = True
    risk = np.zeros(49, np.float32)
    risk[6] = 0.9
    heat = localise._enlarged(risk)
    assert not mask.reshape(-1)[heat.argmax()] and mask[heat >= heat.max()].any()
    assert localise._pointed(risk, mask) == 1.0
    risk[7] = 0.9  # as hot, and elsewhere
    assert localise._pointed(risk, mask) == 0.5
    assert localise._pointed(np.zeros(49, np.float32), mask) == pytest.approx(1 / 49)
