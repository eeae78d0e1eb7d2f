"""The saliency heads: from patch scores to a grid of risk, and from the grid to a heatmap.

Owns the risk (1 = fails the prompt, 0 = keeps it) on the patch grid, and its bilinear enlargement. Losses and metrics
that can live on the grid never see the heatmap: enlarging is linear. Knows nothing of masks or colours.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.errors import UserError

__all__ = ["DecoderSaliency", "InterpolateSaliency", "upsample"]


def bilinear_matrix(size: int, cells: int) -> Float[np.ndarray, "size cells"]:
    """U such that U @ x enlarges `cells` values to `size`, half-pixel centres, edges clamped (torch's
    align_corners=False).
    """
    place = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    below = np.minimum(np.floor(place).astype(np.int64), max(cells - 2, 0))
    share = place - below
    matrix = np.zeros((size, cells), np.float64)
    matrix[np.arange(size), below] += 1 - share
    matrix[np.arange(size), np.minimum(below + 1, cells - 1)] += share
    return matrix.astype(np.float32)


def upsample(risk: Float[Array, "*batch k"], size: tuple[int, int]) -> Float[Array, "*batch h w"]:
    """A heatmap of `size` = (height, width) pixels from a square grid, as torch's bilinear `interpolate`.

    Raises:
        UserError: if the grid is not square.
    """
    side = grid_side(risk.shape[-1])
    rows, columns = (jnp.asarray(bilinear_matrix(length, side)) for length in size)
    grid = risk.reshape(*risk.shape[:-1], side, side)
    return jnp.einsum("hr,...rc,wc->...hw", rows, grid, columns)


def grid_side(k: int) -> int:
    """The side of the square grid that k patches form."""
    side = math.isqrt(k)
    if side * side != k:
        raise UserError(f"a heatmap takes a square grid of patches; k={k} is not a square")
    return side


class InterpolateSaliency(nnx.Module):
    """The plan's saliency: risk = 1 - score = sigmoid(-logit), enlarged bilinearly. It has no parameters."""

    def __call__(self, patch_logit: Float[Array, "b n k"], features: Float[Array, "b n k d"]) -> Float[Array, "b n k"]:
        """The risk of each cell; the features are not looked at."""
        return jax.nn.sigmoid(-patch_logit)


class DecoderSaliency(nnx.Module):
    """A small trainable decoder: a 3x3 neighbourhood of [score, projected features] corrects the logit of the risk.

    risk = sigmoid(-logit + Linear(relu(Linear(3x3 neighbourhood)))), zero outside the grid. The last layer starts at
    zero, so an untrained decoder is the interpolating head.

    Args:
        d: width of the features.
        channels: width of the projected features.
        hidden: width of the hidden layer.
        rngs: source of the initial values.
    """

    def __init__(self, d: int, *, channels: int = 16, hidden: int = 32, rngs: nnx.Rngs) -> None:
        self.project = nnx.Linear(d, channels, rngs=rngs)
        self.neighbourhood = nnx.Linear(9 * (channels + 1), hidden, rngs=rngs)
        self.correct = nnx.Linear(hidden, 1, kernel_init=nnx.initializers.zeros_init(), rngs=rngs)

    def __call__(self, patch_logit: Float[Array, "b n k"], features: Float[Array, "b n k d"]) -> Float[Array, "b n k"]:
        """The risk of each cell, in 0..1."""
        b, n, k = patch_logit.shape
        side = grid_side(k)
        cells = jnp.concatenate(
            [jax.nn.sigmoid(patch_logit)[..., None], self.project(features.astype(jnp.float32))], axis=-1
        )
        grid = jnp.pad(cells.reshape(b * n, side, side, -1), ((0, 0), (1, 1), (1, 1), (0, 0)))
        around = [grid[:, y : y + side, x : x + side] for y in range(3) for x in range(3)]
        hidden = jax.nn.relu(self.neighbourhood(jnp.concatenate(around, axis=-1)))
        return jax.nn.sigmoid(self.correct(hidden).reshape(b, n, k) - patch_logit)
