"""Copies the weights of an nnx module into its PyTorch twin and compares values and gradients.

The twins' attributes carry the names of the nnx modules', so the copy is one rule: a kernel is transposed into a
weight, a norm's scale is a weight, everything else keeps its name.
"""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

TOLERANCE = 1e-5


def flat(tree: dict, prefix: str = "") -> dict[str, np.ndarray]:
    """A nested dict of arrays as {"a.b.c": array}, under the names and orientation of the twin."""
    out: dict[str, np.ndarray] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            out |= flat(value, f"{prefix}{name}.")
        elif name == "kernel":
            out[f"{prefix}weight"] = np.asarray(value).T
        else:
            out[f"{prefix}{'weight' if name == 'scale' else name}"] = np.asarray(value)
    return out


def shaken(module: nnx.Module, seed: int = 0, size: float = 0.3) -> nnx.Module:
    """The module with every parameter moved off its initial value, so that zeros and ones hide nothing."""
    graph, params = nnx.split(module)
    rng = np.random.default_rng(seed)

    def moved(x):
        x = np.asarray(x)
        return jnp.asarray(x + rng.normal(0, size * (x.std() or 0.5), x.shape), jnp.float32)

    return nnx.merge(graph, jax.tree.map(moved, params))


def close(ours, theirs, what: str) -> None:
    """|ours - theirs| <= 1e-5 of the largest of theirs, and theirs is not all zero."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape, (what, ours.shape, theirs.shape)
    size = np.abs(theirs).max()
    assert size > 0, f"{what}: the twin gives only zeros, so this compares nothing"
    worst = np.abs(ours - theirs).max()
    assert worst <= TOLERANCE * size, f"{what}: differs by {worst:.3g} where the twin is of size {size:.3g}"


def assert_module_parity(module: nnx.Module, twin: torch.nn.Module, inputs: tuple, seed: int = 0) -> None:
    """Outputs, and the gradient of a random weighting of the outputs by every parameter, agree to 1e-5.

    Args:
        module: called with `inputs` as jax arrays; may return a registered dataclass of arrays.
        twin: called with `inputs` as tensors; returns a list of tensors in the order of the dataclass's leaves.
        inputs: numpy arrays.
        seed: of the weighting.
    """
    graph, params = nnx.split(module)
    twin.load_state_dict({name: torch.tensor(value.copy()) for name, value in flat(nnx.to_pure_dict(params)).items()})
    theirs = twin(*(torch.tensor(x) for x in inputs))
    theirs = theirs if isinstance(theirs, list) else [theirs]
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=tuple(value.shape)).astype(np.float32) for value in theirs]

    def weighed(params):
        ours = jax.tree.leaves(nnx.merge(graph, params)(*(jnp.asarray(x) for x in inputs)))
        return sum(jnp.sum(value * weight) for value, weight in zip(ours, weights, strict=True)), ours

    (_, ours), gradient = jax.jit(jax.value_and_grad(weighed, has_aux=True))(params)
    for i, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        close(our, their.detach(), f"output {i}")
    sum((value * torch.tensor(weight)).sum() for value, weight in zip(theirs, weights, strict=True)).backward()
    wanted = {name: value.grad for name, value in twin.named_parameters()}
    found = flat(nnx.to_pure_dict(gradient))
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        close(value, wanted[name], f"gradient of {name}")


def assert_function_parity(ours, theirs, inputs: tuple[np.ndarray, ...], seed: int = 0) -> None:
    """Value and gradient by every input of two functions of arrays agree to 1e-5."""
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    wanted = theirs(*tensors)
    weight = np.random.default_rng(seed).normal(size=tuple(wanted.shape)).astype(np.float32)
    close(ours(*map(jnp.asarray, inputs)), wanted.detach(), "value")
    (wanted * torch.tensor(weight)).sum().backward()
    gradient = jax.grad(lambda *xs: jnp.sum(ours(*xs) * weight), argnums=tuple(range(len(inputs))))(
        *map(jnp.asarray, inputs)
    )
    for i, (our, tensor) in enumerate(zip(gradient, tensors, strict=True)):
        close(our, tensor.grad, f"gradient by input {i}")


def embeddings(
    b: int = 3, n: int = 2, k: int = 9, d: int = 16, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L2-normalised text [b d], image [b n d] and patches [b n k d], f32."""
    rng = np.random.default_rng(seed)
    drawn = (rng.normal(size=shape).astype(np.float32) for shape in ((b, d), (b, n, d), (b, n, k, d)))
    text, image, patches = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in drawn)
    return text, image, patches
