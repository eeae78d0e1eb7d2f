"""What every run chooses, whatever its task: store, folder, seed, optimiser, data, checkpoints, log.

Frozen dataclasses that check themselves. A task's own part stands in a file of its own (`auditor.py`), as a subclass
of `RunConfig`. No jax and no numpy here, so that importing a config costs nothing.
"""

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

from tipai_jax.config.checks import check_kinds, is_number, is_whole, require

__all__ = [
    "FREE_FIELDS",
    "Asked",
    "CheckpointConfig",
    "DataConfig",
    "LogConfig",
    "OptimConfig",
    "RunConfig",
    "TargetFields",
    "added",
    "asked_figures",
    "option_of",
    "swept",
]

FREE_FIELDS = ("store", "workdir", "profile", "log", "targets")
"""Fields that may change when a run goes on: where things lie (the store is compared by digest), what is reported, and
what is asked of the result."""


def swept(default: Any) -> Any:
    """A field that changes no shape, so that the members of a sweep may differ in it (`--sweep.FIELD A,B,C`)."""
    return field(default=default, metadata={"swept": True})


def added(default: Any, *, swept: bool = False) -> Any:
    """A field of a later version: a record that lacks it was made with its default."""
    return field(default=default, metadata={"swept": swept, "added": True})


def option_of(field: str) -> str:
    """The option of the command line that sets a field, given by its dotted name: `--optim.peak-lr`."""
    return f"--{field}".replace("_", "-")


@dataclass(frozen=True)
class OptimConfig:
    """AdamW."""

    peak_lr: float = swept(1e-4)
    """Learning rate at the end of the warm-up."""
    weight_decay: float = swept(0.01)
    """Decoupled decay, per unit of learning rate; biases, scales and position tables are left alone."""
    warmup_steps: int = swept(500)
    """Steps of linear warm-up; must be shorter than the run."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: a half cosine to 0 at the last step, or constant."""
    clip_norm: float | None = swept(None)
    """Largest norm of the whole gradient; none leaves it alone (the plan)."""

    def __post_init__(self) -> None:
        check_kinds(self, "optim.")
        require(is_number(self.peak_lr, open_low=True), "optim.peak_lr", self.peak_lr, "a finite number above 0")
        require(is_number(self.weight_decay), "optim.weight_decay", self.weight_decay, "a finite number from 0")
        require(is_whole(self.warmup_steps, 0), "optim.warmup_steps", self.warmup_steps, "a whole number from 0")
        clip = self.clip_norm
        require(
            clip is None or is_number(clip, open_low=True), "optim.clip_norm", clip, "none or a finite number above 0"
        )


@dataclass(frozen=True)
class DataConfig:
    """Which examples come when, and where they wait."""

    batch_size: int = 32
    """Examples in a step, over all devices together."""
    epochs: int = 20
    """An epoch draws as many examples as the train split has."""
    start_fraction: float = swept(0.5)
    """Curriculum: the share of the examples, the easiest first, that the first epoch draws from."""
    full_at_epoch: int = swept(5)
    """Curriculum: the first epoch (counted from 0) that draws from all examples; the share grows linearly until then.
    """
    placement: Literal["auto", "resident", "streaming"] = "auto"
    """Embeddings on the device, or gathered batch by batch from the memory map; auto goes by size. Same numbers."""
    steps_per_dispatch: int = 16
    """Steps that one dispatch runs on the device."""

    def __post_init__(self) -> None:
        check_kinds(self, "data.")
        for name in ("batch_size", "epochs", "steps_per_dispatch"):
            require(is_whole(getattr(self, name), 1), f"data.{name}", getattr(self, name), "a whole number from 1")
        fine = is_number(self.start_fraction, high=1.0, open_low=True)
        require(fine, "data.start_fraction", self.start_fraction, "0 < start_fraction <= 1")
        require(is_whole(self.full_at_epoch, 0), "data.full_at_epoch", self.full_at_epoch, "a whole number from 0")


