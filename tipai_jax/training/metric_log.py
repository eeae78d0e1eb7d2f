"""What a run reports: log.jsonl, TensorBoard files, a progress bar or plain lines.

One line of the log is the mean of a window of steps (its sums go into the checkpoint, so that a resumed run writes the
very lines the uninterrupted one would have). Norms are those of the last step of the dispatch that the line ended in.

    {"step": 50, "epoch": 0.4, "loss": ..., "pair": ..., ..., "lr": ..., "grad_norm": ..., "pairs_per_s": ...}
    {"step": 125, "epoch": 1.0, "validation": {"loss": ..., ...}}

`pairs_per_s` (series, faces: the unit of the task) and `seconds` measure the machine; everything else is reproducible.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tipai_jax.config.schema import LogConfig
from tipai_jax.errors import UserError
from tipai_jax.files.atomic import write_file

__all__ = ["MetricLog", "read_log"]


class MetricLog:
    """The log of a run that stands at `step`; what an earlier attempt wrote beyond that step is dropped, at step 0 all
    of it.

    Args:
        workdir: folder of the run.
        config: what is wanted.
        step: steps done.
        total_steps: steps of the whole run.
        steps_per_epoch: to count epochs.
        unit: what an example is, in the plural.
        window: `state()` of the run that is continued.
        writes: whether anything is reported; of many processes only the first one does.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        config: LogConfig,
        step: int,
        total_steps: int,
        steps_per_epoch: int,
        unit: str,
        window: dict[str, Any] | None = None,
        writes: bool = True,
    ) -> None:
        self.path, self._config, self._per_epoch, self._total = (
            workdir / "log.jsonl",
            config,
            steps_per_epoch,
            total_steps,
        )
        self._count: int = (window or {}).get("count", 0)
        self._sums: dict[str, float] = dict((window or {}).get("sums", {}))
        self._clock, self._examples, self._unit = time.perf_counter(), 0, unit
        self._began = time.perf_counter()
        self._writes = writes
        if writes:
            keep_lines(self.path, step)
        self._file = (self.path if writes else Path(os.devnull)).open("a")
        self._board = self._open_board(workdir, step) if config.tensorboard and writes else None
        self._bar = self._open_bar(step) if config.progress and writes and sys.stderr.isatty() else None

    def state(self) -> dict[str, Any]:
        """The window that is still open, for the checkpoint."""
        return {"count": self._count, "sums": self._sums}

    def steps(
        self,
        first: int,
        record: dict[str, np.ndarray],
        *,
        norms: dict[str, float],
        lr: np.ndarray,
        examples: np.ndarray,
    ) -> None:
        """Take in finished steps `first`, `first + 1`, ... (counted from 0): their figures, one array each, and the
        norms at the last of them.
        """
        self._examples += int(examples.sum())
        speed, written = (
            self._examples / max(time.perf_counter() - self._clock, 1e-9),
            False,
        )  # of whole dispatches: the host does not see single steps
        for i in range(len(lr)):
            self._count += 1
            for name, values in record.items():
                self._sums[name] = self._sums.get(name, 0.0) + float(values[i])
            if (first + i + 1) % self._config.every_steps == 0 or first + i + 1 == self._total:
                self._line(first + i + 1, {**norms, "lr": float(lr[i])}, speed)
                written = True
        if written:
            self.restart_clock()
        if self._bar is not None:
            self._bar.update(len(lr))

    def validation(self, step: int, figures: dict[str, float]) -> None:
        """A validation after `step` steps."""
        self._write({"step": step, "epoch": self._epoch(step), "validation": figures})
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(f"validation/{name}", value, step)

    def say(self, text: str, *, always: bool = False) -> None:
        """A line to the person who watches."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        elif self._writes and (self._config.progress or always):
            print(text, file=sys.stderr, flush=True)

    def restart_clock(self) -> None:
        """Begin the measure of speed anew, after work that was not training."""
        self._clock, self._examples = time.perf_counter(), 0

    def flush(self) -> None:
        """Everything reported so far is on the disk; call it before a checkpoint."""
        self._file.flush()

    def close(self) -> None:
        """End of the run or of this attempt."""
        self._file.close()
        for each in (self._board, self._bar):
            if each is not None:
                each.close()

    def _line(self, step: int, last: dict[str, float], speed: float) -> None:
        figures = {name: total / self._count for name, total in self._sums.items()} | last
        line = {"step": step, "epoch": self._epoch(step), **figures}
        self._write(
            {**line, f"{self._unit}_per_s": round(speed, 1), "seconds": round(time.perf_counter() - self._began, 3)}
        )
        if self._board is not None:
            for name, value in {**figures, f"{self._unit}_per_s": speed}.items():
                self._board.add_scalar(f"train/{name}", value, step)
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {figures['loss']:.4f}, {speed:.0f} {self._unit}/s")
        self._count, self._sums = 0, {}

    def _epoch(self, step: int) -> float:
        return round(step / self._per_epoch, 6)

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")

    def _open_bar(self, step: int) -> Any:
        from tqdm import tqdm

        return tqdm(total=self._total, initial=step, unit="step", file=sys.stderr, dynamic_ncols=True)

    def _open_board(self, workdir: Path, step: int) -> Any:
        from tensorboardX import SummaryWriter

        return SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1 if step else None)


def read_log(workdir: Path) -> list[dict[str, Any]]:
    """The lines of a run's `log.jsonl`; none if there is no such file. A last line that was cut off is left out.

    Raises:
        UserError: another line is not JSON.
    """
    path = Path(workdir) / "log.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    parsed = []
    for number, line in enumerate(lines, start=1):
        try:
            parsed.append(json.loads(line))
        except ValueError:
            if number < len(lines):
                raise UserError(f"{path}, line {number}: not JSON; delete the line and evaluate again") from None
    return parsed


def keep_lines(path: Path, step: int) -> None:
    """Drop the lines of a log that lie beyond a step, and a torn last line; at step 0, which no checkpoint holds, drop
    all.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return
    kept = [line for line in path.read_text().splitlines() if step and _step_of(line) <= step]
    write_file(path, "".join(f"{line}\n" for line in kept).encode())


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
