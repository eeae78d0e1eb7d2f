"""The auditor as a task: its heads, its five loss terms on a batch of pairs, and its cheap validation figure.

Owns which label feeds which loss and what counts where:

- pair: every real pair with a better image (controls have none).
- patch: the same pairs, over the places whose labels are known; all of those, or the unfaithful ones.
- faithfulness: every known patch label, in the rejected image or in both; controls count, all their patches faithful.
- saliency: pairs with pixels to blame (not controls, not those whose only fault is something missing).
- reason: the categories that fail in the rejected image, where known, and none in the chosen one.

Knows nothing of optimisers, devices or steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.config import LossConfig, ModelConfig
from tipai_jax.data.batches import MASK_SIZE, PairBatch
from tipai_jax.heads.auditor_heads import AuditorHeads, AuditorOutput
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

__all__ = ["TERMS", "AuditorTask", "build_heads"]

TERMS = ("pair", "patch", "faithfulness", "saliency", "reason")


def build_heads(config: ModelConfig, *, d: int, k: int, seed: int) -> AuditorHeads:
    """The heads of a config for embeddings of width d and k patches, freshly initialised.

    Raises:
        UserError: the config asks for a square grid of patches, and k is none.
    """
    return AuditorHeads(
        d,
        k=k,
        hidden=config.hidden,
        dropout=config.dropout,
        global_sees=config.global_sees,
        patch_sees=config.patch_sees,
        reason_sees=config.reason_sees,
        saliency=config.saliency,
        attention_width=config.attention_width,
        dtype=config.dtype,
        rngs=nnx.Rngs(seed),
    )


@dataclass(frozen=True)
class AuditorTask:
    """What the loop asks of a task.

    Args:
        loss: weights and variants of the terms. A term of weight 0 is not computed.
    """

    loss: LossConfig

    @property
    def terms(self) -> dict[str, float]:
        """The terms in use and their weights."""
        weights = {name: float(getattr(self.loss, name)) for name in TERMS}
        return {name: weight for name, weight in weights.items() if weight > 0}

    def forward(self, model: AuditorHeads, batch: PairBatch, *, dropout: Array | None = None) -> AuditorOutput:
        """The heads on a batch; `dropout` is the key of the step, needed in training with dropout."""
        rngs = None if dropout is None else nnx.Rngs(dropout=dropout)
        return model(batch.text, batch.image, batch.patches, rngs=rngs)

    def losses(self, output: AuditorOutput, batch: PairBatch) -> dict[str, Sums]:
        """Each term in use as sums over the batch, to be merged over batches and divided once."""
        makers: dict[str, Any] = {
            "pair": self._pair,
            "patch": self._patch,
            "faithfulness": self._faithfulness,
            "saliency": self._saliency,
            "reason": self._reason,
        }
        return {name: makers[name](output, batch) for name in self.terms}

    def total(self, sums: dict[str, Sums], weights: Mapping[str, Any] | None = None) -> Float[Array, ""]:
        """L_A: the weighted sum of the means of the terms; `weights` of those in use, if they are not the config's (in
        a sweep).
        """
        weights = self.terms if weights is None else weights
        return sum((weights[name] * sums[name].mean for name in self.terms), start=jnp.zeros(()))

    def validation(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        """Global pair AUC: how often the chosen image scores higher, ties half, controls left out."""
        return reduce(pair_wins(output.global_logit[:, 0], output.global_logit[:, 1]), batch.valid & ~batch.control)

    def _scores(self, logit: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jax.nn.sigmoid(logit) if self.loss.score_space == "probability" else logit

    def _pair(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        score = self._scores(output.global_logit)
        return reduce(pair_loss(score[:, 0], score[:, 1]), batch.valid & ~batch.control)

    def _patch(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        score, known = self._scores(output.patch_logit), jnp.all(batch.patch_label >= 0, axis=1)
        over = patch_positions(batch.patch_label[:, 1], self.loss.patch_over) & known
        counts = batch.valid & ~batch.control & jnp.any(over, axis=-1)
        return reduce(patch_loss(score[:, 0], score[:, 1], over), counts)

    def _faithfulness(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        images = slice(1, 2) if self.loss.faithfulness_over == "rejected" else slice(0, 2)
        label = batch.patch_label[:, images]
        return reduce(
            faithfulness_loss(output.patch_logit[:, images], label), (label >= 0) & batch.valid[:, None, None]
        )

    def _saliency(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        ones = jnp.asarray(small_ones((MASK_SIZE, MASK_SIZE), batch.mask.shape[-1]))
        loss = dice_loss(output.risk[:, 1], batch.mask, batch.mask_area, ones)
        return reduce(loss, batch.valid & (batch.mask_area > 0))

    def _reason(self, output: AuditorOutput, batch: PairBatch) -> Sums:
        label = jnp.stack([jnp.zeros_like(batch.category), batch.category], axis=1)
        return reduce(reason_loss(output.reason_logit, label), (label >= 0) & batch.valid[:, None, None])
