"""`Linear(concat(inputs))` that never concatenates: W[t; v] = W_t t + W_v v, each part computed as seldom as it can
be.
"""

import math

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.heads.product import product

__all__ = ["JointLinear"]

BLOCKS = ("text", "image", "text*image")


class JointLinear(nnx.Module):
    """An affine map of the concatenation of some of text, image (or patch) and their elementwise product.

    The kernel is kept whole, `[len(blocks) * d, features]` in the order of `blocks`, so it is drawn, saved and compared
    as the kernel of the plain `Linear` on the concatenated input; it is only applied in parts: the text's once a
    prompt, the others once a patch. Inputs in bfloat16 are multiplied in it (`product.py`); the output is float32.

    Args:
        d: width of the embeddings.
        features: width of the output.
        blocks: what is concatenated, in this order; names out of `BLOCKS`.
        scale_inputs: multiply every embedding by sqrt(d), so every product by d. Done on the kernel, which is smaller.
        rngs: source of the kernel: lecun_normal over the whole fan-in `len(blocks) * d`. The bias starts at zero.
    """

    def __init__(
        self, d: int, features: int, *, blocks: tuple[str, ...], scale_inputs: bool = False, rngs: nnx.Rngs
    ) -> None:
        assert blocks and all(block in BLOCKS for block in blocks), blocks
        self.d = d
        self.blocks = blocks
        self.scale_inputs = scale_inputs
        self.kernel = nnx.Param(nnx.initializers.lecun_normal()(rngs.params(), (len(blocks) * d, features)))
        self.bias = nnx.Param(jnp.zeros((features,)))

    def part(self, block: str) -> Float[Array, "d features"]:
        """The rows of the kernel that meet one block, with the scale of that block's inputs."""
        start = self.blocks.index(block) * self.d
        rows = self.kernel[start : start + self.d]
        if not self.scale_inputs:
            return rows
        return rows * (float(self.d) if "*" in block else math.sqrt(self.d))

    def __call__(self, text: Float[Array, "b d"], patches: Float[Array, "b n k d"]) -> Float[Array, "b m l features"]:
        """The affine map for every patch: `[b n k features]`, or `[b 1 1 features]` if no image is read."""
        out = jnp.broadcast_to(self.bias[...], (text.shape[0], 1, 1, self.bias.shape[0]))
        if "text" in self.blocks:
            out = out + product(text, self.part("text"))[:, None, None]
        if "image" in self.blocks:
            out = out + product(patches, self.part("image"))
        if "text*image" in self.blocks:
            out = out + product(text[:, None, None] * patches, self.part("text*image"))
        return out
