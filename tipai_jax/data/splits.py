"""The rows of a split, checked. Owns what a run refuses to start with; knows nothing of order or of batches."""

import numpy as np

from tipai_jax.errors import UserError
from tipai_jax.store import PairTable, Store

__all__ = ["split_pairs"]


def split_pairs(store: Store, split: str) -> PairTable:
    """The pairs of one split, in the order of the store.

    Args:
        store: an opened store.
        split: "train", "validation" or "test".

    Raises:
        UserError: the split has no pair, or none in which one image is better (controls alone teach no ranking).
    """
    pairs = store.pairs.select(np.flatnonzero(store.pairs.split == split))
    if not len(pairs.margin):
        there = ", ".join(sorted(set(store.pairs.split.tolist()))) or "nothing"
        mend = "embed more pairs, or set `split` in pairs.jsonl and embed again into a new --out"
        raise UserError(f"{store.path}: no pair in the split {split!r} (there: {there}); {mend}")
    if pairs.control.all():
        raise UserError(
            f"{store.path}: the split {split!r} holds controls only; it needs pairs of a better and a worse image"
        )
    return pairs
