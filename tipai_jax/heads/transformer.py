"""One pre-norm transformer layer over tokens, some of which may be absent."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from tipai_jax.errors import UserError

__all__ = ["TransformerLayer"]


class TransformerLayer(nnx.Module):
    """x += attention(norm(x)); x += mlp(norm(x)), with GELU and a hidden layer of twice the width.

    Args:
        width: of the tokens, a multiple of `heads`.
        heads: attention heads.
        rngs: source of the initial values.
    """

    def __init__(self, width: int, *, heads: int, rngs: nnx.Rngs) -> None:
        if width % heads:
            raise UserError(f"width {width} must be a multiple of its {heads} attention heads")
        self.heads = heads
        self.norm_attention = nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs)
        self.qkv = nnx.Linear(width, 3 * width, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs)
        self.norm_mlp = nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs)
        self.mlp_in = nnx.Linear(width, 2 * width, rngs=rngs)
        self.mlp_out = nnx.Linear(2 * width, width, rngs=rngs)

    def __call__(self, tokens: Float[Array, "m t w"], present: Bool[Array, "m t"]) -> Float[Array, "m t w"]:
        """The next tokens; nothing attends to one that is not present."""
        m, t, w = tokens.shape
        split = self.qkv(self.norm_attention(tokens)).reshape(m, t, 3, self.heads, w // self.heads)
        query, key, value = jnp.moveaxis(
            split, (2, 3), (0, 2)
        )  # with the heads in front the products are a third faster
        logits = query * (w // self.heads) ** -0.5 @ key.mT
        weights = jax.nn.softmax(jnp.where(present[:, None, None], logits, -1e9), axis=-1)
        tokens = tokens + self.out(jnp.moveaxis(weights @ value, 1, 2).reshape(m, t, w))
        return tokens + self.mlp_out(jax.nn.gelu(self.mlp_in(self.norm_mlp(tokens))))
