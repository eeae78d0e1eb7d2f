"""What is asked of a run and whether it delivers: targets held against figures, and two questions put to the log."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np

from tipai_jax.config.checks import meant
from tipai_jax.config.schema import asked_figures
from tipai_jax.errors import UserError
from tipai_jax.report.figures import shown

__all__ = ["Target", "at_chance", "converged_at", "enough", "loss_fall", "of_figure", "of_log", "of_names", "target"]

EARLY_EPOCHS = 5
CONVERGED_BY = 20
SLACK = 0.01
"""Score that a converged run stays within, below its best."""

Target = dict[str, Any]
"""`{"name", "value", "direction", "threshold", "pass", "ci95", "format"}`; the value has to lie on the side of the
threshold that `direction` says. `pass` is None where the split holds nothing to measure it on; `ci95` is the interval
of the figure that is asked about, None where it has none."""


def target(
    name: str,
    value: float | None,
    direction: str,
    threshold: float,
    *,
    measured: bool = True,
    ci95: Sequence[float] | None = None,
    form: str = ".4f",
) -> Target:
    """One target. `pass` is None where nothing could be measured, and False where what was measured is not a number."""
    met = None
    if measured:
        met = value is not None and (value > threshold if direction == ">" else value < threshold)
    value = None if value is None else float(value)
    row = {"name": name, "value": value, "direction": direction, "threshold": threshold, "pass": met}
    return row | {"ci95": ci95 and list(ci95), "format": form}


def of_figure(name: str, figure: Mapping[str, Any] | None, direction: str, threshold: float) -> Target:
    """The target of a figure `{"value", "ci95", "n"}`; None stands for one that was not measured."""
    figure = figure or {"value": None, "n": 0}
    return target(name, figure["value"], direction, threshold, measured=enough(figure), ci95=figure.get("ci95"))


def of_names(record: Mapping[str, Any], asked: str) -> list[Target]:
    """The targets that a config asks by the names of figures (`TargetFields.figures`), under the labels of the layout.

    A star stands for every name that the record has there; where it has none, as for the shifted splits of data without
    any, nothing is asked.

    Args:
        record: of the evaluation, with its layout.
        asked: as in the config.

    Raises:
        UserError: the evaluation has no figure of that name.
    """
    found = []
    for key, direction, threshold, low in asked_figures(asked):
        for label, figure in _of_name(record, key):
            row = of_figure(label, figure, direction, threshold)
            if low:
                end = figure["ci95"][0] if figure and figure.get("ci95") else None
                measured = figure is not None and enough(figure)
                row = target(f"{label}, lower end", end, direction, threshold, measured=measured, ci95=row["ci95"])
            found.append(row)
    return found


def _of_name(record: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any] | None]]:
    """The figures of a name, with the labels of the layout's figure that the name belongs to."""
    layout, parts = record["layout"], key.split(".")
    specs = {tuple(spec["key"].split(".")): spec for spec in layout["figures"]}
    fits = lambda known: len(known) == len(parts) and all(a in ("*", b) for a, b in zip(known, parts, strict=True))
    if known := next(filter(fits, specs), None):
        words = {**layout["baselines"], **layout["names"], "*": "{}"}
        names = [words.get(part, part) for a, part in zip(known, parts, strict=True) if a == "*"]
        return shown(record, specs[known] | {"key": key, "label": specs[known]["label"].format(*names)}, layout)
    if parts[0] == "baselines" and len(parts) > 2 and parts[1] in layout["baselines"]:
        entry = record["baselines"].get(parts[1])
        found = _of_name({**(entry or {}), "layout": layout, "baselines": {}}, ".".join(parts[2:]))
        return [(f"{label}: {layout['baselines'][parts[1]]}", figure) for label, figure in found if entry]
    every = [".".join(each) for each in specs]
    raise UserError(f"targets.figures: the evaluation has no figure {key!r}{meant(key, every)}")


def enough(figure: Mapping[str, Any]) -> bool:
    """Whether a figure was measured on enough data to hold a target against; one that came out as NaN was."""
    return figure["n"] > 0 and "reason" not in figure


def at_chance(name: str, figure: Mapping[str, Any] | None) -> Target:
    """A scorer that lacks half of the question must not tell two images apart: its interval has to hold 0.5."""
    figure = figure or {"value": None, "ci95": None, "n": 0}
    row = target(f"{name} at chance: distance of its interval from 0.5", None, "<", 1e-9, measured=enough(figure))
    if figure["ci95"]:
        low, high = figure["ci95"]
        away = max(low - 0.5, 0.5 - high, 0.0)
        row |= {"value": away, "pass": away < 1e-9, "ci95": [low, high]}
    return row


def of_log(log: Sequence[Mapping[str, Any]], *, score: Callable[[Mapping[str, float]], float]) -> list[Target]:
    """What every run is asked: that its loss falls early, and that its score converges.

    Args:
        log: the lines of the run's `log.jsonl`.
        score: of the validation figures of a line (`Task.select`).
    """
    fall, epoch = loss_fall(log), converged_at(log, score=score)
    return [
        target(f"loss falls within {EARLY_EPOCHS} epochs, lowest / first", fall, "<", 1.0, measured=bool(log)),
        target("converged at epoch", epoch, "<", CONVERGED_BY + 1.0, measured=bool(log), form=".0f"),
    ]


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


def converged_at(log: Sequence[Mapping[str, Any]], *, score: Callable[[Mapping[str, float]], float]) -> float | None:
    """The epoch from which the score on validation stays within 0.01 of its best to the end.

    None where only the last validation does (then it was still climbing, or had fallen), where there are fewer than
    two, or where a score is not a finite number.

    Args:
        log: lines with `step`, `epoch` and `validation`, whose figures `score` reads.
        score: of the figures of a line.
    """
    epochs = _means(log, lambda line: score(line["validation"]) if line.get("validation") else None)
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
