"""Which images count, and where the pointing game points."""

import numpy as np
import pytest
from eval_world import write_store

from tipai_jax.evaluation import localise


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"), splits={"test": 20}).pairs


def test_pairs_with_pixels(pairs):
    wanted = [i for i, boxes in enumerate(pairs.boxes) if not pairs.control[i] and any(not box.absent for box in boxes)]
    assert localise.pairs_with_pixels(pairs).tolist() == wanted
    assert 0 < len(wanted) < len(pairs)


def test_at_most_so_many_pictures_are_measured_evenly_spread(pairs):
    risk = np.random.default_rng(0).random((len(pairs), 49), np.float32)
    which, every = localise.localisation_figures(risk, pairs, threshold=0.5, reach=0.15)
    few, measured = localise.localisation_figures(risk, pairs, threshold=0.5, reach=0.15, most=3)
    assert few.tolist() == [which[0], which[(len(which) - 1) // 2], which[-1]]
    np.testing.assert_array_equal(measured["auc_judd"], every["auc_judd"][np.searchsorted(which, few)])


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
