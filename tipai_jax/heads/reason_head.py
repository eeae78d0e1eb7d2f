"""The reason head: why an image fails its prompt, as five independent yes/no questions.

Several may be true at once, so each has its own sigmoid, applied by losses and outputs.
"""

from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.heads.pooled_head import PooledHead

__all__ = ["ReasonHead"]


class ReasonHead(PooledHead):
    """Five logits for each image from the global features and, with attention, the pooled evidence. Args as
    `PooledHead`.
    """

    outputs = 5

    def __call__(
        self,
        text: Float[Array, "b d"],
        image: Float[Array, "b n d"],
        *,
        evidence: Float[Array, "b n k w"] | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n 5"]:
        """The logits that each category is what fails; `rngs` is needed only while dropout is at work."""
        return self.logits(text, image, evidence=evidence, rngs=rngs)
