"""L_reason: which of the five categories fails. Extra to the plan, whose reason vector is optional; weight in the
config.
"""

from jaxtyping import Array, Float, Int

from tipai_jax.losses.faithfulness import faithfulness_loss

__all__ = ["reason_loss"]


def reason_loss(logit: Float[Array, "*b c"], category: Int[Array, "*b c"]) -> Float[Array, "*b c"]:
    """Binary cross-entropy of each category on its own, unreduced: several categories may fail at once.

    Args:
        logit: the reason head's output, in the order object, attribute, counting, spatial, text.
        category: 1 this category fails, 0 it does not, -1 unknown; unknown gives 0 and should weigh `category >= 0`.
    """
    return faithfulness_loss(logit, category)
