"""The algebra of every figure: parts that are merged over batches, and computed once at the end.

`Sums` are means: a weighted total and its weight. Losses use them too, so that a loss averaged over uneven batches is
the loss over all of them. `Collected` keeps what a figure needs that is no mean (an AUC, a rank, a rate by group).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

__all__ = ["Collected", "Sums"]


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


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Collected:
    """Values of every example, kept for a figure of all of them together.

    Attributes:
        values: name -> array [b, ...]; on the way through a dispatch with more axes in front.
        valid: which examples are real.
        figure: from the values of the real examples of the whole split, in order, to the figure. A function of the
            module, not a lambda: two traces compare it.
    """

    values: dict[str, Any]
    valid: Bool[Array | np.ndarray, "*s b"]
    figure: Callable[[Mapping[str, np.ndarray]], float] = field(metadata={"static": True})

    @classmethod
    def compute(cls, parts: "list[Collected]") -> float:
        """The figure over the parts, in their order; arrays [s, b, ...] on the host."""
        flat = lambda array: np.asarray(array).reshape(-1, *np.shape(array)[2:])
        valid = np.concatenate([flat(part.valid) for part in parts])
        names = parts[0].values
        values = {name: np.concatenate([flat(part.values[name]) for part in parts])[valid] for name in names}
        return float(parts[0].figure(values))
