"""The contract on disk between the frozen encoder and everything that learns from it.

A store holds every unique prompt and image once, as L2-normalised f16 rows, and the pairs as row numbers. It needs
numpy, pyarrow and safetensors only: neither jax nor torch.
"""

from tipai_jax.store.categories import (
    ALIASES,
    CATEGORIES,
    DIFFICULTIES,
    MOST_PHRASES,
    PHRASE_KINDS,
    SPLITS,
    category_index,
    is_split,
)
from tipai_jax.store.manifest import Fingerprint, Manifest, Plan, Shard
from tipai_jax.store.masks import box_mask, small_mask, small_masks
from tipai_jax.store.object_cells import object_cells, pair_rows_of_objects
from tipai_jax.store.pairs import Box, Boxes, PairTable
from tipai_jax.store.patches import label_cells, view_box
from tipai_jax.store.reader import Store, noted_folder, open_store
from tipai_jax.store.sharded_array import ShardedArray
from tipai_jax.store.tables import ImageTable, ObjectTable, PhraseTable, PromptTable, RejectTable

__all__ = [
    "ALIASES",
    "CATEGORIES",
    "DIFFICULTIES",
    "MOST_PHRASES",
    "PHRASE_KINDS",
    "SPLITS",
    "Box",
    "Boxes",
    "Fingerprint",
    "ImageTable",
    "Manifest",
    "ObjectTable",
    "PairTable",
    "PhraseTable",
    "Plan",
    "PromptTable",
    "RejectTable",
    "Shard",
    "ShardedArray",
    "Store",
    "box_mask",
    "category_index",
    "is_split",
    "label_cells",
    "noted_folder",
    "object_cells",
    "open_store",
    "pair_rows_of_objects",
    "small_mask",
    "small_masks",
    "view_box",
]
