"""L_patch: each patch of the chosen image should score higher than the patch of the rejected one at the same position.

The plan's form. What is compared are the two images, position by position: no two patches of one image meet, and the
plan's own choice of positions (all of them) reads no patch label. So nothing in it asks that a bad patch score lower
than a good one beside it, and a head that lowers every patch of a rejected image alike makes the loss as small as one
that finds the bad ones. Scores are sigmoids or logits, as the caller chose.
"""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from tipai_jax.losses.pairwise import pair_loss

__all__ = ["patch_loss", "patch_positions"]


def patch_positions(label: Int[Array, "b k"], over: Literal["all", "unfaithful"]) -> Bool[Array, "b k"]:
    """The positions that L_patch compares.

    Args:
        label: patch labels of the rejected image: 1 faithful, 0 unfaithful, -1 unknown.
        over: "all" positions (the plan, which needs no label), or those where the rejected image is "unfaithful": the
            others show the same thing twice, and are pushed apart for nothing.
    """
    return jnp.ones(label.shape, bool) if over == "all" else label == 0


def patch_loss(
    chosen: Float[Array, "b k"], rejected: Float[Array, "b k"], over: Bool[Array, "b k"]
) -> Float[Array, " b"]:
    """(1/K) sum over k of log(1 + exp(-(chosen_k - rejected_k))), K and the sum over the positions in `over`.

    The plan's formula for one pair; its mean over pairs is `reduce(patch_loss(...), over.any(-1))`. 0 for a pair
    without positions, which should get weight 0.
    """
    return masked_mean(pair_loss(chosen, rejected), over)


def masked_mean(values: Float[Array, "b m"], mask: Bool[Array, "b m"]) -> Float[Array, " b"]:
    """Mean of each row over its mask, 0 for an empty one."""
    count = jnp.sum(mask, axis=-1)
    return jnp.sum(jnp.where(mask, values, 0.0), axis=-1) / jnp.maximum(count, 1)
