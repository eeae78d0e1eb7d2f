"""The hyperparameters of a run as arrays over its steps, so that one compiled program serves schedules and sweeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from tipai_jax.config.schema import RunConfig
from tipai_jax.tasks.task import Hyper, Schedules
from tipai_jax.training.optim import make_schedule

__all__ = ["Hyperparameters", "hyperparameters_of", "stack", "terms_in_use"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Hyperparameters:
    """The hyperparameters of a run; with one more axis in front, those of the members of a sweep.

    Attributes:
        seed: of the random numbers of the forward pass, u32[].
        lr: the learning rate, f32[steps].
        weight_decay: of AdamW, f32[].
        clip_norm: largest norm of the gradient, f32[], or None for no clipping.
        weights: of each term of the loss that is in use, f32[steps].
        extra: the task's other hyperparameters, f32[steps].
    """

    seed: Any
    lr: Any
    weight_decay: Any
    clip_norm: Any
    weights: dict[str, Any]
    extra: dict[str, Any]

    def at(self, step: Array | int) -> Hyper:
        """What the losses of a step read."""
        return Hyper(
            {name: each[step] for name, each in self.weights.items()},
            {name: each[step] for name, each in self.extra.items()},
        )


def terms_in_use(schedules: Sequence[Schedules]) -> list[str]:
    """The terms that weigh more than nothing at some step of some member, in the order of the task."""
    return [name for name in schedules[0].weights if any(np.any(each.weights[name] > 0) for each in schedules)]


def hyperparameters_of(
    config: RunConfig, schedules: Schedules, *, total_steps: int, terms: Sequence[str]
) -> Hyperparameters:
    """The hyperparameters of one run, as numpy arrays.

    Args:
        config: the run.
        schedules: those of its task.
        total_steps: its steps.
        terms: the terms of the loss that are computed.
    """
    number = lambda value: np.asarray(value, np.float32)
    return Hyperparameters(
        seed=np.asarray(config.seed, np.uint32),
        lr=number(make_schedule(config.optim, total_steps=total_steps)(np.arange(total_steps))),
        weight_decay=number(config.optim.weight_decay),
        clip_norm=None if config.optim.clip_norm is None else number(config.optim.clip_norm),
        weights={name: number(schedules.weights[name]) for name in terms},
        extra={name: number(values) for name, values in schedules.extra.items()},
    )


def stack(members: Sequence[Hyperparameters]) -> Hyperparameters:
    """Those of a sweep: the member's number is the first axis. Either all clip or none does."""
    return jax.tree.map(lambda *each: np.stack(each), *members)
