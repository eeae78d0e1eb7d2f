"""From a coarse grid of risks to a map the size of the picture, and to its picture."""

import numpy as np
from jaxtyping import Float
from PIL import Image

from tipai_jax.grids import bilinear_matrix
from tipai_jax.render.colours import risk_colours

__all__ = ["enlarge", "heatmap"]


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


def heatmap(risk: Float[np.ndarray, "rows columns"], size: tuple[int, int]) -> Image.Image:
    """The enlarged grid in the project's colours.

    Args:
        risk: one risk a patch, 0 (green) to 1 (red).
        size: height and width of the picture in pixels.

    Returns:
        An RGB picture.
    """
    return Image.fromarray(risk_colours(enlarge(risk, size)))
