"""The auditor as a task: pairs of images, its heads, its loss terms, and its cheap validation figure.

Which label feeds which loss, and what counts where:

- pair: every real pair with a better image (controls have none).
- patch: the same pairs, over the places whose labels are known; all of those, or the unfaithful ones.
- faithfulness: every known patch label, in the rejected image or in both; controls count, all their patches faithful.
  Unfaithful patches, and those of right objects, weigh as the config says.
- saliency: pairs with pixels to blame (not controls, not those whose only fault is something missing).
- reason: the categories that fail in the rejected image, where known, and none in the chosen one.
- pointwise: whether each image keeps its prompt, by the global logit; both images of a control do.
- phrase: whether each image keeps each phrase; the chosen one keeps all, and counts where the rejected one is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from tipai_jax.config.auditor import AuditorConfig, ModelConfig
from tipai_jax.data.batches import AnyArray, Columns
from tipai_jax.data.curriculum import CurriculumOrder
from tipai_jax.data.splits import examples_of_split
from tipai_jax.errors import UserError
from tipai_jax.heads.auditor_heads import AuditorHeads
from tipai_jax.heads.output import AuditorOutput
from tipai_jax.heads.phrase_heads import PhraseHeads, Phrases
from tipai_jax.losses import (
    dice_loss,
    faithfulness_loss,
    pair_loss,
    patch_loss,
    patch_positions,
    reason_loss,
    reduce,
    small_ones,
)
from tipai_jax.metrics.ranking import pair_wins
from tipai_jax.metrics.sums import Sums
from tipai_jax.store import MOST_PHRASES, PHRASE_KINDS, Fingerprint, PairTable, Store, object_cells, small_masks
from tipai_jax.tasks.auditor_layout import LAYOUT
from tipai_jax.tasks.task import Hyper, Layout, Schedules

__all__ = [
    "MASK_SIZE",
    "TERMS",
    "AuditorTask",
    "PairBatch",
    "PhrasePairBatch",
    "build_heads",
    "pair_columns",
    "pairs_of_split",
]

TERMS = ("pair", "patch", "faithfulness", "saliency", "reason", "pointwise", "phrase")
PHRASE_NUMBERS = ("phrase_count", "phrase_subject", "phrase_object")
MASK_SIZE = 224
"""Pixels of a side of the true mask that the saliency loss compares with, for every encoder."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PairBatch:
    """b pairs of a chosen (index 0) and a rejected (1) image for one prompt each. Every field is always there.

    Before a chunk is taken apart into steps there is one more axis in front (`*s`); on the host the arrays are numpy's.

    Attributes:
        text: prompt embedding, L2-normalised, as stored (f16).
        image: embedding of each image.
        patches: embeddings of its k patches, row-major from the top left.
        patch_label: 1 faithful, 0 unfaithful, -1 unknown.
        patch_object: whether the patch shows an object that does not break the prompt; False where none are known.
        mask: U^T m U of the rejected image's true mask m (`store.masks`).
        mask_area: pixels of m; 0 where no pixel is to blame.
        category: 1 if that category fails in the rejected image, 0 if not, -1 unknown.
        control: both images keep the prompt.
        valid: False for the padding of an uneven last batch, which counts nowhere.
        row: number of the pair in the split.
    """

    text: Float[AnyArray, "*s b d"]
    image: Float[AnyArray, "*s b 2 d"]
    patches: Float[AnyArray, "*s b 2 k d"]
    patch_label: Int[AnyArray, "*s b 2 k"]
    patch_object: Bool[AnyArray, "*s b 2 k"]
    mask: Float[AnyArray, "*s b k"]
    mask_area: Float[AnyArray, "*s b"]
    category: Int[AnyArray, "*s b 5"]
    control: Bool[AnyArray, "*s b"]
    valid: Bool[AnyArray, "*s b"]
    row: Int[AnyArray, "*s b"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PhrasePairBatch(PairBatch):
    """Pairs with the phrases of their prompts, p places each, for heads that read them.

    Attributes:
        phrase_text, phrase_bare, phrase_kind, phrase_count, phrase_subject, phrase_object, phrase_present: as in
            `heads.phrase_heads.Phrases`.
        phrase_label: 1 the rejected image keeps that phrase, 0 it breaks it, -1 unknown or no phrase.
    """

    phrase_text: Float[AnyArray, "*s b p d"]
    phrase_bare: Float[AnyArray, "*s b p d"]
    phrase_kind: Int[AnyArray, "*s b p"]
    phrase_count: Int[AnyArray, "*s b p"]
    phrase_subject: Int[AnyArray, "*s b p"]
    phrase_object: Int[AnyArray, "*s b p"]
    phrase_present: Bool[AnyArray, "*s b p"]
    phrase_label: Int[AnyArray, "*s b p"]

    @property
    def phrases(self) -> Phrases:
        """The phrases as the heads take them."""
        return Phrases(
            text=self.phrase_text,
            bare=self.phrase_bare,
            kind=self.phrase_kind,
            count=self.phrase_count,
            subject=self.phrase_subject,
            object=self.phrase_object,
            present=self.phrase_present,
        )


def build_heads(config: ModelConfig, *, d: int, k: int, seed: int) -> AuditorHeads | PhraseHeads:
    """The heads of a config for embeddings of width d and k patches, freshly initialised."""
    if config.heads == "phrases":
        return PhraseHeads(
            d,
            k=k,
            places=MOST_PHRASES,
            width=config.width,
            layers=config.layers,
            reads=config.reads,
            dtype=config.dtype,
            rngs=nnx.Rngs(seed),
        )
    return AuditorHeads(
        d,
        hidden=config.hidden,
        dropout=config.dropout,
        global_inputs=config.global_inputs,
        patch_inputs=config.patch_inputs,
        reason_inputs=config.reason_inputs,
        dtype=config.dtype,
        rngs=nnx.Rngs(seed),
    )


def pairs_of_split(store: Store, split: str) -> PairTable:
    """The pairs of one split, in the order of the store.

    Raises:
        UserError: the split has no pair, or none in which one image is better (controls alone teach no ranking).
    """
    pairs = store.pairs.select(examples_of_split(store.pairs.split, split, store=store.path, unit="pairs"))
    if pairs.control.all():
        better = "it needs pairs of a better and a worse image"
        raise UserError(f"{store.path}: the split {split!r} holds controls only; {better}")
    return pairs


def phrase_columns(store: Store, pairs: PairTable) -> dict[str, np.ndarray]:
    """The phrases of each pair's prompt without their embeddings, by the names of `PhrasePairBatch`; `phrase` holds
    their rows.

    Raises:
        UserError: the store was embedded by a version that knew no phrases.
    """
    kinds = np.array([PHRASE_KINDS.index(kind) for kind in store.phrases.kind], np.int8)
    of_pair = {name: getattr(store.prompts, name)[pairs.prompt] for name in ("phrase", *PHRASE_NUMBERS)}
    row, present = of_pair.pop("phrase"), store.prompts.phrase[pairs.prompt] >= 0
    row = np.maximum(row, 0)
    return {**of_pair, "phrase": row, "phrase_kind": kinds[row], "phrase_present": present}


def pair_columns(store: Store, pairs: PairTable, *, phrases: bool = False) -> Columns:
    """The columns of a table of pairs of this store, embeddings left on the disk; |margin| and controls for
    the order.

    Args:
        store: holds the embeddings.
        pairs: some pairs of it.
        phrases: with the phrases of the prompts.

    Raises:
        UserError: phrases are wanted, and the store has none.
    """
    boxes, cells = pairs.boxes, store.manifest.encoder.grid[0]
    where = {"xyxy": boxes.xyxy, "absent": boxes.absent, "offsets": boxes.offsets}
    mask, area = small_masks(**where, size=MASK_SIZE, cells=cells)
    images = np.stack([pairs.chosen, pairs.rejected], axis=1).astype(np.int32)
    tables = {"text": store.text, "image": store.image, "patches": store.patches}
    index = {"text": pairs.prompt.astype(np.int32), "image": images, "patches": images}
    more = {}
    if phrases:
        more = phrase_columns(store, pairs)
        tables |= {"phrase_text": store.phrase_text, "phrase_bare": store.phrase_bare}
        index |= dict.fromkeys(("phrase_text", "phrase_bare"), more.pop("phrase").astype(np.int32))
        more["phrase_label"] = pairs.phrase_label.astype(np.int8)
    return Columns(
        batch=PhrasePairBatch if phrases else PairBatch,
        tables=tables,
        table_of=tuple((name, name) for name in tables),
        index=index,
        values={
            **more,
            "patch_label": pairs.patch_label.astype(np.int8),
            "patch_object": object_cells(store, pairs, cells=cells, right=True),
            "mask": mask,
            "mask_area": area,
            "category": pairs.category.astype(np.int8),
            "control": pairs.control.astype(bool),
        },
        n=len(pairs),
        host={"ease": np.abs(pairs.margin.astype(np.float32)), "control": pairs.control.astype(bool)},
    )


@dataclass(frozen=True)
class AuditorTask:
    """Trains the auditor's heads on pairs; see `tipai_jax.tasks.task.Task`."""

    config: AuditorConfig

    name = "auditor"
    unit = "pairs"

    @property
    def random(self) -> bool:
        """Whether the heads drop hidden units in training."""
        return self.config.model.dropout > 0

    def columns(self, store: Store, split: str) -> Columns:
        """Prompts, images, patches and labels of the pairs; their |margin| and controls for the order."""
        return self.columns_of(store, pairs_of_split(store, split))

    def columns_of(self, store: Store, pairs: PairTable) -> Columns:
        """The columns of some pairs, with phrases where the heads read them."""
        return pair_columns(store, pairs, phrases=self.config.model.heads == "phrases")

    def order(self, columns: Columns, config: AuditorConfig) -> CurriculumOrder:
        """From pairs of a great |margin| to all of them; controls by a fixed shuffle, in the same share."""
        return CurriculumOrder(
            columns.host["ease"],
            columns.host["control"],
            batch_size=config.data.batch_size,
            seed=config.seed,
            start_fraction=config.data.start_fraction,
            full_at_epoch=config.data.full_at_epoch,
        )

    def build(self, encoder: Fingerprint, *, seed: int) -> AuditorHeads | PhraseHeads:
        """The heads, freshly initialised."""
        return build_heads(self.config.model, d=encoder.d, k=encoder.k, seed=seed)

    def frozen(self, path: str) -> bool:
        """Every parameter of the heads is trained."""
        return False

    def schedules(self, config: AuditorConfig, *, steps: int) -> Schedules:
        """The weights of the terms, the same in every step."""
        return Schedules({name: np.full(steps, getattr(config.loss, name)) for name in TERMS})

    def forward(self, model: Any, batch: PairBatch, *, key: Array | None) -> AuditorOutput:
        """The heads on a batch; `key` is that of the step, needed in training with dropout."""
        if isinstance(batch, PhrasePairBatch):
            return model(batch.text, batch.image, batch.patches, batch.phrases)
        rngs = None if key is None else nnx.Rngs(dropout=key)
        return model(batch.text, batch.image, batch.patches, rngs=rngs)

    def losses(self, output: AuditorOutput, batch: PairBatch, hyper: Hyper) -> dict[str, Sums | Float[Array, ""]]:
        """Each term in use as sums over the batch, to be merged over batches and divided once."""
        makers: dict[str, Any] = {
            "pair": self._pair,
            "patch": self._patch,
            "faithfulness": self._faithfulness,
            "saliency": self._saliency,
            "reason": self._reason,
            "pointwise": self._pointwise,
            "phrase": self._phrase,
        }
        return {name: makers[name](output, batch) for name in TERMS if name in hyper.weights}

    def validation(self, output: AuditorOutput, batch: PairBatch) -> dict[str, Sums]:
        """Global pair AUC: how often the chosen image scores higher, ties half, controls left out."""
        wins = jnp.asarray(pair_wins(output.global_logit[:, 0], output.global_logit[:, 1]))
        return {"global_pair_auc": reduce(wins, batch.valid & ~batch.control)}

    def select(self, figures: Mapping[str, float]) -> float:
        """Global pair AUC."""
        return figures["global_pair_auc"]

    def figures(self) -> Layout:
        """See `tipai_jax.tasks.auditor_layout`."""
        return LAYOUT

    def _scores(self, logit: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jax.nn.sigmoid(logit) if self.config.loss.score_space == "probability" else logit

    def _pair(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        score = self._scores(output.global_logit)
        return reduce(pair_loss(score[:, 0], score[:, 1]), batch.valid & ~batch.control)

    def _patch(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        score, known = self._scores(output.patch_logit), jnp.all(batch.patch_label >= 0, axis=1)
        over = patch_positions(batch.patch_label[:, 1], self.config.loss.patch_over) & known
        counts = batch.valid & ~batch.control & jnp.any(over, axis=-1)
        return reduce(patch_loss(score[:, 0], score[:, 1], over), counts)

    def _faithfulness(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        images = slice(1, 2) if self.config.loss.faithfulness_over == "rejected" else slice(0, 2)
        label = batch.patch_label[:, images]
        right = jnp.where(batch.patch_object[:, images], self.config.loss.object_weight, 1.0)
        weight = jnp.where(label == 0, self.config.loss.unfaithful_weight, right)
        counts = (label >= 0) & batch.valid[:, None, None]
        return reduce(faithfulness_loss(output.patch_logit[:, images], label), weight * counts)

    def _saliency(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        ones = jnp.asarray(small_ones((MASK_SIZE, MASK_SIZE), batch.mask.shape[-1]))
        loss = dice_loss(output.risk[:, 1], batch.mask, batch.mask_area, ones)
        return reduce(loss, batch.valid & (batch.mask_area > 0))

    def _reason(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        label = jnp.stack([jnp.zeros_like(batch.category), batch.category], axis=1)
        return reduce(reason_loss(output.reason_logit, label), (label >= 0) & batch.valid[:, None, None])

    def _pointwise(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        label = jnp.stack([jnp.ones_like(batch.control), batch.control], axis=1).astype(jnp.int8)
        counts = jnp.broadcast_to(batch.valid[:, None], label.shape)
        return reduce(faithfulness_loss(output.global_logit, label), counts)

    def _phrase(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        assert isinstance(batch, PhrasePairBatch) and output.phrase_logit is not None, "the config asks for phrases"
        label = batch.phrase_label
        label = jnp.stack([jnp.where(label < 0, label, 1), label], axis=1)  # else chosen images teach "all is well"
        return reduce(faithfulness_loss(output.phrase_logit, label), (label >= 0) & batch.valid[:, None, None])
