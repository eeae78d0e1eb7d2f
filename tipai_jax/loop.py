"""The training loop: the one place where store, order, step, log and checkpoints meet.

Owns the order of things, an invariant: **evaluate, checkpoint, next batch, dispatch, log the previous chunk**. While
    the
device runs a chunk of steps, the host prepares the next rows and reads the figures of the chunk before; it never waits
for the chunk it has just sent. Before a validation or a checkpoint the chunk in flight is read and checked, so no state
that came out of a NaN is ever measured or saved.

A chunk never crosses the end of an epoch, and always starts at a multiple of `steps_per_dispatch` within one; so a run
that was stopped between two chunks goes on with the very chunks it would have run.

Knows nothing of what the task computes.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax

from tipai_jax.checkpoint import Checkpoints
from tipai_jax.config import Config
from tipai_jax.errors import UserError
from tipai_jax.interrupt import Interrupt
from tipai_jax.lock import alone_in
from tipai_jax.processes import agreed, first
from tipai_jax.run_folder import SCORE, FitResult, RunFolder, check_same_run
from tipai_jax.run_setup import Setup
from tipai_jax.store import open_store
from tipai_jax.trace import Trace
from tipai_jax.train_step import NORMS

__all__ = ["fit", "fit_members"]


def fit(config: Config) -> FitResult:
    """Train the heads of a config, or go on where an earlier call of the same config stopped.

    Writes into `config.workdir`: `config.json`, `log.jsonl`, `checkpoints/` and, if asked for, `tensorboard/`.

    Raises:
        UserError: the store or the config cannot be used, the workdir holds another run, or a loss is not finite (the
            line names step and term; the checkpoints before it are untouched).
    """
    return fit_members([config])[0]


def fit_members(configs: Sequence[Config]) -> list[FitResult]:
    """Train one run, or the members of a sweep together, each into its own workdir as if it were alone; see `fit`.

    A member whose loss is not finite is named, keeps the checkpoints it has and stays as it is; the others go on. With
    the last of
    them the sweep stops.
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
            RunFolder(member, last, run, watched=not i)
            for i, (member, last) in enumerate(zip(run.members, lasts, strict=True))
        ]
        if all(folder.ended for folder in folders):
            if not any(folder.finished for folder in folders):
                raise UserError(
                    f"{folders[0].failure}"
                    if len(folders) == 1
                    else f"every member failed, the first one: {folders[0].failure}"
                )
            say = print if first() else lambda *_, **__: None
            say(f"{_common(folders)}: finished, {run.total} steps are done; nothing to do", flush=True)
            return [folder.result("already finished", 0) for folder in folders]
        with Interrupt() as stop:
            _loop(run, folders, stop)
            return [
                folder.result("finished" if folder.finished else "interrupted", stop.exit_code) for folder in folders
            ]


def _loop(run: Setup, folders: list[RunFolder], stop: Interrupt) -> None:
    """Run to the end, or to a signal. See the invariant at the top of the file."""
    state = run.placement.copy(
        run.stack([folder.restore(each) for folder, each in zip(folders, run.unstack(run.initial), strict=True)])
    )
    step = min(folder.step for folder in folders if not folder.ended)
    with contextlib.ExitStack() as logs:
        for folder in folders:
            logs.enter_context(contextlib.closing(folder.open_log()))
        say = folders[0].log.say
        say(run.about + (f"; going on from step {step}" if step else ""))
        starts = run.firsts(step)
        stream = run.source.chunks(lambda i: run.plan(starts[i]), len(starts))
        sent: _Sent | None = None
        trace = Trace(_common(folders), run.config.profile)
        while True:
            halt = agreed(bool(stop))
            if halt or run.stops_at(step):
                sent = _settle(sent, folders)
                due = run.stops_at(step) and any(folder.unmeasured(step) for folder in folders)
                figures = run.validate(state.params, stop) if due else None
                for i, (folder, each) in enumerate(zip(folders, run.unstack(state), strict=True)):
                    folder.stop(step, each, None if figures is None else figures[i])
                if figures is not None:
                    say(_told(step, run, folders, figures))
                for folder in folders:
                    folder.log.restart_clock()
                halt = agreed(bool(stop))
            if halt or step == run.total:
                break
            trace.before(step, run.steps_from(step))
            with jax.transfer_guard("disallow"):
                elements, numbers = next(stream)
                state, record = run.train(state, elements, numbers)
            _settle(sent, folders)
            if sent is None:
                for folder in folders:
                    folder.log.restart_clock()  # compiling is not training
            sent = _Sent(step, run.steps_from(step), record)
            step += sent.count
            if trace.over(step):
                sent = _settle(sent, folders)
                say(trace.close())
        trace.close()  # of a window that the run's end, or a signal, cut short
        if halt and not all(folder.ended for folder in folders):
            why = "another process was told to stop" if stop.signal is None else stop.signal.name
            say(
                f"{why}: stopped and saved at step {step} of {run.total}; the same command goes on from there",
                always=True,
            )


def _told(step: int, run: Setup, folders: list[RunFolder], figures: list[dict[str, float]]) -> str:
    """What a validation found, in a line."""
    head = f"epoch {round(step / run.per_epoch, 6):g}, step {step}/{run.total}: validation"
    if len(folders) == 1:
        return f"{head} loss {figures[0]['loss']:.4f} {SCORE} {figures[0][SCORE]:.4f}"
    scores = {folder.name: each[SCORE] for folder, each in zip(folders, figures, strict=True) if folder.failure is None}
    best = max(scores, key=lambda name: scores[name])
    return f"{head} {SCORE} {min(scores.values()):.4f} to {scores[best]:.4f} ({best})"


@dataclass(frozen=True)
class _Sent:
    """A chunk that is with the device: its first step, how many of its steps are real, and their figures to come (see
    `Steps.train`).
    """

    first: int
    count: int
    record: dict[str, jax.Array]


def _settle(sent: _Sent | None, folders: list[RunFolder]) -> None:
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
    if all(folder.failure is not None for folder in folders):
        raise UserError(f"every member failed, the first one: {folders[0].failure}")


def _common(folders: list[RunFolder]) -> Path:
    """The folder of the run, or that of the whole sweep."""
    return folders[0].path if len(folders) == 1 else folders[0].path.parent
