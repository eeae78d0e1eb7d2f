"""The body shared by the global and the reason head: one hidden layer on text and image, and on pooled evidence.

This file owns that body. It does not know what its outputs mean: `global_head.py` and `reason_head.py` do.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.heads.evidence import Evidence, EvidencePool
from tipai_jax.heads.joint_linear import JointLinear
from tipai_jax.heads.product import operand
from tipai_jax.heads.sees import PLAN, Sees

__all__ = ["PooledHead"]


class PooledHead(nnx.Module):
    """Linear(blocks -> hidden) [+ Linear(pooled evidence -> hidden)] -> ReLU -> dropout -> Linear(hidden -> outputs).

    A head says in `outputs` how many numbers it gives an image.

    Args:
        d: width of the embeddings.
        hidden: width of the hidden layer.
        sees: what the head sees; `global_image` and `position` only together with `attention`.
        dropout: share of the hidden units dropped while training; needs `rngs` in the call then.
        k: patches of an image.
        width: width of the evidence tokens.
        shares_evidence: the tokens are handed in at the call (`evidence=`), so the head builds no trunk of its own.
        rngs: source of the initial values.
    """

    outputs: ClassVar[int]

    def __init__(
        self,
        d: int,
        *,
        hidden: int = 256,
        sees: Sees = PLAN,
        dropout: float = 0.0,
        k: int = 49,
        width: int = 128,
        shares_evidence: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        assert sees.attention or not (sees.global_image or sees.position), "global_image and position need attention"
        wanted = {"text": sees.text, "image": sees.image, "text*image": sees.products}
        blocks = tuple(block for block, on in wanted.items() if on)
        self.joint = JointLinear(d, hidden, blocks=blocks, scale_inputs=sees.scale_inputs, rngs=rngs)
        own_trunk = sees.attention and not shares_evidence
        self.evidence = Evidence(d, k=k, width=width, sees=sees, dropout=dropout, rngs=rngs) if own_trunk else None
        self.pool = EvidencePool(d, width=width, sees=sees, rngs=rngs) if sees.attention else None
        self.from_evidence = (
            None if self.pool is None else nnx.Linear(self.pool.width, hidden, use_bias=False, rngs=rngs)
        )
        self.dropout = nnx.Dropout(dropout)
        self.score = nnx.Linear(hidden, self.outputs, rngs=rngs)

    def scores(
        self,
        text: Float[Array, "b d"],
        image: Float[Array, "b n d"],
        patches: Float[Array, "b n k d"],
        *,
        evidence: Float[Array, "b n k w"] | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n outputs"]:
        """The outputs before any sigmoid."""
        text, image = operand(text), operand(image)
        hidden = self.joint.whole(text, image)
        if self.pool is not None and self.from_evidence is not None:
            if evidence is None:
                assert self.evidence is not None, "a head that shares its evidence must be given it"
                evidence = self.evidence(text, image, operand(patches), rngs=rngs)
            hidden = hidden + self.from_evidence(self.pool(text, evidence))
        scores = self.score(self.dropout(jax.nn.relu(hidden), rngs=rngs))
        return jnp.broadcast_to(scores, (*image.shape[:2], scores.shape[-1]))
