"""What is asked of a run and whether it delivers: the targets of the config held against the figures and the log.

It owns the rows of the table and the two questions put to `log.jsonl`. It computes no figure.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from tipai_jax.config import TargetsConfig
from tipai_jax.errors import UserError

__all__ = ["check", "converged_at", "loss_fall", "read_log"]

EARLY_EPOCHS = 5
CONVERGED_BY = 20
#: Pair AUC that a converged run stays within, below its best.
SLACK = 0.01

Target = dict[str, Any]


def _row(
    name: str,
    value: float | None,
    direction: str,
    threshold: float,
    *,
    measured: bool = True,
    ci95: Sequence[float] | None = None,
) -> Target:
    """One row. `pass` is None where nothing could be measured, and False where what was measured is not a number."""
    met = None if not measured else value is not None and (value > threshold if direction == ">" else value < threshold)
    value = None if value is None else float(value)
    return {
        "name": name,
        "value": value,
        "direction": direction,
        "threshold": threshold,
        "pass": met,
        "ci95": ci95 and list(ci95),
    }


def _of(name: str, figure: Mapping[str, Any] | None, direction: str, threshold: float) -> Target:
    figure = figure or {"value": None, "n": 0}
    return _row(name, figure["value"], direction, threshold, measured=figure["n"] > 0, ci95=figure.get("ci95"))


def check(record: Mapping[str, Any], *, targets: TargetsConfig, log: Sequence[Mapping[str, Any]]) -> list[Target]:
    """The rows of `targets` in `eval.json`.

    Args:
        record: the figures, with `baselines` beside them.
        targets: the thresholds of the run's config.
        log: the lines of the run's `log.jsonl`.

    Returns:
        `{"name", "value", "direction", "threshold", "pass", "ci95"}`; the value has to lie on the side of the threshold
        that
        `direction` says. `pass` is None where the split holds nothing to measure it on; `ci95` is the interval of the
        figure
        that is asked about, None where it has none.
    """
    rows = [
        _of("global pair AUC", record["global_pair_auc"], ">", targets.global_pair_auc),
        _of("patch pair AUC", record["patch_pair_auc"], ">", targets.patch_pair_auc),
        *(
            _of(f"category ROC-AUC, {name}", figure, ">", targets.category_roc_auc)
            for name, figure in (record["category_roc_auc"] or {}).items()
        ),
        _of("ECE", record["ece"], "<", targets.ece),
    ]
    if targets.auc_judd is not None:
        rows.append(_of("heatmap AUC-Judd", (record["heatmap"] or {}).get("auc_judd"), ">", targets.auc_judd))
    if targets.conformal is not None:
        rows.append(_coverage(record.get("conformal") or {}, targets.conformal))
    for name, baseline in record["baselines"].items():
        if name in ("text_only", "image_only"):
            if targets.blind_at_chance:
                rows.append(_at_chance(name, baseline))
        elif targets.beats_baselines:
            gap = baseline.get("global_pair_auc_difference") or {"n": 0}
            low = gap["ci95"][0] if gap.get("ci95") else None
            rows.append(
                _row(
                    f"pair AUC above {name}, lower end of the difference",
                    low,
                    ">",
                    0.0,
                    measured=gap["n"] > 0,
                    ci95=gap.get("ci95"),
                )
            )
    fall, epoch = loss_fall(log), converged_at(log)
    rows.append(_row(f"loss falls within {EARLY_EPOCHS} epochs, lowest / first", fall, "<", 1.0, measured=bool(log)))
    rows.append(_row("converged at epoch", epoch, "<", CONVERGED_BY + 1.0, measured=bool(log)))
    return rows


def _coverage(levels: Mapping[str, Any], within: float) -> Target:
    """How far the coverage of either kind of image is from its level at most, too high or too low: the promise is made
    to each kind.
    """
    covered = [
        (float(level), each[name])
        for level, each in levels.items()
        for name in ("coverage_keeps", "coverage_breaks")
        if each[name]["n"]
    ]
    away = [abs(figure["value"] - level) for level, figure in covered if figure["value"] is not None]
    worst = max(away) if len(away) == len(covered) and away else None
    return _row(
        "conformal coverage of either kind, furthest from its level", worst, "<", within, measured=bool(covered)
    )


def _at_chance(name: str, baseline: Mapping[str, Any]) -> Target:
    """A scorer that misses half of the question must not tell the two images apart: its interval has to hold 0.5."""
    figure = baseline.get("global_pair_auc") or {"value": None, "ci95": None, "n": 0}
    row = _row(f"{name} at chance: distance of its interval from 0.5", None, "<", 1e-9, measured=figure["n"] > 0)
    if figure["ci95"]:
        low, high = figure["ci95"]
        away = max(low - 0.5, 0.5 - high, 0.0)
        row |= {"value": away, "pass": away < 1e-9, "ci95": [low, high]}
    return row


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


def loss_fall(log: Sequence[Mapping[str, Any]]) -> float | None:
    """How far the loss fell within five epochs: below 1 it fell.

    The loss is the one on validation, because the curriculum makes the training pairs harder from epoch to epoch. The
    value is the lowest of epochs 1 to 5, divided by that before the first step (or, in a log without it, the lowest of
    epochs 2 to 5 by that of epoch 1). A run that was not validated twice within them is judged by the mean training
    loss of its epochs, and a run of one epoch by the lines of its log. None where even they are fewer than two, or
    where a loss is not a finite number.

    Args:
        log: lines with `step`, `epoch` and either `loss`, or `validation` with `loss` in it.
    """
    training = [line for line in log if "validation" not in line and line.get("epoch", 0) <= EARLY_EPOCHS]
    measured = [line for line in log if "validation" in line and line.get("epoch", 0) <= EARLY_EPOCHS]
    losses = _means(measured, lambda line: line["validation"].get("loss"))
    if len(losses) < 2:
        losses = _means(training, lambda line: line.get("loss"))
    if len(losses) < 2:
        losses = _means(training, lambda line: line.get("loss"), by="step")
    if len(losses) < 2:
        return None
    first, *later = losses.values()
    return float(min(later) / first) if np.isfinite([first, *later]).all() and first > 0 else None


def converged_at(log: Sequence[Mapping[str, Any]]) -> float | None:
    """The epoch from which the validation pair AUC stays within 0.01 of its best to the end.

    None where only the last validation does (then it was still climbing, or had fallen), where there are fewer than
    two,
    or where an AUC is not a finite number.

    Args:
        log: lines with `step`, `epoch` and `validation` with `global_pair_auc` in it.
    """
    epochs = _means(log, lambda line: (line.get("validation") or {}).get("global_pair_auc"))
    values = np.array(list(epochs.values()))
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    short = np.flatnonzero(values < values.max() - SLACK)
    first = int(short[-1]) + 1 if len(short) else 0
    return float(list(epochs)[first]) if first < len(values) - 1 else None


def _means(
    log: Sequence[Mapping[str, Any]], pick: Callable[[Mapping[str, Any]], float | None], by: str = "epoch"
) -> dict[float, float]:
    """Mean of what is picked in each epoch (that has ended or is going on), or at each step, in order.

    A step that was logged twice, before and after a resume, counts once.
    """
    last = {
        line["step"]: (float(ceil(line[by] - 1e-6)), float(value)) for line in log if (value := pick(line)) is not None
    }
    found: dict[float, list[float]] = {}
    for when, value in last.values():
        found.setdefault(when, []).append(value)
    return {when: float(np.mean(found[when])) for when in sorted(found)}
