"""What stands in the report of an evaluation, in which order and in which words; what a figure means its
record says.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tipai_jax.render.html import code, figure, image, note, notes, page, section, table, verdict
from tipai_jax.render.markup import Markup, element
from tipai_jax.render.phrases import Run, words_markup
from tipai_jax.render.svg import IntervalMark, intervals, reliability
from tipai_jax.report.curves import training
from tipai_jax.report.figures import beside_baselines, figure_text, interval_text, value_of, value_text
from tipai_jax.report.gaps import gaps

__all__ = ["render"]

Record = Mapping[str, Any]
GONE = "its sheet is not in the folder of the report any more; evaluate again to have it drawn"
SIDES = {"best": "The best", "worst": "The worst"}
INTERVALS = (
    "The row of a baseline at chance shows the interval of its own figure, the row of a difference that of the"
    " difference."
)


def render(record: Record, *, name: str, date: str, log: Sequence[Record], sheets: Mapping[str, bytes]) -> str:
    """The report as an HTML document.

    Args:
        record: as in `eval.json`.
        name: of the run, for the title.
        date: of the evaluation, in words.
        log: the lines of the run's `log.jsonl`.
        sheets: WebP images by the names that `record["best_and_worst"]` calls them; the page says which are missing.

    Returns:
        The document; a function of the arguments alone.
    """
    layout = record["layout"]
    footnotes = [f"Intervals: {record['intervals']}. {INTERVALS}"]
    parts = {"targets": ("Targets", _targets(record))}
    for each in layout["sections"]:
        if any(spec["section"] == each["key"] for spec in layout["figures"]) and not _rows(record, each):
            continue  # as of the shifted splits of data that have none
        first = len(footnotes) + 1
        footnotes += each["notes"]
        marks = [note(number) for number in range(first, len(footnotes) + 1)]
        parts[each["key"]] = (each["title"], _section(record, each, marks))
    parts["training"] = ("Training", training(log, unit=record["unit"]))
    parts["gaps"] = ("What was not measured", gaps(record, log=log, sheets=sheets))
    if layout["best_and_worst"]:
        parts["best_and_worst"] = (f"Best and worst {record['unit']}", _best_and_worst(record, sheets))
    parts["commands"] = ("How the figures came about", _commands(record))
    parts["notes"] = ("Notes", [notes(footnotes)])
    links = [element("li", element("a", title, href=f"#{key}")) for key, (title, _) in parts.items()]
    nav = element("nav", element("ul", *links), aria_label="Sections")
    body = [section(key, title, *content) for key, (title, content) in parts.items()]
    head = _headline(record)
    title = f"{name}: {head}, {record['encoder']['name']}, {record['split']} split"
    return page(title, element("header", *_header(record, name, date, head), nav), *body)


def _headline(record: Record) -> str:
    met = sum(row["pass"] is True for row in record["targets"])
    return f"{met} of {len(record['targets'])} targets met"


def _header(record: Record, name: str, date: str, head: str) -> list[Markup]:
    missed, unknown = (
        [_target_name(record, row) for row in record["targets"] if row["pass"] is met] for met in (False, None)
    )
    encoder, step = record["encoder"], record["checkpoint"]["step"]
    what = f"{record['n_examples']:,} {record['unit']} of the {record['split']} split. "
    what += f"Heads of step {step:,} on the frozen encoder {encoder['name']} (patches: {encoder['patches']})."
    what += f" Evaluated on {date}."
    parts = [element("p", f"{name}: {record['layout']['title']}", class_="over"), element("h1", head)]
    if record["small_world_only"]:
        parts.append(element("p", "Small world only: drawn scenes, no photographs", class_="stamp"))
    parts += [element("p", f"Missed: {'; '.join(missed)}.")] if missed else []
    parts += [element("p", f"Not measured: {'; '.join(unknown)}.")] if unknown else []
    return [*parts, element("p", what)]


def _target_name(record: Record, row: Record) -> str:
    """The name of a target, a baseline in it by its label."""
    name, labels = row["name"], record["layout"]["baselines"]
    return next((name.replace(each, label) for each, label in labels.items() if each in name), name)


def _targets(record: Record) -> list[Markup]:
    rows = [
        (
            _target_name(record, row),
            verdict(row["pass"]),
            value_text(row["value"], row["format"]),
            f"{row['direction']} {row['threshold']:.4g}",
            interval_text(row, row["format"]),
        )
        for row in record["targets"]
    ]
    head = ("target", "verdict", "measured", "asked", "95 % interval")
    says = "Asked by the config of the run. A target is judged by the measured value; its interval"
    words = element("p", says, note(1), " shows how far chance may have moved it.")
    return [words, table(head, rows, caption="What is asked, and what was measured", numbers=(2, 3, 4))]


def _rows(record: Record, about: Record) -> list[tuple[Record, str, Record | None, Mapping[str, Record | None]]]:
    """The figures of a section: (spec, label, ours, theirs by baseline)."""
    specs = [spec for spec in record["layout"]["figures"] if spec["section"] == about["key"]]
    return [(spec, *each) for spec in specs for each in beside_baselines(record, spec)]


def _section(record: Record, about: Record, marks: Sequence[Markup]) -> list[Markup]:
    """The words of a section, its plots, and a table of its figures with the baselines beside ours, the best one
    marked.
    """
    layout = record["layout"]
    specs = [spec for spec in layout["figures"] if spec["section"] == about["key"]]
    plots = [plot for spec in specs if spec["plot"] for plot in _plot(record, spec)]
    if layout["reliability"] == about["key"] and record.get("reliability"):
        plots += _reliability(record["reliability"], layout["positives"])
    compared = [name for name in layout["baselines"] if name in record["baselines"]]
    compared = [name for name in compared if any(name in spec["baselines"] for spec in specs)]
    rows = [
        _row(spec, label, ours, [theirs.get(name) for name in compared])
        for spec, label, ours, theirs in _rows(record, about)
    ]
    head = ("figure", "ours", *(layout["baselines"][name] for name in compared), "n")
    caption = f"{about['title']}: values with 95 % intervals" + ("; the best of a row is marked" if compared else "")
    return [
        element("p", about["text"], *marks),
        *([element("div", *plots, class_="plots")] if plots else []),
        *([table(head, rows, caption=caption, numbers=range(1, len(head)))] if rows else []),
    ]


def _row(spec: Record, label: str, ours: Record | None, theirs: Sequence[Record | None]) -> tuple[str, ...]:
    values = [value_of(figure) for figure in (ours, *theirs)]
    known = [value for value in values if value is not None]
    best = None
    if len(known) > 1 and spec["better"] != "neither":
        best = max(known) if spec["better"] == "higher" else min(known)
    cells = [
        element("strong", text) if value is not None and value == best else text
        for value, text in zip(values, (figure_text(figure, spec["format"]) for figure in (ours, *theirs)), strict=True)
    ]
    return (label, *cells, f"{ours['n']:,}" if ours else "-")


def _plot(record: Record, spec: Record) -> list[Markup]:
    """The values that the star of a spec stands for as dots with their intervals; the reference as hollow diamonds."""
    reference = record["layout"]["reference"]
    rows = [
        (name, ours, theirs.get(reference))
        for name, ours, theirs in beside_baselines(record, {**spec, "label": "{}"})
        if ours and ours["n"]
    ]
    if not rows:
        return []
    values = "; ".join(f"{name} {figure_text(ours, spec['format'])}" for name, ours, _ in rows)
    both = [each for _, *pair in rows for each in pair if each]
    span = _span([value for each in both for value in (each["value"], *(each["ci95"] or ())) if value is not None])
    drawn = [
        IntervalMark(name, ours["value"], ours["ci95"], value_of(other), value_text(ours["value"], spec["format"]))
        for name, ours, other in rows
    ]
    compared = record["layout"]["baselines"][reference] if any(other for *_, other in rows) else None
    axis = spec["label"].split("{")[0].split(",")[0].strip() or spec["plot"]
    axis += f" (hollow: {compared})" if compared else ""
    words = f"{spec['plot']}: {values}."
    return [figure(spec["plot"], intervals(words, drawn, span=span, x_label=axis, reference=spec["chance"]))]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis that holds all values: of shares in steps of 0.05 and never beyond 0 and 1."""
    low, high = (min(values), max(values)) if values else (0.5, 0.5)
    if low >= 0.0 and high <= 1.0:
        return max(0.0, int(low * 20 - 0.2) / 20), min(1.0, (int(high * 20) + 1) / 20)
    room = 0.05 * (high - low) or 0.05 * abs(high)
    return low - room, high + room


