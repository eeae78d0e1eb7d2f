"""The figures of a record, found and written as its own layout says."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["beside_baselines", "figure_text", "headline_figures", "interval_text", "shown", "value_of", "value_text"]

Record = Mapping[str, Any]
Spec = Mapping[str, Any]
ALL = "all"
"""What a star stands for where the scorer predicts nothing that has a name there."""


def shown(record: Record, spec: Spec, layout: Mapping[str, Any]) -> list[tuple[str, Record | None]]:
    """The figures that a spec stands for: (label, figure), None for what the scorer does not predict.

    Args:
        record: of a run, or the entry of one of its baselines.
        spec: a `FigureSpec` as the record's layout holds it.
        layout: that of the record; it says what to write for a name that a star stands for, where that is not the name
            itself.
    """
    words = {**layout["baselines"], **layout.get("names", {})}
    return [
        (spec["label"].format(*(words.get(name, name) for name in names)), figure)
        for names, figure in _found(record, spec["key"].split("."))
    ]


def _found(
    entry: Any, keys: Sequence[str], names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Record | None]]:
    if entry is None:
        yield (*names, *(ALL for key in keys if key == "*")), None
    elif not keys:
        yield names, entry
    elif keys[0] == "*":
        for name, inner in entry.items():
            yield from _found(inner, keys[1:], (*names, name))
    elif keys[0] in entry or keys[1:2] != ["*"]:  # names that a star could stand for may be left out altogether
        yield from _found(entry.get(keys[0]), keys[1:], names)


def beside_baselines(record: Record, spec: Spec) -> list[tuple[str, Record | None, dict[str, Record | None]]]:
    """The figures of a spec beside those of the baselines that it is shown of: (label, ours, theirs by baseline).

    Where one scorer predicts nothing that a star could stand for, the names are those that the others have.
    """
    layout = record["layout"]
    known = [name for name in spec["baselines"] if name in record["baselines"]]
    ours = dict(shown(record, spec, layout))
    theirs = {name: dict(shown(record["baselines"][name], spec, layout)) for name in known}
    scorers = (ours, *theirs.values())
    nameless = spec["label"].format(*(ALL for key in spec["key"].split(".") if key == "*"))
    rows = dict.fromkeys(label for scorer in scorers for label in scorer)
    named = [label for label in rows if label != nameless or any(scorer.get(label) for scorer in scorers)]
    return [
        (label, ours.get(label), {name: scorer.get(label) for name, scorer in theirs.items()})
        for label in named or rows
    ]


def value_of(figure: Record | None) -> float | None:
    """The value of a figure, None where there is none."""
    return None if figure is None else figure["value"]


def value_text(value: float | None, form: str) -> str:
    """A value in its format; a dash where nothing was measured."""
    return "-" if value is None else format(value, form)


def interval_text(figure: Record, form: str = ".4f") -> str:
    """The ends of a figure's interval; a dash where it has none."""
    ends = figure.get("ci95")
    return f"{ends[0]:{form}} to {ends[1]:{form}}" if ends else "-"


def figure_text(figure: Record | None, form: str = ".3f") -> str:
    """A figure and its interval; a dash where nothing was measured."""
    if not figure or figure["value"] is None:
        return "-"
    return value_text(figure["value"], form) + (f" ({interval_text(figure, form)})" if figure.get("ci95") else "")


def headline_figures(record: Record) -> dict[str, float | None]:
    """The values of the figures that stand in summaries, by their labels."""
    specs = [spec for spec in record["layout"]["figures"] if spec["headline"]]
    return {label: value_of(figure) for spec in specs for label, figure in shown(record, spec, record["layout"])}
