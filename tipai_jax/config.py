"""Every choice a run can make, as frozen dataclasses that check themselves, and their way to JSON and back.

Owns the names, the defaults (those of the plan, `seeds/stage_a_auditor_scorer.md`), what is allowed, and which fields
must agree when a run goes on. Knows nothing of jax, of files or of the command line (`cli.py`), so that importing it
costs nothing.
"""

import dataclasses
import math
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from tipai_jax.errors import UserError
from tipai_jax.sees import Sees as SeesConfig

__all__ = [
    "FREE_FIELDS",
    "CheckpointConfig",
    "Config",
    "DataConfig",
    "LogConfig",
    "LossConfig",
    "ModelConfig",
    "OptimConfig",
    "SeesConfig",
    "TargetsConfig",
    "differences",
    "flatten",
    "from_json",
    "model_from_json",
    "to_json",
]

FREE_FIELDS = ("store", "workdir", "profile", "log", "targets")
"""Fields that may change when a run goes on: where things lie (the store is compared by digest), what is reported, and
what
is asked of the result."""


def _require(fine: bool, name: str, value: Any, allowed: str) -> None:
    if not fine:
        raise UserError(f"config: {name} is {value!r}; allowed is {allowed}")


def _number(value: Any, *, high: float = math.inf, open_low: bool = False) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return (value > 0 if open_low else value >= 0) and value <= high