def _reliability(found: Record, positives: str) -> list[Markup]:
    titles = {"before": "Before calibration: sigmoid of the logit", "after": "After calibration"}
    plots = []
    for name, title in titles.items():
        bins = found[name]
        triples = zip(bins["confidence"], bins["frequency"], bins["count"], strict=True)
        values = "; ".join(f"{x:.2f}: {y:.2f} of {n:,}" for x, y, n in triples if n)
        words = f"Reliability diagram. {title}. Mean score of a bin and {positives} in it: {values}."
        drawn = reliability(
            words,
            confidence=bins["confidence"],
            frequency=bins["frequency"],
            count=bins["count"],
            x_label="score, mean of the bin",
            y_label=positives,
        )
        plots.append(figure(title, drawn))
    return plots


def _best_and_worst(record: Record, sheets: Mapping[str, bytes]) -> list[Markup]:
    entries = [entry for side in SIDES for entry in record["best_and_worst"].get(side, [])]
    reasons = {_no_sheet(entry, sheets) for entry in entries}
    parts = [element("p", record["layout"]["best_and_worst"])]
    if entries and reasons == {GONE}:
        gone = (
            "There are no sheets: they are not in the folder of the report any more; evaluate again to have them drawn."
        )
        parts.append(element("p", gone))
    elif entries and len(reasons) == 1 and "" not in reasons:
        parts.append(element("p", f"There are no sheets: {reasons.pop()}."))
    for side, words in SIDES.items():
        group = record["best_and_worst"].get(side, [])
        if group:
            parts.append(element("h3", f"{words} {len(group)}"))
            parts += [_sheet(entry, place, sheets) for place, entry in enumerate(group, start=1)]
    return parts if entries else [element("p", "The split holds none that can be ordered so.")]


