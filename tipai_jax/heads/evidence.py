"""The evidence trunk: one attention layer across the patches of an image, computed once and read by several heads.

A patch cannot know by itself that the dog should be left of the boat. Here every patch becomes a token that holds the
prompt, attends to the other patches, and is handed to the patch head (which reads each token) and to the global and
the reason head (which pool them by `EvidencePool`).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from tipai_jax.errors import UserError
from tipai_jax.heads.inputs import InputFeatures
from tipai_jax.heads.joint_linear import JointLinear
from tipai_jax.heads.product import product

__all__ = ["Evidence", "EvidencePool", "patch_blocks"]


def patch_blocks(inputs: InputFeatures) -> tuple[str, ...]:
    """The blocks of a patch's input, in the order of the concatenation: text, patch, text*patch, image, text*image."""
    wanted = {
        "text": inputs.text,
        "patch": inputs.image,
        "text*patch": inputs.products,
        "image": inputs.global_image,
        "text*image": inputs.global_image and inputs.products,
    }
    return tuple(block for block, on in wanted.items() if on)


def grid_offsets(k: int) -> Int[np.ndarray, "k k"]:
    """For each pair of cells of a square grid the number of their offset (row and column), in [0, (2*side-1)^2)."""
    side = math.isqrt(k)
    if side * side != k:
        raise UserError(
            f"attention with position takes a square grid of patches, but this store has {k}; set position=False in"
            " model.*_inputs"
        )
    row, column = np.divmod(np.arange(k), side)
    dy = row[:, None] - row[None, :] + side - 1
    dx = column[:, None] - column[None, :] + side - 1
    return dy * (2 * side - 1) + dx


class Evidence(nnx.Module):
    """One pre-norm transformer layer over the patches of an image; tokens `[b n k width]`.

    x = relu(JointLinear + position); x += attention(norm(x)); x += mlp(norm(x)); norm(x). With `position` the
    attention logits get a learned bias for each head and offset on the grid.

    Args:
        d: width of the embeddings.
        k: patches of an image, row-major on a square grid if `inputs.position`.
        width: width of the tokens, a multiple of `heads`.
        heads: attention heads.
        inputs: the features that a token holds.
        dropout: share of the hidden units dropped while training, the same ones in all patches of an image.
        rngs: source of the initial values.
    """

    def __init__(
        self,
        d: int,
        *,
        k: int = 49,
        width: int = 128,
        heads: int = 4,
        inputs: InputFeatures,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
    ) -> None:
        if width % heads:
            raise UserError(f"attention width {width} must be a multiple of its {heads} heads")
        self.heads = heads
        self.width = width
        self.joint = JointLinear(d, width, blocks=patch_blocks(inputs), scale_inputs=inputs.scale_inputs, rngs=rngs)
        self.position = nnx.Param(jnp.zeros((k, width))) if inputs.position else None
        self.offset_bias = nnx.Param(jnp.zeros((int(grid_offsets(k).max()) + 1, heads))) if inputs.position else None
        self.norm_attention = nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs)
        self.qkv = nnx.Linear(width, 3 * width, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs)
        self.norm_mlp = nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs)
        self.mlp_in = nnx.Linear(width, width, rngs=rngs)
        self.mlp_out = nnx.Linear(width, width, rngs=rngs)
        self.norm_out = nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, broadcast_dims=(2,))

    def attend(self, tokens: Float[Array, "b n k w"]) -> Float[Array, "b n k w"]:
        """Multi-head self-attention across k, softmax(q.k / sqrt(width/heads) + offset bias)."""
        b, n, k, w = tokens.shape
        split = self.qkv(tokens).reshape(b * n, k, 3, self.heads, w // self.heads)
        query, key, value = split[:, :, 0], split[:, :, 1], split[:, :, 2]
        logits = jnp.einsum("mqhe,mkhe->mhqk", query * (w // self.heads) ** -0.5, key)
        if self.offset_bias is not None:
            logits = logits + self.offset_bias[...][grid_offsets(k)].transpose(2, 0, 1)
        mixed = jnp.einsum("mhqk,mkhe->mqhe", jax.nn.softmax(logits, axis=-1), value)
        return self.out(mixed.reshape(b, n, k, w))

    def __call__(
        self,
        text: Float[Array, "b d"],
        image: Float[Array, "b n d"],
        patches: Float[Array, "b n k d"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n k width"]:
        """The tokens of every image; `rngs` is needed only while dropout is at work."""
        hidden = self.joint(text, image, patches)
        if self.position is not None:
            hidden = hidden + self.position[...]
        tokens = self.dropout(jax.nn.relu(hidden), rngs=rngs)
        tokens = tokens + self.attend(self.norm_attention(tokens))
        inner = jax.nn.relu(self.mlp_in(self.norm_mlp(tokens)))
        tokens = tokens + self.mlp_out(self.dropout(inner, rngs=rngs))
        return self.norm_out(tokens)


class EvidencePool(nnx.Module):
    """Attention pooling of the tokens with queries conditioned on the text: `[b n heads*width]`.

    The queries are projected once a prompt and the values once an image (by the reader's next layer), so a patch costs
    only the two dot products of each query.

    Args:
        d: width of the text embedding.
        width: width of the tokens.
        heads: pooling queries.
        inputs: whether the queries may hold the text, and whether inputs are scaled.
        rngs: source of the initial values.
    """

    def __init__(self, d: int, *, width: int = 128, heads: int = 4, inputs: InputFeatures, rngs: nnx.Rngs) -> None:
        self.heads = heads
        self.width = heads * width
        self.query = nnx.Param(nnx.initializers.normal(1.0)(rngs.params(), (heads, width)))
        scaled = inputs.scale_inputs
        self.from_text = (
            JointLinear(d, self.width, blocks=("text",), scale_inputs=scaled, rngs=rngs) if inputs.text else None
        )

    def __call__(self, text: Float[Array, "b d"], tokens: Float[Array, "b n k w"]) -> Float[Array, "b n hw"]:
        """The pooled evidence, one vector of `width` for each query, side by side."""
        b, n, _, w = tokens.shape
        query = self.query[...]
        if self.from_text is not None:
            query = query + (product(text, self.from_text.part("text")) + self.from_text.bias[...]).reshape(
                b, self.heads, w
            )
        query = jnp.broadcast_to(query * w**-0.5, (b, self.heads, w))
        attention = jax.nn.softmax(jnp.einsum("bhw,bnkw->bnhk", query, tokens), axis=-1)
        return jnp.einsum("bnhk,bnkw->bnhw", attention, tokens).reshape(b, n, self.heads * w)
