"""The report of a run's folder: written where it belongs, the same bytes twice, and every mistake in one line."""

import json
import os

import numpy as np
import pytest
from PIL import Image
from report_world import SHEETS, Document, entry, log, record

from tipai_jax.errors import UserError, run_main
from tipai_jax.report.__main__ import main
from tipai_jax.report.write import report_folder, write_report


def write_run(folder, name="eval.json", **changes):
    (folder / name).write_text(json.dumps(record(**changes)))
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log()))
    sheets = report_folder(folder / name)
    sheets.mkdir(exist_ok=True)
    for sheet in SHEETS:
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(sheets / sheet)


def test_the_command_writes_the_same_bytes_again_and_leaves_them_alone(tmp_path, capsys):
    write_run(tmp_path)
    os.utime(tmp_path / "eval.json", (1_000_000_000, 1_000_000_000))
    assert main(["--workdir", str(tmp_path)]) == 0
    path = tmp_path / "report.html"
    assert capsys.readouterr().out.strip() == str(path)
    first, when = path.read_bytes(), path.stat().st_mtime_ns
    assert first.count(b"data:image/webp;base64,") == 2
    page = Document(first.decode())
    assert f"{tmp_path.name}: evaluation of an auditor of text-to-image faithfulness" in page.words
    assert "Evaluated on 2001-09-09." in first.decode(), "the date of the record's file, for the record holds no clock"
    assert "Term: pair" in page.of("training"), "the log of the folder is in it"
    main(["--workdir", str(tmp_path)])
    assert path.stat().st_mtime_ns == when
    path.unlink()
    main(["--workdir", str(tmp_path)])
    assert path.read_bytes() == first
    path.write_bytes(b"of another record")
    main(["--workdir", str(tmp_path)])
    assert path.read_bytes() == first


def test_another_record_has_a_report_of_its_own(tmp_path):
    write_run(tmp_path, "eval-other.json", split="validation")
    main(["--workdir", str(tmp_path), "--record", str(tmp_path / "eval-other.json")])
    page = (tmp_path / "report-eval-other.html").read_text()
    assert "validation split" in page and page.count("data:image/webp;base64,") == 2
    assert not (tmp_path / "report.html").exists()
    assert report_folder(tmp_path / "eval-other.json") == tmp_path / "report-eval-other"
    assert report_folder(tmp_path / "eval.json") == tmp_path / "report"


def test_a_sheet_outside_the_folder_is_not_read(tmp_path):
    (tmp_path / "secret.webp").write_bytes(b"secret")
    write_run(tmp_path, best_and_worst={"best": [entry(1, "../secret.webp")], "worst": []})
    main(["--workdir", str(tmp_path)])
    page = (tmp_path / "report.html").read_text()
    assert "data:image" not in page.split("<body>")[1] and "evaluate again" in page


def test_a_task_that_shows_no_best_and_worst_has_a_report(tmp_path):
    layout = record()["layout"] | {"best_and_worst": ""}
    write_run(tmp_path, best_and_worst={}, layout=layout)
    main(["--workdir", str(tmp_path)])
    assert "best_and_worst" not in Document((tmp_path / "report.html").read_text()).sections


def refused(argv, capsys):
    assert run_main(lambda: main([str(argument) for argument in argv])) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_bad_input_has_one_line(tmp_path, capsys):
    again = f"python -m tipai_jax.evaluate --workdir {tmp_path}"
    line = refused(["--workdir", tmp_path], capsys)
    assert "no such record" in line and again in line
    assert "--workdir" in refused([], capsys)
    (tmp_path / "eval.json").write_text("{")
    line = refused(["--workdir", tmp_path], capsys)
    assert "cannot be read as a record" in line and again in line
    (tmp_path / "eval.json").write_text("[]")
    assert "no record of this version" in refused(["--workdir", tmp_path], capsys)
    write_run(tmp_path)
    (tmp_path / "report.html").mkdir()
    assert "cannot be written" in refused(["--workdir", tmp_path], capsys)


@pytest.mark.parametrize("missing", ["layout", "n_examples", "best_and_worst", "targets", "baselines", "commands"])
def test_a_record_of_another_version_is_refused_by_what_it_lacks(tmp_path, capsys, missing):
    old = {name: value for name, value in record().items() if name != missing}
    (tmp_path / "eval.json").write_text(json.dumps(old))
    line = refused(["--workdir", tmp_path], capsys)
    assert f"has no {missing}, so it is no record of this version" in line
    assert f"python -m tipai_jax.evaluate --workdir {tmp_path}" in line and not (tmp_path / "report.html").exists()


def test_a_damaged_log_is_refused_by_its_line(tmp_path, capsys):
    write_run(tmp_path)
    (tmp_path / "log.jsonl").write_text("nonsense\n{}\n")
    assert "line 1" in refused(["--workdir", tmp_path], capsys)


def test_a_broken_surrogate_in_a_title_does_no_harm(tmp_path):
    write_run(tmp_path, best_and_worst={"best": [entry(1, title="\ud800 car")], "worst": []})
    assert write_report(tmp_path / "eval.json", workdir=tmp_path) == tmp_path / "report.html"
    assert "? car" in (tmp_path / "report.html").read_bytes().decode()


def test_the_command_refuses_what_it_does_not_know():
    with pytest.raises(UserError, match="unrecognized"):
        main(["--workdir", "x", "--heatmaps", "3"])
