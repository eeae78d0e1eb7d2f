"""The rows of the benchmark: what each measures, what is asked of it, and whether it holds.

A row that cannot be measured on this machine is left empty, never estimated.
"""

from dataclasses import asdict, dataclass, field

__all__ = ["Row", "at_least", "at_most", "markdown"]


@dataclass(frozen=True)
class Row:
    """One line of the report.

    Attributes:
        name: what was measured.
        value: the figure, None where this machine cannot measure it.
        unit: of the figure.
        asked: what it is held against, such as "at least 3.5"; "" for a figure that only informs.
        holds: whether it is met; None where nothing is asked or nothing was measured.
        detail: what else belongs to it.
    """

    name: str
    value: float | None
    unit: str = ""
    asked: str = ""
    holds: bool | None = None
    detail: dict[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The row as plain JSON."""
        return asdict(self)


def at_least(name: str, value: float | None, threshold: float, unit: str = "", **detail: object) -> Row:
    """A row that must reach a threshold."""
    return Row(name, value, unit, f"at least {threshold:g}", None if value is None else value >= threshold, detail)


def at_most(name: str, value: float | None, threshold: float, unit: str = "", **detail: object) -> Row:
    """A row that must stay at or below a threshold."""
    return Row(name, value, unit, f"at most {threshold:g}", None if value is None else value <= threshold, detail)


def markdown(rows: list[Row]) -> str:
    """The report as a Markdown table."""
    verdict = {True: "yes", False: "**no**", None: ""}
    lines = ["| measured | value | asked | holds |", "|---|---|---|---|"]
    for row in rows:
        value = "" if row.value is None else f"{row.value:.4g} {row.unit}".strip()
        lines.append(f"| {row.name} | {value} | {row.asked} | {verdict[row.holds]} |")
    return "\n".join(lines)
