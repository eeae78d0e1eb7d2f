"""The figures of the documentation: the page is what the command makes of its record, and README and configs agree."""

import copy
import json
import re
from pathlib import Path

import pytest
from report_world import EVIL, baseline, fig, record

from scripts.results import RUNS, main, page, portable, small, summary
from tipai_jax.errors import UserError
from tipai_jax.report.figures import value_text

ROOT = Path(__file__).resolve().parents[2]
RECORDS = json.loads((ROOT / "docs" / "results.json").read_text())
QUICKSTART = RECORDS["quickstart"]
COLUMNS = {
    "`plan.py`": RECORDS["plan"],
    "quickstart": QUICKSTART,
    "the same, new world": RECORDS["again"],
    "cosine": QUICKSTART["baselines"]["zero_shot_cosine"],
    "cosine of phrases": QUICKSTART["baselines"]["zero_shot_phrases"],
    "ridge probe": QUICKSTART["baselines"]["ridge_probe"],
    "image only": QUICKSTART["baselines"]["image_only"],
}
ROWS = {
    "pair AUC": lambda scorer: scorer["global_pair_auc"],
    "pair AUC, held-out styles": lambda scorer: scorer["shifts"]["shift-style"]["global_pair_auc"],
    "pair AUC, drawn by other code": lambda scorer: scorer["shifts"]["shift-renderer"]["global_pair_auc"],
    "object AUC: wrong objects redder than others": lambda scorer: scorer["objects"]["auc"],
    "object AUC, drawn by other code": lambda scorer: scorer["shifts"]["shift-renderer"]["objects"]["auc"],
    "faithful images in which something is marked (lower is better)": lambda scorer: scorer["boxes"][
        "marked_in_chosen"
    ],
}


