"""Which patches of an image show an object, by the rule that turns boxes into labels of patches."""

import numpy as np
from jaxtyping import Bool, Int

from tipai_jax.store.pairs import PairTable
from tipai_jax.store.patches import label_cells
from tipai_jax.store.reader import Store

__all__ = ["object_cells", "pair_rows_of_objects"]


def pair_rows_of_objects(store: Store, pairs: PairTable) -> Int[np.ndarray, " m"]:
    """The row in `pairs` of each object of the store, -1 for one of another pair.

    Raises:
        UserError: the data do not say which objects their images show.
    """
    place = {name: i for i, name in enumerate(pairs.pair_id)}
    return np.array([place.get(name, -1) for name in store.pairs.pair_id], np.int64)[store.objects.pair]


def object_cells(store: Store, pairs: PairTable, *, cells: int, right: bool = False) -> Bool[np.ndarray, "n 2 k"]:
    """Whether a cell would be unfaithful if every object were wrong (`label_cells`); False everywhere in the images of
    pairs whose data name no objects.

    Args:
        store: names the objects.
        pairs: of the store; the chosen image comes first.
        cells: along a side of the grid.
        right: only the objects that do not break the prompt.
    """
    size = (len(pairs), 2, cells * cells)
    if not store.manifest.of_table("objects"):
        return np.zeros(size, bool)
    table, row = store.objects, pair_rows_of_objects(store, pairs)
    mine = np.flatnonzero((row >= 0) & (table.wrong == 0) if right else row >= 0)
    image = 2 * row[mine] + table.side[mine]
    order = np.argsort(image, kind="stable")
    boxes = np.stack([table.x1, table.y1, table.x2, table.y2], axis=1)[mine[order]]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(image, minlength=2 * len(pairs)))])
    labels = label_cells(boxes, np.zeros(len(boxes), bool), offsets=offsets, cells=cells)
    return (labels == 0).reshape(size)
