"""The record of an evaluation as lines that a person reads: targets first, then what else was measured; runs side by
side.

python -m tipai_jax.report.tables runs/plan runs/quickstart        # Markdown, a column a run
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tipai_jax.errors import Parser, run_main
from tipai_jax.report.figures import (
    beside_baselines,
    figure_text,
    headline_figures,
    interval_text,
    shown,
    value_of,
    value_text,
)
from tipai_jax.report.write import RECORD, read_record

__all__ = ["compare", "headline_figures", "main", "show"]

PASSED = {True: "pass", False: "FAIL", None: "not measured"}
Record = Mapping[str, Any]


def show(record: Record) -> str:
    """The table of an evaluation.

    Args:
        record: as in `eval.json`.

    Returns:
        Lines for a terminal: targets with what was measured, all other figures, and the baselines beside ours.
    """
    layout = record["layout"]
    stamp = ", small world only (drawn scenes)" if record["small_world_only"] else ""
    counted = f"{record['n_examples']} {record['unit']} of the {record['split']} split"
    targets = [
        (
            row["name"],
            value_text(row["value"], row["format"]),
            f"{row['direction']} {row['threshold']:.4g}",
            PASSED[row["pass"]],
        )
        for row in record["targets"]
    ]
    figures = [
        (label, value_text(figure["value"], spec["format"]), interval_text(figure, spec["format"]), str(figure["n"]))
        for spec in layout["figures"]
        for label, figure in shown(record, spec, layout)
        if figure and figure["n"]
    ]
    parts = [
        f"{counted}, encoder {record['encoder']['name']}{stamp}",
        _columns(("target", "measured", "asked", ""), targets),
        _columns(("also measured", "value", "95 % interval", "n"), figures),
    ]
    if record["baselines"]:
        names = [name for name in layout["baselines"] if name in record["baselines"]]
        rows = [
            (label, _cell(ours, spec), *(_cell(theirs[name], spec) if name in theirs else "" for name in names))
            for spec in layout["figures"]
            if spec["baselines"]
            for label, ours, theirs in beside_baselines(record, spec)
        ]
        parts.append(_columns(("baselines", "ours", *(layout["baselines"][name] for name in names)), rows))
    reasons = dict.fromkeys(
        figure["reason"]
        for spec in layout["figures"]
        for _, figure in shown(record, spec, layout)
        if figure and "reason" in figure
    )
    parts += [f"not measured: {reason}" for reason in (*record["not_measured"], *reasons)]
    parts += [f"note: {note}" for note in record.get("notes", [])]
    passed = [row["pass"] for row in record["targets"]]
    verdict = f"{passed.count(True)} of {len(passed)} targets met"
    for word, count in (("missed", passed.count(False)), ("not measured", passed.count(None))):
        verdict += f", {count} {word}" if count else ""
    return "\n\n".join([*parts, verdict])


def _cell(figure: Record | None, spec: Record) -> str:
    return value_text(value_of(figure), spec["format"])


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    pad = lambda cell, width, column: cell.ljust(width) if column == 0 else cell.rjust(width)
    line = lambda row: "  ".join(
        pad(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ).rstrip()
    return "\n".join([line(head), "  ".join("-" * width for width in widths), *(line(row) for row in rows)])


def compare(records: Mapping[str, Record]) -> str:
    """Markdown: a row a figure, a column a run, values with their 95 % intervals; then the baselines.

    Args:
        records: `eval.json` of each run, by the name of its column.
    """
    columns = [_texts(record) for record in records.values()]
    labels = list(dict.fromkeys(label for column in columns for label in column))
    splits = " and ".join(dict.fromkeys(record["split"] for record in records.values()))
    lines = [f"| {splits} split | {' | '.join(records)} |", "|---|" + "---|" * len(records)]
    return "\n".join(
        [*lines, *(f"| {label} | {' | '.join(column.get(label, '-') for column in columns)} |" for label in labels)]
    )


def _texts(record: Record) -> dict[str, str]:
    """Every figure of a record as text, by its label; those of baselines last."""
    layout = record["layout"]
    texts = {
        label: figure_text(figure, spec["format"])
        for spec in layout["figures"]
        for label, figure in shown(record, spec, layout)
    }
    for spec in layout["figures"]:
        for name in spec["baselines"]:
            entry = record["baselines"].get(name)
            for label, figure in shown(entry, spec, layout) if entry else []:
                texts[f"{label}: {layout['baselines'][name]}"] = figure_text(figure, spec["format"])
    return texts


def main(argv: Sequence[str] | None = None) -> int:
    """Print the runs named on the command line side by side."""
    parser = Parser(prog="python -m tipai_jax.report.tables", description="Evaluated runs side by side, as Markdown.")
    parser.add_argument("workdirs", type=Path, nargs="+", help="folders of evaluated runs")
    workdirs = parser.parse_args(sys.argv[1:] if argv is None else list(argv)).workdirs
    print(compare({f"`{workdir}`": read_record(workdir / RECORD, workdir) for workdir in workdirs}))
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
