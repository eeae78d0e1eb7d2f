"""Figures are found in a record by their keys, stars and all, and written in their own formats."""

import dataclasses

import numpy as np
import pytest
from eval_world import write_store
from report_world import fig, record

from tipai_jax.evaluation.alternative_figures import measured_alternatives
from tipai_jax.evaluation.auditor_figures import difference, figures
from tipai_jax.evaluation.calibration import Calibration
from tipai_jax.evaluation.calibrators import Platt
from tipai_jax.evaluation.conformal import Conformal
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.report.figures import (
    beside_baselines,
    figure_text,
    headline_figures,
    interval_text,
    shown,
    value_text,
)
from tipai_jax.store import CATEGORIES
from tipai_jax.tasks.auditor_layout import LAYOUT
from tipai_jax.tasks.task import FigureSpec

ONE, TWO = fig(0.1), fig(0.2)
PLAIN = {"baselines": {}, "names": {}}


def spec(key, label, **more):
    return dataclasses.asdict(FigureSpec(key=key, label=label, section="", **more))


def test_a_key_without_a_star_is_one_figure():
    assert shown({"auc": ONE}, spec("auc", "the AUC"), PLAIN) == [("the AUC", ONE)]
    assert shown({"map": {"iou": ONE, "dice": TWO}}, spec("map.iou", "IoU"), PLAIN) == [("IoU", ONE)]


def test_a_star_stands_for_every_name_in_the_order_of_the_record():
    by = {"by": {"b": ONE, "a": TWO}}
    assert shown(by, spec("by.*", "AUC, {}"), PLAIN) == [("AUC, b", ONE), ("AUC, a", TWO)]
    levels = {"at": {"0.8": {"low": ONE, "high": TWO}, "0.9": {"low": TWO, "high": ONE}}}
    assert shown(levels, spec("at.*.low", "low at {}"), PLAIN) == [("low at 0.8", ONE), ("low at 0.9", TWO)]
    assert shown(levels, spec("at.*.*", "{1} of {0}"), PLAIN) == [
        ("low of 0.8", ONE),
        ("high of 0.8", TWO),
        ("low of 0.9", TWO),
        ("high of 0.9", ONE),
    ]
    assert shown({"by": {}}, spec("by.*", "AUC, {}"), PLAIN) == [], "nothing has a name there"


@pytest.mark.parametrize(
    ("found", "key", "label", "wanted"),
    [
        ({"auc": None}, "auc", "AUC", ["AUC"]),
        ({}, "auc", "AUC", ["AUC"]),
        ({"map": None}, "map.iou", "IoU", ["IoU"]),
        ({"map": {}}, "map.iou", "IoU", ["IoU"]),
        ({"by": None}, "by.*", "AUC, {}", ["AUC, all"]),
        ({"at": None}, "at.*.*", "{} of {}", ["all of all"]),
        ({"at": {"0.8": None}}, "at.*.*", "{} of {}", ["0.8 of all"]),
        ({"at": {"0.8": None, "0.9": {}}}, "at.*.low", "low at {}", ["low at 0.8", "low at 0.9"]),
    ],
)
def test_what_is_not_predicted_keeps_its_row(found, key, label, wanted):
    assert shown(found, spec(key, label), PLAIN) == [(name, None) for name in wanted]


def test_a_name_that_a_star_stands_for_may_have_a_label():
    by = {"baselines": {"ridge": {"gap": ONE}, "other": {"gap": TWO}}}
    layout = {"baselines": {"ridge": "ridge probe", "none": "nothing"}, "names": {"0.9": "90 %"}}
    found = shown(by, spec("baselines.*.gap", "above {}"), layout)
    assert found == [("above ridge probe", ONE), ("above other", TWO)]
    levels = {"at": {"0.9": ONE, "0.8": TWO}}
    assert shown(levels, spec("at.*", "right at {}"), layout) == [("right at 90 %", ONE), ("right at 0.8", TWO)]


def test_values_are_written_in_their_formats():
    assert value_text(2.0, ".2f") == "2.00" and value_text(2.0, ".0f") == "2" and value_text(0.5, ".4f") == "0.5000"
    assert value_text(0.05, "+.4f") == "+0.0500" and value_text(0.0, ".3f") == "0.000", "zero was measured"
    assert value_text(None, ".2f") == "-"


def test_a_figure_is_written_with_its_interval_in_one_format():
    rank = {"value": 2.0, "ci95": [1.5, 2.25], "n": 8}
    assert figure_text(rank, ".2f") == "2.00 (1.50 to 2.25)" and figure_text(rank) == "2.000 (1.500 to 2.250)"
    assert interval_text(rank, ".0f") == "2 to 2" and interval_text(rank) == "1.5000 to 2.2500"
    assert figure_text(rank | {"ci95": None}, ".2f") == "2.00" and interval_text(rank | {"ci95": None}) == "-"
    assert figure_text({"value": 0.0, "n": 8}) == "0.000" and interval_text({"value": 0.0, "n": 8}) == "-"
    assert figure_text(None) == figure_text({"value": None, "ci95": None, "n": 8}) == "-"


def beside(made, key, label, baselines=("a", "b")):
    made = {"layout": {"baselines": {"a": "A", "b": "B", "c": "C"}}} | made
    return beside_baselines(made, spec(key, label, baselines=baselines))


def test_figures_stand_beside_those_of_the_baselines_that_they_are_shown_of():
    made = {"auc": ONE, "baselines": {"a": {"auc": TWO}, "b": {"auc": None}, "c": {"auc": TWO}}}
    assert beside(made, "auc", "AUC") == [("AUC", ONE, {"a": TWO, "b": None})]
    assert beside(made, "auc", "AUC", ()) == [("AUC", ONE, {})]
    assert beside(made | {"baselines": {}}, "auc", "AUC") == [("AUC", ONE, {})]


