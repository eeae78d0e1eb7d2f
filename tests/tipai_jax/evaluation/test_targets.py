"""Targets against figures by hand: what any task may ask, what is asked of every log, and the auditor's own rows."""

import json

import pytest

from tipai_jax.config import TargetsConfig
from tipai_jax.errors import UserError
from tipai_jax.evaluation.auditor import AuditorEvaluator
from tipai_jax.evaluation.targets import at_chance, converged_at, loss_fall, of_figure, of_log, of_names, target
from tipai_jax.tasks.auditor_layout import LAYOUT
from tipai_jax.training.metric_log import read_log

CATEGORIES = ("object", "attribute", "counting", "spatial", "text")
NAMES = {"name", "value", "direction", "threshold", "pass", "ci95", "format"}
FALL, CONVERGED = "loss falls within 5 epochs, lowest / first", "converged at epoch"
AT_CHANCE = "at chance: distance of its interval from 0.5"


def fig(value, n=100, ci=(0.4, 0.6)):
    return {"value": value, "ci95": list(ci) if ci else None, "n": n}


def record(**changes):
    chance = {"global_pair_auc": fig(0.5), "global_pair_auc_difference": fig(0.4)}
    return {
        "global_pair_auc": fig(0.9),
        "patch_pair_auc": fig(0.85),
        "category_roc_auc": {name: fig(0.8) for name in CATEGORIES},
        "ece": fig(0.05),
        "heatmap": {"auc_judd": fig(0.95)},
        "baselines": {
            "zero_shot_cosine": {
                "global_pair_auc": fig(0.8),
                "global_pair_auc_difference": fig(0.1, ci=(0.05, 0.15)),
            },
            "ridge_probe": {"global_pair_auc": fig(0.88), "global_pair_auc_difference": fig(0.02, ci=(0.01, 0.03))},
            "text_only": chance,
            "image_only": chance,
        },
    } | changes


def validations(aucs, losses=None):
    losses = losses or [1.0 - 0.1 * i for i in range(len(aucs))]
    return [
        {"step": 10 * i, "epoch": float(i), "validation": {"loss": loss, "global_pair_auc": auc}}
        for i, (auc, loss) in enumerate(zip(aucs, losses, strict=True))
    ]


LOG = validations([0.5, 0.9, 0.95, 0.95])


def pair_auc(figures):
    return figures["global_pair_auc"]


def check(record, *, targets, log):
    """All that is asked of a run of the auditor, in the order of the record."""
    return [*AuditorEvaluator.targets(record, targets), *of_log(log, score=pair_auc)]


def verdicts(rows):
    return {row["name"]: row["pass"] for row in rows}


def test_a_target_by_hand():
    assert target("mean rank", 2.0, "<", 3.0, form=".2f", ci95=(1.5, 2.5)) == {
        "name": "mean rank",
        "value": 2.0,
        "direction": "<",
        "threshold": 3.0,
        "pass": True,
        "ci95": [1.5, 2.5],
        "format": ".2f",
    }
    assert [target("x", value, "<", 3.0)["pass"] for value in (2.9, 3.0, 3.1, None)] == [True, False, False, False]
    assert [target("x", value, ">", 3.0)["pass"] for value in (2.9, 3.0, 3.1, None)] == [False, False, True, False]
    unknown = target("x", None, ">", 3.0, measured=False)
    assert unknown["pass"] is None and unknown["value"] is None and unknown["ci95"] is None
    assert unknown["format"] == ".4f"


def test_a_target_of_a_figure_takes_its_interval_and_whether_it_was_measured():
    row = of_figure("accuracy", fig(0.9, ci=(0.85, 0.95)), ">", 0.8)
    assert (row["value"], row["pass"], row["ci95"]) == (0.9, True, [0.85, 0.95])
    assert of_figure("accuracy", fig(0.9, ci=None), "<", 0.8)["pass"] is False
    assert of_figure("accuracy", fig(None, n=40, ci=None), ">", 0.8)["pass"] is False, "measured, and no finite number"
    for nothing in (None, fig(None, n=0, ci=None)):
        assert of_figure("accuracy", nothing, ">", 0.8)["pass"] is None


