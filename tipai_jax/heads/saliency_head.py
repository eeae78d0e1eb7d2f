"""The saliency heads: from patch scores to a grid of risk, and from the grid to a heatmap.

The risk is 1 where a patch fails the prompt, 0 where it keeps it. Losses and metrics work on the grid: enlarging it
to a heatmap is linear (`tipai_jax.grids`).
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.grids import grid_side

__all__ = ["DecoderSaliency", "InterpolateSaliency"]


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
