"""What heads of the auditor give, whichever they are."""

from dataclasses import dataclass

import jax
from jaxtyping import Array, Float

__all__ = ["AuditorOutput"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AuditorOutput:
    """What the auditor says of n images for each of b prompts, before calibration.

    Attributes:
        global_logit: how well the image keeps the prompt; sigmoid gives the plan's S(p, I).
        patch_logit: the same of each patch, row-major from the top left; sigmoid gives S_R(p, I_R).
        risk: the risk of each cell in 0..1, before bilinear enlargement (`tipai_jax.grids`).
        reason_logit: that object, attribute, counting, spatial, text is what fails.
        phrase_logit: that the image keeps each phrase of the prompt; None of heads that read no phrases.
    """

    global_logit: Float[Array, "b n"]
    patch_logit: Float[Array, "b n k"]
    risk: Float[Array, "b n k"]
    reason_logit: Float[Array, "b n 5"]
    phrase_logit: Float[Array, "b n p"] | None = None
