"""Which examples belong to a split, checked."""

from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped

from tipai_jax.errors import UserError

__all__ = ["examples_of_split"]


def examples_of_split(splits: Shaped[np.ndarray, " n"], split: str, *, store: Path, unit: str) -> Int[np.ndarray, " m"]:
    """The examples that belong to a split, in the order of the table.

    Args:
        splits: the split of every example.
        split: "train", "validation" or "test".
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