def test_chance_by_hand():
    row = at_chance("text_only", fig(0.6, ci=(0.55, 0.65)))
    assert row["name"] == f"text_only {AT_CHANCE}" and row["ci95"] == [0.55, 0.65]
    assert row["value"] == pytest.approx(0.05) and row["pass"] is False
    assert at_chance("text_only", fig(0.4, ci=(0.3, 0.45)))["value"] == pytest.approx(0.05)
    inside = at_chance("text_only", fig(0.6, ci=(0.45, 0.65)))
    assert inside["value"] == 0.0 and inside["pass"] is True
    for nothing in (None, fig(None, n=0, ci=None)):
        assert at_chance("text_only", nothing)["pass"] is None
    assert at_chance("text_only", fig(0.5, ci=None))["pass"] is False, "measured, but not known how surely"


def test_the_plan_is_met():
    rows = check(record(), targets=TargetsConfig(), log=LOG)
    assert all(row["pass"] is True for row in rows), rows
    assert all(set(row) == NAMES for row in rows)
    reasons = [f"category ROC-AUC, {name}" for name in CATEGORIES]
    ablations = [f"text_only {AT_CHANCE}", f"image_only {AT_CHANCE}"]
    asked = ["global pair AUC", "patch pair AUC", *reasons, "ECE", *ablations, FALL, CONVERGED]
    assert [row["name"] for row in rows] == asked, "the plan asks for these and nothing else"
    intervals = {row["name"]: row["ci95"] for row in rows}
    assert intervals["global pair AUC"] == intervals[f"text_only {AT_CHANCE}"] == [0.4, 0.6]
    assert intervals[CONVERGED] is None


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"global_pair_auc": fig(0.85)}, "global pair AUC"),
        ({"patch_pair_auc": fig(0.79)}, "patch pair AUC"),
        (
            {"category_roc_auc": {name: fig(0.7 if name == "counting" else 0.9) for name in CATEGORIES}},
            "category ROC-AUC, counting",
        ),
        ({"ece": fig(0.1)}, "ECE"),
        ({"global_pair_auc": fig(None, n=100)}, "global pair AUC"),
    ],
)
def test_one_miss_is_one_miss(change, missed):
    found = verdicts(check(record(**change), targets=TargetsConfig(), log=LOG))
    assert [name for name, met in found.items() if met is False] == [missed]


def test_a_shortcut_is_a_miss_unless_it_is_not_asked():
    shortcut = record()
    shortcut["baselines"]["image_only"] = {"global_pair_auc": fig(0.7, ci=(0.65, 0.75))}
    asked = lambda targets: verdicts(check(shortcut, targets=targets, log=LOG))
    assert [name.split()[0] for name, met in asked(TargetsConfig()).items() if met is False] == ["image_only"]
    without = asked(TargetsConfig(ablations_at_chance=False))
    assert all(without.values()) and not any("at chance" in name for name in without)


def test_nothing_to_measure_is_no_miss():
    empty = record(patch_pair_auc=fig(None, n=0, ci=None), category_roc_auc=None, heatmap=None)
    found = verdicts(check(empty, targets=TargetsConfig(auc_judd=0.9), log=[]))
    unknown = [name for name, met in found.items() if met is None]
    assert unknown == ["patch pair AUC", "heatmap AUC-Judd", FALL, CONVERGED]
    assert not any(met is False for met in found.values())


def test_a_run_without_baselines_is_not_held_against_them():
    found = verdicts(check(record(baselines={}), targets=TargetsConfig(beats_baselines=True), log=LOG))
    assert not any("chance" in name or "above" in name for name in found) and len(found) == 1 + 1 + 5 + 1 + 2


def test_stricter_targets_are_the_config_s():
    targets = TargetsConfig(pair_auc=0.93, auc_judd=0.96, beats_baselines=True)
    found = verdicts(check(record(), targets=targets, log=LOG))
    assert found["global pair AUC"] is False and found["heatmap AUC-Judd"] is False
    assert sum("pair AUC above" in name for name in found) == 2
    worse = record()
    worse["baselines"]["ridge_probe"]["global_pair_auc_difference"] = fig(0.02, ci=(-0.001, 0.04))
    found = verdicts(check(worse, targets=targets, log=LOG))
    assert found["pair AUC above ridge_probe, lower end of the difference"] is False
    assert found["pair AUC above zero_shot_cosine, lower end of the difference"] is True
    worse["baselines"]["ridge_probe"]["global_pair_auc_difference"] = fig(None, n=0, ci=None)
    found = verdicts(check(worse, targets=targets, log=LOG))
    assert found["pair AUC above ridge_probe, lower end of the difference"] is None


