"""A guess at the broken phrase from the prompt alone: phrases of some kinds fail more often than others."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from tipai_jax.store import PHRASE_KINDS, PairTable, Store

__all__ = ["PhraseRates", "phrase_rates"]

COUNTS = 6
"""Greater counts share the last cell."""
WEIGHT = 5.0
"""So many phrases of the overall rate are added to those of each cell."""


class PhraseRates(NamedTuple):
    """How often a phrase of a rejected image is broken.

    Attributes:
        rate: by kind of phrase, its count, and the number of phrases of the prompt.
    """

    rate: Float[np.ndarray, "kinds counts phrases"]

    def __call__(self, store: Store, pairs: PairTable) -> Float[np.ndarray, "b 2 p"]:
        """The logit that each phrase is kept, the same for both images: neither is looked at."""
        rate = self.rate[_cells(store, pairs)]
        return np.repeat(np.log1p(-rate)[:, None] - np.log(rate)[:, None], 2, axis=1).astype(np.float32)


def _cells(store: Store, pairs: PairTable) -> tuple[Int[np.ndarray, "b p"], ...]:
    """Kind, count and number of phrases for each place of a phrase; a place without one has any kind."""
    phrase = store.prompts.phrase[pairs.prompt]
    kinds = np.array([PHRASE_KINDS.index(kind) for kind in store.phrases.kind.tolist()], np.int64)
    count = np.clip(store.prompts.phrase_count[pairs.prompt], 0, COUNTS).astype(np.int64)
    number = np.broadcast_to((phrase >= 0).sum(axis=1, keepdims=True), phrase.shape)
    return kinds[np.maximum(phrase, 0)], count, number


def phrase_rates(store: Store, train: PairTable) -> PhraseRates | None:
    """Fitted on the known phrases of the rejected images of the training split.

    Returns:
        The rates, those of rare cells drawn to the overall one; None where the data do not say which phrases are
        broken.
    """
    known = (train.phrase_label >= 0) & ~train.control[:, None]
    broken = train.phrase_label == 0
    if not known.any() or not broken[known].any():
        return None
    cells = tuple(each[known] for each in _cells(store, train))
    hits, seen = (np.zeros((len(PHRASE_KINDS), COUNTS + 1, train.phrase_label.shape[1] + 1)) for _ in range(2))
    np.add.at(hits, cells, broken[known] * 1.0)
    np.add.at(seen, cells, 1.0)
    overall = (hits.sum() + 1) / (seen.sum() + 2)
    return PhraseRates((hits + WEIGHT * overall) / (seen + WEIGHT))
