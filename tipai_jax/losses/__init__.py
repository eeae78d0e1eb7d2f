"""The losses of the plan, unreduced, on plain arrays; `reduce` is the one reducer."""

from tipai_jax.losses.faithfulness import faithfulness_loss
from tipai_jax.losses.pairwise import pair_loss
from tipai_jax.losses.patch import patch_loss, patch_positions
from tipai_jax.losses.reason import reason_loss
from tipai_jax.losses.reduce import reduce
from tipai_jax.losses.saliency import dice_loss, small_ones

__all__ = [
    "dice_loss",
    "faithfulness_loss",
    "pair_loss",
    "patch_loss",
    "patch_positions",
    "reason_loss",
    "reduce",
    "small_ones",
]
