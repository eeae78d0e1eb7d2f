"""The folder of one run while it is trained: its config, its log, its checkpoints, and how far it is.

WORKDIR/config.json  log.jsonl  checkpoints/  [tensorboard/]  [failed.txt]
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from tipai_jax.errors import UserError
from tipai_jax.files.atomic import write_file
from tipai_jax.parallel import processes
from tipai_jax.training.checkpoint import Checkpoints, Seal
from tipai_jax.training.metric_log import MetricLog
from tipai_jax.training.setup import Member, Setup
from tipai_jax.training.state import TrainState
from tipai_jax.training.step import NORMS

__all__ = ["FAILED", "FitResult", "RunDir"]

FAILED = "failed.txt"
"""In the folder of a member whose loss was not finite: where, and what."""


@dataclass(frozen=True)
class FitResult:
    """How a run ended.

    Attributes:
        status: "finished", "already finished" (nothing was trained), "interrupted" (saved; the same call goes on) or,
            in a sweep, "failed" (its loss was not finite).
        step: steps done.
        total_steps: steps of the whole run.
        best_step: step of the best checkpoint, None before the first validated one.
        best_score: its score on validation (`Task.select`).
        workdir: folder of the run.
        exit_code: 0; 2 if it failed; or 128 + the signal's number.
    """

    status: Literal["finished", "already finished", "interrupted", "failed"]
    step: int
    total_steps: int
    best_step: int | None
    best_score: float | None
    workdir: Path
    exit_code: int


class RunDir:
    """The folder of one run while it is trained: its config, its log, its checkpoints, and how far it is.

    Args:
        member: the run.
        last: its last checkpoint, if it was begun earlier.
        run: the setup that it belongs to.
        watched: its log is the one that reports progress.
    """

    def __init__(self, member: Member, last: Seal | None, run: Setup, *, watched: bool) -> None:
        self.member, self.run, self._last, self._watched = member, run, last, watched
        self.path = Path(member.config.workdir)
        self.name, self.alone = self.path.name, len(run.members) == 1
        self.checkpoints = Checkpoints(self.path)
        self.step = 0 if last is None else last.step
        self._saved, self._measured = last is not None, last is not None and last.score is not None
        marker = self.path / FAILED
        failed = marker.exists() and not self.alone
        self.failure: str | None = marker.read_text().strip() if failed else None
        text = json.dumps(member.record, indent=1) + "\n"
        resolved = self.path / "config.json"
        same = resolved.exists() and resolved.read_text(encoding="utf-8") == text
        if processes.first() and not same:  # of a finished run as well: its free fields may be new
            write_file(resolved, text.encode())

    @property
    def status(self) -> Literal["running", "finished", "failed"]:
        """Where the run stands; finished: all steps are done, and the last state was validated."""
        if self.failure is not None:
            return "failed"
        return "finished" if self.step >= self.run.total and self._measured else "running"

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.status == "finished"

    @property
    def ended(self) -> bool:
        """Whether this run needs no more steps: finished, or failed."""
        return self.status != "running"

    def restore(self, initial: TrainState) -> TrainState:
        """The state to go on from; a failed run has none, and stands for itself with the count -1,
        which no step has."""
        if self.status == "failed":
            return replace(initial, step=jnp.full_like(initial.step, -1))
        return initial if self._last is None else self.checkpoints.restore(self._last, initial)

    def open_log(self) -> MetricLog:
        """The log, without the lines beyond the step that is saved."""
        config = self.member.config.log
        self.log = MetricLog(
            self.path,
            config=config if self._watched else replace(config, progress=False),
            step=self.step,
            total_steps=self.run.total,
            steps_per_epoch=self.run.per_epoch,
            unit=self.run.task.unit,
            window=None if self._last is None else self._last.record["log"],
            writes=processes.first(),
        )
        return self.log

    def take(self, first: int, record: dict[str, np.ndarray], norms: dict[str, float]) -> None:
        """Check and log the figures of the steps from `first` on, as far as they are new; the norms are of the last of
        them.

        Raises:
            UserError: one of them is not finite, and this run is alone.
        """
        known = max(0, self.step - first)
        record = {name: values[known:] for name, values in record.items()}
        first += known
        if self.failure is not None or not len(record["loss"]):
            return
        ends = {name: np.append(np.zeros(len(record["loss"]) - 1), norm) for name, norm in norms.items()}
        finite = self._finite(record | ends, first + 1)
        if finite:
            order, steps = self.member.order, range(first, first + finite)
            figures = {name: values[:finite] for name, values in record.items()}
            examples = np.array([order.size(step) for step in steps])
            self.log.steps(
                first, figures, norms=norms, lr=self.member.hyper.lr[first : first + finite], examples=examples
            )
            self.step, self._saved, self._measured = first + finite, False, False

    def unmeasured(self, step: int) -> bool:
        """Whether this run stands at `step` and was not validated there."""
        return self.failure is None and self.step == step and not self._measured

    def stop(self, step: int, state: TrainState, figures: dict[str, float] | None) -> None:
        """Note the validation figures, if there are any and they are new, and save what was not saved."""
        if self.failure is not None or self.step != step:
            return
        if not self.unmeasured(step):
            figures = None
        if figures is not None and not self._finite(
            {name: np.asarray([value]) for name, value in figures.items()}, step, where="validation "
        ):
            return
        if figures is not None:
            self.log.validation(step, figures)
        if step and (figures is not None or not self._saved):
            self.log.flush()
            record = {**self.member.record, "log": self.log.state()}
            self.checkpoints.save(state, score=self.run.task.select(figures) if figures else None, record=record)
            self._saved = True
        self._measured |= figures is not None

    def _finite(self, record: dict[str, np.ndarray], first: int, *, where: str = "") -> int:
        """How many steps come before the first figure that is not finite; what that began with is named: terms, else
        their sum, else a norm.

        Raises:
            UserError: there is one, and this run is alone.
        """
        finite = np.asarray(np.stack([np.isfinite(values) for values in record.values()]).all(axis=0))
        if finite.all():
            return len(finite)
        at = int(np.argmin(finite))
        bad = {name: values[at] for name, values in record.items() if not np.isfinite(values[at])}
        terms = [name for name in self.member.terms if name in bad] or [
            name for name in ("loss", *NORMS) if name in bad
        ][:1]
        terms = terms or list(bad)[:1]
        what = " and ".join(name.replace("grad_norm", "gradient") for name in terms)
        message = (
            f"{self.path}: training stopped: at step {first + at} {where}{what} is {bad[terms[0]]}, not a finite"
            " number; nothing of it was saved. Lower optim.peak_lr or set optim.clip_norm, in another workdir; or look"
            f" for bad embeddings in {self.member.config.store}"
        )
        if self.alone:
            raise UserError(message)
        self.failure = message
        self.log.flush()
        if processes.first():
            write_file(self.path / FAILED, f"{message}\n".encode())
            print(message, file=sys.stderr, flush=True)
        return at

    def result(self, status: Any, exit_code: int) -> FitResult:
        """How this run ended."""
        best = self.checkpoints.best()
        return FitResult(
            status="failed" if self.failure is not None else status,
            step=self.step,
            total_steps=self.run.total,
            best_step=None if best is None else best.step,
            best_score=None if best is None else best.score,
            workdir=self.path,
            exit_code=2 if self.failure is not None else 0 if self.finished else exit_code,
        )