def cells(line: str) -> list[str]:
    """The cells of a row of a Markdown table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_is_what_the_command_makes_of_the_record():
    assert (ROOT / "docs" / "results.md").read_text() == page(RECORDS)


@pytest.mark.parametrize("file", ["README.md", "docs/results.md"])
def test_each_figure_of_the_summary_is_that_of_the_record(file):
    lines = (ROOT / file).read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| test split | `plan.py`"))
    assert cells(lines[start])[1:] == list(COLUMNS)
    shown = {cells(line)[0]: cells(line)[1:] for line in lines[start + 2 : start + 2 + len(ROWS)]}
    assert shown == {
        label: [value_text(read(scorer)["value"], ".3f") for scorer in COLUMNS.values()] for label, read in ROWS.items()
    }


def test_every_figure_with_an_interval_is_on_the_results_page():
    """In README and docs alike; of figures that come from elsewhere no intervals are given."""
    number = r"[+-]?\d\.\d+"
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    known = " ".join((ROOT / "docs" / "results.md").read_text().split())
    found = [
        figure
        for path in pages
        for figure in re.findall(rf"{number} \({number} to {number}\)", " ".join(path.read_text().split()))
    ]
    assert len(found) > 100 and not [figure for figure in found if figure not in known]
    assert re.search(rf"{number} \({number} to {number}\)", " ".join((ROOT / "README.md").read_text().split()))


@pytest.mark.parametrize("name", ["plan", "quickstart"])
def test_the_config_names_the_figures_of_its_run(name):
    docstring = (ROOT / "configs" / {"plan": "plan.py", "quickstart": "base.py"}[name]).read_text()
    shown = dict(re.findall(r"(pair AUC|patch AUC|AUC-Judd|ECE) (\.\d{3})", docstring))
    figures = {
        "pair AUC": RECORDS[name]["global_pair_auc"],
        "patch AUC": RECORDS[name]["patch_pair_auc"],
        "AUC-Judd": RECORDS[name]["heatmap"]["auc_judd"],
        "ECE": RECORDS[name]["ece"],
    }
    assert shown == {label: f"{figure['value']:.3f}".removeprefix("0") for label, figure in figures.items()}


def test_no_path_of_a_machine_is_in_the_record():
    assert re.findall(r"(?:^|[\s='\"])/[\w.]+/[\w./-]*", json.dumps(RECORDS)) == []


def made_up(**changes):
    """A record in which every figure that is shown was measured."""
    scorers = {
        "zero_shot_cosine": baseline(0.7),
        "zero_shot_phrases": baseline(0.8),
        "ridge_probe": baseline(0.6),
        "text_only": baseline(0.5),
        "image_only": baseline(0.5),
    }
    return record(**{"baselines": scorers, **changes})


def test_the_summary_takes_each_figure_from_its_place():
    ours = made_up(
        global_pair_auc=fig(0.11),
        shifts={
            "shift-style": {"global_pair_auc": fig(0.22)},
            "shift-renderer": {"global_pair_auc": fig(0.33), "objects": {"auc": fig(0.55)}},
        },
        objects={"auc": fig(0.42), "hottest_right": fig(0.5)},
        boxes={"marked_in_chosen": fig(0.66)},
    )
    lines = summary({"plan": ours, "quickstart": made_up(), "again": made_up(global_pair_auc=fig(0.12))}).splitlines()
    assert [cells(line)[1] for line in lines[2:]] == ["0.110", "0.220", "0.330", "0.420", "0.550", "0.660"]
    assert cells(lines[2])[1:] == ["0.110", "0.900", "0.120", "0.700", "0.800", "0.600", "0.500"]
    with_nothing = made_up(objects={"auc": fig(None, 0), "hottest_right": fig(0.9)})
    assert cells(summary({"plan": with_nothing, "quickstart": ours, "again": ours}).splitlines()[5])[1:3] == [
        "-",
        "0.420",
    ]


def test_paths_keep_their_last_two_parts():
    command = "python x.py --store /a/b/store/scenes --workdir=/tmp/runs/base 'a b' --data '/c/data/d'"
    shorter = "python x.py --store store/scenes --workdir=runs/base 'a b' --data 'data/d'"
    assert portable({"a": [command, 1, None], "b": "/x/y/z"}) == {"a": [shorter, 1, None], "b": "y/z"}
    for same in ("runs/base", "80/10/10", "or 1/4", "a / b", "https://a.b/c"):
        assert portable(same) == same


def test_a_record_is_made_small():
    kept = small(record())
    assert "best_and_worst" not in kept and "reliability" not in kept and "sections" not in kept["layout"]
    assert kept["global_pair_auc"] == fig() and kept["layout"]["figures"] == record()["layout"]["figures"]


@pytest.fixture
def runs(tmp_path):
    """Folders of evaluated runs."""
    for name, value in zip(RUNS, (0.61, 0.72, 0.71), strict=True):
        made = made_up(global_pair_auc=fig(value), command=f"python -m tipai_jax.evaluate --workdir {tmp_path}/{name}")
        (tmp_path / name).mkdir()
        (tmp_path / name / "eval.json").write_text(json.dumps(made))
    return tmp_path


def test_the_command_writes_both_files(runs, capsys):
    out = ["--out", str(runs / "docs")]
    (runs / "docs").mkdir()
    assert main([*(str(runs / name) for name in RUNS), *out]) == 0
    records, text = json.loads((runs / "docs/results.json").read_text()), (runs / "docs/results.md").read_text()
    assert list(records) == list(RUNS) and str(runs) not in json.dumps(records)
    assert records["plan"]["command"] == f"python -m tipai_jax.evaluate --workdir {runs.name}/plan"
    assert "| pair AUC | 0.610 | 0.720 | 0.710 | 0.700 | 0.800 | 0.600 | 0.500 |" in text.splitlines()
    assert (
        "| global pair AUC | 0.610 (0.560 to 0.660) | 0.720 (0.670 to 0.770) | 0.710 (0.660 to 0.760) |"
        in text.splitlines()
    )
    assert "`runs/plan`: 1 of 3 targets met" in text and "{" not in text.replace(EVIL, "")

    changed = made_up(global_pair_auc=fig(0.99))
    (runs / "plan" / "eval.json").write_text(json.dumps(changed))
    assert main(out) == 0 and (runs / "docs/results.md").read_text() == text  # of results.json alone
    assert main([str(runs / "plan"), *out]) == 0
    assert (
        "| pair AUC | 0.990 | 0.720 | 0.710 | 0.700 | 0.800 | 0.600 | 0.500 |"
        in (runs / "docs/results.md").read_text().splitlines()
    )
    assert "written: " in capsys.readouterr().out


def test_the_text_is_wrapped_and_tables_are_not(runs):
    long = made_up(targets=[{**made_up()["targets"][0], "name": "a very long name of a target " * 5}])
    lines = page({name: small(copy.deepcopy(long)) for name in RUNS}).splitlines()
    long_ones = [line for line in lines if len(line) > 120]
    assert any(line.startswith("| a very long") for line in long_ones)
    assert all(line.startswith("| ") for line in long_ones)
    assert any(line.startswith("  ") for line in lines), "a further line of an entry is indented"


def test_a_run_of_another_name_or_a_missing_one_is_refused(runs):
    with pytest.raises(UserError, match="called plan, quickstart and again"):
        main([str(runs), "--out", str(runs / "docs")])
    with pytest.raises(UserError, match="no run 'quickstart'; evaluate it"):
        main([str(runs / "plan"), "--out", str(runs / "docs")])
    with pytest.raises(UserError, match="evaluate first"):
        main([str(runs / "x" / "plan"), "--out", str(runs / "docs")])
    assert not (runs / "docs").exists()
