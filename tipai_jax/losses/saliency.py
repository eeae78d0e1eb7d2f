"""L_sal = 1 - Dice of the risk heatmap and the true mask, at full resolution, computed on the patch grid.

A heatmap enlarged by a matrix U (rows) and V (columns) is linear in its grid r, so sum over HxW of heatmap * m is <r,
U^T m V>: one product on 49 numbers with a small mask made once.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tipai_jax.grids import bilinear_matrix, grid_side

__all__ = ["dice_loss", "small_ones"]


def small_ones(size: tuple[int, int], k: int) -> Float[np.ndarray, " k"]:
    """U^T 1 V, row-major: how many pixels of a heatmap of `size` = (height, width) each cell of the grid is worth."""
    rows, columns = (bilinear_matrix(length, grid_side(k)).astype(np.float64).sum(0) for length in size)
    return np.outer(rows, columns).reshape(-1).astype(np.float32)


def dice_loss(
    risk: Float[Array, "b k"], mask: Float[Array, "b k"], area: Float[Array, " b"], ones: Float[Array, " k"]
) -> Float[Array, " b"]:
    """1 - 2 sum(h*m) / (sum(h) + sum(m)), sums over the pixels of the enlarged heatmap h, soft in h.

    Args:
        risk: the risk grid in 0..1.
        mask: U^T m V of the true mask m at HxW, row-major.
        area: sum of m in pixels. With area 0 the loss is 1 whatever the risk: give such a row weight 0.
        ones: U^T 1 V (`small_ones`).
    """
    overlap = jnp.sum(risk * mask, axis=-1)
    both = risk @ ones + area
    return 1.0 - 2.0 * overlap / jnp.where(both > 0, both, 1.0)
