"""The seam between the loop and a task: what every task brings, and how it describes its figures.

The loop, the step, sweeps, checkpoints, logs, targets, tables and the report are written against this file alone.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.data.batches import Columns
from tipai_jax.data.pipeline import Order
from tipai_jax.metrics.sums import Collected, Sums
from tipai_jax.store import Fingerprint, Store

__all__ = ["FigureSpec", "Hyper", "Layout", "Schedules", "Section", "Task"]


@dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """How one figure of an evaluation is found in its record, and how it is shown; declared once by the task.

    Attributes:
        key: its place in the record, names joined by dots; `*` stands for every name found there.
        label: what a table calls it; `{}` takes the name that the star stood for.
        section: the section of the report that shows it, by its key.
        better: whether a higher or a lower value is better; "neither" where it says nothing of quality.
        format: of the value, as in an f-string.
        baselines: the baselines that it is shown of as well, by name.
        headline: whether it stands in summaries: the model card, the table of a sweep.
        plot: title of a plot of the values that the star stands for; "" for none.
        chance: what guessing earns, a dashed line in the plot; None where that is not known.
    """

    key: str
    label: str
    section: str
    better: Literal["higher", "lower", "neither"] = "higher"
    format: str = ".3f"
    baselines: tuple[str, ...] = ()
    headline: bool = False
    plot: str = ""
    chance: float | None = None


REPORT_SECTIONS = ("targets", "training", "gaps", "best_and_worst", "commands", "notes")
"""The keys of the sections that the report of every task has."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of the report.

    Attributes:
        key: as `FigureSpec.section` names it.
        title: its heading.
        text: what it shows, in a sentence or two.
        notes: explanations of the figures, each a sentence or more, set as footnotes.
    """

    key: str
    title: str
    text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the figures of a task are shown; it is written into the record, which so explains itself.

    Attributes:
        title: what was evaluated, for the head of the report.
        intervals: what the intervals of the figures are.
        sections: in their order.
        figures: in their order.
        baselines: name -> label.
        names: what to write for other names that a star of a figure's key stands for, where that is not the name.
        reference: the baseline that plots compare with, "" for none.
        reliability: the section that shows the reliability diagram, "" for none.
        positives: the share on the upright axis of that diagram, in words.
        best_and_worst: what the best and worst examples are, "" where none are shown.
    """

    title: str
    intervals: str
    sections: tuple[Section, ...]
    figures: tuple[FigureSpec, ...]
    baselines: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""
    reliability: str = ""
    positives: str = "share of positives"
    best_and_worst: str = ""

    def __post_init__(self) -> None:
        sections = [section.key for section in self.sections]
        assert len({*sections, *REPORT_SECTIONS}) == len(sections) + len(REPORT_SECTIONS), "two sections of one key"
        assert {figure.section for figure in self.figures} <= {*sections}, "a figure of no section"
        assert {name for figure in self.figures for name in figure.baselines} <= {*self.baselines}, "no such baseline"
        assert self.reference in ("", *self.baselines) and self.reliability in ("", *sections)

    def as_json(self) -> dict[str, Any]:
        """The layout as the record of an evaluation holds it."""
        return json.loads(json.dumps(asdict(self)))


@dataclass(frozen=True)
class Schedules:
    """The task's hyperparameters for every step of a run; what changes within a run and what a sweep varies alike.

    Attributes:
        weights: term of the loss -> its weight, f32[steps].
        extra: any other number that the losses read, f32[steps].
    """

    weights: Mapping[str, Float[np.ndarray, " steps"]]
    extra: Mapping[str, Float[np.ndarray, " steps"]] = field(default_factory=dict)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Hyper:
    """The hyperparameters of one step, scalars: `Schedules` at that step.

    Attributes:
        weights: term of the loss -> its weight. Only the terms that are in use are here; no other need be computed.
        extra: any other number that the losses read.
    """

    weights: dict[str, Any]
    extra: dict[str, Any]


@runtime_checkable
class Task(Protocol):
    """What the loop asks of a task. An instance belongs to one config (in a sweep, to that of the first member)."""

    name: str
    """As in the config and in every record."""
    unit: str
    """What an example is, in the plural: pairs, series, faces."""

    @property
    def random(self) -> bool:
        """Whether `forward` draws random numbers in training."""
        ...

    def columns(self, store: Store, split: str) -> Columns:
        """The columns of a split.

        Raises:
            UserError: there is nothing to train or to measure on.
        """
        ...

    def order(self, columns: Columns, config: Any) -> Order:
        """The order in which a run of this config meets the examples."""
        ...

    def build(self, encoder: Fingerprint, *, seed: int) -> nnx.Module:
        """The heads for the embeddings of an encoder, freshly initialised.

        Raises:
            UserError: heads and embeddings do not fit.
        """
        ...

    def frozen(self, path: str) -> bool:
        """Whether the parameter of this dotted name never moves."""
        ...

    def schedules(self, config: Any, *, steps: int) -> Schedules:
        """The task's hyperparameters for each step of a run of this config."""
        ...

    def forward(self, model: Any, batch: Any, *, key: Array | None) -> Any:
        """The heads' output for a batch; `key` is that of the step, or None in evaluation."""
        ...

    def losses(self, output: Any, batch: Any, hyper: Hyper) -> dict[str, Sums | Float[Array, ""]]:
        """Each term of `hyper.weights`: sums over the batch, or a scalar where a loss is no mean over examples."""
        ...

    def validation(self, output: Any, batch: Any) -> dict[str, Sums | Collected]:
        """The figures measured on the validation split during training."""
        ...

    def select(self, figures: Mapping[str, float]) -> float:
        """The score that decides which checkpoint is the best: of the validation figures, the higher the better."""
        ...

    def figures(self) -> Layout:
        """How the figures of the task are found in the record of an evaluation, and shown."""
        ...