@dataclass(frozen=True)
class CheckpointConfig:
    """When the run is measured on validation and saved. The best and the last state are kept."""

    every_epochs: int = 1
    """Epochs between two validations, each followed by a checkpoint; the end of the run is always one."""

    def __post_init__(self) -> None:
        require(is_whole(self.every_epochs, 1), "checkpoint.every_epochs", self.every_epochs, "a whole number from 1")


@dataclass(frozen=True)
class LogConfig:
    """What the run reports while it runs; none of it changes a figure."""

    every_steps: int = 50
    """Steps between two lines of log.jsonl; a line holds the means since the one before."""
    tensorboard: bool = False
    """Write TensorBoard files into WORKDIR/tensorboard as well."""
    progress: bool = True
    """A progress bar on a terminal, plain lines elsewhere; false for silence."""

    def __post_init__(self) -> None:
        check_kinds(self, "log.")
        require(is_whole(self.every_steps, 1), "log.every_steps", self.every_steps, "a whole number from 1")


@dataclass(frozen=True)
class TargetFields:
    """What is asked of the result; a task that asks something that is no figure alone adds fields.

    New ones may come: a run that was trained before they were there is asked for their defaults.
    """

    figures: str = ""
    """Figures of eval.json by name, separated by commas: "objects.auc > 0.92, shifts.*.objects.auc > 0.85"; a star
    stands for every name there, and "low of NAME > 0" asks the lower end of the interval.
    """

    def __post_init__(self) -> None:
        require(isinstance(self.figures, str), "targets.figures", self.figures, "a text")
        asked_figures(self.figures)


class Asked(NamedTuple):
    """A figure that is asked: its name, "<" or ">", the threshold, and whether the interval's lower end is meant."""

    key: str
    direction: str
    threshold: float
    low: bool


def asked_figures(text: str) -> list[Asked]:
    """The figures that `TargetFields.figures` asks.

    Raises:
        UserError: a part is not "NAME > NUMBER", "NAME < NUMBER" or one of these after "low of".
    """
    found = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        read = re.fullmatch(r"(low of )?([\w.*-]+) *([<>]) *(\d*\.?\d+)", part)
        require(read is not None, "targets.figures", part, 'NAME > NUMBER, as in "objects.auc > 0.92"')
        assert read is not None
        found.append(Asked(read[2], read[3], float(read[4]), bool(read[1])))
    return found


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training run of any task. A subclass adds what its task chooses, and says its `task` and `file`."""

    task: ClassVar[str] = ""
    """Name of the task, written into every record of the run."""
    file: ClassVar[str] = ""
    """The config file whose values are the defaults of this class."""

    store: str = "store/scenes"
    """Folder of the embeddings."""
    workdir: str = "runs/base"
    """Folder of the run: checkpoints, log.jsonl, config.json."""
    seed: int = 0
    """Seed of the first weights, of the order of the data and of dropout."""
    profile: str | None = None
    """FIRST:LAST writes a trace of these steps (counted from 0, widened to whole dispatches) into WORKDIR/profile."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    data: DataConfig = field(default_factory=DataConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    log: LogConfig = field(default_factory=LogConfig)
    targets: TargetFields = field(default_factory=TargetFields)

    def __post_init__(self) -> None:
        require(isinstance(self.store, str) and bool(self.store), "store", self.store, "the path of a store")
        require(isinstance(self.workdir, str) and bool(self.workdir), "workdir", self.workdir, "the path of a folder")
        require(is_whole(self.seed, 0) and self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 2**32 - 1")
        ends = self.profile.split(":") if isinstance(self.profile, str) else []
        fine = len(ends) == 2 and all(end.isdecimal() for end in ends) and int(ends[0]) <= int(ends[1])
        require(self.profile is None or fine, "profile", self.profile, "none or FIRST:LAST, such as 10:20")
