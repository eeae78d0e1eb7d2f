"""The training loop: the one place where store, order, step, log and checkpoints meet.

Owns the order of things, an invariant: **evaluate, checkpoint, next batch, dispatch, log the previous chunk**. While the
device runs a chunk of steps, the host prepares the next rows and reads the figures of the chunk before; it never waits
for the chunk it has just sent. Before a validation or a checkpoint the chunk in flight is read and checked, so no state
that came out of a NaN is ever measured or saved.

A chunk never crosses the end of an epoch, and always starts at a multiple of `steps_per_dispatch` within one; so a run
that was stopped between two chunks goes on with the very chunks it would have run.

Knows nothing of what the task computes.
"""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from tipai_jax.checkpoint import Checkpoints, Seal
from tipai_jax.config import Config, differences, from_json
from tipai_jax.errors import UserError
from tipai_jax.interrupt import Interrupt
from tipai_jax.run_log import RunLog
from tipai_jax.run_setup import Setup
from tipai_jax.store import Store, open_store
from tipai_jax.store.durable import write_file
from tipai_jax.train_step import NORMS

__all__ = ["FitResult", "fit"]

SCORE = "global_pair_auc"


@dataclass(frozen=True)
class FitResult:
    """How a run ended.

    Attributes:
        status: "finished", "already finished" (nothing was trained) or "interrupted" (saved; the same call goes on).
        step: steps done.
        total_steps: steps of the whole run.
        best_step: step of the best checkpoint, None before the first validated one.
        best_score: its global pair AUC on validation.
        workdir: folder of the run.
        exit_code: 0, or 128 + the signal's number.
    """

    status: Literal["finished", "already finished", "interrupted"]
    step: int
    total_steps: int
    best_step: int | None
    best_score: float | None
    workdir: Path
    exit_code: int


def fit(config: Config) -> FitResult:
    """Train the heads of a config, or go on where an earlier call of the same config stopped.

    Writes into `config.workdir`: `config.json`, `log.jsonl`, `checkpoints/` and, if asked for, `tensorboard/`.

    Raises:
        UserError: the store or the config cannot be used, the workdir holds another run, or a loss is not finite (the
            line names step and term; the checkpoints before it are untouched).
    """
    store = open_store(Path(config.store))
    workdir = Path(config.workdir)
    with _alone_in(workdir):
        checkpoints = Checkpoints(workdir)
        last = checkpoints.last()
        if last is not None:
            _check_same_run(last, config, store)
        run = Setup(config, store)
        text = json.dumps({"config": run.record["config"], "store": run.record["store"]}, indent=1) + "\n"
        resolved = workdir / "config.json"
        if not resolved.exists() or resolved.read_text(encoding="utf-8") != text:  # of a finished run as well: its free fields may be new
            write_file(resolved, text.encode())
        if _finished(last, run):
            print(f"{workdir}: finished, {run.total} steps are done; nothing to do", flush=True)
            return _result(run, checkpoints, status="already finished", step=run.total, exit_code=0)
        with Interrupt() as stop:
            step = _loop(run, checkpoints, last, stop)
            status: Any = "finished" if _finished(checkpoints.last(), run) else "interrupted"
            return _result(run, checkpoints, status=status, step=step, exit_code=stop.exit_code if status == "interrupted" else 0)


def _finished(last: Seal | None, run: Setup) -> bool:
    """Whether nothing is left to do: all steps are done, and the last state was validated."""
    return last is not None and last.step >= run.total and last.score is not None


