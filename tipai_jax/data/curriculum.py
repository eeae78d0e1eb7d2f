"""Which pair comes when: the order of the rows as a pure function of (seed, step).

Owns the curriculum and the shuffling. Early epochs draw from the pairs of the greatest margin only, later ones from
all ("anneal to include hard pairs"). The rule:

- Of the pairs with a better image, epoch e (from 0) may draw the share f(e) = start + (1 - start) * min(1, e / full) of
  the greatest |margin|; equal margins are ranked by a fixed shuffle, so that no kind of pair comes first by accident.
- Controls have no margin to rank by: the same share f(e) of them, by a fixed shuffle, may be drawn. They teach from the
  start that a change which the prompt does not name is no failure.
- An epoch is always n draws, n the pairs of the split: one permutation of the eligible rows after another, cut at n.
  From epoch `full` on that is each row exactly once. The last batch is padded with `valid=False`; nothing is dropped.

Knows nothing of embeddings, of devices or of what a step does with a row.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["PairOrder"]

SHUFFLE, EPOCH = 0, 1


class PairOrder:
    """The order in which a run meets its pairs.

    Args:
        margin: chosen score - rejected score of each pair.
        control: whether both images keep the prompt.
        batch_size: pairs in a step.
        seed: of the shuffles.
        start_fraction: share of the pairs that the first epoch may draw from, above 0.
        full_at_epoch: the first epoch (from 0) that draws from all.
    """

    def __init__(
        self,
        margin: Float[np.ndarray, " n"],
        control: Bool[np.ndarray, " n"],
        *,
        batch_size: int,
        seed: int,
        start_fraction: float = 1.0,
        full_at_epoch: int = 0,
    ) -> None:
        self.n, self.batch_size, self.seed = len(margin), batch_size, seed
        self.start_fraction, self.full_at_epoch = start_fraction, full_at_epoch
        shuffle = np.random.default_rng([seed, SHUFFLE]).permutation(self.n)
        self._pairs = shuffle[~control[shuffle]]
        self._pairs = self._pairs[np.argsort(-np.abs(margin[self._pairs]), kind="stable")]
        self._controls = shuffle[control[shuffle]]
        self._rows_of_epoch = lru_cache(maxsize=2)(self._draw)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch, the same in every epoch."""
        return math.ceil(self.n / self.batch_size)

    def fraction(self, epoch: int) -> float:
        """The share f(e) of the pairs that an epoch may draw from."""
        grown = 1.0 if epoch >= self.full_at_epoch else epoch / self.full_at_epoch
        return self.start_fraction + (1 - self.start_fraction) * grown

    def eligible(self, epoch: int) -> Int[np.ndarray, " m"]:
        """The rows that an epoch may draw from, in no particular order."""
        fraction = self.fraction(epoch)
        return np.concatenate([rows[: math.ceil(fraction * len(rows))] for rows in (self._pairs, self._controls)])

    def batch(self, step: int) -> tuple[Int[np.ndarray, " b"], Bool[np.ndarray, " b"]]:
        """The rows of a step (counted from 0) and which of them are real; a padded place holds row 0."""
        epoch, place = divmod(step, self.steps_per_epoch)
        rows = np.zeros(self.batch_size, np.int32)
        drawn = self._rows_of_epoch(epoch)[place * self.batch_size : (place + 1) * self.batch_size]
        rows[: len(drawn)] = drawn
        return rows, np.arange(self.batch_size) < len(drawn)

    def size(self, step: int) -> int:
        """How many real pairs the batch of a step holds."""
        return min(self.batch_size, self.n - step % self.steps_per_epoch * self.batch_size)

    def _draw(self, epoch: int) -> Int[np.ndarray, " n"]:
        rng, eligible = np.random.default_rng([self.seed, EPOCH, epoch]), self.eligible(epoch)
        rounds = math.ceil(self.n / len(eligible))
        return np.concatenate([rng.permutation(eligible) for _ in range(rounds)])[: self.n].astype(np.int32)
