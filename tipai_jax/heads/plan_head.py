"""The plan's head, of which it has three: of the image, of its patches, and of the reasons."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.heads.inputs import DEFAULT_INPUTS, InputFeatures
from tipai_jax.heads.joint_linear import JointLinear
from tipai_jax.heads.product import operand

__all__ = ["PlanHead"]


class PlanHead(nnx.Module):
    """Linear(2d -> 256) -> ReLU -> dropout -> Linear(256 -> outputs) on [text; image], or what else `inputs` names.

    An image is given as its patches, or as the one patch that is the whole of it. `InputFeatures(image=False)` is the
    text-only ablation, `InputFeatures(text=False)` the image-only one.

    Args:
        d: width of the embeddings.
        outputs: numbers given to each patch.
        hidden: width of the hidden layer.
        inputs: the features that the head reads.
        dropout: share of the hidden units dropped while training, the same ones in all patches of an image (49 times
            fewer random numbers); needs `rngs` in the call then.
        rngs: source of the initial values.
    """

    def __init__(
        self,
        d: int,
        *,
        outputs: int = 1,
        hidden: int = 256,
        inputs: InputFeatures = DEFAULT_INPUTS,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
    ) -> None:
        wanted = {"text": inputs.text, "image": inputs.image, "text*image": inputs.products}
        blocks = tuple(block for block, on in wanted.items() if on)
        self.joint = JointLinear(d, hidden, blocks=blocks, scale_inputs=inputs.scale_inputs, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, broadcast_dims=(2,))
        self.score = nnx.Linear(hidden, outputs, rngs=rngs)

    def __call__(
        self, text: Float[Array, "b d"], patches: Float[Array, "b n k d"], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "b n k outputs"]:
        """The logits of each patch; f16 inputs become f32 first. `rngs` is needed only while dropout is at work."""
        hidden = jax.nn.relu(self.joint(operand(text), operand(patches)))
        logits = self.score(self.dropout(hidden, rngs=rngs))
        return jnp.broadcast_to(logits, (*patches.shape[:3], logits.shape[-1]))
