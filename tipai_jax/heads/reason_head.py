"""The reason head: why an image fails its prompt, as five independent yes/no questions.

Owns the five logits, in the order object, attribute, counting, spatial, text. Several may be true at once, so each
has its own sigmoid, applied by losses and outputs.
"""

from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.heads.pooled_head import PooledHead
from tipai_jax.heads.sees import PLAN, Sees

__all__ = ["ReasonHead"]

CATEGORY_COUNT = 5


class ReasonHead(PooledHead):
    """Five logits for each image from the global features and, with attention, the pooled evidence. Args as `PooledHead`."""

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
        super().__init__(
            d,
            outputs=CATEGORY_COUNT,
            hidden=hidden,
            sees=sees,
            dropout=dropout,
            k=k,
            width=width,
            shares_evidence=shares_evidence,
            rngs=rngs,
        )

    def __call__(
        self,
        text: Float[Array, "b d"],
        image: Float[Array, "b n d"],
        patches: Float[Array, "b n k d"],
        *,
        evidence: Float[Array, "b n k w"] | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n 5"]:
        """The logits that each category is what fails; `rngs` is needed only while dropout is at work."""
        return self.scores(text, image, patches, evidence=evidence, rngs=rngs)
