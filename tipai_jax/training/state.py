"""What a run carries from step to step, and nothing else: all that a checkpoint must hold to go on bit for bit.

The order of the data and the random numbers are functions of (seed, step), so they need no place here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

__all__ = ["TrainState", "init_state", "join_frozen", "split_frozen"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """The state of a run after `step` steps. The same tree also carries shapes and shardings, hence no array types.

    Attributes:
        step: steps done, i32[].
        params: the trained parameters as nested dicts of arrays (`nnx.to_pure_dict`).
        frozen: the parameters that never move, likewise; empty where all are trained.
        opt_state: of the optax transformation.
    """

    step: Any
    params: Any
    frozen: Any
    opt_state: Any


def init_state(params: Any, frozen: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step. The arrays are copies, so the caller's survive donation."""
    params, frozen = jax.tree.map(jnp.copy, (params, frozen))
    return TrainState(jnp.zeros((), jnp.int32), params, frozen, optimizer.init(params))


def split_frozen(
    tree: Mapping[str, Any], frozen: Callable[[str], bool], prefix: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Nested parameters taken apart into (trained, frozen), by the dotted name of each leaf."""
    trained: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if not isinstance(value, Mapping):
            (kept if frozen(path) else trained)[name] = value
            continue
        for side, inner in zip((trained, kept), split_frozen(value, frozen, f"{path}."), strict=True):
            if inner:
                side[name] = inner
    return trained, kept


def join_frozen(trained: Mapping[str, Any], frozen: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `split_frozen`."""
    both = {name: join_frozen(trained[name], frozen[name]) for name in trained.keys() & frozen.keys()}
    return {**trained, **frozen, **both}
