"""The plain forms at full resolution that the factorised ones on the patch grid are compared with."""

import jax.numpy as jnp

from tipai_jax.grids import bilinear_matrix, grid_side


def upsample(risk, size):
    """A heatmap of `size` = (height, width) pixels from a square grid [..., k], enlarged bilinearly."""
    side = grid_side(risk.shape[-1])
    rows, columns = (jnp.asarray(bilinear_matrix(length, side)) for length in size)
    grid = risk.reshape(*risk.shape[:-1], side, side)
    return jnp.einsum("hr,...rc,wc->...hw", rows, grid, columns)


def dice_loss_full(heatmap, mask):
    """1 - Dice of heatmaps and masks, both [b, h, w]."""
    overlap = jnp.sum(heatmap * mask, axis=(-2, -1))
    both = jnp.sum(heatmap, axis=(-2, -1)) + jnp.sum(mask, axis=(-2, -1))
    return 1.0 - 2.0 * overlap / jnp.where(both > 0, both, 1.0)
