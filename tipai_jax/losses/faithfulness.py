"""L_faithfulness: is this patch (or image) faithful to the prompt, yes or no. Binary cross-entropy from logits."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

__all__ = ["faithfulness_loss"]


def faithfulness_loss(logit: Float[Array, "*shape"], label: Int[Array, "*shape"]) -> Float[Array, "*shape"]:
    """-label log(p) - (1 - label) log(1 - p) with p = sigmoid(logit), unreduced, stable for any logit.

    With the plan's numbers: p = 0.3, label 0: 0.36; p = 0.85, label 1: 0.16.

    Args:
        logit: scores before the sigmoid.
        label: 1 faithful, 0 unfaithful, -1 unknown. An unknown one gives 0; its weight in `reduce` is `label >= 0`.
    """
    loss = jax.nn.softplus(logit) - label * logit
    return jnp.where(label >= 0, loss, 0.0)
