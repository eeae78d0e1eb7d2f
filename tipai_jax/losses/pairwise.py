"""L_pair: the chosen image should score higher than the rejected one.

Scores are whatever the caller chose to compare: sigmoids ("probability", the plan) or logits.
"""

import jax
from jaxtyping import Array, Float

__all__ = ["pair_loss"]


def pair_loss(chosen: Float[Array, "*shape"], rejected: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log(1 + exp(-(chosen - rejected))), the plan's soft-margin ranking loss, unreduced.

    With the plan's numbers: pair_loss(0.95, 0.60) = 0.53. On probabilities it lies between log(1 + 1/e) = 0.313 and
    1.313; on logits it falls to zero.
    """
    return jax.nn.softplus(-(chosen - rejected))