def _loop(run: Setup, checkpoints: Checkpoints, last: Seal | None, stop: Interrupt) -> int:
    """Run to the end, or to a signal; returns the steps done. See the invariant at the top of the file."""
    state = run.initial if last is None else checkpoints.restore(last, run.initial)
    step = 0 if last is None else last.step
    saved, measured = last is not None, last is not None and last.score is not None
    log = RunLog(
        run.workdir,
        config=run.config.log,
        step=step,
        total_steps=run.total,
        steps_per_epoch=run.per_epoch,
        window=None if last is None else last.record["log"],
    )
    with contextlib.closing(log):
        log.say(run.about + (f"; going on from step {step}" if step else ""))
        starts = run.firsts(step)
        stream = run.source.chunks(lambda i: run.plan(starts[i]), len(starts))
        sent: _Sent | None = None
        while True:
            if stop or run.stops_at(step):
                sent = _settle(sent, run, log)
                figures = None
                if run.stops_at(step) and not measured:
                    figures = run.validate(state.params, stop)
                    measured = figures is not None
                if figures is not None:
                    _check_finite({name: np.asarray([value]) for name, value in figures.items()}, step, run, where="validation ")
                    log.validation(step, figures)
                if step and (figures is not None or not saved):
                    log.flush()
                    checkpoints.save(state, score=figures[SCORE] if figures else None, record={**run.record, "log": log.state()})
                log.restart_clock()
            if stop or step == run.total:
                break
            with jax.transfer_guard("disallow"):
                elements, live = next(stream)
                state, record = run.steps.train(state, run.source.columns, elements, live)
            _settle(sent, run, log)
            if sent is None:
                log.restart_clock()  # compiling is not training
            sent = _Sent(step, run.steps_from(step), record)
            step += sent.count
            saved = measured = False
        if stop.signal is not None and not (step == run.total and measured):
            log.say(
                f"{stop.signal.name}: stopped and saved at step {step} of {run.total}; the same command goes on from there", always=True
            )
    return step


@dataclass(frozen=True)
class _Sent:
    """A chunk that is with the device: its first step, how many of its steps are real, and their figures to come."""

    first: int
    count: int
    record: dict[str, jax.Array]


def _settle(sent: _Sent | None, run: Setup, log: RunLog) -> None:
    """Read the figures of a chunk, refuse what is not finite, log the rest."""
    if sent is None:
        return
    record = {name: values[: sent.count] for name, values in jax.device_get(sent.record).items()}
    _check_finite(record, sent.first + 1, run)
    steps = range(sent.first, sent.first + sent.count)
    log.steps(sent.first, record, lr=run.lr[steps.start : steps.stop], pairs=np.array([run.order.size(step) for step in steps]))


def _check_finite(record: dict[str, np.ndarray], first: int, run: Setup, *, where: str = "") -> None:
    """Stop at the first step that is not finite, naming what it began with: terms, else their sum, else gradient or update."""
    finite = np.stack([np.isfinite(values) for values in record.values()]).all(axis=0)
    if finite.all():
        return
    at = int(np.argmin(finite))
    bad = {name: values[at] for name, values in record.items() if not np.isfinite(values[at])}
    terms = [name for name in run.task.terms if name in bad] or [name for name in ("loss", *NORMS) if name in bad][:1]
    terms = terms or list(bad)[:1]
    what = " and ".join(name.replace("grad_norm", "gradient") for name in terms)
    raise UserError(
        f"{run.workdir}: training stopped: at step {first + at} {where}{what} is {bad[terms[0]]}, not a finite number; "
        "nothing of it was saved. Lower optim.peak_lr or set optim.clip_norm, in another workdir; or look for bad embeddings in "
        f"{run.config.store}"
    )


def _check_same_run(last: Seal, config: Config, store: Store) -> None:
    """Refuse to go on with another config or another store.

    Raises:
        UserError: with every field that differs.
    """
    changed = differences(from_json(last.record["config"]), config)
    if last.record["store"]["digest"] != store.manifest.digest:
        changed.append(f"store digest: {last.record['store']['digest'][:12]} -> {store.manifest.digest[:12]}")
    if changed:
        raise UserError(
            f"{config.workdir}: holds a run of another config ({'; '.join(changed)}); give that config to go on with it, or another --workdir"
        )


def _result(run: Setup, checkpoints: Checkpoints, *, status: Any, step: int, exit_code: int) -> FitResult:
    best = checkpoints.best()
    return FitResult(
        status=status,
        step=step,
        total_steps=run.total,
        best_step=None if best is None else best.step,
        best_score=None if best is None else best.score,
        workdir=run.workdir,
        exit_code=exit_code,
    )


@contextlib.contextmanager
def _alone_in(workdir: Path) -> Iterator[None]:
    """Hold a lock on the folder of the run, so that two processes cannot write one run.

    Raises:
        UserError: another process trains there, or the folder cannot be made.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        handle = (workdir / ".lock").open("w")
    except OSError as error:
        raise UserError(f"{workdir}: cannot be used as the folder of a run ({error.strerror}); choose another --workdir") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"{workdir}: another process is training here; wait for it, or choose another --workdir") from None
        yield
