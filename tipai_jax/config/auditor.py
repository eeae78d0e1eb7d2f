"""What a run of the auditor chooses: its heads, the terms of its loss, and what is asked of it.
Defaults: the plan's."""

from dataclasses import MISSING, dataclass, field, fields
from typing import ClassVar, Literal

from tipai_jax.config.checks import check_kinds, is_number, is_whole, require, understands_old_names
from tipai_jax.config.schema import RunConfig, TargetFields, added, option_of, swept
from tipai_jax.errors import UserError
from tipai_jax.heads.inputs import InputFeatures

__all__ = ["AuditorConfig", "LossConfig", "ModelConfig", "TargetsConfig"]

OF_PLAN = ("hidden", "dropout", "global_inputs", "patch_inputs", "reason_inputs")
UNREAD = {"plan": ("width", "layers", "reads"), "phrases": OF_PLAN}
"""Heads -> fields of `ModelConfig` that only the other heads read."""


@understands_old_names
@dataclass(frozen=True)
class ModelConfig:
    """The heads over the frozen embeddings."""

    heads: Literal["plan", "phrases"] = added("plan")
    """The plan's separate heads on the prompt, or one transformer over the image, its patches and the prompt's phrases.
    """
    width: int = added(96)
    """Phrase heads: width of the tokens, a multiple of 4 (the attention heads)."""
    layers: int = added(2)
    """Phrase heads: transformer layers."""
    reads: Literal["both", "prompt", "image"] = added("both")
    """Phrase heads: what they may read. The matched ablations read the prompt or the image alone."""
    hidden: int = 256
    """Width of the hidden layer of every head."""
    dropout: float = 0.0
    """Share of hidden units dropped in training, 0 to below 1."""
    global_inputs: InputFeatures = field(default_factory=InputFeatures)
    """Input of the global head."""
    patch_inputs: InputFeatures = field(default_factory=InputFeatures)
    """Input of the patch head."""
    reason_inputs: InputFeatures = field(default_factory=lambda: InputFeatures(products=True, scale_inputs=True))
    """Input of the reason head, which the plan does not have: with products, for side by side it learns no more than
    what the prompt invites.
    """
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Operands of the products with the embeddings; bfloat16 is several times as fast on GPUs and on processors with
    matrix units (AMX).
    """

    def __post_init__(self) -> None:
        check_kinds(self, "model.")
        require(is_whole(self.width, 1) and self.width % 4 == 0, "model.width", self.width, "a positive multiple of 4")
        require(is_whole(self.layers, 1), "model.layers", self.layers, "a whole number from 1")
        require(is_whole(self.hidden, 1), "model.hidden", self.hidden, "a whole number from 1")
        require(is_number(self.dropout) and self.dropout < 1, "model.dropout", self.dropout, "0 <= dropout < 1")
        for each in fields(self):
            plain = each.default if each.default_factory is MISSING else each.default_factory()
            value = getattr(self, each.name)
            if each.name in UNREAD[self.heads] and value != plain:
                raise UserError(
                    f"config: model.{each.name} is {value}, but {option_of('model.heads')}={self.heads} does not read"
                    " it; leave it out, or take the other heads"
                )


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms (lambda 1 to 4 of the plan, and the reason head's) and what they are taken over."""

    pair: float = swept(1.0)
    """Weight of the ranking of the two images."""
    patch: float = swept(1.0)
    """Weight of the ranking of the patches at the same place."""
    faithfulness: float = swept(0.5)
    """Weight of the binary classification of the patches."""
    saliency: float = swept(0.1)
    """Weight of 1 - Dice of the risk map."""
    reason: float = swept(0.1)
    """Weight of the five categories. Not in the plan; the reason head shares no parameter with the others."""
    pointwise: float = added(0.0, swept=True)
    """Weight of the binary classification of the images: a score that means the same for every prompt. Not in the plan.
    """
    phrase: float = added(0.0, swept=True)
    """Weight of the binary classification of the phrases, where it is known which of them an image breaks. Not in the
    plan; needs model.heads=phrases.
    """
    unfaithful_weight: float = added(1.0)
    """Weight of an unfaithful patch in the classification of the patches; a faithful one weighs 1 (the plan: both)."""
    object_weight: float = added(1.0)
    """Weight of a faithful patch that shows an object, where the data say which objects their images show; one of the
    background weighs 1. What tells a wrong object from a right one is learned from these, not from the background.
    """
    score_space: Literal["probability", "logit"] = "probability"
    """The ranking losses compare sigmoid scores (the plan) or logits."""
    patch_over: Literal["all", "unfaithful"] = "all"
    """The patch ranking runs over all places (the plan) or those labelled unfaithful in the rejected image."""
    faithfulness_over: Literal["rejected", "both"] = "rejected"
    """The classification runs over the patches of the rejected image (the plan) or of both."""

    def __post_init__(self) -> None:
        check_kinds(self, "loss.")
        terms = ("pair", "patch", "faithfulness", "saliency", "reason", "pointwise", "phrase")
        for name in (*terms, "unfaithful_weight", "object_weight"):
            require(is_number(getattr(self, name)), f"loss.{name}", getattr(self, name), "a finite number from 0")


@understands_old_names
@dataclass(frozen=True)
class TargetsConfig(TargetFields):
    """What `tipai_jax.evaluate` asks of the run on the test split. The defaults are the plan's."""

    pair_auc: float = 0.85
    """Chosen above rejected, more often than this."""
    patch_pair_auc: float = 0.80
    """Faithful patch above unfaithful patch, more often than this."""
    category_roc_auc: float = 0.75
    """ROC-AUC of each of the five reasons, above this."""
    ece: float = 0.10
    """Expected calibration error of the calibrated score, below this."""
    auc_judd: float | None = None
    """AUC-Judd of the heatmaps, above this; none asks nothing (the plan)."""
    ablations_at_chance: bool = True
    """Ask that heads which read only the prompt or only the image do not tell a pair's images apart; switch it off for
    data that are known to have a shortcut.
    """
    beats_baselines: bool = False
    """Ask that the global pair AUC beats zero-shot cosine and the ridge probe, the paired interval above 0."""
    conformal: float | None = None
    """Coverage of the conformal prediction over images that keep and that break their prompt, each no further than this
    from any level it is measured at; none asks nothing (the plan).
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kinds(self, "targets.")
        for name in ("pair_auc", "patch_pair_auc", "category_roc_auc", "ece", "auc_judd", "conformal"):
            value = getattr(self, name)
            fine = (value is None and name in ("auc_judd", "conformal")) or is_number(value, high=1.0)
            require(fine, f"targets.{name}", value, "a number from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class AuditorConfig(RunConfig):
    """One training run of the auditor. The defaults are the plan's table of hyperparameters."""

    task: ClassVar[str] = "auditor"
    file: ClassVar[str] = "plan.py"

    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    targets: TargetsConfig = field(default_factory=TargetsConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss.phrase and self.model.heads != "phrases":
            raise UserError(
                f"config: loss.phrase is {self.loss.phrase}, but only heads that read phrases have that term; add"
                f" {option_of('model.heads')}=phrases or {option_of('loss.phrase')}=0"
            )