@pytest.mark.parametrize(
    ("keeps", "breaks", "met"),
    [(0.81, 0.785, True), (0.8, 0.825, False), (0.77, 0.8, False), (0.77, 0.83, False), (None, 0.8, False)],
    ids=["near", "too high", "too low", "right on average alone", "not a number"],
)
def test_coverage_of_either_kind_has_to_lie_near_its_level(keeps, breaks, met):
    name = "conformal coverage of either kind, furthest from its level"
    level = lambda first, second: {"coverage_keeps": first, "coverage_breaks": second}
    asked = lambda levels, targets: verdicts(check(record(conformal=levels), targets=targets, log=LOG))
    near, nothing = TargetsConfig(conformal=0.02), fig(None, n=0)
    assert asked({"0.8": level(fig(keeps), fig(breaks)), "0.9": level(fig(0.9), fig(0.9))}, near)[name] is met
    assert asked({"0.9": level(nothing, nothing)}, near)[name] is None
    assert asked(None, near)[name] is None
    assert name not in asked(None, TargetsConfig()), "the plan does not ask for it"


@pytest.mark.parametrize(
    ("ci", "met"), [((0.5, 0.5), True), ((0.45, 0.5), True), ((0.51, 0.6), False), ((0.3, 0.49), False)]
)
def test_an_ablation_has_to_stay_at_chance(ci, met):
    changed = record()
    changed["baselines"]["image_only"] = {"global_pair_auc": fig(0.5, ci=ci)}
    found = verdicts(check(changed, targets=TargetsConfig(), log=LOG))
    assert found[f"image_only {AT_CHANCE}"] is met


def test_loss_fall_by_hand():
    assert loss_fall(validations([0.5] * 4, [2.0, 1.5, 1.0, 1.2])) == pytest.approx(0.5)
    late = loss_fall(validations([0.5] * 8, [2.0, 2.1, 2.1, 2.1, 2.1, 2.2, 0.1, 0.1]))
    assert late == pytest.approx(1.05), "what happens after epoch 5 is too late"
    assert loss_fall([]) is None
    training = [
        {"step": step, "epoch": step / 10, "loss": loss} for step, loss in ((5, 3.0), (10, 1.0), (15, 1.0), (20, 0.6))
    ]
    assert loss_fall(training) == pytest.approx(0.8 / 2.0)
    assert loss_fall(training[:2]) == pytest.approx(1 / 3), "one epoch: its lines"
    assert loss_fall([*training, *training[-1:]]) == pytest.approx(0.8 / 2.0), "a step logged twice counts once"


def test_converged_at_by_hand():
    converged = lambda aucs: converged_at(validations(aucs), score=pair_auc)
    assert converged([0.5, 0.8, 0.94, 0.95, 0.949]) == 2.0
    assert converged([0.5, 0.6, 0.7, 0.8]) is None, "still climbing"
    assert converged([0.5, 0.95, 0.95, 0.8]) is None, "fell at the end"
    assert converged([0.9]) is None
    assert converged([0.5, float("nan"), 0.9, 0.9]) is None, "not a number"
    in_time = of_log(validations([0.5] * 20 + [0.95] * 5), score=pair_auc)
    assert verdicts(in_time)[CONVERGED] is True
    late = of_log(validations([0.5] * 21 + [0.95] * 5), score=pair_auc)
    assert verdicts(late)[CONVERGED] is False


def test_a_log_is_judged_by_the_score_of_its_own_task():
    """The same log by two scores: by one it has converged, by the other it fell at the end."""
    lines = validations([0.5, 0.95, 0.95, 0.95], losses=[2.0, 1.0, 1.0, 3.0])
    assert converged_at(lines, score=pair_auc) == 1.0
    assert converged_at(lines, score=lambda figures: -figures["loss"]) is None
    rows = of_log(lines, score=lambda figures: figures["global_pair_auc"] - 0.001 * figures["loss"])
    assert [(row["name"], row["value"], row["pass"], row["format"]) for row in rows] == [
        (FALL, 0.5, True, ".4f"),
        (CONVERGED, 1.0, True, ".0f"),
    ]
    flat = of_log(validations([0.5] * 4, losses=[1.0, 1.0, 1.2, 1.1]), score=pair_auc)
    assert verdicts(flat)[FALL] is False, "it has to fall, not only not to rise"
    assert [row["pass"] for row in of_log([], score=pair_auc)] == [None, None]


