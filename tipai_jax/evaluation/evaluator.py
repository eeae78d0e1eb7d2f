"""What an evaluation asks of a task: which figures, which targets, which images of examples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from tipai_jax.evaluation.inference import Run
from tipai_jax.evaluation.targets import Target
from tipai_jax.store import Store

__all__ = ["Evaluator", "Inputs"]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What an evaluation works on.

    Attributes:
        run: the trained run.
        training_store: the store it was trained from, or None where that is gone; calibration and baselines need it.
        store: the store that is evaluated on.
        split: train, validation, test or shift-NAME; with test go all shifted splits of the store.
        seed: of what intervals draw and of samples, such as those that baselines are fitted on.
        workdir: folder of the run, for calibration and baselines.
        baselines: measure the baselines too; never where the training store is gone.
        progress: called with what has just been done.
    """

    run: Run
    training_store: Store | None
    store: Store
    split: str
    seed: int
    workdir: Path
    baselines: bool
    progress: Callable[[str], None]


@runtime_checkable
class Evaluator(Protocol):
    """The evaluation of one task. An instance belongs to one evaluation."""

    def __init__(self, inputs: Inputs) -> None: ...

    def evaluate(self) -> dict[str, Any]:
        """The figures by name; "baselines" holds those of each baseline, where they are to be measured.

        Raises:
            UserError: the split is empty, or the heads give no finite numbers.
        """
        ...

    def draw(self, *, count: int, data: Path | None, sheets: Path, best_and_worst: Path) -> dict[str, Any]:
        """Draw examples.

        Args:
            count: how many go into the folder `sheets`.
            data: folder of the images, or None where that is not known.
            sheets: a folder, made if there is something to write.
            best_and_worst: folder of the best and the worst examples, for the report.

        Returns:
            "sheets", the names of the files in that folder, and "best_and_worst", what the record holds of the best and
            worst examples; {} for a task that draws none.
        """
        ...

    @staticmethod
    def targets(record: Mapping[str, Any], asked: Any) -> Sequence[Target]:
        """What is asked of the figures of a record, by the `targets` of the run's config."""
        ...

    @staticmethod
    def calibrated(run: Run, workdir: Path) -> bool:
        """Whether what an evaluation leaves beside its record is there and belongs to this checkpoint."""
        ...
