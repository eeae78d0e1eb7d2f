"""The product of embeddings with a kernel, in the number format that the embeddings come in.

The rule of mixed precision: operands in bfloat16 or float32, sums, results and gradients in float32; and the
    gradient written so that
XLA's CPU backend computes it fast. Processors with matrix units and GPUs multiply bfloat16 several times as fast as
float32; weights, losses and the optimiser never leave float32.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["operand", "product"]


def operand(embeddings: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """Embeddings ready for `product`: bfloat16 stays, everything else (f16 from a store) becomes float32."""
    return embeddings if embeddings.dtype == jnp.bfloat16 else embeddings.astype(jnp.float32)


@jax.custom_vjp
def product(inputs: Float[Array, "*batch d"], kernel: Float[Array, "d features"]) -> Float[Array, "*batch features"]:
    """`inputs @ kernel` in float32; with bfloat16 inputs the kernel and, going back, the gradient are rounded to
    bfloat16 for their products.
    """
    return _dot(_rows(inputs), kernel.astype(inputs.dtype), (1,), (0,)).reshape(*inputs.shape[:-1], -1)


def _rows(x: Array) -> Array:
    """All leading axes as one."""
    return x.reshape(-1, x.shape[-1])


def _dot(a: Array, b: Array, over_a: tuple[int, ...], over_b: tuple[int, ...]) -> Array:
    """Contract two arrays of one dtype, with float32 sums."""
    return jax.lax.dot_general(a, b, ((over_a, over_b), ((), ())), preferred_element_type=jnp.float32)


def _forward(inputs: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return product(inputs, kernel), (inputs, kernel)


def _backward(kept: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    inputs, kernel = kept
    gradient = gradient.astype(inputs.dtype)
    by_inputs = _dot(_rows(gradient), kernel.astype(inputs.dtype), (1,), (1,)).reshape(inputs.shape)
    # The narrow operand first, and the result transposed behind a barrier, which keeps XLA's CPU backend from swapping
    # them back. It multiplies
    # bfloat16 in the processor's matrix units only where it copies the transposed operand itself, which it does for two
    # axes or more; a transposed
    # float32 operand it takes as it lies, if there is one axis.
    if inputs.dtype != jnp.bfloat16:
        gradient, inputs = _rows(gradient), _rows(inputs)
    leading = tuple(range(inputs.ndim - 1))
    by_kernel = jax.lax.optimization_barrier(_dot(gradient, inputs, leading, leading)).T
    return by_inputs.astype(inputs.dtype), by_kernel


product.defvjp(_forward, _backward)
