"""Plots as SVG: curves over time, a reliability diagram, intervals in rows.

Every plot is 360 units wide, so that its letters are as large on a telephone as in a column of a page, and says in
words what it shows; series differ in form and not in colour alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tipai_jax.render.markup import Markup, element, join

__all__ = ["STYLE", "Curve", "IntervalMark", "curves", "intervals", "reliability", "ticks"]

WIDTH = 360.0
# : What the page that holds the plots has to say of their looks; `--ink`, `--faint`, `--line` and `--accent` are the
# page's colours.
STYLE = """
svg.plot { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: var(--faint); }
svg.plot .ink { fill: var(--ink); }
svg.plot .grid { stroke: var(--line); stroke-width: 1; }
svg.plot .axis { stroke: var(--faint); stroke-width: 1; }
svg.plot .first { stroke: var(--accent); fill: none; stroke-width: 2.2; }
svg.plot .second { stroke: var(--faint); fill: none; stroke-width: 1.6; stroke-linecap: round; }
svg.plot .dashed { stroke: var(--faint); fill: none; stroke-width: 1.2; stroke-dasharray: 5 4; }
svg.plot .dot { fill: var(--accent); stroke: #fff; stroke-width: 1; }
svg.plot .hollow { fill: #fff; stroke: var(--faint); stroke-width: 1.6; }
svg.plot .bar { fill: var(--accent); opacity: .35; }
"""


@dataclass(frozen=True)
class Curve:
    """A series: `marked` ones have a thick line with dots, the others a thin one. What is not finite leaves a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    marked: bool = False


@dataclass(frozen=True)
class IntervalMark:
    """A row: a value with its two ends, another value to compare with, and the value in words at the right; what is
    None is not drawn.
    """

    name: str
    value: float | None
    ends: Sequence[float] | None = None
    other: float | None = None
    text: str = ""


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers, one, two or five times a power of ten apart.

    Args:
        low: of the range.
        high: of the range, above `low`.
        most: how many gaps there may be, at most.

    Returns:
        Those that lie in the range, ascending.
    """
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= most + 1e-9)
    return [round(i * step, 12) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class _Frame:
    """Where the numbers of a plot lie on paper."""

    left: float
    right: float
    top: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = self.left + (x - self.x[0]) / (self.x[1] - self.x[0]) * (self.right - self.left)
        return across, self.bottom - (y - self.y[0]) / (self.y[1] - self.y[0]) * (self.bottom - self.top)

    def columns(self, where: Sequence[float], label: str, *, below: float = 0.0) -> Markup:
        """Grid lines from top to bottom, their numbers `below` the frame, and what they mean."""
        parts = []
        for tick in where:
            x, _ = self.at(tick, self.y[0])
            parts += [
                _line(x, self.top, x, self.bottom),
                _text(f"{tick:g}", x, self.bottom + below + 16, anchor="middle"),
            ]
        return join([*parts, _text(label, (self.left + self.right) / 2, self.bottom + below + 34, anchor="middle")])

    def rows(self, where: Sequence[float], label: str) -> Markup:
        """Grid lines from left to right, their numbers, and what they mean, written upwards."""
        parts = []
        for tick in where:
            _, y = self.at(self.x[0], tick)
            parts += [_line(self.left, y, self.right, y), _text(f"{tick:g}", self.left - 6, y + 4, anchor="end")]
        middle = (self.top + self.bottom) / 2
        return join([*parts, _text(label, 12.0, middle, anchor="middle", transform=f"rotate(-90 12 {middle:g})")])

    def axes(self) -> Markup:
        foot, side = (self.left, self.bottom, self.right, self.bottom), (self.left, self.top, self.left, self.bottom)
        return join([_line(*foot, look="axis"), _line(*side, look="axis")])


def _line(x1: float, y1: float, x2: float, y2: float, *, look: str = "grid") -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=look)


def _text(
    words: str, x: float, y: float, *, anchor: str = "start", look: str | None = None, transform: str | None = None
) -> Markup:
    return element("text", words, x=x, y=y, text_anchor=anchor, class_=look, transform=transform)


def _dot(x: float, y: float, *, hollow: bool = False) -> Markup:
    if hollow:
        return element("path", d=f"M{x:.2f} {y - 4:.2f}l4 4l-4 4l-4 -4z", class_="hollow")
    return element("circle", cx=x, cy=y, r=4, class_="dot")


def _plot(description: str, height: float, parts: Sequence[Markup]) -> Markup:
    return element(
        "svg", *parts, class_="plot", viewBox=f"0 0 {WIDTH:g} {height:g}", role="img", aria_label=description
    )


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def curves(description: str, series: Sequence[Curve], *, x_label: str, y_label: str, from_zero: bool = True) -> Markup:
    """Curves over a common axis, with a legend above them.

    Args:
        description: what is to be seen, for those who do not see it.
        series: the curves; points that are not finite are left out and break the line.
        x_label: what goes to the right.
        y_label: what goes up.
        from_zero: the upright axis begins at 0; at the least value otherwise.

    Returns:
        An SVG element; it says so where no curve has a point.
    """
    points = [(x, y) for each in series for x, y in zip(each.x, each.y) if y is not None and math.isfinite(y)]
    if not points:
        return _plot(description, 40.0, [_text("nothing was logged", WIDTH / 2, 24.0, anchor="middle")])
    least, most = min(y for _, y in points), max(y for _, y in points)
    low = min(0.0, least) if from_zero else least
    room = 0.05 * (most - low) or 0.5
    frame = _Frame(
        52.0, WIDTH - 10, 30.0, 200.0, _range([x for x, _ in points]), (low if from_zero else low - room, most + room)
    )
    drawn = [frame.columns(ticks(*frame.x), x_label), frame.rows(ticks(*frame.y), y_label), frame.axes()]
    left = frame.left
    for each in series:
        drawn += [_curve(frame, each), *_key(each, left)]
        left += 40 + 7 * len(each.name)
    return _plot(description, 240.0, drawn)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _curve(frame: _Frame, curve: Curve) -> Markup:
    places = [frame.at(x, y) if y is not None and math.isfinite(y) else None for x, y in zip(curve.x, curve.y)]
    path, pen_up = [], True
    for place in places:
        if place is not None:
            path.append(
                f"{'M' if pen_up else 'L'}{place[0]:.2f} {place[1]:.2f}{'h0' if pen_up else ''}"
            )  # h0: a point that stands alone is seen
        pen_up = place is None
    line = element("path", d="".join(path), class_="first" if curve.marked else "second")
    return join([line, *(_dot(*place) for place in places if place is not None and curve.marked)])


def _key(curve: Curve, left: float) -> list[Markup]:
    """A piece of the curve and its name."""
    sample = [_line(left, 14.0, left + 22, 14.0, look="first" if curve.marked else "second")]
    return [*sample, *([_dot(left + 11, 14.0)] if curve.marked else []), _text(curve.name, left + 28, 18.0, look="ink")]


def reliability(
    description: str,
    *,
    confidence: Sequence[float | None],
    frequency: Sequence[float | None],
    count: Sequence[int],
    x_label: str,
    y_label: str,
) -> Markup:
    """A reliability diagram: the share of positives over the mean probability, bin by bin, and how full the bins are.

    Args:
        description: what is to be seen, for those who do not see it.
        confidence: mean probability of each bin, None for an empty one.
        frequency: share of positives in it.
        count: examples in it.
        x_label: what goes to the right.
        y_label: what goes up.
    """
    frame = _Frame(52.0, WIDTH - 16, 12.0, 292.0, (0.0, 1.0), (0.0, 1.0))
    foot = _Frame(frame.left, frame.right, 312.0, 352.0, (0.0, 1.0), (0.0, float(max([*count, 1]))))
    wide = (foot.right - foot.left) / max(len(count), 1)
    tops = [foot.at(0.0, float(n))[1] for n in count]
    bars = [
        element("rect", x=foot.left + i * wide + 1, y=top, width=wide - 2, height=foot.bottom - top, class_="bar")
        for i, top in enumerate(tops)
        if count[i]
    ]
    filled = [(x, y) for x, y in zip(confidence, frequency) if x is not None and y is not None]
    curve = Curve("", [x for x, _ in filled], [y for _, y in filled], marked=True)
    where = ticks(0.0, 1.0)
    (x1, y1), (x2, y2) = frame.at(0.0, 0.0), frame.at(1.0, 1.0)
    drawn = [
        frame.columns(where, x_label, below=60.0),
        frame.rows(where, y_label),
        frame.axes(),
        _line(x1, y1, x2, y2, look="dashed"),
        _curve(frame, curve),
        *bars,
        _line(foot.left, foot.bottom, foot.right, foot.bottom, look="axis"),
        _text(f"examples in a bin, at most {max([*count, 0]):,}", foot.left + 4, foot.top - 4),
    ]
    return _plot(description, 396.0, drawn)


def intervals(
    description: str,
    rows: Sequence[IntervalMark],
    *,
    span: tuple[float, float],
    x_label: str,
    reference: float | None = None,
) -> Markup:
    """Values in rows, each with its interval, its number at the right; a hollow diamond below it is the other value.

    Args:
        description: what is to be seen, for those who do not see it.
        rows: from the top down.
        span: of the axis; what lies outside is drawn at its end.
        x_label: what goes to the right.
        reference: where a dashed line stands, if it lies in the span.
    """
    bottom = 10.0 + 30 * len(rows)
    frame = _Frame(120.0, WIDTH - 56, 6.0, bottom, span, (0.0, 1.0))
    drawn = [frame.columns(ticks(*span, most=4), x_label), _line(frame.left, bottom, frame.right, bottom, look="axis")]
    across = lambda value: frame.at(min(max(value, span[0]), span[1]), 0.0)[0]
    if reference is not None and span[0] <= reference <= span[1]:
        drawn.append(_line(across(reference), frame.top, across(reference), bottom, look="dashed"))
    for place, row in enumerate(rows):
        y = 23.0 + 30 * place
        drawn.append(_text(row.name, frame.left - 8, y + 4, anchor="end", look="ink"))
        if row.other is not None and _finite(row.other):
            drawn.append(_dot(across(row.other), y + 8, hollow=True))
        if row.ends is not None:
            low, high = (across(end) for end in row.ends)
            drawn += [
                _line(low, y, high, y, look="first"),
                *(_line(end, y - 5, end, y + 5, look="first") for end in (low, high)),
            ]
        if row.value is not None and _finite(row.value):
            drawn.append(_dot(across(row.value), y))
        drawn.append(_text(row.text or "-", WIDTH - 6, y + 4, anchor="end", look="ink"))
    return _plot(description, bottom + 42, drawn)
