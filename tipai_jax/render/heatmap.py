"""From a coarse grid of risks to a map of the size of the image.

The bilinear matrix is that of the store's masks, so that what is drawn is what is measured.
"""

import numpy as np
from jaxtyping import Float

from tipai_jax.grids import bilinear_matrix

__all__ = ["enlarge"]


def enlarge(risk: Float[np.ndarray, "rows columns"], size: tuple[int, int]) -> Float[np.ndarray, "height width"]:
    """Bilinear enlargement of a grid (half-pixel centres, edges clamped; torch's `interpolate(mode="bilinear")`).

    Args:
        risk: one value a patch, first row at the top.
        size: height and width of the result in pixels.

    Returns:
        The map, in the units of `risk`.
    """
    rows, columns = risk.shape
    down = np.asarray(bilinear_matrix(size[0], rows), np.float32)
    across = np.asarray(bilinear_matrix(size[1], columns), np.float32)
    return down @ risk.astype(np.float32) @ across.T
