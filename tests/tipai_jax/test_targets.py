"""Targets against figures, and the two questions put to the log."""

import json

import pytest

from tipai_jax.config import TargetsConfig
from tipai_jax.errors import UserError
from tipai_jax.targets import check, converged_at, loss_fall, read_log

CATEGORIES = ("object", "attribute", "counting", "spatial", "text")


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
            "zero_shot_cosine": {"global_pair_auc": fig(0.8), "global_pair_auc_difference": fig(0.1, ci=(0.05, 0.15))},
            "ridge_probe": {"global_pair_auc": fig(0.88), "global_pair_auc_difference": fig(0.02, ci=(0.01, 0.03))},
            "text_only": chance,
            "image_only": chance,
        },
    } | changes


def validations(aucs, losses=None):
    losses = losses or [1.0 - 0.1 * i for i in range(len(aucs))]
    return [
        {"step": 10 * i, "epoch": float(i), "validation": {"loss": loss, "global_pair_auc": auc}}
        for i, (auc, loss) in enumerate(zip(aucs, losses))
    ]


LOG = validations([0.5, 0.9, 0.95, 0.95])


def verdicts(rows):
    return {row["name"]: row["pass"] for row in rows}


def test_the_plan_is_met():
    rows = check(record(), targets=TargetsConfig(), log=LOG)
    assert all(row["pass"] is True for row in rows), rows
    assert all(set(row) == {"name", "value", "direction", "threshold", "pass", "ci95"} for row in rows)
    intervals = {row["name"]: row["ci95"] for row in rows}
    assert intervals["global pair AUC"] == [0.4, 0.6] and intervals[
        "text_only at chance: distance of its interval from 0.5"
    ] == [0.4, 0.6]
    assert intervals["converged at epoch"] is None
    assert sum(row["name"].startswith("category ROC-AUC") for row in rows) == 5
    assert not any("Judd" in row["name"] or "pair AUC above" in row["name"] for row in rows), (
        "the plan does not ask for these"
    )


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
    missed = lambda targets: [
        name for name, met in verdicts(check(shortcut, targets=targets, log=LOG)).items() if met is False
    ]
    assert [name.split()[0] for name in missed(TargetsConfig())] == ["image_only"]
    assert missed(TargetsConfig(blind_at_chance=False)) == []


def test_nothing_to_measure_is_no_miss():
    found = verdicts(
        check(record(patch_pair_auc=fig(None, n=0, ci=None), category_roc_auc=None), targets=TargetsConfig(), log=[])
    )
    assert found["patch pair AUC"] is None
    assert not any(met is False for met in found.values())


def test_stricter_targets_are_the_config_s():
    targets = TargetsConfig(global_pair_auc=0.93, auc_judd=0.96, beats_baselines=True)
    found = verdicts(check(record(), targets=targets, log=LOG))
    assert found["global pair AUC"] is False and found["heatmap AUC-Judd"] is False
    assert sum("pair AUC above" in name for name in found) == 2
    worse = record()
    worse["baselines"]["ridge_probe"]["global_pair_auc_difference"] = fig(0.02, ci=(-0.001, 0.04))
    found = verdicts(check(worse, targets=targets, log=LOG))
    assert found["pair AUC above ridge_probe, lower end of the difference"] is False
    assert found["pair AUC above zero_shot_cosine, lower end of the difference"] is True


@pytest.mark.parametrize(
    ("keeps", "breaks", "met"),
    [(0.81, 0.785, True), (0.8, 0.825, False), (0.77, 0.8, False), (0.77, 0.83, False), (None, 0.8, False)],
    ids=["near", "too high", "too low", "right on average alone", "not a number"],
)
def test_coverage_of_either_kind_has_to_lie_near_its_level(keeps, breaks, met):
    measured = {
        "0.8": {"coverage_keeps": fig(keeps), "coverage_breaks": fig(breaks)},
        "0.9": {"coverage_keeps": fig(0.9), "coverage_breaks": fig(0.9)},
    }
    targets = TargetsConfig(conformal=0.02)
    name = "conformal coverage of either kind, furthest from its level"
    assert verdicts(check(record(conformal=measured), targets=targets, log=LOG))[name] is met
    assert (
        verdicts(
            check(
                record(conformal={"0.9": {"coverage_keeps": fig(None, n=0), "coverage_breaks": fig(None, n=0)}}),
                targets=targets,
                log=LOG,
            )
        )[name]
        is None
    )
    assert verdicts(check(record(conformal=None), targets=targets, log=LOG))[name] is None


@pytest.mark.parametrize(
    ("ci", "met"), [((0.5, 0.5), True), ((0.45, 0.5), True), ((0.51, 0.6), False), ((0.3, 0.49), False)]
)
def test_a_blind_head_has_to_stay_at_chance(ci, met):
    changed = record()
    changed["baselines"]["image_only"] = {"global_pair_auc": fig(0.5, ci=ci)}
    found = verdicts(check(changed, targets=TargetsConfig(), log=LOG))
    assert found["image_only at chance: distance of its interval from 0.5"] is met


def test_loss_fall_by_hand():
    assert loss_fall(validations([0.5] * 4, [2.0, 1.5, 1.0, 1.2])) == pytest.approx(0.5)
    assert loss_fall(validations([0.5] * 8, [2.0, 2.1, 2.1, 2.1, 2.1, 2.2, 0.1, 0.1])) > 1.0, (
        "what happens after epoch 5 is too late"
    )
    assert loss_fall([]) is None
    training = [
        {"step": step, "epoch": step / 10, "loss": loss} for step, loss in ((5, 3.0), (10, 1.0), (15, 1.0), (20, 0.6))
    ]
    assert loss_fall(training) == pytest.approx(0.8 / 2.0)
    assert loss_fall(training[:2]) == pytest.approx(1 / 3), "one epoch: its lines"
    assert loss_fall([*training, *training[-1:]]) == pytest.approx(0.8 / 2.0), "a step logged twice counts once"


def test_converged_at_by_hand():
    assert converged_at(validations([0.5, 0.8, 0.94, 0.95, 0.949])) == 2.0
    assert converged_at(validations([0.5, 0.6, 0.7, 0.8])) is None, "still climbing"
    assert converged_at(validations([0.5, 0.95, 0.95, 0.8])) is None, "fell at the end"
    assert converged_at(validations([0.9])) is None
    late = check(record(), targets=TargetsConfig(), log=validations([0.5] * 21 + [0.95] * 5))
    assert verdicts(late)["converged at epoch"] is False


def test_the_log_is_read_and_a_torn_last_line_left_out(tmp_path):
    assert read_log(tmp_path) == []
    lines = [json.dumps(line) for line in LOG]
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, '{"step": 40, "ep']))
    assert read_log(tmp_path) == LOG
    (tmp_path / "log.jsonl").write_text("\n".join([lines[0], "nonsense", lines[1]]))
    with pytest.raises(UserError, match="line 2"):
        read_log(tmp_path)
