"""The patch head: how well each region of an image keeps the prompt."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.heads.evidence import patch_blocks
from tipai_jax.heads.inputs import DEFAULT_INPUTS, InputFeatures
from tipai_jax.heads.joint_linear import JointLinear
from tipai_jax.heads.product import operand

__all__ = ["PatchHead"]


class PatchHead(nnx.Module):
    """The plan's Linear(2d -> 256) -> ReLU -> Linear(256 -> 1) (-> Sigmoid) on [text; patch], and what `inputs` adds.

    With attention the hidden layer reads the evidence tokens instead, which hold everything that `inputs` names.

    Args:
        d: width of the embeddings.
        hidden: width of the hidden layer.
        inputs: the features that the head reads.
        dropout: share of the hidden units dropped while training, the same ones in all patches of an image (49 times
            fewer random numbers); needs `rngs` in the call then.
        k: patches of an image.
        width: width of the evidence tokens.
        rngs: source of the initial values.
    """

    def __init__(
        self,
        d: int,
        *,
        hidden: int = 256,
        inputs: InputFeatures = DEFAULT_INPUTS,
        dropout: float = 0.0,
        k: int = 49,
        width: int = 128,
        rngs: nnx.Rngs,
    ) -> None:
        plain = not inputs.attention
        self.from_evidence = nnx.Linear(width, hidden, rngs=rngs) if inputs.attention else None
        blocks = patch_blocks(inputs)
        self.joint = (
            JointLinear(d, hidden, blocks=blocks, scale_inputs=inputs.scale_inputs, rngs=rngs) if plain else None
        )
        self.position = nnx.Param(jnp.zeros((k, hidden))) if plain and inputs.position else None
        self.dropout = nnx.Dropout(dropout, broadcast_dims=(2,))
        self.score = nnx.Linear(hidden, 1, rngs=rngs)

    def __call__(
        self,
        text: Float[Array, "b d"],
        image: Float[Array, "b n d"],
        patches: Float[Array, "b n k d"],
        *,
        evidence: Float[Array, "b n k w"] | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n k"]:
        """The logit of each patch; f16 inputs become f32 first. `rngs` is needed only while dropout is at work."""
        text, image, patches = operand(text), operand(image), operand(patches)
        if self.from_evidence is not None:
            assert evidence is not None, "a head with attention reads the tokens of the evidence trunk"
            hidden = self.from_evidence(evidence)
        else:
            assert self.joint is not None
            hidden = self.joint(text, image, patches)
            if self.position is not None:
                hidden = hidden + self.position[...]
        logits = self.score(self.dropout(jax.nn.relu(hidden), rngs=rngs))[..., 0]
        return jnp.broadcast_to(logits, patches.shape[:3])