def test_the_log_is_read_and_a_torn_last_line_left_out(tmp_path):
    assert read_log(tmp_path) == []
    lines = [json.dumps(line) for line in LOG]
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, '{"step": 40, "ep']))
    assert read_log(tmp_path) == LOG
    (tmp_path / "log.jsonl").write_text("\n".join([lines[0], "nonsense", lines[1]]))
    with pytest.raises(UserError, match="line 2"):
        read_log(tmp_path)


def test_a_target_is_not_held_against_a_figure_of_too_few_data():
    """Two pairs that are right are no pair AUC of 1; and what is not given is not missed for the lack of it."""
    few = {"value": 1.0, "ci95": None, "n": 2, "reason": "fewer than 10 prompt groups"}
    none = few | {"value": None}
    chance = {"global_pair_auc": few, "global_pair_auc_difference": few}
    small = record(
        global_pair_auc=few,
        conformal={"0.9": {"coverage_keeps": none, "coverage_breaks": none}},
        baselines={"zero_shot_cosine": chance, "text_only": chance},
    )
    asked = TargetsConfig(beats_baselines=True, conformal=0.02)
    found = verdicts(check(small, targets=asked, log=LOG))
    unknown = [name for name, met in found.items() if met is None]
    assert unknown == [
        "global pair AUC",
        "conformal coverage of either kind, furthest from its level",
        "pair AUC above zero_shot_cosine, lower end of the difference",
        f"text_only {AT_CHANCE}",
    ]
    assert not any(met is False for met in found.values())


def named(asked, **changes):
    away = {"shift-b": {"global_pair_auc": fig(0.7)}, "shift-a": {"global_pair_auc": fig(0.8, ci=(0.75, 0.85))}}
    made = record(
        pair_auc_by_difficulty={"easy": fig(0.99), "hard": fig(0.8)},
        shifts=away,
        layout=LAYOUT.as_json(),
    )
    made["baselines"]["image_only"] = {"objects": {"auc": fig(0.52)}}
    return {row["name"]: row for row in of_names(made | changes, asked)}


def test_a_figure_is_asked_by_its_name():
    rows = named("global_pair_auc > 0.85, ece < 0.04")
    assert rows["global pair AUC"]["pass"] is True and rows["ECE"]["pass"] is False
    assert rows["ECE"]["direction"] == "<" and rows["ECE"]["threshold"] == 0.04
    assert named("") == {}


def test_a_star_asks_every_name_and_a_name_only_its_own():
    rows = named("shifts.*.global_pair_auc > 0.75")
    assert {name: row["pass"] for name, row in rows.items()} == {
        "global pair AUC, shift-b": False,
        "global pair AUC, shift-a": True,
    }
    assert list(named("pair_auc_by_difficulty.hard > 0.9")) == ["pair AUC, hard"]
    assert list(named("shifts.shift-a.global_pair_auc > 0.9")) == ["global pair AUC, shift-a"]
    assert named("shifts.*.global_pair_auc > 0.75", shifts={}) == {}, "no shifted split, nothing asked"


def test_the_lower_end_of_an_interval_is_asked():
    rows = named("low of shifts.shift-a.global_pair_auc > 0.76")
    (row,) = rows.values()
    assert (row["value"], row["pass"]) == (0.75, False) and row["name"].endswith(", lower end")
    gap = "low of baselines.zero_shot_cosine.global_pair_auc_difference > 0.02"
    assert [(row["value"], row["pass"]) for row in named(gap).values()] == [(0.05, True)]


def test_a_figure_of_a_baseline_is_asked():
    rows = named("baselines.image_only.objects.auc < 0.53")
    assert {name: row["pass"] for name, row in rows.items()} == {"object AUC: image-only ablation": True}
    assert named("baselines.image_only.objects.auc < 0.53", baselines={}) == {}


def test_an_unknown_figure_is_refused_with_what_was_meant():
    with pytest.raises(UserError, match=r"no figure 'objects.aoc'; did you mean objects.auc\?"):
        named("objects.aoc > 0.9")
    with pytest.raises(UserError, match=r"targets.figures is 'objects.auc 0.9'; allowed is NAME > NUMBER"):
        TargetsConfig(figures="objects.auc 0.9")
