"""The product of embeddings with a kernel, in the number format that the embeddings come in.

Owns the one rule of mixed precision: operands in bfloat16 or float32, sums, results and gradients in float32; and the gradient written so that
XLA's CPU backend computes it fast. Processors with matrix units and GPUs multiply bfloat16 several times as fast as float32; weights, losses and
the optimiser never leave float32.
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
    """`inputs @ kernel` in float32; with bfloat16 inputs the kernel and, going back, the gradient are rounded to bfloat16 for their products."""
    flat = inputs.reshape(-1, inputs.shape[-1])
    return _dot(flat, kernel.astype(inputs.dtype), (1,), (0,)).reshape(*inputs.shape[:-1], -1)


def _dot(a: Array, b: Array, over_a: tuple[int, ...], over_b: tuple[int, ...]) -> Array:
    """Contract two arrays of one dtype, with float32 sums."""
    return jax.lax.dot_general(a, b, ((over_a, over_b), ((), ())), preferred_element_type=jnp.float32)


def _forward(inputs: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return product(inputs, kernel), (inputs, kernel)


def _backward(kept: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    inputs, kernel = kept
    gradient = gradient.astype(inputs.dtype)
    by_inputs = _dot(gradient.reshape(-1, gradient.shape[-1]), kernel.astype(inputs.dtype), (1,), (1,)).reshape(inputs.shape)
    # All leading axes at once, and the narrow operand first: over two axes or more XLA's CPU backend then copies that one and multiplies as it
    # does going forward. Left to itself it multiplies bfloat16 as float32, three times as slow on two cores with AMX, and float32 a fifth slower.
    # The barrier keeps it from folding the transposition back into the product.
    axes = tuple(range(inputs.ndim - 1))
    by_kernel = jax.lax.optimization_barrier(_dot(gradient, inputs, axes, axes)).T
    return by_inputs.astype(inputs.dtype), by_kernel


product.defvjp(_forward, _backward)
