"""The global head: how well a whole image keeps the prompt."""

from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.heads.pooled_head import PooledHead

__all__ = ["GlobalHead"]


class GlobalHead(PooledHead):
    """The plan's Linear(2d -> 256) -> ReLU -> Linear(256 -> 1) (-> Sigmoid) on [text; image], and what `inputs` adds.

    Args as `PooledHead`. `InputFeatures(image=False)` is the text-only baseline, `InputFeatures(text=False)` the
    image-only one.
    """

    outputs = 1

    def __call__(
        self,
        text: Float[Array, "b d"],
        image: Float[Array, "b n d"],
        *,
        evidence: Float[Array, "b n k w"] | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n"]:
        """The logit of each image; f16 inputs become f32 first. `rngs` is needed only while dropout is at work."""
        return self.logits(text, image, evidence=evidence, rngs=rngs)[..., 0]
