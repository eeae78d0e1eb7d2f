"""The body shared by the global and the reason head: one hidden layer on text and image, and on pooled evidence.

It does not know what its outputs mean: `global_head.py` and `reason_head.py` do.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.heads.evidence import EvidencePool
from tipai_jax.heads.inputs import DEFAULT_INPUTS, InputFeatures
from tipai_jax.heads.joint_linear import JointLinear
from tipai_jax.heads.product import operand

__all__ = ["PooledHead"]


class PooledHead(nnx.Module):
    """Linear(blocks -> hidden) [+ Linear(pooled evidence -> hidden)] -> ReLU -> dropout -> Linear(hidden -> outputs).

    A head says in `outputs` how many numbers it gives an image.

    Args:
        d: width of the embeddings.
        hidden: width of the hidden layer.
        inputs: the features that the head reads; `global_image` and `position` only together with `attention`.
        dropout: share of the hidden units dropped while training; needs `rngs` in the call then.
        width: width of the evidence tokens.
        rngs: source of the initial values.
    """

    outputs: ClassVar[int]

    def __init__(
        self,
        d: int,
        *,
        hidden: int = 256,
        inputs: InputFeatures = DEFAULT_INPUTS,
        dropout: float = 0.0,
        width: int = 128,
        rngs: nnx.Rngs,
    ) -> None:
        assert inputs.attention or not (inputs.global_image or inputs.position), (
            "global_image and position need attention"
        )
        wanted = {"text": inputs.text, "image": inputs.image, "text*image": inputs.products}
        blocks = tuple(block for block, on in wanted.items() if on)
        self.joint = JointLinear(d, hidden, blocks=blocks, scale_inputs=inputs.scale_inputs, rngs=rngs)
        self.pool = EvidencePool(d, width=width, inputs=inputs, rngs=rngs) if inputs.attention else None
        self.from_evidence = (
            None if self.pool is None else nnx.Linear(self.pool.width, hidden, use_bias=False, rngs=rngs)
        )
        self.dropout = nnx.Dropout(dropout)
        self.score = nnx.Linear(hidden, self.outputs, rngs=rngs)

    def logits(
        self,
        text: Float[Array, "b d"],
        image: Float[Array, "b n d"],
        *,
        evidence: Float[Array, "b n k w"] | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n outputs"]:
        """The outputs before any sigmoid."""
        text, image = operand(text), operand(image)
        hidden = self.joint.whole(text, image)
        if self.pool is not None and self.from_evidence is not None:
            assert evidence is not None, "a head with attention reads the tokens of the evidence trunk"
            hidden = hidden + self.from_evidence(self.pool(text, evidence))
        logits = self.score(self.dropout(jax.nn.relu(hidden), rngs=rngs))
        return jnp.broadcast_to(logits, (*image.shape[:2], logits.shape[-1]))
