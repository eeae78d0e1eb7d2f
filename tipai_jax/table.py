"""The record of an evaluation as lines that a person reads: targets first, then what else was measured; and several
runs side by side.

    python -m tipai_jax.table runs/base runs/quickstart        # Markdown, a column a run

It owns the layout. It computes nothing; it is given `eval.json`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tipai_jax.errors import Parser, UserError, run_main

__all__ = ["CONSISTENCY", "PLACES", "compare", "figure_text", "interval_text", "number_text", "show"]

PLACES = {
    "iou": "IoU",
    "dice": "Dice",
    "cc": "correlation",
    "auc_judd": "AUC-Judd",
    "box_overlap": "box overlap",
    "pointing_game": "pointing game",
    "box_found_in_chosen": "box found in chosen images",
    "box_found_in_rejected": "box found in rejected images",
}
CONSISTENCY = {
    "inconsistent_rate": "score and worst patch disagree",
    "accuracy_consistent": "score right where they agree",
    "accuracy_inconsistent": "score right where they disagree",
}
VERDICT = {True: "pass", False: "FAIL", None: "not measured"}


def show(record: Mapping[str, Any]) -> str:
    """The table of an evaluation.

    Args:
        record: as in `eval.json`.

    Returns:
        Lines for a terminal: targets with what was measured, figures by category and difficulty, heatmaps, controls,
        and the baselines.
    """
    stamp = ", small world only (drawn scenes)" if record["small_world_only"] else ""
    head = f"{record['n_pairs']} pairs of the {record['split']} split, encoder {record['encoder']['name']}{stamp}"
    targets = [
        (row["name"], number_text(row["value"]), f"{row['direction']} {row['threshold']:.4g}", VERDICT[row["pass"]])
        for row in record["targets"]
    ]
    figures = [
        (name, number_text(figure["value"]), interval_text(figure), str(figure["n"]))
        for name, figure in _figures(record)
        if figure and figure["n"]
    ]
    baselines = [
        (
            name,
            *(number_text((entry.get(key) or {}).get("value")) for key in ("global_pair_auc", "patch_pair_auc")),
            _gap(entry),
        )
        for name, entry in record["baselines"].items()
    ]
    parts = [
        head,
        _rows(("target", "measured", "asked", ""), targets),
        _rows(("also measured", "value", "95 % interval", "n"), figures),
    ]
    if baselines:
        parts.append(_rows(("baseline", "pair AUC", "patch AUC", "ours above it by"), baselines))
    parts += [f"not measured: {reason}" for reason in record["not_measured"]]
    missed = sum(row["pass"] is False for row in record["targets"])
    parts.append(
        f"{missed} of {len(targets)} targets missed"
        if missed
        else f"all {len(targets)} targets met or not measurable here"
    )
    return "\n\n".join(parts)


def _figures(record: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any] | None]]:
    """The figures that stand below the targets, by the name shown."""
    rows: list[tuple[str, Mapping[str, Any] | None]] = [
        ("global pair AUC", record["global_pair_auc"]),
        *((f"pair AUC, {name}", figure) for name, figure in record["pair_auc_by_category"].items()),
        *((f"pair AUC, {name}", figure) for name, figure in record["pair_auc_by_difficulty"].items()),
        ("pair AUC, unseen combinations", record["unseen_combination_pair_auc"]),
        ("patch pair AUC", record["patch_pair_auc"]),
        ("patch pair AUC within rejected images", record["patch_pair_auc_within_rejected"]),
        *((f"heatmap, {PLACES.get(name, name)}", figure) for name, figure in (record["heatmap"] or {}).items()),
        ("ECE before calibration", record["ece_before"]),
        ("ECE", record["ece"]),
        ("ECE, bins of equal mass", record["ece_equal_mass"]),
        *(
            (f"conformal coverage at {level}", each["coverage"])
            for level, each in (record.get("conformal") or {}).items()
        ),
        *(
            (f"of control images at {level}", each.get("coverage_controls"))
            for level, each in (record.get("conformal") or {}).items()
        ),
        *((f"abstains at {level}", each["abstains"]) for level, each in (record.get("conformal") or {}).items()),
        *((CONSISTENCY[name], figure) for name, figure in (record.get("consistency") or {}).items()),
    ]
    words = {
        "alarm_rate": "control images flagged",
        "alarm_rate_faithful": "chosen images flagged",
        "alarm_rate_broken": "rejected images flagged",
    }
    return [*rows, *((text, record["control"][name]) for name, text in words.items())]


def number_text(value: float | None) -> str:
    """Four digits; an epoch, which is a whole number above 1, without."""
    if value is None:
        return "-"
    return str(int(value)) if value > 1 and float(value).is_integer() else f"{value:.4f}"


def interval_text(figure: Mapping[str, Any]) -> str:
    """The ends of a figure's interval in four digits; a dash where it has none."""
    return f"{figure['ci95'][0]:.4f} to {figure['ci95'][1]:.4f}" if figure.get("ci95") else "-"


