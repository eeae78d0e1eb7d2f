"""Localisation metrics: how well a heatmap of risk matches the true mask of what is wrong.

One image at a time is meant (leading axes are batches and stay). Images without a single mask pixel have no answer:
they give NaN. Numpy only.
"""

import numpy as np
from jaxtyping import Float, Shaped

__all__ = ["auc_judd", "cc", "dice", "iou"]

Maps = Float[np.ndarray, "*batch h w"]
Masks = Shaped[np.ndarray, "*batch h w"]
PerImage = Float[np.ndarray, "*batch"] | float


def iou(heatmap: Maps, mask: Masks, *, threshold: float = 0.5) -> PerImage:
    """|A and B| / |A or B| with A = heatmap >= threshold and B = mask > 0.5."""
    hot, true = heatmap >= threshold, mask > 0.5
    either = np.count_nonzero(hot | true, axis=(-2, -1))
    return blank_to_nan(np.count_nonzero(hot & true, axis=(-2, -1)) / np.maximum(either, 1), true)


def dice(heatmap: Maps, mask: Masks, *, threshold: float = 0.5) -> PerImage:
    """2 |A and B| / (|A| + |B|) with A = heatmap >= threshold and B = mask > 0.5."""
    hot, true = heatmap >= threshold, mask > 0.5
    both = np.count_nonzero(hot & true, axis=(-2, -1))
    total = np.count_nonzero(hot, axis=(-2, -1)) + np.count_nonzero(true, axis=(-2, -1))
    return blank_to_nan(2 * both / np.where(total > 0, total, 1.0), true)


def cc(heatmap: Maps, mask: Masks) -> PerImage:
    """Pearson's linear correlation over the pixels (CC of the MIT saliency benchmark); 0 for a constant heatmap."""
    true = mask > 0.5
    share = true.mean((-2, -1))
    x = heatmap - heatmap.mean((-2, -1), dtype=np.float64, keepdims=True)
    covered = np.where(true, x, 0.0).sum((-2, -1))  # sum of x * (y - its mean), for x has mean 0
    norm = np.sqrt((x * x).sum((-2, -1)) * share * (1 - share) * heatmap.shape[-2] * heatmap.shape[-1])
    return blank_to_nan(covered / np.where(norm > 1e-12, norm, np.inf), true)


def auc_judd(heatmap: Maps, mask: Masks) -> PerImage:
    """AUC-Judd of the MIT saliency benchmark, with the pixels of the mask as the fixations.

    The heatmap is thresholded at its values at the mask's pixels. At each threshold the true positive rate is the share
    of mask pixels at or above it, the false positive rate the share of the other pixels at or above it; the area
    under this curve, with (0, 0) and (1, 1) added, by the trapezoid rule. Pixels of equal value enter together, where
    the benchmark adds jitter. NaN too for a mask that fills the image.
    """
    batch = heatmap.shape[:-2]
    flat = heatmap.reshape(-1, heatmap.shape[-2] * heatmap.shape[-1])
    true = (mask > 0.5).reshape(flat.shape)
    areas = np.array([judd_of_one(values, wanted) for values, wanted in zip(flat, true, strict=True)], np.float64)
    return areas.reshape(batch)[()]


def judd_of_one(values: Float[np.ndarray, " p"], true: Shaped[np.ndarray, " p"]) -> float:
    """AUC-Judd of one flattened image."""
    hit, miss = np.sort(values[true]), np.sort(values[~true])
    if not hit.size or not miss.size:
        return float("nan")
    thresholds = np.unique(hit)[::-1]
    hit_rate = 1 - np.searchsorted(hit, thresholds, side="left") / hit.size
    miss_rate = 1 - np.searchsorted(miss, thresholds, side="left") / miss.size
    return float(np.trapezoid(np.concatenate([[0.0], hit_rate, [1.0]]), np.concatenate([[0.0], miss_rate, [1.0]])))


def blank_to_nan(value: PerImage, true: Shaped[np.ndarray, "*batch h w"]) -> PerImage:
    """NaN where the mask is empty."""
    return np.where(true.any((-2, -1)), value, np.nan)[()]