def test_every_name_that_any_scorer_has_is_a_row():
    made = {"by": {"x": ONE}, "baselines": {"a": {"by": {"y": TWO, "x": TWO}}, "b": {"by": None}}}
    assert beside(made, "by.*", "{}") == [("x", ONE, {"a": TWO, "b": None}), ("y", None, {"a": TWO, "b": None})]
    assert beside(made | {"by": None}, "by.*", "{}") == [
        ("y", None, {"a": TWO, "b": None}),
        ("x", None, {"a": TWO, "b": None}),
    ]
    unknown = {"by": None, "baselines": {"a": {"by": None}, "b": {}}}
    assert beside(unknown, "by.*", "AUC, {}") == [("AUC, all", None, {"a": None, "b": None})]
    assert beside({"by": {"x": None, "y": ONE}, "baselines": {}}, "by.*", "{}") == [("x", None, {}), ("y", ONE, {})]
    real = {"by": {"all": ONE, "x": TWO}, "baselines": {"a": {"by": None}}}
    assert beside(real, "by.*", "{}", ("a",)) == [("all", ONE, {"a": None}), ("x", TWO, {"a": None})]


def test_a_star_over_baselines_has_the_same_labels_on_either_side():
    made = {"by": {"a": ONE}, "baselines": {"b": {"by": {"a": TWO}}}}
    assert beside(made, "by.*", "above {}", ("b",)) == [("above A", ONE, {"b": TWO})]


def test_headline_figures_are_values_by_label():
    made = record(global_pair_auc=fig(0.75), ece=fig(None, 0), heatmap=None)
    assert headline_figures(made) == {
        "global pair AUC": 0.75,
        "object AUC": 0.9,
        "phrase AUC": 0.9,
        "ECE": None,
        "patch pair AUC": 0.9,
        "heatmap, AUC-Judd": None,
    }


CALIBRATION = Calibration(
    global_score=Platt(),
    patch=Platt(),
    reason={name: Platt() for name in CATEGORIES},
    worst_patch=Platt(),
    conformal=Conformal((-1.0, 0.5, 2.0, 3.0), (-3.0, -2.0, -0.5, 1.0)),
    risk_threshold=0.5,
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What an evaluation of the auditor measures; a baseline that predicts as much as the heads do."""
    pairs = write_store(tmp_path_factory.mktemp("store"), splits={"test": 30}).pairs
    rng, b = np.random.default_rng(0), len(pairs)
    draw = lambda *shape: rng.normal(size=(b, 2, *shape)).astype(np.float32)
    ours = Predictions(
        global_logit=draw(),
        patch_logit=draw(49),
        risk=rng.random((b, 2, 49)).astype(np.float32),
        reason_logit=draw(5),
        phrase_logit=draw(8),
    )
    found = figures(ours, pairs, present=np.arange(8) < np.full((b, 1), 3), calibration=CALIBRATION, seed=0)
    calibration = dataclasses.replace(CALIBRATION, phrase=Platt())
    judge = lambda phrases: np.zeros(len(phrases))
    found["phrases"] |= measured_alternatives(
        ours.phrase_logit, pairs, [], calibration=calibration, judge=judge, usual={}
    )
    gap = difference(ours, ours, pairs)
    theirs = found | {"global_pair_auc_difference": gap}
    theirs |= {"shifts": {"shift-a": theirs}}
    return found | {"shifts": {"shift-a": found}, "baselines": dict.fromkeys(LAYOUT.baselines, theirs)}


def test_every_key_of_the_auditor_s_layout_is_measured(measured):
    """A key that is written wrongly would be shown as something that the heads do not predict."""
    layout = LAYOUT.as_json()
    for each in layout["figures"]:
        found = shown(measured, each, layout)
        assert found and all(figure is not None and {"value", "ci95", "n"} <= set(figure) for _, figure in found), each
        for name in each["baselines"]:
            assert all(figure is not None for _, figure in shown(measured["baselines"][name], each, layout)), (
                each,
                name,
            )


def leaves(entry, path=()):
    """The places of all figures in a record, each as its names."""
    if isinstance(entry, dict) and "value" in entry:
        yield path
    elif isinstance(entry, dict):
        for name, inner in entry.items():
            yield from leaves(inner, (*path, name))


def test_every_figure_that_is_measured_is_shown(measured):
    keys = [each.key.split(".") for each in LAYOUT.figures]

    def has_a_row(path):
        fits = lambda key: all(part in ("*", name) for part, name in zip(key, path, strict=True))
        return any(len(key) == len(path) and fits(key) for key in keys)

    places = list(leaves({name: entry for name, entry in measured.items() if name not in ("baselines", "shifts")}))
    assert len(places) > 40 and [path for path in places if not has_a_row(path)] == []


def test_sections_and_baselines_that_a_layout_names_are_in_it():
    sections = {each.key for each in LAYOUT.sections}
    assert {each.section for each in LAYOUT.figures} == sections and LAYOUT.reliability in sections
    assert {name for each in LAYOUT.figures for name in each.baselines} <= set(LAYOUT.baselines)
    assert LAYOUT.reference in LAYOUT.baselines
    layout = LAYOUT.as_json()
    labels = [label for each in layout["figures"] for label, _ in shown(record(), each, layout)]
    assert len(labels) == len(set(labels)), "a label is the row of one figure"
