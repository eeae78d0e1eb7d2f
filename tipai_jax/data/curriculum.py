"""Which example comes when: the order of the examples as a pure function of (seed, step), with a curriculum.

Early epochs draw from the easiest examples only, later ones from all ("anneal to include hard pairs"). The rule:

- Of the ranked examples, epoch e (from 0) may draw the share f(e) = start + (1 - start) * min(1, e / full) of the
  greatest ease; equal ones are ranked by a fixed shuffle, so that no kind comes first by accident.
- Examples that cannot be ranked by ease (the controls among pairs): the same share f(e) of them, by a fixed shuffle.
- An epoch is always n draws, n the examples of the split: one permutation of the eligible examples after another, up
  to n. From epoch `full` on that is each example exactly once. The last batch is padded with `valid=False`; nothing is
  dropped.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["CurriculumOrder"]

SHUFFLE, EPOCH = 0, 1


class CurriculumOrder:
    """The order in which a run meets its examples.

    Args:
        ease: how easy each example is, the easiest greatest.
        unranked: examples for which `ease` means nothing.
        batch_size: examples in a step.
        seed: of the shuffles.
        start_fraction: share of the examples that the first epoch may draw from, above 0.
        full_at_epoch: the first epoch (from 0) that draws from all.
    """

    def __init__(
        self,
        ease: Float[np.ndarray, " n"],
        unranked: Bool[np.ndarray, " n"],
        *,
        batch_size: int,
        seed: int,
        start_fraction: float = 1.0,
        full_at_epoch: int = 0,
    ) -> None:
        self.n, self.batch_size, self.seed = len(ease), batch_size, seed
        self.start_fraction, self.full_at_epoch = start_fraction, full_at_epoch
        shuffle = np.random.default_rng([seed, SHUFFLE]).permutation(self.n)
        self._ranked = shuffle[~unranked[shuffle]]
        self._ranked = self._ranked[np.argsort(-ease[self._ranked], kind="stable")]
        self._unranked = shuffle[unranked[shuffle]]
        self._of_epoch = lru_cache(maxsize=2)(self._draw)

    @property
    def key(self) -> tuple[object, ...]:
        """Two orders of the same examples with equal keys give the same batches."""
        return (self.batch_size, self.seed, self.start_fraction, self.full_at_epoch)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch, the same in every epoch."""
        return math.ceil(self.n / self.batch_size)

    def fraction(self, epoch: int) -> float:
        """The share f(e) of the examples that an epoch may draw from."""
        grown = 1.0 if epoch >= self.full_at_epoch else epoch / self.full_at_epoch
        return self.start_fraction + (1 - self.start_fraction) * grown

    def eligible(self, epoch: int) -> Int[np.ndarray, " m"]:
        """The examples that an epoch may draw from, in no particular order."""
        fraction = self.fraction(epoch)
        return np.concatenate([part[: math.ceil(fraction * len(part))] for part in (self._ranked, self._unranked)])

    def batch(self, step: int) -> tuple[Int[np.ndarray, " b"], Bool[np.ndarray, " b"]]:
        """The examples of a step (counted from 0) and which of them are real; a padded place holds example 0."""
        epoch, place = divmod(step, self.steps_per_epoch)
        examples = np.zeros(self.batch_size, np.int32)
        drawn = self._of_epoch(epoch)[place * self.batch_size : (place + 1) * self.batch_size]
        examples[: len(drawn)] = drawn
        return examples, np.arange(self.batch_size) < len(drawn)

    def size(self, step: int) -> int:
        """How many real examples the batch of a step holds."""
        return min(self.batch_size, self.n - step % self.steps_per_epoch * self.batch_size)

    def _draw(self, epoch: int) -> Int[np.ndarray, " n"]:
        rng, eligible = np.random.default_rng([self.seed, EPOCH, epoch]), self.eligible(epoch)
        rounds = math.ceil(self.n / len(eligible))
        return np.concatenate([rng.permutation(eligible) for _ in range(rounds)])[: self.n].astype(np.int32)
