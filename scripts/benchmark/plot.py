"""The benchmark as an image: what a step costs each candidate, and how the cost grows."""

from pathlib import Path

from scripts.benchmark.rows import Row
from tipai_jax.errors import UserError

__all__ = ["plot"]

OURS, THEIRS = "#2b6cb0", "#a0aec0"


def plot(parts: dict[str, list[Row]], file: Path) -> None:
    """Bars of the milliseconds of a step, one panel for the comparison and one for the sizes.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise UserError("--plot needs matplotlib; pip install -e '.[bench]' under constraints.txt") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = {
        "a step of 32 pairs, d 768, 49 patches": parts.get("step", []),
        "the step as sizes grow": parts.get("grow", []),
    }
    panels = {title: [row for row in rows if row.unit == "ms" and row.value] for title, rows in panels.items()}
    panels = {title: rows for title, rows in panels.items() if rows}
    if not panels:
        raise UserError("--plot: none of the parts that were measured has steps to draw; add step or grow to --only")
    height = 1 + 0.35 * sum(len(rows) for rows in panels.values())
    figure, axes = pyplot.subplots(
        len(panels),
        1,
        figsize=(8, height),
        height_ratios=[len(rows) for rows in panels.values()],
        squeeze=False,
        layout="constrained",
    )
    for axis, (title, rows) in zip(axes[:, 0], panels.items(), strict=True):
        names = [row.name.removesuffix(": a step") for row in rows]
        values = [row.value for row in rows]
        colours = [THEIRS if "reference" in name or name == "limit" else OURS for name in names]
        bars = axis.barh(names, values, color=colours)
        axis.bar_label(bars, [f"{value:.2f} ms" for value in values], padding=4)
        axis.invert_yaxis()
        axis.set_title(title, loc="left")
        axis.set_xlim(0, 1.18 * max(values))
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xlabel("milliseconds, median")
    figure.savefig(file, dpi=140)
