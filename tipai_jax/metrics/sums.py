"""The algebra of every average here: a weighted total and its weight, merged over batches and divided once.

Owns `Sums`. Losses use it too, so that a loss averaged over uneven batches is the loss over all of them.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["Sums"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sums:
    """A sum of weighted values and the sum of the weights; of each member in a sweep.

    Attributes:
        total: sum of weight * value.
        weight: sum of weight.
    """

    total: Float[Array, "*m"]
    weight: Float[Array, "*m"]

    def merge(self, other: "Sums") -> "Sums":
        """The sums over both sets of values."""
        return Sums(self.total + other.total, self.weight + other.weight)

    @property
    def mean(self) -> Float[Array, "*m"]:
        """total / weight, and 0 where nothing was counted (so that an absent term adds no loss and no NaN)."""
        return self.total / jnp.where(self.weight > 0, self.weight, 1.0)
