"""The report of a record: all of it, in words that cannot become tags, the same bytes twice, and honest about what is
missing.
"""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tipai_jax import report
from tipai_jax.errors import UserError, run_main
from tipai_jax.render.markup import _VOID
from tipai_jax.report_page import render

CATEGORIES = ("object", "attribute", "counting", "spatial", "text")
EVIL = '"><script>alert(1)</script>'


def fig(value=0.9, n=100, **more):
    return {"value": value, "ci95": None if value is None else [value - 0.05, value + 0.05], "n": n, **more}


def scorer(value=0.9):
    by = lambda names: {name: fig(value) for name in names}
    reasons = {name: fig(value, positives=20) for name in CATEGORIES}
    return {
        "n_pairs": 110,
        "global_pair_auc": fig(value),
        "pair_auc_by_category": by(CATEGORIES),
        "pair_auc_by_difficulty": by(("easy", "medium", "hard")),
        "pair_auc_by_margin": by(("0.1 to 0.2", "0.3")),
        "unseen_combination_pair_auc": fig(value),
        "patch_pair_auc": fig(value),
        "patch_pair_auc_within_rejected": fig(value),
        "category_roc_auc": reasons,
        "category_roc_auc_within_pairs": reasons,
        "ece": fig(0.02),
        "ece_equal_mass": fig(0.03),
        "ece_before": fig(0.3),
        "heatmap": by(("iou", "dice", "cc", "auc_judd")),
        "control": {"threshold": 0.5, **by(("alarm_rate", "score_gap", "alarm_rate_faithful", "alarm_rate_broken"))},
        "conformal": {"0.9": by(("coverage", "coverage_keeps", "coverage_breaks", "coverage_controls", "abstains"))},
        "consistency": by(("inconsistent_rate", "accuracy_consistent", "accuracy_inconsistent")),
    }


def entry(place, sheet="best-01.webp", **more):
    return {
        "pair_id": f"p{place}",
        "prompt": f"a red car {place} {EVIL}",
        "broken": ["attribute"],
        "difficulty": "hard",
        "score": [0.9, 0.2],
        "reason": ["attribute", 0.8],
        "sheet": sheet,
        "no_sheet": "",
        **more,
    }


def record(**changes):
    target = {
        "name": "global pair AUC",
        "value": 0.9,
        "direction": ">",
        "threshold": 0.85,
        "pass": True,
        "ci95": [0.8512, 0.9487],
    }
    bins = {"confidence": [0.25, None, 0.75], "frequency": [0.5, None, 1.0], "count": [10, 0, 20]}
    theirs = scorer(0.7) | {
        "ece_before": None,
        "conformal": None,
        "consistency": None,
        "global_pair_auc_difference": fig(0.2),
    }
    return {
        **scorer(),
        "command": f"python -m tipai_jax.evaluate --workdir {EVIL}",
        "split": "test",
        "small_world_only": True,
        "store_digest": "5" * 64,
        "encoder": {"name": "tiny", "digest": "e" * 64, "patches": "tiles"},
        "training_store_digest": "6" * 64,
        "config_digest": "c" * 64,
        "checkpoint": {"step": 657, "validation_pair_auc": 0.94},
        "seeds": {"training": 0, "bootstrap": 3},
        "intervals": "95 %, by prompt group",
        "commands": {
            "embed": "python precompute/embed.py --out store/x",
            "train": "python -m tipai_jax.train --workdir runs/x",
        },
        "versions": {"tipai_jax": "9.9", "jax": "0.10"},
        "reliability": {"before": bins, "after": bins},
        "not_measured": [],
        "baselines": {"zero_shot_cosine": theirs, "text_only": theirs},
        "targets": [
            target,
            target | {"name": "ECE", "pass": False, "ci95": None},
            target | {"name": EVIL, "value": None, "pass": None},
        ],
        "extremes": {"best": [entry(1)], "worst": [entry(2, "worst-01.webp")]},
        **changes,
    }


def log():
    lines = [{"step": 0, "epoch": 0.0, "validation": {"loss": 2.0, "pair": 0.7, "global_pair_auc": 0.5}}]
    for i in range(1, 4):
        lines += [
            {
                "step": 10 * i,
                "epoch": float(i),
                "loss": 1.0 / i,
                "pair": 0.5,
                "lr": 1e-3,
                "grad_norm": 1.0,
                "pairs_per_s": 1.0,
                "seconds": 1.0,
            }
        ]
        lines += [
            {"step": 10 * i, "epoch": float(i), "validation": {"loss": 1.5 / i, "pair": 0.4, "global_pair_auc": 0.8}}
        ]
    return lines


SHEETS = {"best-01.webp": b"best", "worst-01.webp": b"worst"}


