"""What of a run is a number and no shape: handed to the compiled step as arrays, so that one program serves many
values.

Owns which settings those are, for a single run and for the members of a sweep. Knows nothing of the step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from tipai_jax.config import Config
from tipai_jax.optim import make_schedule

__all__ = ["Numbers", "numbers_of", "stack_numbers"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Numbers:
    """The numbers of a run; with one more axis in front, those of the members of a sweep.

    Attributes:
        seed: of the dropout masks, u32[].
        lr: the learning rate of every step, f32[steps].
        weight_decay: of AdamW, f32[].
        clip_norm: largest norm of the gradient, f32[], or None for no clipping.
        weights: of the terms of the loss, f32[] each.
    """

    seed: Any
    lr: Any
    weight_decay: Any
    clip_norm: Any
    weights: dict[str, Any]


def numbers_of(config: Config, *, total_steps: int, terms: Sequence[str]) -> Numbers:
    """The numbers of one run, as numpy arrays.

    Args:
        config: the run.
        total_steps: its steps.
        terms: the terms of the loss that are computed.
    """
    number = lambda value: np.asarray(value, np.float32)
    return Numbers(
        seed=np.asarray(config.seed, np.uint32),
        lr=np.asarray(make_schedule(config.optim, total_steps=total_steps)(np.arange(total_steps)), np.float32),
        weight_decay=number(config.optim.weight_decay),
        clip_norm=None if config.optim.clip_norm is None else number(config.optim.clip_norm),
        weights={name: number(getattr(config.loss, name)) for name in terms},
    )


def stack_numbers(every: Sequence[Numbers]) -> Numbers:
    """Those of a sweep: the member's number is the first axis. Either all clip or none does."""
    return jax.tree.map(lambda *each: np.stack(each), *every)
