"""The one reducer: every loss of this package is unreduced, and this turns values and weights into `Sums`."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from tipai_jax.metrics.sums import Sums

__all__ = ["Sums", "reduce"]


def reduce(values: Float[Array, "*shape"], weight: Shaped[Array, "*shape"]) -> Sums:
    """Sum values under weights.

    Args:
        values: unreduced losses.
        weight: how much each counts, bool or number, of the same shape. A value of weight 0 counts nowhere, NaN
            included.

    Returns:
        sum(weight * values) and sum(weight); `.mean` divides once.
    """
    weight = weight.astype(jnp.float32)
    return Sums(jnp.sum(jnp.where(weight != 0, values, 0.0) * weight), jnp.sum(weight))
