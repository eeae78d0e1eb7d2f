"""A map of where objects are, right or wrong, without any prompt: what a heatmap reaches that only tells objects from
background.
"""

import numpy as np
from jaxtyping import Float, Int

from tipai_jax.store import PairTable, Store, object_cells, pair_rows_of_objects

__all__ = ["object_mask"]


def object_mask(
    store: Store, pairs: PairTable, *, cells: int
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n 2 k"]] | None:
    """The risk of both images of the pairs whose objects are known.

    Args:
        store: names the objects, all of an image.
        pairs: of the store.
        cells: along a side of the map.

    Returns:
        Which pairs, and the risk: 1 where a cell would be unfaithful if every object were wrong
        (`store.object_cells`), 0 elsewhere; None where no objects are known.
    """
    if not store.manifest.of_table("objects"):
        return None
    row = pair_rows_of_objects(store, pairs)
    which = np.unique(row[row >= 0])
    if not len(which):
        return None
    return which, object_cells(store, pairs, cells=cells)[which].astype(np.float32)
