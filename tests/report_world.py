"""A record of an evaluation with made-up figures in the layout of the auditor, and its page as a browser reads it."""

from html.parser import HTMLParser

from tipai_jax.render.markup import _VOID
from tipai_jax.tasks.auditor_layout import LAYOUT

CATEGORIES = ("object", "attribute", "counting", "spatial", "text")
ALTERNATIVES = ("colour", "number", "relation")
HEATMAP = (
    "iou",
    "dice",
    "cc",
    "auc_judd",
    "box_overlap",
    "pointing_game",
)
EVIL = '"><script>alert(1)</script>'
SHEETS = {"best-01.webp": b"best", "worst-01.webp": b"worst"}


def fig(value=0.9, n=100, **more):
    return {"value": value, "ci95": None if value is None else [value - 0.05, value + 0.05], "n": n, **more}


def scorer(value=0.9):
    """Every figure that an evaluation measures of one scorer."""
    by = lambda names: {name: fig(value) for name in names}
    reasons = {name: fig(value, positives=20) for name in CATEGORIES}
    return {
        "n_examples": 110,
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
        "heatmap": by(HEATMAP),
        "control": {"threshold": 0.5, **by(("alarm_rate", "score_gap", "alarm_rate_faithful", "alarm_rate_broken"))},
        "conformal": {
            "0.9": by(("coverage", "coverage_keeps", "coverage_breaks", "coverage_controls", "abstains")),
        },
        "consistency": by(("inconsistent_rate", "accuracy_consistent", "accuracy_inconsistent")),
        "calibration_gap": fig(0.04),
        "objects": {
            **by(("auc", "auc_against_named", "auc_against_unnamed", "hottest_right", "hottest_by_chance")),
            "auc_by_category": by(CATEGORIES),
            "auc_by_difficulty": by(("easy", "medium", "hard")),
        },
        "boxes": by(("ap25", "ap50", "marked_in_chosen", "marked_in_rejected")),
        "patch_auc_same_place": fig(value),
        "phrases": {
            **by(("auc", "auc_same_phrase", "named_right", "named_by_chance")),
            **{name: by(ALTERNATIVES) for name in ("alternative_right", "alternative_guessed", "alternative_named")},
        },
        "reason_macro_f1": fig(value),
    }


def baseline(value=0.7, **changes):
    """The figures of a baseline that predicts scores, places and reasons."""
    without = {"ece_before": None, "conformal": None, "consistency": None}
    return scorer(value) | without | {"global_pair_auc_difference": fig(0.2)} | changes


def entry(place, sheet="best-01.webp", **more):
    """One of the best or worst pairs."""
    return {
        "pair_id": f"p{place}",
        "title": f"a red car {place} {EVIL}",
        "facts": f"Chosen 0.900, rejected 0.200, difference +0.700. Pair p{place}, hard.",
        "broken": ["attribute"],
        "difficulty": "hard",
        "score": [0.9, 0.2],
        "reason": ["attribute", 0.8],
        "sheet": sheet,
        "no_sheet": "",
        **more,
    }


def target(name, value=0.9, met=True, **changes):
    row = {"name": name, "value": value, "direction": ">", "threshold": 0.85, "pass": met, "ci95": [0.8512, 0.9487]}
    return row | {"format": ".4f"} | changes


def record(**changes):
    """A record of the auditor in which everything was measured."""
    bins = {"confidence": [0.25, None, 0.75], "frequency": [0.5, None, 1.0], "count": [10, 0, 20]}
    return {
        **scorer(),
        "task": "auditor",
        "unit": "pairs",
        "layout": LAYOUT.as_json(),
        "command": f"python -m tipai_jax.evaluate --workdir {EVIL}",
        "split": "test",
        "small_world_only": True,
        "store_digest": "5" * 64,
        "encoder": {"name": "tiny", "digest": "e" * 64, "patches": "tiles"},
        "training_store_digest": "6" * 64,
        "config_digest": "c" * 64,
        "checkpoint": {"step": 657, "validation_score": 0.94},
        "seeds": {"training": 0, "bootstrap": 3},
        "intervals": "95 %, by prompt group",
        "commands": {
            "embed": "python precompute/embed.py --out store/x",
            "train": "python -m tipai_jax.train --workdir runs/x",
        },
        "versions": {"tipai_jax": "9.9", "jax": "0.10"},
        "reliability": {"before": bins, "after": bins},
        "not_measured": [],
        "baselines": {"zero_shot_cosine": baseline(), "text_only": baseline()},
        "targets": [target("global pair AUC"), target("ECE", met=False, ci95=None), target(EVIL, None, None)],
        "best_and_worst": {"best": [entry(1)], "worst": [entry(2, "worst-01.webp")]},
        **changes,
    }


def log():
    """The log of three epochs."""
    lines = [{"step": 0, "epoch": 0.0, "validation": {"loss": 2.0, "pair": 0.7, "global_pair_auc": 0.5}}]
    speed = {"lr": 1e-3, "grad_norm": 1.0, "pairs_per_s": 1.0, "seconds": 1.0}
    for i in range(1, 4):
        when = {"step": 10 * i, "epoch": float(i)}
        lines.append(when | {"loss": 1.0 / i, "pair": 0.5} | speed)
        lines.append(when | {"validation": {"loss": 1.5 / i, "pair": 0.4, "global_pair_auc": 0.8}})
    return lines


class Document(HTMLParser):
    """What a browser makes of a page; the tags have to close in order.

    Attributes:
        tags: every element, with its attributes.
        words: every text but the style.
        sections: the texts of each section, by its id.
        rows: the texts of the cells of every row of a table, as (section, texts).
        strong: the texts of every cell that is marked, as (first cell of the row, text).
    """

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words, self.sections, self.rows, self.strong = [], [], [], {}, [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "section":
            self.here = self.sections.setdefault(dict(attributes)["id"], [])
        elif tag == "tr":
            self.rows.append((list(self.sections)[-1], []))
        elif tag in ("th", "td"):
            self.rows[-1][1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words.append(data)
        if self.sections:
            self.here.append(data)
        if "th" in self.open or "td" in self.open:
            cells = self.rows[-1][1]
            cells[-1] += data
            if self.open[-1] == "strong":
                self.strong.append((cells[0], data))

    def of(self, name):
        """The words of a section."""
        return "".join(self.sections[name])

    def row(self, section, name):
        """The cells of the one row of a section that begins with a name, after it."""
        (cells,) = [cells[1:] for where, cells in self.rows if where == section and cells[0] == name]
        return cells
