"""The curves of a training in the report: every term of the loss, and the pair AUC, from the lines of `log.jsonl`.

It owns which lines become which curve. How a curve looks is `render`'s.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tipai_jax.render.markup import Markup, element
from tipai_jax.render.page import figure
from tipai_jax.render.plots import Curve, curves

__all__ = ["training"]

Record = Mapping[str, Any]
SCORE = "global_pair_auc"
MOST_POINTS = 300
_NAMES = {
    "loss": "Loss, all terms weighted",
    "pair": "Term: pair ranking",
    "patch": "Term: patch ranking",
    "faithfulness": "Term: patch faithfulness",
    "saliency": "Term: saliency",
    "reason": "Term: reasons",
}


def training(log: Sequence[Record]) -> list[Markup]:
    """The section: what it shows, a plot a term of the loss, and one of the pair AUC on validation.

    Args:
        log: lines with `step`, `epoch` and either the terms of the loss, or `validation` with the same names in it.
    """
    if not log:
        return [element("p", "There are no curves: no log.jsonl lies in the folder of the run.")]
    last = {
        (line["step"], "validation" in line): line for line in log
    }  # a step that was logged twice, before and after a resume, counts once
    lines = [last[key] for key in sorted(last)]
    measured, trained = (
        [line for line in lines if "validation" in line],
        [line for line in lines if "validation" not in line],
    )
    names = list(dict.fromkeys(name for line in measured for name in line["validation"]))
    known = [name for name in _NAMES if name in names]
    names = known + [name for name in names if name not in (*known, SCORE)]
    plots = [_plot(_NAMES.get(name, f"Term: {name}"), name, trained, measured) for name in names]
    plots.insert(1, _plot("Pair AUC on validation", SCORE, [], measured, unit="pair AUC", from_zero=False))
    words = (
        "The thin line is the mean over the training pairs since the line of the log before it, the thick one with dots"
        " the whole validation split. The training pairs become harder from epoch to epoch until all of them take part,"
        " so their curve may rise while the heads get better."
    )
    return [element("p", words), element("div", *plots, class_="plots")]


def _plot(
    title: str,
    name: str,
    trained: Sequence[Record],
    measured: Sequence[Record],
    *,
    unit: str = "loss",
    from_zero: bool = True,
) -> Markup:
    x, y = _thinned([(float(line["epoch"]), float(line[name])) for line in trained if name in line])
    series = [Curve("training", x, y)] if x else []
    points = [
        (float(line["epoch"]), float(line["validation"][name])) for line in measured if name in line["validation"]
    ]
    series.append(Curve("validation", [epoch for epoch, _ in points], [value for _, value in points], marked=True))
    ends = "; ".join(f"{each.name} from {each.y[0]:.4g} to {each.y[-1]:.4g}" for each in series if each.y)
    return figure(
        title, curves(f"{title} over the epochs: {ends}.", series, x_label="epoch", y_label=unit, from_zero=from_zero)
    )


def _thinned(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Points of a long log, a mean for each of at most 300 stretches."""
    if not points:
        return [], []
    stretches = np.array_split(np.asarray(points, np.float64), min(len(points), MOST_POINTS))
    means = np.array([stretch.mean(axis=0) for stretch in stretches])
    return means[:, 0].tolist(), means[:, 1].tolist()