def _gap(entry: Mapping[str, Any]) -> str:
    gap = entry["global_pair_auc_difference"]
    return f"{number_text(gap['value'])} ({interval_text(gap)})"


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    line = lambda row: "  ".join(
        cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths))
    ).rstrip()
    return "\n".join([line(head), "  ".join("-" * width for width in widths), *(line(row) for row in rows)])


def compare(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a row a figure, a column a run, values with their 95 % intervals.

    Args:
        records: `eval.json` of each run, by the name of its column.
    """
    columns = [dict(_comparable(record)) for record in records.values()]
    names = list(dict.fromkeys(name for column in columns for name in column))
    splits = " and ".join(dict.fromkeys(record["split"] for record in records.values()))
    lines = [f"| {splits} split | " + " | ".join(records) + " |", "|---|" + "---|" * len(records)]
    return "\n".join(
        lines
        + [f"| {name} | " + " | ".join(figure_text(column.get(name)) for column in columns) + " |" for name in names]
    )


def _comparable(record: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any] | None]]:
    baselines = record["baselines"]
    words = {
        "category ROC-AUC, {}": record["category_roc_auc"],
        "the same from the prompt alone, {}": baselines.get("text_only", {}).get("category_roc_auc"),
        "the same within pairs, {}": record["category_roc_auc_within_pairs"],
    }
    reasons = [
        (text.format(name), figure) for text, figures in words.items() for name, figure in (figures or {}).items()
    ]
    others = [(f"pair AUC of {name.replace('_', ' ')}", entry["global_pair_auc"]) for name, entry in baselines.items()]
    for name in ("image_only", "ridge_probe"):  # the two that find the place without the heads
        entry, whose = baselines.get(name) or {}, name.replace("_", " ")
        others += [
            (f"patch pair AUC of {whose}", entry.get("patch_pair_auc")),
            (f"patch pair AUC within rejected images of {whose}", entry.get("patch_pair_auc_within_rejected")),
            *(
                (f"heatmap, {PLACES.get(place, place)} of {whose}", figure)
                for place, figure in (entry.get("heatmap") or {}).items()
            ),
        ]
    return [*_figures(record), *reasons, *others]


def figure_text(figure: Mapping[str, Any] | None) -> str:
    """A figure and its interval in three digits; a dash where nothing was measured."""
    if not figure or figure["value"] is None:
        return "-"
    ends = f" ({figure['ci95'][0]:.3f} to {figure['ci95'][1]:.3f})" if figure.get("ci95") else ""
    return f"{figure['value']:.3f}{ends}"


def main() -> int:
    """Print the runs named on the command line side by side."""
    parser = Parser(prog="python -m tipai_jax.table", description="Evaluated runs side by side, as Markdown.")
    parser.add_argument("workdirs", type=Path, nargs="+", help="folders of evaluated runs")
    records = {}
    for workdir in parser.parse_args().workdirs:
        try:
            records[f"`{workdir}`"] = json.loads((workdir / "eval.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{workdir / 'eval.json'}: cannot be read ({error}); evaluate first: python -m tipai_jax.evaluate"
                f" --workdir {workdir}"
            ) from None
    print(compare(records))
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