def _whole(value: Any, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def _check_kinds(config: Any, room: str) -> None:
    """Choices and booleans are what they must be; a whole number where a float belongs becomes one."""
    for name, hint in typing.get_type_hints(type(config)).items():
        value = getattr(config, name)
        if typing.get_origin(hint) is Literal:
            choices = typing.get_args(hint)
            _require(value in choices, f"{room}{name}", value, " or ".join(map(repr, choices)))
        elif hint is bool:
            _require(isinstance(value, bool), f"{room}{name}", value, "true or false")
        elif (hint is float or float in typing.get_args(hint)) and type(value) is int:
            object.__setattr__(config, name, float(value))


@dataclass(frozen=True)
class ModelConfig:
    """The heads over the frozen embeddings."""

    hidden: int = 256
    """Width of the hidden layer of every head."""
    dropout: float = 0.0
    """Share of hidden units dropped in training, 0 to below 1."""
    global_sees: SeesConfig = field(default_factory=SeesConfig)
    """Input of the global head."""
    patch_sees: SeesConfig = field(default_factory=SeesConfig)
    """Input of the patch head."""
    reason_sees: SeesConfig = field(default_factory=lambda: SeesConfig(products=True, scale_inputs=True))
    """Input of the reason head, which the plan does not have: with products, for side by side it learns no more than
    what the prompt invites.
    """
    attention_width: int = 128
    """Width of the tokens of the attention layer, a multiple of 4 (its heads). Only used where a head asks for
    attention.
    """
    saliency: Literal["interpolate", "decoder"] = "interpolate"
    """Risk map: 1 - patch score (the plan), or a small trained decoder."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Operands of the products with the embeddings; bfloat16 is several times as fast on GPUs and on processors with
    matrix units (AMX).
    """

    def __post_init__(self) -> None:
        _check_kinds(self, "model.")
        _require(_whole(self.hidden, 1), "model.hidden", self.hidden, "a whole number from 1")
        _require(_number(self.dropout) and self.dropout < 1, "model.dropout", self.dropout, "0 <= dropout < 1")
        width = self.attention_width
        _require(_whole(width, 1) and width % 4 == 0, "model.attention_width", width, "a positive multiple of 4")
        for name, sees in (("global_sees", self.global_sees), ("reason_sees", self.reason_sees)):
            if (sees.global_image or sees.position) and not sees.attention:
                option = f"--model.{name.replace('_', '-')}.attention=True"
                raise UserError(f"config: model.{name}: global_image and position need attention there; add {option}")
        if len({sees for sees in (self.global_sees, self.patch_sees, self.reason_sees) if sees.attention}) > 1:
            raise UserError(
                "config: heads with attention must have equal settings; make model.global_sees, model.patch_sees and"
                " model.reason_sees the same, or switch attention off in those that differ"
            )


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms (lambda 1 to 4 of the plan, and the reason head's) and what they are taken over."""

    pair: float = 1.0
    """Weight of the ranking of the two images."""
    patch: float = 1.0
    """Weight of the ranking of the patches at the same place."""
    faithfulness: float = 0.5
    """Weight of the binary classification of the patches."""
    saliency: float = 0.1
    """Weight of 1 - Dice of the risk map."""
    reason: float = 0.1
    """Weight of the five categories. Not in the plan; the reason head shares no parameter with the others."""
    score_space: Literal["probability", "logit"] = "probability"
    """The ranking losses compare sigmoid scores (the plan) or logits."""
    patch_over: Literal["all", "unfaithful"] = "all"
    """The patch ranking runs over all places (the plan) or those labelled unfaithful in the rejected image."""
    faithfulness_over: Literal["rejected", "both"] = "rejected"
    """The classification runs over the patches of the rejected image (the plan) or of both."""

    def __post_init__(self) -> None:
        _check_kinds(self, "loss.")
        for name in ("pair", "patch", "faithfulness", "saliency", "reason"):
            _require(_number(getattr(self, name)), f"loss.{name}", getattr(self, name), "a finite number from 0")


@dataclass(frozen=True)
class OptimConfig:
    """AdamW."""

    peak_lr: float = 1e-4
    """Learning rate at the end of the warm-up."""
    weight_decay: float = 0.01
    """Decoupled decay, per unit of learning rate; biases, scales and position tables are left alone."""
    warmup_steps: int = 500
    """Steps of linear warm-up; must be shorter than the run."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: a half cosine to 0 at the last step, or constant."""
    clip_norm: float | None = None
    """Largest norm of the whole gradient; none leaves it alone (the plan)."""

    def __post_init__(self) -> None:
        _check_kinds(self, "optim.")
        _require(_number(self.peak_lr, open_low=True), "optim.peak_lr", self.peak_lr, "a finite number above 0")
        _require(_number(self.weight_decay), "optim.weight_decay", self.weight_decay, "a finite number from 0")
        _require(_whole(self.warmup_steps, 0), "optim.warmup_steps", self.warmup_steps, "a whole number from 0")
        clip = self.clip_norm
        _require(
            clip is None or _number(clip, open_low=True), "optim.clip_norm", clip, "none or a finite number above 0"
        )


@dataclass(frozen=True)
class DataConfig:
    """Which pairs come when, and where they wait."""

    batch_size: int = 32
    """Pairs in a step, over all devices together."""
    epochs: int = 20
    """An epoch is as many pair draws as the train split has pairs."""
    start_fraction: float = 0.5
    """Curriculum: the share of the pairs, those of the greatest |margin|, that the first epoch draws from."""
    full_at_epoch: int = 5
    """Curriculum: the first epoch (counted from 0) that draws from all pairs; the share grows linearly until then."""
    placement: Literal["auto", "resident", "streaming"] = "auto"
    """Embeddings on the device, or gathered batch by batch from the memory map; auto goes by size. Same numbers."""
    steps_per_dispatch: int = 16
    """Steps that the device runs on its own between two looks of the host."""

    def __post_init__(self) -> None:
        _check_kinds(self, "data.")
        for name in ("batch_size", "epochs", "steps_per_dispatch"):
            _require(_whole(getattr(self, name), 1), f"data.{name}", getattr(self, name), "a whole number from 1")
        fine = _number(self.start_fraction, high=1.0, open_low=True)
        _require(fine, "data.start_fraction", self.start_fraction, "0 < start_fraction <= 1")
        _require(_whole(self.full_at_epoch, 0), "data.full_at_epoch", self.full_at_epoch, "a whole number from 0")


@dataclass(frozen=True)
class CheckpointConfig:
    """When the run is measured on validation and saved. The best and the last state are kept."""

    every_epochs: int = 1
    """Epochs between two validations, each followed by a checkpoint; the end of the run is always one."""

    def __post_init__(self) -> None:
        _require(_whole(self.every_epochs, 1), "checkpoint.every_epochs", self.every_epochs, "a whole number from 1")


@dataclass(frozen=True)
class LogConfig:
    """What the run says while it runs; none of it changes a number."""

    every_steps: int = 50
    """Steps between two lines of log.jsonl; a line holds the means since the one before."""
    tensorboard: bool = False
    """Write TensorBoard files into WORKDIR/tensorboard as well."""
    progress: bool = True
    """A progress bar on a terminal, plain lines elsewhere; false for silence."""

    def __post_init__(self) -> None:
        _check_kinds(self, "log.")
        _require(_whole(self.every_steps, 1), "log.every_steps", self.every_steps, "a whole number from 1")


@dataclass(frozen=True)
class TargetsConfig:
    """What `tipai_jax.evaluate` asks of the run on the test split. The defaults are the plan's."""

    global_pair_auc: float = 0.85
    """Chosen above rejected, more often than this."""
    patch_pair_auc: float = 0.80
    """Faithful patch above unfaithful patch, more often than this."""
    category_roc_auc: float = 0.75
    """ROC-AUC of each of the five reasons, above this."""
    ece: float = 0.10
    """Expected calibration error of the calibrated score, below this."""
    auc_judd: float | None = None
    """AUC-Judd of the heatmaps, above this; none asks nothing (the plan)."""
    blind_at_chance: bool = True
    """Ask that heads shown only the prompt or only the image do not tell a pair's images apart; switch it off for data
    that are known to have a shortcut.
    """
    beats_baselines: bool = False
    """Ask that the global pair AUC beats zero-shot cosine and the ridge probe, the paired interval above 0."""
    conformal: float | None = None
    """Coverage of the conformal prediction over images that keep and that break their prompt, each no further than this
    from any level it is measured at; none asks nothing (the plan).
    """

    def __post_init__(self) -> None:
        _check_kinds(self, "targets.")
        for name in ("global_pair_auc", "patch_pair_auc", "category_roc_auc", "ece", "auc_judd", "conformal"):
            value = getattr(self, name)
            fine = (value is None and name in ("auc_judd", "conformal")) or _number(value, high=1.0)
            _require(fine, f"targets.{name}", value, "a number from 0 to 1")


@dataclass(frozen=True)
class Config:
    """One training run. The defaults are the plan's table."""

    store: str = "store/scenes"
    """Folder of the embeddings."""
    workdir: str = "runs/base"
    """Folder of the run: checkpoints, log.jsonl, config.json."""
    seed: int = 0
    """Seed of the first weights, of the order of the pairs and of dropout."""
    profile: str | None = None
    """FIRST:LAST writes a trace of these steps (counted from 0, widened to whole dispatches) into WORKDIR/profile."""
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    data: DataConfig = field(default_factory=DataConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    log: LogConfig = field(default_factory=LogConfig)
    targets: TargetsConfig = field(default_factory=TargetsConfig)

    def __post_init__(self) -> None:
        _require(isinstance(self.store, str) and bool(self.store), "store", self.store, "the path of a store")
        _require(isinstance(self.workdir, str) and bool(self.workdir), "workdir", self.workdir, "the path of a folder")
        _require(_whole(self.seed, 0) and self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 2**32 - 1")
        ends = self.profile.split(":") if isinstance(self.profile, str) else []
        fine = self.profile is None or (
            len(ends) == 2 and all(end.isdecimal() for end in ends) and int(ends[0]) <= int(ends[1])
        )
        _require(fine, "profile", self.profile, "none or FIRST:LAST, such as 10:20")


def to_json(config: Config) -> dict[str, Any]:
    """The resolved config as plain dicts, ready for `json.dumps`."""
    return dataclasses.asdict(config)


def from_json(record: dict[str, Any]) -> Config:
    """The config that `to_json` wrote; unknown names, wrong values and missing names but those of targets raise
    `UserError`.
    """
    return _build(Config, record, "")


def model_from_json(record: dict[str, Any]) -> ModelConfig:
    """The model's part of what `to_json` wrote; errors as `from_json`."""
    return _build(ModelConfig, record, "model.")


def _build(kind: type, record: Any, room: str) -> Any:
    _require(isinstance(record, dict), room or "the file", record, "a table of fields")
    hints = typing.get_type_hints(kind)
    if kind is TargetsConfig:  # what is asked for may grow; a run that was trained before asks what the default asks
        record = dataclasses.asdict(TargetsConfig()) | record
    for name in record.keys() ^ hints.keys():
        what = "an unknown field" if name in record else "a field that is missing"
        raise UserError(f"config: {room}{name} is {what}; this version knows {', '.join(sorted(hints))}")
    values = {}
    for name, hint in hints.items():
        if dataclasses.is_dataclass(hint):
            values[name] = _build(hint, record[name], f"{room}{name}.")
        else:
            values[name] = record[name]
    return kind(**values)


def flatten(record: dict[str, Any], room: str = "") -> dict[str, Any]:
    """Dotted names of the leaves of `to_json`'s answer, in order."""
    leaves: dict[str, Any] = {}
    for name, value in record.items():
        leaves.update(flatten(value, f"{room}{name}.") if isinstance(value, dict) else {f"{room}{name}": value})
    return leaves


def differences(old: Config, new: Config) -> list[str]:
    """`name: old -> new` for each field that differs and must not when a run goes on (see `FREE_FIELDS`)."""
    before, after = flatten(to_json(old)), flatten(to_json(new))
    fixed = [name for name in before if name.split(".")[0] not in FREE_FIELDS]
    return [f"{name}: {before[name]!r} -> {after[name]!r}" for name in fixed if before[name] != after[name]]
