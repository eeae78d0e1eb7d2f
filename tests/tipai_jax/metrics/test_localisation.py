import time

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import roc_auc_score

from tipai_jax.metrics import auc_judd, cc, dice, iou

HEAT = np.array([[0.9, 0.6], [0.4, 0.1]])
MASK = np.array([[1, 0], [1, 0]])


def test_by_hand():
    assert iou(HEAT, MASK) == pytest.approx(1 / 3)
    assert dice(HEAT, MASK, threshold=0.5) == pytest.approx(2 * 1 / (2 + 2))
    assert iou(HEAT, MASK, threshold=0.0) == pytest.approx(0.5)
    assert iou(HEAT, MASK, threshold=0.4) == pytest.approx(2 / 3)  # a cell at the threshold is hot


def test_auc_judd_by_hand():
    """Thresholds 0.9 and 0.4: (0, 0), (0, 1/2), (1/2, 1), (1, 1)."""
    assert auc_judd(HEAT, MASK) == pytest.approx(0.5 * (0.5 + 1) / 2 + 0.5 * 1)


def benchmark_judd(saliency, fixation, jitter=1e-9):
    """The loop of the benchmark's description, threshold by threshold."""
    rng = np.random.default_rng(0)
    s, f = (saliency + rng.random(saliency.shape) * jitter).ravel(), fixation.ravel() > 0.5
    hits, false = [0.0], [0.0]
    for threshold in np.sort(s[f])[::-1]:
        above = (s >= threshold).sum()
        hits.append((s[f] >= threshold).sum() / f.sum())
        false.append((above - (s[f] >= threshold).sum()) / (s.size - f.sum()))
    return np.trapezoid([*hits, 1.0], [*false, 1.0])


def maps(n=4, size=(24, 31), seed=0):
    rng = np.random.default_rng(seed)
    mask = np.zeros((n, *size))
    for one in mask:
        y, x = rng.integers(0, 12, 2)
        one[y : y + 9, x : x + 11] = 1
    return rng.random((n, *size)) * 0.7 + mask * 0.3, mask


def test_auc_judd_is_the_benchmarks_and_near_the_roc_area():
    heat, mask = maps()
    for h, m, value in zip(heat, mask, auc_judd(heat, mask), strict=True):
        assert value == pytest.approx(benchmark_judd(h, m), abs=1e-6)
        assert value == pytest.approx(roc_auc_score(m.ravel(), h.ravel()), abs=1 / m.sum())


def test_a_constant_heatmap_is_at_chance():
    mask = maps()[1]
    np.testing.assert_allclose(auc_judd(np.ones_like(mask), mask), 0.5)
    np.testing.assert_array_equal(cc(np.ones_like(mask), mask), 0.0)


def test_cc_is_pearsons():
    heat, mask = maps()
    np.testing.assert_allclose(
        cc(heat, mask), [pearsonr(h.ravel(), m.ravel())[0] for h, m in zip(heat, mask, strict=True)]
    )


def test_perfect_and_blank():
    mask = maps()[1]
    for metric in (iou, dice, cc, auc_judd):
        np.testing.assert_allclose(metric(mask, mask), 1.0)
        assert np.isnan(metric(mask[0], np.zeros_like(mask[0])))
    assert np.isnan(auc_judd(mask[0], np.ones_like(mask[0])))


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_the_same_for_any_batch(batch):
    heat, mask = maps()
    for metric in (iou, dice, cc, auc_judd):
        parts = [metric(heat[i : i + batch], mask[i : i + batch]) for i in range(0, 4, batch)]
        np.testing.assert_array_equal(np.concatenate(parts), metric(heat, mask))


def test_auc_judd_is_fast_enough_for_a_test_split():
    """224x224: 2,000 images within a minute on a busy core."""
    heat, mask = maps(n=10, size=(224, 224))
    begun = time.process_time()
    auc_judd(heat.astype(np.float32), mask)
    assert time.process_time() - begun < 0.3
