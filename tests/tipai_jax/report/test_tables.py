"""Runs side by side, and one run for a terminal: every figure by name, and a dash where a run has none."""

import json
import runpy
import sys

import pytest
from report_world import baseline, fig, record, target

from tipai_jax.errors import run_main
from tipai_jax.report.tables import compare, main, show


def test_a_column_a_run_and_a_row_a_figure():
    low = record(global_pair_auc=fig(0.5), unseen_combination_pair_auc=fig(None, 0))
    high = record(global_pair_auc=fig(0.75), unseen_combination_pair_auc=fig(None, 0), heatmap=None)
    lines = compare({"a": low, "b": high}).splitlines()
    assert lines[:2] == ["| test split | a | b |", "|---|---|---|"]
    assert lines[2] == "| global pair AUC | 0.500 (0.450 to 0.550) | 0.750 (0.700 to 0.800) |"
    nine, seven = "0.900 (0.850 to 0.950)", "0.700 (0.650 to 0.750)"
    for line in (
        f"| category ROC-AUC, object | {nine} | {nine} |",
        f"| heatmap, AUC-Judd | {nine} | - |",
        "| pair AUC, unseen combinations | - | - |",
        "| pair AUC above zero-shot cosine | +0.2000 (+0.1500 to +0.2500) | +0.2000 (+0.1500 to +0.2500) |",
        f"| global pair AUC: zero-shot cosine | {seven} | {seven} |",
        f"| category ROC-AUC, object: text-only ablation | {seven} | {seven} |",
        f"| heatmap, IoU: zero-shot cosine | {seven} | {seven} |",
    ):
        assert line in lines, line
    assert not any(line.startswith("| heatmap, IoU: text-only") for line in lines), "it has no places"
    assert len({line.split(" | ")[0] for line in lines}) == len(lines), "one row a figure"
    first = next(i for i, line in enumerate(lines) if ": " in line)
    assert all(": " in line for line in lines[first:]), "the baselines come last"


def test_runs_of_other_splits_and_other_figures_stand_side_by_side():
    lines = compare({"a": record(baselines={}), "b": record(split="train", baselines={"ridge_probe": baseline()})})
    assert lines.splitlines()[0] == "| test and train split | a | b |"
    assert "| patch pair AUC: ridge probe | - | 0.700 (0.650 to 0.750) |" in lines.splitlines()


def rows(text):
    """The cells of every line; columns are two spaces apart at least."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


def test_the_table_of_one_run():
    targets = [
        target("global pair AUC"),
        target("ECE", 0.2, False, direction="<", threshold=0.1, ci95=None),
        target("converged at epoch", 2.0, True, direction="<", threshold=21.0, format=".0f"),
        target("patch pair AUC", None, None),
    ]
    few = {"value": 0.75, "ci95": None, "n": 2, "reason": "fewer than 10 prompt groups"}
    missing = ["baselines: some are gone"]
    text = show(record(targets=targets, not_measured=missing, ece=few, notes=["calibration, patch: Platt's"]))
    found = rows(text)
    assert found[0] == ["110 pairs of the test split, encoder tiny, small world only (drawn scenes)"]
    for row in (
        ["global pair AUC", "0.9000", "> 0.85", "pass"],
        ["ECE", "0.2000", "< 0.1", "FAIL"],
        ["converged at epoch", "2", "< 21", "pass"],
        ["patch pair AUC", "-", "> 0.85", "not measured"],
        ["also measured", "value", "95 % interval", "n"],
        ["global pair AUC", "0.900", "0.850 to 0.950", "100"],
        ["pair AUC above text-only ablation", "+0.2000", "+0.1500 to +0.2500", "100"],
        ["baselines", "ours", "zero-shot cosine", "text-only ablation"],
        ["global pair AUC", "0.900", "0.700", "0.700"],
        ["heatmap, IoU", "0.900", "0.700"],
        ["category ROC-AUC, object", "0.900", "0.700"],
        ["ECE", "0.750", "-", "2"],
        ["not measured: baselines: some are gone"],
        ["not measured: fewer than 10 prompt groups"],
        ["note: calibration, patch: Platt's"],
    ):
        assert row in found, row
    assert found[-1] == ["2 of 4 targets met, 1 missed, 1 not measured"]
    names = [row[0] for row in found if row]
    assert names.count("ECE before calibration") == 1 and names.count("ECE") == 1 + 1 + 1, "no baseline has the former"
    (heatmap,) = [line for line in text.splitlines() if line.startswith("heatmap, IoU") and "to" not in line]
    (reason,) = [line for line in text.splitlines() if line.startswith("category ROC-AUC, object") and "to" not in line]
    assert heatmap.rstrip().endswith("0.700") and len(heatmap) < len(reason), "a figure stands under its own baseline"
    assert show(record(targets=targets[2:])).endswith("1 of 2 targets met, 1 not measured")


def test_a_figure_of_nothing_has_no_line_and_a_run_without_baselines_no_table_of_them():
    bare = show(record(baselines={}, global_pair_auc=fig(None, 0), heatmap=None, small_world_only=False, targets=[]))
    assert not any(line.startswith(("global pair AUC", "heatmap", "baselines")) for line in bare.splitlines())
    assert "small world" not in bare


def test_what_a_baseline_alone_predicts_is_in_the_table():
    found = rows(show(record(category_roc_auc=None)))
    assert ["category ROC-AUC, object", "-", "0.700"] in found


def test_the_command_and_its_old_name_print_the_same(tmp_path, capsys, monkeypatch):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, value in zip(folders, (0.5, 0.75), strict=True):
        folder.mkdir()
        (folder / "eval.json").write_text(json.dumps(record(global_pair_auc=fig(value))))
    names = [str(folder) for folder in folders]
    assert main(names) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == f"| test split | `{folders[0]}` | `{folders[1]}` |"
    assert "| global pair AUC | 0.500 (0.450 to 0.550) | 0.750 (0.700 to 0.800) |" in printed
    monkeypatch.setattr(sys, "argv", ["table", *names])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("tipai_jax.table", run_name="__main__")
    assert end.value.code == 0 and capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such record"),
        ("{", "cannot be read"),
        ("[]", "has no command, so it is no record of this version"),
        ("{}", "no record of this"),
    ],
)
def test_a_run_that_was_not_evaluated_is_refused_in_one_line(tmp_path, capsys, content, words):
    if content is not None:
        (tmp_path / "eval.json").write_text(content)
    assert run_main(lambda: main([str(tmp_path)])) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line and f"python -m tipai_jax.evaluate --workdir {tmp_path}" in line
