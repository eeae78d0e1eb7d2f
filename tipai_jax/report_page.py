"""What stands in the report of an evaluation, in which order and in which words.

It owns the sections of the page. It computes nothing but the choice of what to show: figures come from `eval.json`,
curves from
`log.jsonl`, sheets as they were drawn. How things look is `render`'s.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tipai_jax.render.markup import Markup, element
from tipai_jax.render.page import code, figure, note, notes, page, picture, section, table, verdict
from tipai_jax.render.plots import Interval, intervals, reliability
from tipai_jax.report_curves import training
from tipai_jax.report_gaps import gaps
from tipai_jax.report_notes import NOTES, number_of
from tipai_jax.table import CONSISTENCY, PLACES, figure_text, interval_text, number_text

__all__ = ["render"]

Record = Mapping[str, Any]
GONE = "its sheet is not in the folder of the report any more; evaluate again to have it drawn"
SIDES = {"best": "The best", "worst": "The worst"}
REFERENCE = "zero_shot_cosine"


def render(record: Record, *, log: Sequence[Record], sheets: Mapping[str, bytes]) -> str:
    """The report as an HTML document.

    Args:
        record: as in `eval.json`.
        log: the lines of the run's `log.jsonl`.
        sheets: WebP pictures by the names that `record["extremes"]` calls them; one that is missing is said to be.

    Returns:
        The document; a function of the arguments alone.
    """
    parts = {
        "targets": ("Targets", _targets(record)),
        "ranking": ("Ranking", _ranking(record)),
        "calibration": ("Calibration", _calibration(record)),
        "places": ("Where it fails, and why", _places(record)),
        "baselines": ("Baselines", _baselines(record)),
        "training": ("Training", training(log)),
        "gaps": ("What was not measured", gaps(record, log=log, sheets=sheets)),
        "pairs": ("Best and worst pairs", _pairs(record, sheets)),
        "commands": ("How the numbers came about", _commands(record)),
        "notes": ("Notes", [notes([text(record) for text in NOTES.values()])]),
    }
    links = [element("li", element("a", title, href=f"#{name}")) for name, (title, _) in parts.items()]
    nav = element("nav", element("ul", *links), aria_label="Sections")
    body = [section(name, title, *content) for name, (title, content) in parts.items()]
    head = _headline(record)
    return page(
        f"{head}: {record['encoder']['name']}, {record['split']} split",
        element("header", *_header(record, head), nav),
        *body,
    )


def _note(name: str) -> Markup:
    return note(number_of(name))


def _name(name: str) -> str:
    return name.replace("_", " ").replace("zero shot", "zero-shot")


def _headline(record: Record) -> str:
    met = sum(row["pass"] is True for row in record["targets"])
    return f"{met} of {len(record['targets'])} targets met"


def _header(record: Record, head: str) -> list[Markup]:
    missed = [row["name"] for row in record["targets"] if row["pass"] is False]
    unknown = [row["name"] for row in record["targets"] if row["pass"] is None]
    controls = record["control"]["alarm_rate"]["n"]
    what = f"{record['n_pairs']:,} pairs of the {record['split']} split, {controls:,} of them controls. "
    encoder, step = record["encoder"], record["checkpoint"]["step"]
    what += f"Heads of step {step:,} on the frozen encoder {encoder['name']} (patches: {encoder['patches']})."
    parts = [
        element("p", "tipai_jax: evaluation of an auditor of text-to-image faithfulness", class_="over"),
        element("h1", head),
    ]
    if record["small_world_only"]:
        parts.append(element("p", "Small world only: drawn scenes, no photographs", class_="stamp"))
    parts += [element("p", f"Missed: {'; '.join(missed)}.")] if missed else []
    parts += [element("p", f"Not measured: {'; '.join(unknown)}.")] if unknown else []
    return [*parts, element("p", what)]


def _targets(record: Record) -> list[Markup]:
    rows = [
        (
            _name(row["name"]),
            verdict(row["pass"]),
            number_text(row["value"]),
            f"{row['direction']} {row['threshold']:.4g}",
            interval_text(row),
        )
        for row in record["targets"]
    ]
    head = ("target", "verdict", "measured", "asked", "95 % interval")
    says = "Asked by the config of the run. A target is judged by the measured value; its interval"
    words = element("p", says, _note("interval"), " says how far chance may have moved it.")
    return [words, table(head, rows, caption="What is asked, and what was measured", numbers=(2, 3, 4))]


def _ranking(record: Record) -> list[Markup]:
    parts = {
        "category": ("by what is broken", record["pair_auc_by_category"]),
        "difficulty": ("by difficulty", record["pair_auc_by_difficulty"]),
        "margin": ("by margin", record["pair_auc_by_margin"]),
    }
    theirs = record["baselines"].get(REFERENCE)
    whole = [("all pairs", record["global_pair_auc"], theirs and theirs["global_pair_auc"])]
    unseen = [
        ("unseen combinations", record["unseen_combination_pair_auc"], theirs and theirs["unseen_combination_pair_auc"])
    ]
    parted = {
        part: [
            (name, entry, theirs and theirs[f"pair_auc_by_{part}"].get(name))
            for name, entry in entries.items()
            if entry["n"]
        ]
        for part, (_, entries) in parts.items()
    }
    span = _span([entry for rows in parted.values() for _, *both in rows for entry in both if entry])
    plots = [_auc_plot(f"Pair AUC {parts[part][0]}", rows, span) for part, rows in parted.items() if rows]
    named = [
        (f"margin {name}" if part == "margin" else name, *both) for part, rows in parted.items() for name, *both in rows
    ]
    rows = [
        (name, figure_text(ours), figure_text(other), f"{ours['n']:,}")
        for name, ours, other in [*whole, *named, *unseen]
    ]
    compared = (
        ["The hollow diamond is the zero-shot cosine of the same embeddings, without any head", _note("baselines"), "."]
        if theirs
        else []
    )
    says = "How often the chosen image of a pair scores higher than the rejected one"
    words = element(
        "p",
        says,
        _note("pair"),
        ", as a dot with its interval. ",
        *compared,
        " What a margin is: see the note",
        _note("margin"),
        ".",
    )
    return [
        words,
        element("div", *plots, class_="plots"),
        table(
            ("pairs", "ours", "zero-shot cosine", "n"), rows, caption="Pair AUC, with 95 % intervals", numbers=(1, 2, 3)
        ),
    ]


def _span(entries: Sequence[Record]) -> tuple[float, float]:
    """The common axis of the plots, in twentieths."""
    values = [
        value for entry in entries for value in (entry["value"], *(entry["ci95"] or ())) if value is not None
    ] or [0.5]
    low, high = max(0.0, (int(min(values) * 20 - 0.2)) / 20), min(1.0, (int(max(values) * 20) + 1) / 20)
    return (low, high) if high > low else (low - 0.05, high)


def _auc_plot(title: str, rows: Sequence[tuple[str, Record, Record | None]], span: tuple[float, float]) -> Markup:
    said = "; ".join(f"{name} {figure_text(entry)}" for name, entry, _ in rows)
    drawn = [Interval(name, entry["value"], entry["ci95"], other and other["value"]) for name, entry, other in rows]
    label = "pair AUC (dashed: chance)" if span[0] <= 0.5 else "pair AUC"
    return figure(title, intervals(f"{title}: {said}.", drawn, span=span, x_label=label, reference=0.5))


def _calibration(record: Record) -> list[Markup]:
    titles = {"before": "Before calibration: sigmoid of the logit", "after": "After calibration"}
    plots = []
    for name, title in titles.items():
        bins = record["reliability"][name]
        said = "; ".join(
            f"{x:.2f}: {y:.2f} of {n:,}" for x, y, n in zip(bins["confidence"], bins["frequency"], bins["count"]) if n
        )
        words = (
            f"Reliability diagram. {title}. Mean score of a bin and share of its images that keep the prompt: {said}."
        )
        labels = {"x_label": "score, mean of the bin", "y_label": "share that keeps the prompt"}
        plots.append(figure(title, reliability(words, **bins, **labels)))
    figures = {
        "ECE before calibration": record["ece_before"],
        "ECE": record["ece"],
        "ECE, bins of equal mass": record["ece_equal_mass"],
        "controls flagged": record["control"]["alarm_rate"],
        "chosen images flagged": record["control"]["alarm_rate_faithful"],
        "rejected images flagged": record["control"]["alarm_rate_broken"],
    }
    says = "Where the dots lie on the dashed line, a score of 0.8 keeps the prompt eight times in ten"
    flagged = (
        f" An image is flagged where its score is below {record['control']['threshold']:g}; a control should not be"
    )
    return [
        element("p", says, _note("calibration"), ".", flagged, _note("control"), "."),
        element("div", *plots, class_="plots"),
        _figures("Calibration and alarms", figures),
        *_conformal(record.get("conformal")),
        *(
            [
                _figures(
                    "Score and worst patch: two opinions on one picture",
                    {CONSISTENCY[name]: entry for name, entry in agree.items()},
                )
            ]
            if (agree := record.get("consistency"))
            else []
        ),
    ]


def _conformal(levels: Record | None) -> list[Markup]:
    """Coverage at each level, where the record holds it."""
    if not levels:
        return []
    names = {
        "coverage": "covered",
        "coverage_keeps": "of those that keep the prompt",
        "coverage_breaks": "of those that break it",
        "coverage_controls": "of controls",
        "abstains": "abstains",
    }
    rows = [(level, *(figure_text(shares.get(name)) for name in names)) for level, shares in levels.items()]
    says = (
        "Conformal prediction gives a set of answers, keeps the prompt or breaks it, that is to hold the true one as"
        " often as the level asks. "
    )
    words = element("p", says, "Where the set holds both or neither, the auditor abstains.")
    return [words, table(("level asked", *names.values()), rows, caption="Conformal prediction", numbers=range(1, 6))]


def _figures(caption: str, figures: Mapping[str, Record | None]) -> Markup:
    rows = [(name, figure_text(entry), f"{entry['n']:,}" if entry else "-") for name, entry in figures.items()]
    return table(("figure", "value (95 % interval)", "n"), rows, caption=caption, numbers=(1, 2))


def _places(record: Record) -> list[Markup]:
    names = {
        **PLACES,
        "box_overlap": "reddest box overlaps the true one",
        "pointing_game": "reddest pixel lies in what is wrong (pointing game)",
    }
    where = {
        "patch pair AUC": record["patch_pair_auc"],
        "patch pair AUC within rejected images": record["patch_pair_auc_within_rejected"],
        **{
            f"heatmap, {names.get(name, name.replace('_', ' '))}": entry
            for name, entry in (record["heatmap"] or {}).items()
        },
    }
    blind = (record["baselines"].get("text_only") or {}).get("category_roc_auc") or {}
    within = record["category_roc_auc_within_pairs"] or {}
    why = [
        (
            name,
            figure_text(entry),
            figure_text(within.get(name)),
            figure_text(blind.get(name)),
            f"{entry.get('positives', 0):,}",
        )
        for name, entry in (record["category_roc_auc"] or {}).items()
    ]
    head = ("reason", "ROC-AUC against all images", "within pairs", "from the prompt alone", "images broken so")
    return [
        element(
            "p",
            "Whether the patches that are wrong stand out",
            _note("patch"),
            ", how the heatmaps lie on the true regions",
            _note("heatmap"),
            " and whether the reasons are the right ones",
            _note("reason"),
            ".",
        ),
        _figures("Where: patches and heatmaps", where),
        table(head, why, caption="Why: the five reasons", numbers=(1, 2, 3, 4)),
    ]


def _baselines(record: Record) -> list[Markup]:
    if not record["baselines"]:
        return [element("p", "None was measured: ", *(f"{reason}. " for reason in record["not_measured"]))]
    scorers = {"ours": record, **{_name(name): entry for name, entry in record["baselines"].items()}}
    ranks = [
        (
            name,
            figure_text(entry["global_pair_auc"]),
            figure_text(entry.get("global_pair_auc_difference")),
            figure_text(entry["ece"]),
        )
        for name, entry in scorers.items()
    ]
    places = ("auc_judd", "iou", "pointing_game", "box_found_in_chosen")
    where = [
        (
            name,
            figure_text(entry["patch_pair_auc"]),
            *(figure_text((entry["heatmap"] or {}).get(place)) for place in places),
        )
        for name, entry in scorers.items()
    ]
    return [
        element(
            "p",
            "The same pairs, judged by simpler scorers",
            _note("baselines"),
            ". A difference is paired: ours is better beyond chance where its interval lies above 0.",
        ),
        table(
            ("scorer", "pair AUC", "ours above it by", "ECE"),
            ranks,
            caption="Which picture is better: baselines beside ours",
            numbers=(1, 2, 3),
        ),
        table(
            ("scorer", "patch pair AUC", *(PLACES[place] for place in places)),
            where,
            caption=(
                "Where it fails: baselines beside ours. A map that is red everywhere has a high overlap, and finds a"
                " box in images that are fine"
            ),
            numbers=range(1, 6),
        ),
    ]


def _pairs(record: Record, sheets: Mapping[str, bytes]) -> list[Markup]:
    entries = [entry for side in SIDES for entry in record["extremes"][side]]
    reasons = {_no_sheet(entry, sheets) for entry in entries}
    parts = [
        element(
            "p",
            "The pairs whose chosen image stands furthest above the rejected one in calibrated score, and those where"
            " it stands lowest or below",
            _note("extremes"),
            ". On a sheet, from left: the chosen image, its heatmap, the rejected image with the true boxes in "
            "black (dashed: something is missing there), its heatmap with what the auditor found in violet.",
        ),
    ]
    if entries and reasons == {GONE}:
        parts.append(
            element(
                "p",
                "There are no sheets: they are not in the folder of the report any more; evaluate again to have them"
                " drawn.",
            )
        )
    elif entries and len(reasons) == 1 and "" not in reasons:
        parts.append(element("p", f"There are no sheets: {reasons.pop()}."))
    for side, words in SIDES.items():
        shown = record["extremes"][side]
        if shown:
            parts += [
                element("h3", f"{words} {len(shown)}"),
                *(_sheet(entry, place, sheets) for place, entry in enumerate(shown, start=1)),
            ]
    return parts if entries else [element("p", "The split holds no pair with a right and a wrong image.")]


def _no_sheet(entry: Record, sheets: Mapping[str, bytes]) -> str:
    return "" if entry["sheet"] in sheets else entry["no_sheet"] or GONE


def _sheet(entry: Record, place: int, sheets: Mapping[str, bytes]) -> Markup:
    chosen, rejected = entry["score"]
    broken = ", ".join(entry["broken"]) or "not said"
    reason, chance = entry["reason"]
    facts = f"Chosen {chosen:.3f}, rejected {rejected:.3f}, difference {chosen - rejected:+.3f}. "
    facts += f"Broken: {broken}; the auditor's first reason: {reason} ({chance:.2f})."
    facts += f" Pair {entry['pair_id']}" + (f", {entry['difficulty']}." if entry["difficulty"] else ".")
    caption = element(
        "figcaption",
        element("strong", f"{place}. {entry['prompt']}"),
        element("br"),
        element("span", facts, class_="quiet"),
    )
    why = _no_sheet(entry, sheets)
    if why:
        return element("figure", caption, element("p", f"No picture: {why}.", class_="quiet"), class_="sheet")
    alt = (
        f"Sheet of pair {entry['pair_id']}: chosen and rejected image for the prompt {entry['prompt']!r}, each plain"
        f" and under its heatmap. {facts}"
    )
    return element("figure", caption, picture(sheets[entry["sheet"]], kind="webp", alt=alt), class_="sheet")


def _commands(record: Record) -> list[Markup]:
    commands = record["commands"]
    rows = [
        *(
            (f"embeddings{name.removeprefix('embed')}", code(line))
            for name, line in commands.items()
            if name.startswith("embed")
        ),
        ("heads, training curves", code(commands["train"])),
        ("every other number, and the sheets", code(record["command"])),
        ("this page, from what these left", code("python -m tipai_jax.report --workdir RUN")),
    ]
    best = record["checkpoint"]["validation_pair_auc"]
    facts = {
        "store evaluated on": record["store_digest"],
        "store trained from": record["training_store_digest"],
        "encoder": f"{record['encoder']['name']}, {record['encoder']['digest']}",
        "config": record["config_digest"],
        "checkpoint": (
            f"step {record['checkpoint']['step']:,}" + ("" if best is None else f", pair AUC on validation {best:.4f}")
        ),
        "seeds": ", ".join(f"{name} {seed}" for name, seed in record["seeds"].items()),
        "versions": ", ".join(f"{name} {number}" for name, number in record["versions"].items()),
    }
    says = (
        "Each command goes on where it stopped and repeats nothing. Settings of the training that differ from"
        " configs/base.py are spelled out."
    )
    made = [(name, code(value)) for name, value in facts.items()]
    return [
        element("p", says),
        table(("what", "command"), rows, caption="Commands", words=(1,)),
        table(("what", "made with"), made, caption="Digests (sha256), seeds and versions", words=(1,)),
    ]
