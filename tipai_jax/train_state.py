"""What a run carries from step to step, and nothing else: all that a checkpoint must hold to go on bit for bit.

The order of the data and the dropout masks are functions of (seed, step), so they need no place here.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

__all__ = ["TrainState", "init_state"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """The state of a run after `step` steps. The same tree also carries shapes and shardings, hence no array types.

    Attributes:
        step: steps done, i32[].
        params: the trained parameters as nested dicts of arrays (`nnx.to_pure_dict`).
        opt_state: of the optax transformation.
    """

    step: Any
    params: Any
    opt_state: Any


def init_state(params: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step. The arrays are copies, so the caller's survive donation."""
    params = jax.tree.map(jnp.copy, params)
    return TrainState(step=jnp.zeros((), jnp.int32), params=params, opt_state=optimizer.init(params))
