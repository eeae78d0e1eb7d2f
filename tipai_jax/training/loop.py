"""The training loop: the one place where store, order, step, log and checkpoints meet.

The order of things is an invariant: **evaluate, checkpoint, next batch, dispatch, log the previous chunk**. While the
device runs a chunk of steps, the host prepares the next examples and reads the figures of the chunk before; it never
waits for the chunk it has just sent. Before a validation or a checkpoint the chunk in flight is read and checked, so no
state that came out of a NaN is ever measured or saved.

A chunk never crosses the end of an epoch, and always starts at a multiple of `steps_per_dispatch` within one; so a run
that was stopped between two chunks goes on with the very chunks it would have run.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax

from tipai_jax.config.schema import RunConfig
from tipai_jax.errors import UserError
from tipai_jax.files.lock import alone_in
from tipai_jax.parallel.processes import agreed, first
from tipai_jax.store import open_store
from tipai_jax.training.checkpoint import Checkpoints
from tipai_jax.training.interrupt import Interrupt
from tipai_jax.training.profile import Trace
from tipai_jax.training.resume import check_same_run
from tipai_jax.training.run_dir import FitResult, RunDir
from tipai_jax.training.setup import Setup
from tipai_jax.training.step import NORMS

__all__ = ["fit", "fit_members"]


def fit(config: RunConfig, *, quiet: bool = False) -> FitResult:
    """Train the heads of a config, or go on where an earlier call of the same config stopped.

    `quiet`: do not report that a finished run has nothing left to do.

    Writes into `config.workdir`: `config.json`, `log.jsonl`, `checkpoints/` and, if asked for, `tensorboard/`.

    Raises:
        UserError: the store or the config cannot be used, the workdir holds another run, or a loss is not finite (the
            line names step and term; the checkpoints before it are untouched).
    """
    return fit_members([config], quiet=quiet)[0]


def fit_members(configs: Sequence[RunConfig], *, quiet: bool = False) -> list[FitResult]:
    """Train one run, or the members of a sweep together, each into its own workdir as if it were alone; see `fit`.

    A member whose loss is not finite is named, keeps the checkpoints it has and stays as it is; the others go on. With
    the last of them the sweep stops.
    """
    store = open_store(Path(configs[0].store))
    with contextlib.ExitStack() as locks:
        for config in configs if first() else ():  # the first process holds them for all
            locks.enter_context(
                alone_in(Path(config.workdir), what="the folder of a run", doing="training", option="--workdir")
            )
        lasts = [Checkpoints(Path(config.workdir)).last() for config in configs]
        for config, last in zip(configs, lasts, strict=True):
            if last is not None:
                check_same_run(last, config, store)
        run = Setup(configs, store)
        folders = [
            RunDir(member, last, run, watched=not i)
            for i, (member, last) in enumerate(zip(run.members, lasts, strict=True))
        ]
        if all(folder.ended for folder in folders):
            _refuse_if_none_is_left(folders)
            if first() and not quiet:
                print(f"{_common(folders)}: finished, {run.total} steps are done; nothing to do", flush=True)
            return [folder.result("already finished", 0) for folder in folders]
        with Interrupt() as stop:
            _loop(run, folders, stop)
            return [
                folder.result("finished" if folder.finished else "interrupted", stop.exit_code) for folder in folders
            ]


def _loop(run: Setup, folders: list[RunDir], stop: Interrupt) -> None:
    """Run to the end, or to a signal. See the invariant at the top of the file."""
    state = run.placement.replicate(
        run.stack([folder.restore(each) for folder, each in zip(folders, run.unstack(run.initial), strict=True)])
    )
    step = min(folder.step for folder in folders if not folder.ended)
    with contextlib.ExitStack() as logs:
        for folder in folders:
            logs.enter_context(contextlib.closing(folder.open_log()))
        say = folders[0].log.say
        say(run.about + (f"; going on from step {step}" if step else ""))
        starts = run.chunk_starts(step)
        stream = run.source.chunks(lambda i: run.chunk(starts[i]), len(starts))
        sent: _Sent | None = None
        trace = Trace(_common(folders), run.config.profile)
        while True:
            halt = agreed(bool(stop))
            if halt or run.stops_at(step):
                _settle(sent, folders)
                sent = None
                due = run.stops_at(step) and any(folder.unmeasured(step) for folder in folders)
                figures = run.validate(state, step, stop) if due else None
                for i, (folder, each) in enumerate(zip(folders, run.unstack(state), strict=True)):
                    folder.stop(step, each, None if figures is None else figures[i])
                _refuse_if_none_is_left(folders)
                if figures is not None:
                    say(_summary(step, run, folders, figures))
                for folder in folders:
                    folder.log.restart_clock()
                halt = agreed(bool(stop))
            if halt or step == run.total:
                break
            trace.before(step, run.steps_from(step))
            with jax.transfer_guard("disallow"):
                elements, steps = next(stream)
                state, record = run.train(state, elements, steps)
            _settle(sent, folders)
            if sent is None:
                for folder in folders:
                    folder.log.restart_clock()  # compiling is not training
            sent = _Sent(step, run.steps_from(step), record)
            step += sent.count
            if trace.over(step):
                _settle(sent, folders)
                sent = None
                say(trace.close())
        trace.close()  # of a window that the run's end, or a signal, cut short
        if halt and not all(folder.ended for folder in folders):
            why = "another process was asked to stop" if stop.signal is None else stop.signal.name
            say(
                f"{why}: stopped and saved at step {step} of {run.total}; the same command goes on from there",
                always=True,
            )


def _summary(step: int, run: Setup, folders: list[RunDir], figures: list[dict[str, float]]) -> str:
    """What a validation found, in a line."""
    head = f"epoch {round(step / run.per_epoch, 6):g}, step {step}/{run.total}: validation"
    if len(folders) == 1:
        shown = {name: value for name, value in figures[0].items() if name == "loss" or name not in run.terms}
        return f"{head} {' '.join(f'{name} {value:.4f}' for name, value in shown.items())}"
    pairs = zip(folders, figures, strict=True)
    scores = {folder.name: run.task.select(each) for folder, each in pairs if folder.failure is None}
    best = max(scores, key=lambda name: scores[name])
    return f"{head} score {min(scores.values()):.4f} to {scores[best]:.4f} ({best})"


@dataclass(frozen=True)
class _Sent:
    """A chunk that is with the device: its first step, how many of its steps are real, and their figures to come (see
    `Steps.train`).
    """

    first: int
    count: int
    record: dict[str, jax.Array]


def _settle(sent: _Sent | None, folders: list[RunDir]) -> None:
    """Read the figures of a chunk, refuse what is not finite, log the rest."""
    if sent is None:
        return
    record = jax.device_get(sent.record)
    norms = {name: record.pop(name) for name in NORMS}
    record = {name: values[: sent.count] for name, values in record.items()}
    for i, folder in enumerate(folders):
        if len(folders) > 1:
            folder.take(
                sent.first,
                {name: values[:, i] for name, values in record.items()},
                {name: float(value[i]) for name, value in norms.items()},
            )
        else:
            folder.take(sent.first, record, {name: float(value) for name, value in norms.items()})
    _refuse_if_none_is_left(folders)


def _refuse_if_none_is_left(folders: list[RunDir]) -> None:
    """End a run or a sweep of which no member can go on; a `UserError` of one line."""
    if all(folder.failure is not None for folder in folders):
        every = "" if len(folders) == 1 else "every member failed, the first one: "
        raise UserError(f"{every}{folders[0].failure}")


def _common(folders: list[RunDir]) -> Path:
    """The folder of the run, or that of the whole sweep."""
    return folders[0].path if len(folders) == 1 else folders[0].path.parent
