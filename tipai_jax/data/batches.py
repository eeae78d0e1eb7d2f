"""The batch of pairs, and the two ways of gathering one: on the device by index, or on the host from the memory map.

Owns the shape of a batch and which column feeds which field. Knows nothing of the order of rows (`curriculum.py`), of
when a batch is made (`pipeline.py`) or of what becomes of it.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from tipai_jax.store import PairTable, Store, small_masks

__all__ = ["MASK_SIZE", "PairBatch", "PairColumns", "gather", "host_columns"]

AnyArray = Array | np.ndarray

MASK_SIZE = 224
"""Pixels of a side of the true mask that the saliency loss compares with, for every encoder."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PairBatch:
    """b pairs of a chosen (index 0) and a rejected (1) image for one prompt each. Every field is always there.

    Before a chunk is cut into steps there is one more axis in front (`*s`), and on the host the arrays are numpy's.

    Attributes:
        text: prompt embedding, L2-normalised, as stored (f16).
        image: embedding of each image.
        patches: embeddings of its k patches, row-major from the top left.
        patch_label: 1 faithful, 0 unfaithful, -1 unknown.
        mask: U^T m U of the rejected image's true mask m (`store.masks`).
        mask_area: pixels of m; 0 where no pixel is to blame.
        category: 1 if that category fails in the rejected image, 0 if not, -1 unknown.
        margin: chosen score - rejected score; 0 for a control.
        control: both images keep the prompt.
        valid: False for the padding of an uneven last batch, which counts nowhere.
        row: number of the pair in the table that was batched.
    """

    text: Float[AnyArray, "*s b d"]
    image: Float[AnyArray, "*s b 2 d"]
    patches: Float[AnyArray, "*s b 2 k d"]
    patch_label: Int[AnyArray, "*s b 2 k"]
    mask: Float[AnyArray, "*s b k"]
    mask_area: Float[AnyArray, "*s b"]
    category: Int[AnyArray, "*s b 5"]
    margin: Float[AnyArray, "*s b"]
    control: Bool[AnyArray, "*s b"]
    valid: Bool[AnyArray, "*s b"]
    row: Int[AnyArray, "*s b"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PairColumns:
    """All pairs of a table as columns, and the tables of embeddings that they point into.

    On the device the embeddings are arrays; on the host they are the store's `Rows` over the memory map.
    `prompt` is a row of `text`, `picture` two rows of `image` and `patches`; the rest is as in `PairBatch`.
    """

    text: Any
    image: Any
    patches: Any
    prompt: Int[AnyArray, " n"]
    picture: Int[AnyArray, "n 2"]
    patch_label: Int[AnyArray, "n 2 k"]
    mask: Float[AnyArray, "n k"]
    mask_area: Float[AnyArray, " n"]
    category: Int[AnyArray, "n 5"]
    margin: Float[AnyArray, " n"]
    control: Bool[AnyArray, " n"]


def host_columns(store: Store, pairs: PairTable) -> PairColumns:
    """The columns of a table of pairs of this store, embeddings left on the disk."""
    boxes = pairs.boxes
    cells = store.manifest.encoder.grid[0]
    mask, area = small_masks(xyxy=boxes.xyxy, absent=boxes.absent, offsets=boxes.offsets, size=MASK_SIZE, cells=cells)
    return PairColumns(
        text=store.text,
        image=store.image,
        patches=store.patches,
        prompt=pairs.prompt.astype(np.int32),
        picture=np.stack([pairs.chosen, pairs.rejected], axis=1).astype(np.int32),
        patch_label=pairs.patch_label.astype(np.int8),
        mask=mask,
        mask_area=area,
        category=pairs.category.astype(np.int8),
        margin=pairs.margin.astype(np.float32),
        control=pairs.control.astype(bool),
    )


def gather(columns: PairColumns, row: Int[AnyArray, "*s b"], valid: Bool[AnyArray, "*s b"]) -> PairBatch:
    """The batch of these rows: inside jit from columns on the device, outside from columns on the host."""
    picture = columns.picture[row]
    return PairBatch(
        text=_take(columns.text, columns.prompt[row]),
        image=_take(columns.image, picture),
        patches=_take(columns.patches, picture),
        patch_label=columns.patch_label[row],
        mask=columns.mask[row],
        mask_area=columns.mask_area[row],
        category=columns.category[row],
        margin=columns.margin[row],
        control=columns.control[row],
        valid=valid,
        row=row,
    )


def _take(table: Any, rows: Any) -> Any:
    return table[rows] if isinstance(table, jax.Array) else table.take(rows)
