"""AdamW, its schedule, and the rule of which parameter decays."""

from typing import Any, assert_never

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from tipai_jax.config.schema import OptimConfig
from tipai_jax.errors import UserError

__all__ = ["decay_mask", "make_optimizer", "make_schedule"]

AnyArray = Array | np.ndarray


def decay_mask(params: Any) -> Any:
    """True for each parameter that weight decay applies to: the kernels, by the last part of their name, which is
    `kernel` or, of a kernel without a layer around it, ends in `_in` (`heads/phrase_heads.py`).

    Biases, scales, tables of places and of kinds are left alone: pulling them to zero means nothing.
    """
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key.endswith(("kernel", "_in")), params)


def make_schedule(config: OptimConfig, *, total_steps: int) -> optax.Schedule:
    """The learning rate of a step, counted from 0.

    In the warm-up of w steps it is peak * (step + 1) / w, so the first step already moves; then half a cosine from the
    peak to 0 at `total_steps`, peak / 2 * (1 + cos(pi * (step - w) / (total - w))), or constant.

    Raises:
        UserError: the warm-up is not shorter than the run.
    """
    warmup = config.warmup_steps
    if warmup >= total_steps:
        raise UserError(
            f"optim.warmup_steps is {warmup}, but the whole run has {total_steps} steps; "
            f"set --optim.warmup-steps below that (say {total_steps // 10}) or train for more epochs"
        )
    match config.schedule:
        case "cosine":
            after = optax.cosine_decay_schedule(config.peak_lr, total_steps - warmup)
        case "constant":
            after = optax.constant_schedule(config.peak_lr)
        case _:
            assert_never(config.schedule)
    if not warmup:
        return after
    return optax.join_schedules([lambda step: config.peak_lr * (step + 1) / warmup, after], [warmup])


def make_optimizer(*, lr: Float[AnyArray, " steps"], weight_decay: Any, clip_norm: Any) -> optax.GradientTransformation:
    """AdamW (beta 0.9 and 0.999, epsilon 1e-8) with decoupled decay on kernels only, after clipping if asked for.

    Args:
        lr: the learning rate of every step of the run (`make_schedule`).
        weight_decay: per unit of learning rate.
        clip_norm: largest norm of the whole gradient; None leaves it alone.
    """
    adamw = optax.adamw(lambda step: jnp.asarray(lr)[step], weight_decay=weight_decay, mask=decay_mask)
    return adamw if clip_norm is None else optax.chain(optax.clip_by_global_norm(clip_norm), adamw)