class Document(HTMLParser):
    """What a browser makes of a page; the tags have to close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words, self.sections = [], [], [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "section":
            self.here = self.sections.setdefault(dict(attributes)["id"], [])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.sections:
            self.here.append(data)

    def of(self, name):
        return "".join(self.sections[name])


@pytest.fixture(scope="module")
def shown():
    return Document(render(record(), log=log(), sheets=SHEETS))


def test_the_verdict_comes_first_and_the_targets_with_it(shown):
    words = " ".join(shown.words)
    assert (
        "1 of 3 targets met" in words
        and "Missed: ECE." in words
        and "Small world only: drawn scenes, no photographs" in words
    )
    targets = shown.of("targets")
    assert "0.8512 to 0.9487" in targets and "> 0.85" in targets
    assert all(each in targets for each in ("✓ met", "✗ missed", "– not measured"))


def test_every_section_has_its_figures(shown):
    assert list(shown.sections) == [
        "targets",
        "ranking",
        "calibration",
        "places",
        "baselines",
        "training",
        "gaps",
        "pairs",
        "commands",
        "notes",
    ]
    ranking = shown.of("ranking")
    assert all(
        each in ranking
        for each in (*CATEGORIES, "easy", "hard", "margin 0.1 to 0.2", "unseen combinations", "0.900 (0.850 to 0.950)")
    )
    assert "ECE before calibration0.300 (0.250 to 0.350)" in shown.of("calibration")
    assert "AUC-Judd" in shown.of("places") and "from the prompt alone" in shown.of("places")
    assert "zero-shot cosine0.700 (0.650 to 0.750)0.200 (0.150 to 0.250)" in shown.of("baselines")
    assert "Term: pair ranking" in shown.of("training") and "Pair AUC on validation" in shown.of("training")
    assert "difference +0.700" in shown.of("pairs") and "The worst 1" in shown.of("pairs")
    commands = shown.of("commands")
    assert all(
        each in commands
        for each in (
            "precompute/embed.py",
            "tipai_jax.train",
            "tipai_jax.evaluate",
            "tipai_jax.report",
            "5" * 64,
            "c" * 64,
            "step 657",
            "jax 0.10",
        )
    )


def test_nothing_is_loaded_and_no_word_becomes_a_tag(shown):
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in shown.tags}
    for _, attributes in shown.tags:
        for name, value in attributes.items():
            assert not name.startswith("on") and not re.search(r"(?i)url\(|https?:|^//", value or ""), (name, value)
            if name in ("src", "href"):
                assert value.startswith(("#", "data:image/webp;base64,"))
    assert "".join(shown.words).count("<script>alert(1)</script>") >= 5, "a target, a command and two prompts, as words"


def test_every_link_leads_somewhere_and_headings_are_in_order(shown):
    names = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(names) == len(set(names))
    links = {attributes["href"] for tag, attributes in shown.tags if tag == "a"}
    assert links <= {f"#{name}" for name in names}
    notes = [name for name in names if name.startswith("note-")]
    assert {f"#{name}" for name in notes} <= links, "every note is pointed at"
    levels = [int(tag[1]) for tag, _ in shown.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(after - before <= 1 for before, after in pairwise(levels))


def test_every_picture_has_words(shown):
    pictures = [attributes.get("alt") for tag, attributes in shown.tags if tag == "img"]
    plots = [attributes.get("aria-label") for tag, attributes in shown.tags if tag == "svg"]
    assert len(pictures) == 2 and all("a red car" in alt for alt in pictures)
    assert len(plots) == 3 + 2 + 3 and all(plots)


def test_a_long_log_is_thinned_and_a_repeated_step_counts_once():
    lines = [{"step": i, "epoch": i / 1000, "loss": 1.0} for i in range(1, 5001)]
    lines += [{"step": 5000, "epoch": 5.0, "validation": {"loss": loss, "global_pair_auc": 0.5}} for loss in (9.0, 1.0)]
    page = render(record(), log=lines, sheets=SHEETS)
    paths = re.findall(r'<path d="([^"]*)" class="second">', page)
    assert len(paths) == 1 and paths[0].count("L") == 299
    assert "validation from 1 to 1." in page and "validation from 9" not in page


def test_what_is_missing_is_said():
    nothing = fig(None, 0)
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
        pair_auc_by_category={"object": fig(), "text": nothing},
        targets=[],
        extremes={"best": [entry(1, None, no_sheet="the folder of the pictures is not there")], "worst": [entry(2)]},
    )
    shown = Document(render(bare, log=[], sheets={}))
    gaps = shown.of("gaps")
    for line in (
        "no opinion on it: patch pair AUC; category ROC-AUC; category ROC-AUC within pairs; heatmap",
        (
            "the split holds nothing to measure it on: pair AUC by category, text; pair AUC by margin; unseen"
            " combination pair AUC"
        ),
        "it came out as no finite number: ECE",
        "baselines: the store is gone",
        "no log.jsonl",
        "2 of 2 pairs have none",
        "GPU",
    ):
        assert line in gaps, line
    assert "photographs" not in gaps and "Small world only" not in " ".join(shown.words)
    assert "No picture: the folder of the pictures is not there." in shown.of("pairs") and "evaluate again" in shown.of(
        "pairs"
    )
    assert "no curves" in shown.of("training") and "the store is gone" in shown.of("baselines")


def test_conformal_coverage_is_shown_where_it_was_measured():
    shares = {
        name: fig(value)
        for name, value in {
            "coverage": 0.81,
            "coverage_keeps": 0.82,
            "coverage_breaks": 0.83,
            "coverage_controls": 0.7,
            "abstains": 0.12,
        }.items()
    }
    calibration = Document(render(record(conformal={"0.8": shares}), log=log(), sheets=SHEETS)).of("calibration")
    assert (
        "0.80.810 (0.760 to 0.860)0.820 (0.770 to 0.870)0.830 (0.780 to 0.880)0.700 (0.650 to 0.750)0.120 (0.070 to"
        " 0.170)" in calibration
    )
    assert "level asked" not in Document(render(record(conformal=None), log=log(), sheets=SHEETS)).of("calibration")


def test_two_opinions_are_shown_where_they_were_measured():
    shares = {"inconsistent_rate": fig(0.2), "accuracy_consistent": fig(0.9), "accuracy_inconsistent": fig(0.4)}
    calibration = Document(render(record(consistency=shares), log=log(), sheets=SHEETS)).of("calibration")
    assert (
        "score and worst patch disagree0.200" in calibration and "score right where they disagree0.400" in calibration
    )
    assert "disagree" not in Document(render(record(consistency=None), log=log(), sheets=SHEETS)).of("calibration")


def test_no_pair_at_all():
    empty = record(
        extremes={"best": [], "worst": []},
        global_pair_auc=fig(None, 0),
        pair_auc_by_category={name: fig(None, 0) for name in CATEGORIES},
    )
    assert "holds no pair" in Document(render(empty, log=log(), sheets={})).of("pairs")


def write_run(folder, name="eval.json", **changes):
    (folder / name).write_text(json.dumps(record(**changes)))
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log()))
    sheets = report.report_folder(folder / name)
    sheets.mkdir(exist_ok=True)
    for sheet in SHEETS:
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(sheets / sheet)


def test_the_command_writes_the_same_bytes_again_and_leaves_them_alone(tmp_path, capsys):
    write_run(tmp_path)
    assert report.main(["--workdir", str(tmp_path)]) == 0
    path = tmp_path / "report.html"
    assert capsys.readouterr().out.strip() == str(path)
    first, when = path.read_bytes(), path.stat().st_mtime_ns
    assert first.count(b"data:image/webp;base64,") == 2 and Document(first.decode())
    report.main(["--workdir", str(tmp_path)])
    assert path.stat().st_mtime_ns == when
    path.unlink()
    report.main(["--workdir", str(tmp_path)])
    assert path.read_bytes() == first


def test_another_record_has_a_report_of_its_own(tmp_path):
    write_run(tmp_path, "eval-other.json", split="validation")
    report.main(["--workdir", str(tmp_path), "--record", str(tmp_path / "eval-other.json")])
    assert (
        "validation split" in (tmp_path / "report-eval-other.html").read_text()
        and not (tmp_path / "report.html").exists()
    )
    assert report.report_folder(tmp_path / "eval-other.json") == tmp_path / "report-eval-other"


def test_a_sheet_outside_the_folder_is_not_read(tmp_path):
    (tmp_path / "secret.webp").write_bytes(b"secret")
    write_run(tmp_path, extremes={"best": [entry(1, "../secret.webp")], "worst": []})
    report.main(["--workdir", str(tmp_path)])
    page = (tmp_path / "report.html").read_text()
    assert "data:image" not in page.split("<body>")[1] and "evaluate again" in page


def refused(argv, capsys):
    assert run_main(lambda: report.main([str(argument) for argument in argv])) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_bad_input_has_one_line(tmp_path, capsys):
    assert "no such record" in refused(["--workdir", tmp_path], capsys)
    assert "--workdir" in refused([], capsys)
    (tmp_path / "eval.json").write_text("{")
    assert "cannot be read as a record" in refused(["--workdir", tmp_path], capsys)
    for old in ("[]", json.dumps({name: value for name, value in record().items() if name != "extremes"})):
        (tmp_path / "eval.json").write_text(old)
        assert "no record of this version" in refused(["--workdir", tmp_path], capsys)
    write_run(tmp_path)
    (tmp_path / "report.html").mkdir()
    assert "cannot be written" in refused(["--workdir", tmp_path], capsys)


def test_a_broken_surrogate_in_a_prompt_does_no_harm(tmp_path):
    write_run(tmp_path, extremes={"best": [entry(1, prompt="\ud800 car")], "worst": []})
    report.write_report(tmp_path / "eval.json", workdir=tmp_path)
    assert (tmp_path / "report.html").read_bytes().decode()


def test_an_unknown_figure_is_an_error_of_ours_and_not_of_the_user():
    with pytest.raises(KeyError):
        render({name: value for name, value in record().items() if name != "ece"}, log=[], sheets={})


def test_the_command_refuses_what_it_does_not_know():
    with pytest.raises(UserError, match="unrecognized"):
        report.main(["--workdir", "x", "--heatmaps", "3"])


def test_notes_are_numbered_as_they_are_first_mentioned(shown):
    found = list(
        dict.fromkeys(
            attributes["href"] for _, attributes in shown.tags if attributes.get("href", "").startswith("#note-")
        )
    )
    assert found == [f"#note-{number}" for number in range(1, len(found) + 1)]
