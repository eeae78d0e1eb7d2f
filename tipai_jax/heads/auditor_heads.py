"""The plan's heads in one module: global, patch, saliency and reason."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.heads.inputs import DEFAULT_INPUTS, InputFeatures
from tipai_jax.heads.output import AuditorOutput
from tipai_jax.heads.plan_head import PlanHead

__all__ = ["AuditorHeads"]


class AuditorHeads(nnx.Module):
    """A global, a patch and a reason head on one set of frozen embeddings, which share no parameter.

    The plan's saliency has none: risk = 1 - patch score, enlarged bilinearly (`tipai_jax.grids`). Losses and metrics
    work on the grid, for the enlargement is linear.

    Args:
        d: width of the embeddings.
        hidden: width of the hidden layers.
        dropout: share of hidden units dropped while training, in every head.
        global_inputs, patch_inputs, reason_inputs: the features each head reads.
        dtype: of the operands of the products with the embeddings, float32 or bfloat16; everything else is float32.
        rngs: source of the initial values, drawn in this order: global, patch, reason.
    """

    def __init__(
        self,
        d: int,
        *,
        hidden: int = 256,
        dropout: float = 0.0,
        global_inputs: InputFeatures = DEFAULT_INPUTS,
        patch_inputs: InputFeatures = DEFAULT_INPUTS,
        reason_inputs: InputFeatures = DEFAULT_INPUTS,
        dtype: Literal["float32", "bfloat16"] = "float32",
        rngs: nnx.Rngs,
    ) -> None:
        self.dtype = jnp.dtype(dtype)
        self.global_head = PlanHead(d, hidden=hidden, inputs=global_inputs, dropout=dropout, rngs=rngs)
        self.patch_head = PlanHead(d, hidden=hidden, inputs=patch_inputs, dropout=dropout, rngs=rngs)
        self.reason_head = PlanHead(d, outputs=5, hidden=hidden, inputs=reason_inputs, dropout=dropout, rngs=rngs)

    def __call__(
        self,
        text: Float[Array, "b d"],
        image: Float[Array, "b n d"],
        patches: Float[Array, "b n k d"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> AuditorOutput:
        """Judge n images for each prompt.

        Args:
            text: L2-normalised prompt embeddings, f16 or f32.
            image: L2-normalised global image embeddings.
            patches: L2-normalised patch embeddings.
            rngs: source of the dropout masks (stream "dropout"); needed only with dropout > 0 and after `.train()`.
        """
        text, image, patches = (each.astype(self.dtype) for each in (text, image, patches))
        whole = image[:, :, None]
        patch_logit = self.patch_head(text, patches, rngs=rngs)[..., 0]
        return AuditorOutput(
            global_logit=self.global_head(text, whole, rngs=rngs)[:, :, 0, 0],
            patch_logit=patch_logit,
            risk=jax.nn.sigmoid(-patch_logit),
            reason_logit=self.reason_head(text, whole, rngs=rngs)[:, :, 0],
        )
