"""A map of where objects are, right or wrong, without any prompt: what a heatmap reaches that only tells objects from
background.
"""

import numpy as np
from jaxtyping import Float, Int

from tipai_jax.store import PairTable, Store, label_cells

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
        Which pairs, and the risk: 1 where a cell would be unfaithful if every object were wrong (`store.label_cells`),
        0 elsewhere; None where no objects are known.
    """
    if not store.manifest.of_table("objects"):
        return None
    table, place = store.objects, {name: i for i, name in enumerate(pairs.pair_id)}
    of = np.array([place.get(name, -1) for name in store.pairs.pair_id], np.int64)[table.pair]
    mine = np.flatnonzero(of >= 0)
    which = np.unique(of[mine])
    if not len(which):
        return None
    image = 2 * np.searchsorted(which, of[mine]) + table.side[mine]
    order = np.argsort(image, kind="stable")
    boxes = np.stack([table.x1, table.y1, table.x2, table.y2], axis=1)[mine[order]]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(image, minlength=2 * len(which)))])
    labels = label_cells(boxes, np.zeros(len(boxes), bool), offsets=offsets, cells=cells)
    return which, (labels == 0).astype(np.float32).reshape(len(which), 2, -1)
