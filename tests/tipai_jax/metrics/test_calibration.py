import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from tipai_jax.metrics import ece, nll
from tipai_jax.metrics.calibration import bin_of


def drawn(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    probability = rng.beta(2, 1, n).astype(np.float32)
    return probability, (rng.random(n) < probability**1.5).astype(np.int8)


def test_by_hand():
    """Two bins: {0.2, 0.4} with one positive of two, {0.9} with none: (2/3)|0.3-0.5| + (1/3)|0.9-0|."""
    found = ece(np.array([0.2, 0.4, 0.9]), np.array([0, 1, 0]), bins=2)
    assert found.ece == pytest.approx(2 / 3 * 0.2 + 1 / 3 * 0.9)
    np.testing.assert_allclose(found.confidence, [0.3, 0.9])
    np.testing.assert_allclose(found.frequency, [0.5, 0.0])
    np.testing.assert_array_equal(found.count, [2, 1])


@pytest.mark.parametrize(("kind", "strategy"), [("width", "uniform"), ("mass", "quantile")])
def test_bins_are_those_of_scikit_learn(kind, strategy):
    probability, label = drawn()
    found = ece(probability, label, kind=kind)
    frequency, confidence = calibration_curve(label, probability, n_bins=15, strategy=strategy)
    full = found.count > 0
    tolerance = (
        1e-6 if kind == "width" else 0.01
    )  # scikit-learn's quantile edges interpolate, so a row may sit one bin off
    np.testing.assert_allclose(found.frequency[full], frequency, atol=tolerance)
    np.testing.assert_allclose(found.confidence[full], confidence, atol=tolerance)


def test_equal_mass_bins_hold_equal_counts():
    found = ece(*drawn(100), kind="mass")
    assert found.count.sum() == 100
    assert found.count.max() - found.count.min() <= 1
    assert len(found.count) == 15


def test_zero_and_one_fall_into_the_outer_bins():
    found = ece(np.array([0.0, 1.0]), np.array([0, 1]))
    assert (found.count[0], found.count[-1], found.ece) == (1, 1, 0.0)


def test_a_probability_on_an_edge_belongs_to_the_bin_below():
    np.testing.assert_array_equal(
        ece(np.array([0.25, 0.5, 0.75, 0.8]), np.array([0, 1, 0, 1]), bins=4).count, [1, 1, 1, 1]
    )


@pytest.mark.parametrize("kind", ["width", "mass"])
def test_a_calibrated_probability_has_a_small_error_and_a_shifted_one_its_shift(kind):
    rng = np.random.default_rng(0)
    probability = rng.random(50_000) * 0.6 + 0.1
    label = (rng.random(50_000) < probability).astype(int)
    assert ece(probability, label, kind=kind).ece < 0.012
    assert ece(probability + 0.2, label, kind=kind).ece == pytest.approx(0.2, abs=0.01)


def test_fewer_examples_than_bins():
    found = ece(np.array([0.3, 0.8]), np.array([0, 1]), kind="mass")
    assert found.ece == pytest.approx((0.3 + 0.2) / 2)


def test_nll_is_that_of_scikit_learn():
    probability, label = drawn()
    assert nll(probability, label) == pytest.approx(log_loss(label, probability.astype(np.float64)), rel=1e-6)
    assert np.isfinite(nll(np.array([0.0, 1.0]), np.array([1, 0])))


def test_equal_probabilities_share_a_bin_whatever_the_order_of_the_rows():
    probability = np.full(60, 0.5)
    label = np.repeat([1, 0], 30)  # sorted by label: parted by rank this would look like an ECE of one half
    assert len(set(bin_of(probability, kind="mass").tolist())) == 1
    assert ece(probability, label, kind="mass").ece == pytest.approx(0.0)


def test_bins_by_hand():
    assert bin_of(np.array([0.0, 0.1, 0.2, 0.21, 1.0]), bins=5, kind="width").tolist() == [0, 0, 0, 1, 4]
    assert bin_of(np.array([0.9, 0.1, 0.5, 0.5]), bins=2, kind="mass").tolist() == [1, 0, 1, 1]
