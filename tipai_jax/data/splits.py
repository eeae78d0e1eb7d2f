"""Which examples belong to a split, checked."""

from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped

from tipai_jax.errors import UserError
from tipai_jax.store import SPLITS, Store

__all__ = ["examples_of_split", "shift_splits"]


def examples_of_split(splits: Shaped[np.ndarray, " n"], split: str, *, store: Path, unit: str) -> Int[np.ndarray, " m"]:
    """The examples that belong to a split, in the order of the table.

    Args:
        splits: the split of every example.
        split: "train", "validation", "test" or "shift-NAME".
        store: where the table lies, for the message.
        unit: what an example is, in the plural, for the message.

    Raises:
        UserError: there is none.
    """
    found = np.flatnonzero(splits == split)
    if not len(found):
        there = ", ".join(sorted(set(splits.tolist()))) or "nothing"
        mend = f"embed more {unit}, or set `split` in the data and embed again into a new --out"
        raise UserError(f"{store}: no {unit} in the split {split!r} (there: {there}); {mend}")
    return found


def shift_splits(store: Store) -> list[str]:
    """The splits of a store beside train, validation and test, in the order of their names: what is unlike training."""
    return sorted({*store.pairs.split.tolist()} - {*SPLITS})
