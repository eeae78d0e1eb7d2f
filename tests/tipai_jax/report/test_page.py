"""The page of a record: all of it, in words that cannot become tags, and honest about what is missing."""

import copy
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from report_world import CATEGORIES, SHEETS, Document, baseline, entry, fig, log, record, target

from tipai_jax.report.page import render
from tipai_jax.tasks.task import FigureSpec, Layout, Section


def document(made, *, lines=None, sheets=SHEETS):
    return Document(render(made, name="base", date="2026-11-25", log=log() if lines is None else lines, sheets=sheets))


@pytest.fixture(scope="module")
def shown():
    return document(record())


def test_the_verdict_comes_first_and_the_targets_with_it(shown):
    words = " ".join(shown.words)
    assert "1 of 3 targets met" in words and "Missed: ECE." in words
    assert "Small world only: drawn scenes, no photographs" in words
    assert "base: evaluation of an auditor" in words and "110 pairs of the test split. Heads of step 657" in words
    assert shown.row("targets", "global pair AUC") == ["✓ met", "0.9000", "> 0.85", "0.8512 to 0.9487"]
    assert shown.row("targets", "ECE") == ["✗ missed", "0.9000", "> 0.85", "-"]
    assert "– not measured" in shown.of("targets")
    title = next(word for word in shown.words if word.startswith("base: 1 of 3"))
    assert title == "base: 1 of 3 targets met, tiny, test split"


def test_targets_are_written_in_their_format_and_baselines_by_their_label():
    targets = [
        target("converged at epoch", 2.0, ci95=None, format=".0f"),
        target("mean rank", 2.0, ci95=[1.5, 2.5], format=".2f"),
        target("text_only at chance", 0.6, False),
    ]
    found = document(record(targets=targets))
    assert found.row("targets", "converged at epoch")[1] == "2"
    assert found.row("targets", "mean rank")[1::2] == ["2.00", "1.50 to 2.50"]
    assert found.row("targets", "text-only ablation at chance")[0] == "✗ missed"
    assert "Missed: text-only ablation at chance." in found.words and "text_only" not in "".join(found.words)


def test_every_section_has_its_figures(shown):
    assert list(shown.sections) == [
        "targets",
        "ranking",
        "calibration",
        "where",
        "why",
        "training",
        "gaps",
        "best_and_worst",
        "commands",
        "notes",
    ]
    ours, theirs = "0.900 (0.850 to 0.950)", "0.700 (0.650 to 0.750)"
    assert shown.row("ranking", "figure") == ["ours", "zero-shot cosine", "text-only ablation", "n"]
    assert shown.row("ranking", "global pair AUC") == [ours, theirs, theirs, "100"]
    for name in (*CATEGORIES, "easy", "medium", "hard", "margin 0.1 to 0.2", "margin 0.3", "unseen combinations"):
        assert shown.row("ranking", f"pair AUC, {name}") == [ours, theirs, "-", "100"]
    above = "+0.2000 (+0.1500 to +0.2500)"
    assert shown.row("ranking", "pair AUC above zero-shot cosine") == [above, "-", "-", "100"]
    assert shown.row("ranking", "pair AUC above text-only ablation") == [above, "-", "-", "100"]
    assert shown.row("calibration", "ECE before calibration")[0] == "0.300 (0.250 to 0.350)"
    assert shown.row("where", "heatmap, AUC-Judd") == [ours, theirs, "100"], "the text-only ablation has no places"
    assert shown.row("why", "category ROC-AUC within pairs, spatial") == [ours, theirs, "100"]
    assert "Term: pair" in shown.of("training") and "global pair auc on validation" in shown.of("training")
    assert "mean over the training pairs" in shown.of("training")
    assert "difference +0.700" in shown.of("best_and_worst") and "The worst 1" in shown.of("best_and_worst")
    assert "Best and worst pairs" in shown.of("best_and_worst")


def test_the_commands_and_what_was_computed_with_are_there(shown):
    commands = shown.of("commands")
    for each in (
        "precompute/embed.py",
        "tipai_jax.train",
        "tipai_jax.evaluate",
        "python -m tipai_jax.report --workdir RUN",
        "5" * 64,
        "6" * 64,
        "c" * 64,
        "e" * 64,
        "step 657, score on validation 0.9400",
        "jax 0.10",
        "bootstrap 3",
    ):
        assert each in commands, each
    without = document(record(checkpoint={"step": 1657, "validation_score": None})).of("commands")
    assert "step 1,657" in without and "score on validation" not in without