def _no_sheet(entry: Record, sheets: Mapping[str, bytes]) -> str:
    return "" if entry["sheet"] in sheets else entry["no_sheet"] or GONE


def _sheet(entry: Record, place: int, sheets: Mapping[str, bytes]) -> Markup:
    facts = element("span", entry["facts"], class_="quiet")
    caption = element(
        "figcaption", element("strong", f"{place}. {entry['title']}"), element("br"), facts, *_words(entry)
    )
    why = _no_sheet(entry, sheets)
    if why:
        return element("figure", caption, element("p", f"No image: {why}.", class_="quiet"), class_="sheet")
    alt = f"Sheet of {entry['title']!r}. {entry['facts']}"
    return element("figure", caption, image(sheets[entry["sheet"]], kind="webp", alt=alt), class_="sheet")


def _words(entry: Record) -> list[str]:
    """The prompt in coloured words, as each image keeps its phrases; nothing where that is not known."""
    parts: list[str] = []
    for name, runs in zip(("chosen", "rejected"), entry.get("words", ())):
        parts += [element("br"), f"{name}: ", words_markup([Run(text, kept) for text, kept in runs])]
    return parts


def _commands(record: Record) -> list[Markup]:
    commands = record["commands"]
    embeds = [
        (f"embeddings{name.removeprefix('embed')}", code(line))
        for name, line in commands.items()
        if name.startswith("embed")
    ]
    rows = [
        *embeds,
        ("heads, training curves", code(commands["train"])),
        (
            "every other figure" + (", and the sheets" if record["layout"]["best_and_worst"] else ""),
            code(record["command"]),
        ),
        ("this page, from what these left", code("python -m tipai_jax.report --workdir RUN")),
    ]
    best = record["checkpoint"]["validation_score"]
    facts = {
        "store evaluated on": record["store_digest"],
        "store trained from": record["training_store_digest"],
        "encoder": f"{record['encoder']['name']}, {record['encoder']['digest']}",
        "config": record["config_digest"],
        "checkpoint": (
            f"step {record['checkpoint']['step']:,}" + ("" if best is None else f", score on validation {best:.4f}")
        ),
        "seeds": ", ".join(f"{name} {seed}" for name, seed in record["seeds"].items()),
        "versions": ", ".join(f"{name} {number}" for name, number in record["versions"].items()),
    }
    says = (
        "Each command goes on where it stopped and repeats nothing. Settings that differ from the config file are"
        " spelled out."
    )
    made = [(name, code(value)) for name, value in facts.items()]
    return [
        element("p", says),
        table(("what", "command"), rows, caption="Commands", words=(1,)),
        table(("what", "made with"), made, caption="Digests (sha256), seeds and versions", words=(1,)),
    ]