def test_a_store_to_train_on_has_its_own_command():
    commands = record()["commands"] | {"embed, to train on": "python precompute/embed.py --out store/y"}
    assert "store/y" in document(record(commands=commands)).row("commands", "embeddings, to train on")[0]


def test_nothing_is_loaded_and_no_word_becomes_a_tag(shown):
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in shown.tags}
    for _, attributes in shown.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            assert not re.search(r"(?i)url\(|https?:|^//", value or ""), (name, value)
            if name in ("src", "href"):
                assert value.startswith(("#", "data:image/webp;base64,"))
    assert "".join(shown.words).count("<script>alert(1)</script>") >= 5, "a target, a command and two titles, as words"


def test_every_link_leads_somewhere_and_headings_are_in_order(shown):
    names = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(names) == len(set(names))
    links = {attributes["href"] for tag, attributes in shown.tags if tag == "a"}
    assert links <= {f"#{name}" for name in names}
    assert {f"#{name}" for name in shown.sections} <= links, "every section can be reached"
    notes = [name for name in names if name.startswith("note-")]
    assert len(notes) == 1 + 3 + 4 + 4 + 4 and {f"#{name}" for name in notes} <= links, "every note is pointed at"
    levels = [int(tag[1]) for tag, _ in shown.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(after - before <= 1 for before, after in pairwise(levels))


def test_notes_are_numbered_as_they_are_first_mentioned(shown):
    links = [attributes.get("href", "") for _, attributes in shown.tags]
    found = list(dict.fromkeys(link for link in links if link.startswith("#note-")))
    assert found == [f"#note-{number}" for number in range(1, len(found) + 1)] and len(found) > 5


def test_every_image_has_words(shown):
    images = [attributes.get("alt") for tag, attributes in shown.tags if tag == "img"]
    plots = [attributes.get("aria-label") for tag, attributes in shown.tags if tag == "svg"]
    assert len(images) == 2 and all("a red car" in alt and "difference +0.700" in alt for alt in images)
    assert len(plots) == 3 + 2 + 2 + 3 and all(plots)
    assert "By what is broken: object 0.900 (0.850 to 0.950); attribute 0.900" in plots[0]
    assert "0.25: 0.50 of 10; 0.75: 1.00 of 20" in plots[3], "an empty bin is left out"


def test_every_table_scrolls_in_a_box_that_the_keyboard_reaches(shown):
    tags = [tag for tag, _ in shown.tags]
    boxes = [attributes for tag, attributes in shown.tags if attributes.get("class") == "scroll"]
    assert len(boxes) == tags.count("table") == 1 + 4 + 2 and all(box["tabindex"] == "0" for box in boxes)


def test_a_long_log_is_thinned_and_a_repeated_step_counts_once():
    lines = [{"step": i, "epoch": i / 1000, "loss": 1.0} for i in range(1, 5001)]
    lines += [{"step": 5000, "epoch": 5.0, "validation": {"loss": loss, "global_pair_auc": 0.5}} for loss in (9.0, 1.0)]
    page = render(record(), name="base", date="2026-11-25", log=lines, sheets=SHEETS)
    paths = re.findall(r'<path d="([^"]*)" class="second">', page)
    assert len(paths) == 1 and paths[0].count("L") == 299
    assert "validation from 1 to 1." in page and "validation from 9" not in page


def test_what_is_missing_is_named():
    nothing = fig(None, 0)
    few, short = "fewer than 10 prompt groups", "fewer than 19 validation images of each kind"
    bare = record(
        small_world_only=False,
        baselines={},
        not_measured=["baselines: the store is gone"],
        patch_pair_auc=None,
        heatmap=None,
        category_roc_auc=None,
        category_roc_auc_within_pairs=None,
        pair_auc_by_margin={},
        unseen_combination_pair_auc=nothing,
        ece=fig(None, 40),
        global_pair_auc=fig(None, 2, reason=few),
        conformal={"0.9": record()["conformal"]["0.9"] | {"abstains": fig(None, 4, reason=short)}},
        notes=["calibration, patch: not calibrated"],
        pair_auc_by_category={"object": fig(), "text": nothing},
        targets=[],
        best_and_worst={
            "best": [entry(1, None, no_sheet="the folder of the images is not there")],
            "worst": [entry(2)],
        },
    )
    del bare["ece_before"]
    shown = document(bare, lines=[], sheets={})
    gaps = shown.of("gaps")
    heatmap = (
        "IoU",
        "Dice",
        "correlation",
        "AUC-Judd",
        "box overlap",
        "pointing game",
    )
    unpredicted = [
        "ECE before calibration",
        "patch pair AUC",
        *(f"heatmap, {name}" for name in heatmap),
        "category ROC-AUC, all",
        "category ROC-AUC within pairs, all",
    ]
    for line in (
        f"the heads do not predict it: {'; '.join(unpredicted)}",
        "the split holds nothing to measure it on: pair AUC, text; pair AUC, unseen combinations",
        "it came out as no finite number: ECE",
        "fewer than 10 prompt groups: global pair AUC",
        "fewer than 19 validation images of each kind: abstains at 90 %",
        "calibration, patch: not calibrated",
        "baselines: the store is gone",
        "no log.jsonl",
        "sheets: 2 of 2 have none",
        "GPU",
    ):
        assert line in gaps, line
    assert "photographs" not in gaps and "Small world only" not in " ".join(shown.words)
    best_and_worst = shown.of("best_and_worst")
    assert "No image: the folder of the images is not there." in best_and_worst and "evaluate again" in best_and_worst
    assert "There are no curves" in shown.of("training")


def test_a_baseline_without_a_figure_that_ours_has_is_named():
    theirs = baseline(heatmap=None, patch_pair_auc=None, category_roc_auc=None)
    gaps = document(record(baselines={"zero_shot_cosine": theirs})).of("gaps")
    assert "zero-shot cosine, patch pair AUC, heatmap, IoU, heatmap, Dice" in gaps
    assert "category" not in gaps, "this baseline is asked for no reasons"
    neither = document(record(patch_pair_auc=None, baselines={"zero_shot_cosine": theirs})).of("gaps")
    assert "the heads do not predict it: patch pair AUC" in neither
    assert "zero-shot cosine, heatmap, IoU" in neither, "what ours lacks as well is not named twice"
    assert "this baseline" not in document(record(baselines={"zero_shot_cosine": baseline()})).of("gaps")


def test_sheets_that_are_all_missing_for_one_reason_have_one_sentence_more():
    gone = document(record(), sheets={}).of("best_and_worst")
    assert "There are no sheets: they are not in the folder of the report any more" in gone
    entries = {"best": [entry(1, None, no_sheet="no folder")], "worst": [entry(2, None, no_sheet="no folder")]}
    assert "There are no sheets: no folder." in document(record(best_and_worst=entries)).of("best_and_worst")
    assert "There are no sheets" not in document(record()).of("best_and_worst")


def test_the_words_of_a_pair_are_marked_for_both_images():
    words = [[["a <red> car", 0.97], [" on the beach", None]], [["a <red> car", 0.09], [" on the beach", None]]]
    sides = {"best": [entry(1, words=words)], "worst": [entry(2, "worst-01.webp")]}
    page = document(record(best_and_worst=sides))
    text = " ".join(page.of("best_and_worst").split())
    assert "chosen: a <red> car" in text and "rejected: a <red> car" in text
    assert text.count("0.97") == text.count("0.09") == 1
    assert text.count("chosen: ") == 1, "an entry of an earlier evaluation has no words"


def test_a_record_without_baselines_has_neither_columns_nor_marks_for_them():
    found = document(record(baselines={}, not_measured=["baselines: the store is gone"]))
    assert found.row("ranking", "global pair AUC") == ["0.900 (0.850 to 0.950)", "100"]
    heads = [cells for where, cells in found.rows if cells[0] == "figure"]
    assert heads == [["figure", "ours", "n"]] * 4
    assert found.strong == [] and "best of a row is marked" not in "".join(found.words)
    assert "pair AUC above" not in found.of("ranking") and "hollow" not in found.of("ranking")


def marked(ours, theirs, other=None):
    """What the row of the global pair AUC (higher is better) and that of ECE (lower) mark."""
    baselines = {"zero_shot_cosine": baseline(global_pair_auc=theirs, ece=theirs)}
    if other:
        baselines["text_only"] = baseline(global_pair_auc=other, ece=other)
    found = document(record(baselines=baselines, global_pair_auc=ours, ece=ours))
    return [[text.split()[0] for row, text in found.strong if row == name] for name in ("global pair AUC", "ECE")]


def test_the_best_of_a_row_is_marked_whichever_way_is_better():
    assert marked(fig(0.4), fig(0.3)) == [["0.400"], ["0.300"]]
    assert marked(fig(0.4), fig(0.3), fig(0.6)) == [["0.600"], ["0.300"]]
    assert marked(fig(0.4), fig(0.4)) == [["0.400", "0.400"]] * 2, "a tie is no one's"
    assert marked(fig(0.4), fig(None, 0)) == [[], []], "alone it is not the best of anything"
    assert marked(fig(None, 0), fig(0.3), fig(0.6)) == [["0.600"], ["0.300"]]
    assert marked(fig(0.0), fig(0.3)) == [["0.300"], ["0.000"]], "zero is a value"


def test_a_figure_that_measures_no_quality_has_no_best():
    found = document(record())
    assert "rejected images in which something is marked" not in {row for row, _ in found.strong}
    assert ("chosen images in which something is marked", "0.700 (0.650 to 0.750)") in found.strong, "lower is better"
    assert ("heatmap, IoU", "0.900 (0.850 to 0.950)") in found.strong


def test_a_star_under_nothing_takes_the_names_that_the_baselines_have():
    """Else what a baseline predicts and ours does not would be left out of the table."""
    found = document(record(category_roc_auc=None))
    rows = [
        cells[0]
        for where, cells in found.rows
        if where == "why" and "category" in cells[0] and "within" not in cells[0]
    ]
    assert rows == [*(f"category ROC-AUC, {name}" for name in CATEGORIES)]
    assert found.row("why", "category ROC-AUC, text") == ["-", "0.700 (0.650 to 0.750)", "-"]
    both = document(record(category_roc_auc=None, baselines={"text_only": baseline(category_roc_auc=None)}))
    assert both.row("why", "category ROC-AUC, all") == ["-", "-", "-"]
    theirs = document(record(baselines={"text_only": baseline(category_roc_auc=None)}))
    assert theirs.row("why", "category ROC-AUC, text") == ["0.900 (0.850 to 0.950)", "-", "100"]
    assert "category ROC-AUC, all" not in theirs.of("why")
    unplotted = document(record(pair_auc_by_category=None))
    plots = [attributes["aria-label"] for tag, attributes in unplotted.tags if tag == "svg"]
    assert not any("By what is broken" in each for each in plots)


def test_conformal_coverage_is_shown_where_it_was_measured():
    values = {
        "coverage": 0.81,
        "coverage_keeps": 0.82,
        "coverage_breaks": 0.83,
        "coverage_controls": 0.7,
        "abstains": 0.12,
    }
    found = document(record(conformal={"0.8": {name: fig(value) for name, value in values.items()}}))
    labels = (
        "conformal coverage at 80 %",
        "of images that keep the prompt, at 80 %",
        "of images that break it, at 80 %",
        "of control images, at 80 %",
        "abstains at 80 %",
    )
    assert [found.row("calibration", label)[0][:5] for label in labels] == ["0.810", "0.820", "0.830", "0.700", "0.120"]
    assert document(record(conformal=None)).row("calibration", "abstains at all")[0] == "-"


def test_agreement_of_score_and_worst_patch_is_shown_where_it_was_measured():
    shares = {"inconsistent_rate": fig(0.2), "accuracy_consistent": fig(0.9), "accuracy_inconsistent": fig(0.4)}
    found = document(record(consistency=shares))
    assert found.row("calibration", "score and worst patch disagree")[0][:5] == "0.200"
    assert found.row("calibration", "score right where they disagree")[0][:5] == "0.400"
    assert document(record(consistency=None)).row("calibration", "score and worst patch disagree")[0] == "-"


def test_no_pair_at_all():
    empty = record(
        best_and_worst={"best": [], "worst": []},
        global_pair_auc=fig(None, 0),
        pair_auc_by_category={name: fig(None, 0) for name in CATEGORIES},
    )
    found = document(empty, sheets={})
    assert "The split holds none that can be ordered so." in found.of("best_and_worst")
    assert found.row("ranking", "global pair AUC") == ["-", *["0.700 (0.650 to 0.750)"] * 2, "0"]


SERIES = Layout(
    title="evaluation of a classifier of time series",
    intervals="95 %, by machine",
    sections=(
        Section(key="ranks", title="Ranks", text="How far down the true class stands.", notes=("Rank: from 1.",)),
        Section(key="errors", title="Errors", text="How long each kind takes to be recognised."),
        Section(key="empty", title="Nothing yet", text="No figure belongs here."),
    ),
    figures=(
        FigureSpec(
            key="mean_rank", label="mean rank", section="ranks", better="lower", format=".2f", baselines=("nearest",)
        ),
        FigureSpec(key="accuracy", label="accuracy", section="ranks", baselines=("nearest",), headline=True),
        FigureSpec(
            key="delay.*",
            label="delay of {}",
            section="errors",
            better="lower",
            format=".1f",
            baselines=("nearest",),
            plot="Delay by machine",
        ),
    ),
    baselines={"nearest": "nearest neighbour"},
    reference="nearest",
)
PAIR_WORDS = (
    "pair",
    "prompt",
    "image",
    "chosen",
    "rejected",
    "control",
    "auditor",
    "patch pair",
    "heatmap",
    "box",
    "category",
    "reason",
    "calibrat",
    "faithful",
    "photograph",
    "auc",
    "scenes",
    "sheet",
    "best and worst",
)


def series(**changes):
    """The record of another task: other figures, no reliability diagram, no best and worst."""
    interval = lambda value: fig(value) | {"ci95": [value - 0.5, value + 0.5]}
    figures = lambda scale: {
        "mean_rank": interval(2.0 * scale),
        "accuracy": fig(0.8 / scale),
        "delay": {"press": interval(35.0 * scale), "pump": interval(-1.0 * scale)},
    }
    provenance = ("command", "split", "store_digest", "training_store_digest", "config_digest", "seeds", "versions")
    kept = {name: record()[name] for name in provenance} | {"command": "python -m tipai_jax.evaluate --workdir runs/x"}
    return {
        **kept,
        **figures(1),
        "task": "series",
        "unit": "series",
        "layout": SERIES.as_json(),
        "n_examples": 1200,
        "encoder": {"name": "waves", "digest": "e" * 64, "patches": "windows"},
        "checkpoint": {"step": 90, "validation_score": -0.5},
        "small_world_only": False,
        "intervals": SERIES.intervals,
        "commands": {"embed": "python embed.py", "train": "python -m tipai_jax.train --workdir runs/x"},
        "not_measured": [],
        "baselines": {"nearest": figures(2)},
        "targets": [
            target("accuracy of nearest", 0.8, True),
            target("mean rank", 2.0, False, direction="<", format=".2f"),
        ],
        "best_and_worst": {},
        **changes,
    }


SERIES_LOG = [
    {"step": 0, "epoch": 0.0, "validation": {"loss": 2.0, "accuracy": 0.1}},
    {"step": 9, "epoch": 1.0, "loss": 1.0, "cross_entropy": 1.0, "series_per_s": 9.0},
    {"step": 9, "epoch": 1.0, "validation": {"loss": 1.0, "cross_entropy": 1.0, "accuracy": 0.8}},
]


def every_word(found):
    return [*found.words, *(value for _, attributes in found.tags for value in attributes.values() if value)]


def test_a_wholly_different_task_is_shown_by_its_own_layout():
    found = document(series(), lines=SERIES_LOG, sheets={})
    assert list(found.sections) == ["targets", "ranks", "errors", "empty", "training", "gaps", "commands", "notes"]
    assert (
        "1,200 series of the test split. Heads of step 90 on the frozen encoder waves (patches: windows). "
        "Evaluated on 2026-11-25." in found.words
    )
    assert found.row("ranks", "mean rank") == ["2.00 (1.50 to 2.50)", "4.00 (3.50 to 4.50)", "100"]
    assert found.row("ranks", "accuracy") == ["0.800 (0.750 to 0.850)", "0.400 (0.350 to 0.450)", "100"]
    assert found.row("errors", "delay of press") == ["35.0 (34.5 to 35.5)", "70.0 (69.5 to 70.5)", "100"]
    assert found.row("errors", "delay of pump") == ["-1.0 (-1.5 to -0.5)", "-2.0 (-2.5 to -1.5)", "100"]
    assert [text.split()[0] for _, text in found.strong] == ["2.00", "0.800", "35.0", "-2.0"]
    assert found.row("targets", "accuracy of nearest neighbour")[0] == "✓ met"
    assert "Term: cross entropy" in found.of("training") and "accuracy on validation" in found.of("training")
    assert "mean over the training series" in found.of("training")
    assert found.of("empty") == "Nothing yetNo figure belongs here.\n", "and no empty table"
    plots = [attributes["aria-label"] for tag, attributes in found.tags if tag == "svg"]
    assert plots[0] == "Delay by machine: press 35.0 (34.5 to 35.5); pump -1.0 (-1.5 to -0.5)." and len(plots) == 1 + 3
    assert "delay of (hollow: nearest neighbour)" in found.of("errors")


@pytest.mark.parametrize(
    "changes", [{}, {"baselines": {}}, {"delay": None}, {"best_and_worst": {"best": [], "worst": []}}]
)
def test_a_different_task_meets_no_word_of_pairs(changes):
    found = document(series(**changes), lines=SERIES_LOG, sheets={})
    words = " ".join(every_word(found)).lower().replace("data:image", "")
    met = [word for word in PAIR_WORDS if re.search(rf"\b{word}", words)]
    assert not met, met


def test_those_words_are_found_where_they_belong():
    words = " ".join(every_word(document(record()))).lower()
    missing = [word for word in PAIR_WORDS if not re.search(rf"\b{word}", words)]
    assert missing == []


def test_the_dots_of_a_plot_lie_where_its_values_are():
    """An axis of shares ends at 0 and 1; that of other values holds all of them, their ends and the reference."""
    ticks = lambda found: [word for word in found.sections["errors"] if re.fullmatch(r"-?\d+(\.\d+)?", word)]
    wide = [float(word) for word in ticks(document(series(baselines={}), lines=[]))]
    assert min(wide) <= 0 and max(wide) >= 30
    for delay in (
        {"a": fig(0.0) | {"ci95": None}},
        {"a": fig(1.0) | {"ci95": [1.0, 1.0]}},
        {"a": fig(7.0) | {"ci95": None}},
    ):
        assert "Delay by machine" in document(series(delay=delay, baselines={}), lines=[]).of("errors")
    unknown = {"a": fig(None, 40)}
    assert "Delay by machine: a -." in " ".join(every_word(document(series(delay=unknown, baselines={}), lines=[])))


def test_the_line_of_chance_stands_in_plots_of_an_auc_alone():
    dashed = lambda found: sum(attributes.get("class") == "dashed" for _, attributes in found.tags)
    bare = record(baselines={"zero_shot_cosine": baseline(0.5)}, reliability=None)
    assert dashed(document(bare)) == 5
    assert dashed(document(series(delay={"a": fig(0.5)}, baselines={}), lines=[])) == 0


def test_a_plot_compares_with_the_reference_only_where_its_figure_does():
    changed = copy.deepcopy(record())
    spec = next(spec for spec in changed["layout"]["figures"] if spec["key"] == "pair_auc_by_category.*")
    hollow = lambda made: sum(attributes.get("class") == "hollow" for _, attributes in document(made).tags)
    before = hollow(changed)
    spec["baselines"] = []
    assert before - hollow(changed) == len(CATEGORIES)


def test_the_page_is_the_same_for_the_same_record():
    first, second = (render(record(), name="base", date="2026-11-25", log=log(), sheets=SHEETS) for _ in range(2))
    assert first == second != render(record(split="train"), name="base", date="2026-11-25", log=log(), sheets=SHEETS)


def test_chance_is_what_the_task_says_it_is():
    dashed = lambda found: [each["x1"] for _, each in found.tags if each.get("class") == "dashed"]
    assert dashed(document(series(), lines=[])) == []
    figures = [spec | {"chance": 10.0 if spec["plot"] else None} for spec in SERIES.as_json()["figures"]]
    assert len(dashed(document(series(layout=SERIES.as_json() | {"figures": figures}), lines=[]))) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sections": (SERIES.sections[0], *SERIES.sections)}, "two sections of one key"),
        ({"sections": (*SERIES.sections, Section(key="training", title="T", text="t"))}, "two sections of one key"),
        ({"sections": SERIES.sections[:1]}, "a figure of no section"),
        ({"baselines": {}, "reference": ""}, "no such baseline"),
    ],
)
def test_a_layout_that_would_lose_something_is_refused(changes, message):
    with pytest.raises(AssertionError, match=message):
        replace(SERIES, **changes)
