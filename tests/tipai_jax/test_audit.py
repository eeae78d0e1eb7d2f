"""The command: images in words and overlays, a folder or a table into a parquet file, resumed, and what is refused."""

import csv
import itertools
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor_world import draw_image, make_bundle, tiny_fingerprint, write_image
from PIL import Image

from precompute import heatmaps
from tipai_jax import Auditor, audit
from tipai_jax.auditor import batch as audit_table
from tipai_jax.auditor.verdict import Alternative
from tipai_jax.config import ModelConfig
from tipai_jax.errors import UserError, run_main
from tipai_jax.evaluation.calibrators import Platt
from tipai_jax.files.lock import alone_in
from tipai_jax.render.phrases import LEAST_WIDTH
from tipai_jax.store.catalog import open_catalog


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auditor")
    make_bundle(tiny_fingerprint()).save(folder)
    return str(folder)


def run(*argv: str) -> int:
    return run_main(lambda: audit.main(argv))


def test_images_in_words(saved, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    paths = [write_image(tmp_path, 1, size=(200, 120)), write_image(tmp_path / "other", 1)]
    assert run(*map(str, paths), "--prompt", "a red cat", "--auditor", saved, "--out", str(tmp_path / "out")) == 0
    out, err = capsys.readouterr()
    assert out.count("  prompt: a red cat\n") == 2 and "strongest reason" in out
    assert out.count("  prediction at level 90 %: ") == 2
    assert "drawn scenes only" in err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1_2_audit.png", "1_audit.png"]
    with Image.open(tmp_path / "out" / "1_audit.png") as overlay:
        assert overlay.size == (200, 120)


def test_json(saved, tmp_path, capsys):
    path = write_image(tmp_path, 1)
    assert (
        run(
            str(path),
            "--prompt",
            "a red cat",
            "--auditor",
            saved,
            "--out",
            str(tmp_path / "out"),
            "--json",
            "--level",
            "0.6",
        )
        == 0
    )
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (
        found["image"] == str(path)
        and found["level"] == 0.6
        and 0 <= found["score"] <= 1
        and found["small_world_only"] is True
    )


def test_a_folder_and_a_table_give_the_same(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(audit_table, "PART", 3)
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(7):
        write_image(folder, i)
    assert run(str(folder), "--prompt", "a red cat", "--auditor", saved, "--out", str(tmp_path / "a.parquet")) == 0
    assert "a.parquet: 7 rows, 7 of them judged now\n" in capsys.readouterr().out
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "prompt"), *((f"images/{i}.png", "a red cat") for i in range(7))])
    (tmp_path / "t.jsonl").write_text(
        "".join(json.dumps({"image": f"images/{i}.png", "prompt": "a red cat"}) + "\n" for i in range(7))
    )
    pq.write_table(
        pa.table({"image": [f"images/{i}.png" for i in range(7)], "prompt": ["a red cat"] * 7}),
        tmp_path / "t.parquet",
    )
    scores = [pq.read_table(tmp_path / "a.parquet").column("score").to_pylist()]
    for kind in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"{kind}-out.parquet"
        assert run(str(tmp_path / f"t.{kind}"), "--auditor", saved, "--out", str(out)) == 0
        scores.append(pq.read_table(out).column("score").to_pylist())
        assert not out.with_name(out.name + ".parts").exists()
    assert len(set(scores[0])) == 7
    for each in scores[1:]:
        np.testing.assert_allclose(each, scores[0], atol=1e-9)
    row = pq.read_table(tmp_path / "a.parquet").to_pylist()[0]
    assert (
        row["image"] == "0.png"
        and len(row["patch_score"]) == 49
        and row["error"] is None
        and len(row["heads_digest"]) == len(row["input_digest"]) == 64
        and (row["small_world_only"], row["unknown_tokens"]) == (True, 0)
    )


@pytest.fixture(scope="module")
def reading(tmp_path_factory):
    """An auditor whose heads read phrases."""
    bundle = make_bundle(tiny_fingerprint(), model=ModelConfig(heads="phrases", width=16, layers=1))
    folder = tmp_path_factory.mktemp("reading")
    replace(bundle, calibration=replace(bundle.calibration, phrase=Platt(0.5, 0.0))).save(folder)
    return str(folder)


def test_phrases_in_the_table_in_words_and_below_the_overlay(reading, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    path, prompt = write_image(tmp_path / "images", 1), "a red car on the beach"
    table, out = tmp_path / "a.parquet", tmp_path / "out"
    assert run(str(path.parent), "--prompt", prompt, "--auditor", reading, "--out", str(table)) == 0
    (row,) = pq.read_table(table).to_pylist()
    verdict = Auditor.from_pretrained(reading).explain(path, prompt)
    assert [each["text"] for each in row["phrases"]] == ["a red car", "on the beach"]
    for each, judged in zip(row["phrases"], verdict.phrases, strict=True):
        assert each["kept"] == pytest.approx(judged.kept, abs=1e-5) and each["fails"] == (judged.kept < 0.5)
    assert row["failing"] == (verdict.failing.text if verdict.failing else None)
    assert run(str(path), "--prompt", prompt, "--auditor", reading, "--out", str(out)) == 0
    said = capsys.readouterr().out
    for each in verdict.phrases:
        assert f'"{each.text}" {each.kept:.2f}{" (fails)" if each.fails else ""}' in said
    with Image.open(out / "1_audit.png") as overlay:
        assert overlay.width == LEAST_WIDTH and overlay.height > 160 + 40


def test_alternatives_in_the_table_are_asked_for_and_not_mixed(reading, tmp_path, capsys, monkeypatch):
    alone = write_image(tmp_path, 1)
    asked, score = [], Auditor.score
    monkeypatch.setattr(Auditor, "score", lambda *a, **how: asked.append(how["alternatives"]) or score(*a, **how))
    table = ("--prompt", "two red cars", "--auditor", reading, "--out", str(tmp_path / "a.parquet"))
    assert run(str(tmp_path), *table, "--alternatives") == 0 and asked == [True]
    assert run(str(tmp_path), *table) == 2
    assert "judged with another choice of --alternatives" in capsys.readouterr().err
    assert run(str(alone), "--prompt", "two red cars", "--auditor", reading, "--alternatives") == 2
    assert "named images have them anyway" in capsys.readouterr().err
    found = Alternative(what="colour", word="blue", kept=0.9)
    verdict = Auditor.from_pretrained(reading).explain(alone, "two red cars")
    made = replace(verdict, phrases=(replace(verdict.phrases[0], alternative=found),))
    assert audit_table._columns(made)["phrases"][0]["alternative"] == "blue"
    made = replace(verdict, phrases=(replace(verdict.phrases[0], alternative=None),))
    assert audit_table._columns(made)["phrases"][0]["alternative"] is None


def test_the_failing_phrase_has_a_column_of_its_own(reading):
    verdict = Auditor.from_pretrained(reading).explain(draw_image(1), "a red car on the beach")
    for kept, prediction, named in ((0.1, "breaks", "a red car"), (0.1, "keeps", None)):
        first = replace(verdict.phrases[0], kept=kept)
        made = replace(verdict, prediction=prediction, phrases=(first, replace(verdict.phrases[1], kept=0.9)))
        columns = audit_table._columns(made)
        assert columns["failing"] == named and [each["fails"] for each in columns["phrases"]] == [True, False]


def test_interrupted_and_resumed(saved, tmp_path, monkeypatch, capsys):
    """The parts that are there are not judged again; a finished file is left alone; another prompt in its place is
    refused.
    """
    monkeypatch.setattr(audit_table, "PART", 2)
    folder, out = tmp_path / "images", tmp_path / "a.parquet"
    folder.mkdir()
    for i in range(5):
        write_image(folder, i)
    judged, calls = audit_table._judged, []

    def stopping(auditor, rows, **how):
        calls.append([row.image for row in rows])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return judged(auditor, rows, **how)

    monkeypatch.setattr(audit_table, "_judged", stopping)
    command = (str(folder), "--prompt", "a red cat", "--auditor", saved, "--out", str(out))
    assert run(*command) == 130 and not out.exists()
    assert "run the same command again" in capsys.readouterr().err
    assert run(str(folder), "--prompt", "a blue dog", "--auditor", saved, "--out", str(out)) == 2
    assert "rows of an interrupted command with another input, auditor or level" in capsys.readouterr().err
    assert run(*command) == 0
    assert calls == [["0.png", "1.png"], ["2.png", "3.png"], ["2.png", "3.png"], ["4.png"]]
    assert pq.read_table(out).column("image").to_pylist() == [f"{i}.png" for i in range(5)]
    before = out.stat().st_mtime_ns
    assert run(*command) == 0 and out.stat().st_mtime_ns == before and len(calls) == 4


def test_two_processes_cannot_write_one_file(saved, tmp_path, capsys):
    write_image(tmp_path, 0)
    out = tmp_path / "a.parquet"
    command = (str(tmp_path), "--prompt", "a red cat", "--auditor", saved, "--out", str(out))
    with alone_in(tmp_path / "a.parquet.parts", what="", doing="", option=""):
        assert run(*command) == 2
    assert "another process is judging here; wait for it, or choose another --out" in capsys.readouterr().err
    assert run(*command) == 0 and not (tmp_path / "a.parquet.parts").exists()
    assert run(*command) == 0


def test_a_file_whose_name_is_no_text_is_judged_and_spelt_out(saved, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    write_image(tmp_path, 0).rename(folder / os.fsdecode(b"caf\xe9.png"))
    (folder / os.fsdecode(b"t\xe9.png")).write_bytes(b"no image")
    assert run(str(folder), "--prompt", "a red cat", "--auditor", saved, "--out", str(tmp_path / "a.parquet")) == 1
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert (
        [row["image"] for row in rows] == ["caf\\udce9.png", "t\\udce9.png"]
        and rows[0]["score"] is not None
        and "neither JPEG" in rows[1]["error"]
    )


def test_a_place_where_nothing_can_be_written(saved, tmp_path, capsys):
    image = write_image(tmp_path, 0)
    (tmp_path / "t.csv").write_text("image,prompt\n0.png,a cat\n")
    assert run(str(tmp_path / "t.csv"), "--auditor", saved, "--out", str(image / "x.parquet")) == 2
    assert "cannot be used as the folder of the parts" in capsys.readouterr().err


def test_another_folder_with_the_same_names_is_not_taken_for_the_first(saved, tmp_path, capsys):
    out = tmp_path / "audit.parquet"
    for name, seed in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        write_image(tmp_path, seed).rename(tmp_path / name / "a.png")
    command = ("--prompt", "a red cat", "--auditor", saved, "--out", str(out))
    assert run(str(tmp_path / "one"), *command) == 0
    before = out.read_bytes()
    assert run(str(tmp_path / "two"), *command) == 2 and out.read_bytes() == before
    assert "holds 1 rows of another input that would be lost; name another --out" in capsys.readouterr().err
    assert not out.with_name("audit.parquet.parts").exists(), "what is refused leaves nothing behind"
    make_bundle(tiny_fingerprint(), seed=5).save(tmp_path / "second")
    assert run(str(tmp_path / "one"), *command[:3], str(tmp_path / "second"), "--out", str(out)) == 2
    assert "was judged with another auditor" in capsys.readouterr().err
    assert run(str(tmp_path / "one"), *command, "--level", "0.8") == 2
    assert "was judged with another --level" in capsys.readouterr().err
    assert run(str(out), "--auditor", saved, "--out", str(out)) == 2 and out.read_bytes() == before


def test_what_cannot_be_read_is_a_row_with_its_reason(saved, tmp_path, capsys):
    write_image(tmp_path, 0)
    (tmp_path / "bad.png").write_bytes(b"no image")
    (tmp_path / "n.jsonl").write_text('{"image": "a\\u0000.png", "prompt": "a cat"}\n')
    assert run(str(tmp_path / "n.jsonl"), "--auditor", saved, "--out", str(tmp_path / "n.parquet")) == 1
    assert "null byte" in pq.read_table(tmp_path / "n.parquet").column("error").to_pylist()[0]
    capsys.readouterr()
    (tmp_path / "t.csv").write_text("image,prompt\n0.png,a cat\nbad.png,a cat\ngone.png,a cat\n")
    assert run(str(tmp_path / "t.csv"), "--auditor", saved, "--out", str(tmp_path / "a.parquet")) == 1
    found = "3 rows, 3 of them judged now; 2 rows have no verdict: see the column error"
    assert found in capsys.readouterr().out
    errors = pq.read_table(tmp_path / "a.parquet").column("error").to_pylist()
    assert errors[0] is None and "neither JPEG, PNG nor WEBP" in errors[1] and "No such file" in errors[2]


@pytest.fixture
def judged_rows(monkeypatch):
    """The images that are judged, call by call."""
    judged, calls = audit_table._judged, []

    def counting(auditor, rows, **how):
        calls.append([row.image for row in rows])
        return judged(auditor, rows, **how)

    monkeypatch.setattr(audit_table, "_judged", counting)
    return calls


def write_table(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("image", "prompt"), *rows])


def test_only_what_is_new_or_changed_is_judged(saved, tmp_path, judged_rows, capsys):
    for i in range(4):
        write_image(tmp_path, i)
    table, out = tmp_path / "t.csv", tmp_path / "a.parquet"
    command = (str(table), "--auditor", saved, "--out", str(out))
    write_table(table, [(f"{i}.png", "a red cat") for i in range(3)])
    assert run(*command) == 0
    before = pq.read_table(out).to_pylist()
    # an image added in front, one made anew, a prompt changed, a row left as it was
    write_image(tmp_path, 9).replace(tmp_path / "1.png")
    write_table(table, [("3.png", "a red cat"), ("0.png", "a red cat"), ("1.png", "a red cat"), ("2.png", "a dog")])
    assert run(*command, "--json") == 0
    counts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert counts == {"out": str(out), "rows": 4, "judged": 3, "failed": 0}
    assert judged_rows == [["0.png", "1.png", "2.png"], ["3.png", "1.png", "2.png"]]
    after = pq.read_table(out).to_pylist()
    assert [(row["image"], row["prompt"]) for row in after] == [
        ("3.png", "a red cat"),
        ("0.png", "a red cat"),
        ("1.png", "a red cat"),
        ("2.png", "a dog"),
    ]
    assert after[1] == before[0] and after[2]["logit"] != before[1]["logit"]
    anew = tmp_path / "anew.parquet"
    assert run(str(table), "--auditor", saved, "--out", str(anew)) == 0
    for here, there in zip(after, pq.read_table(anew).to_pylist(), strict=True):
        assert (
            here["logit"] == pytest.approx(there["logit"], abs=5e-3) and here["input_digest"] == there["input_digest"]
        )
    write_table(table, [("2.png", "a dog"), ("2.png", "a dog"), ("0.png", "a red cat")])  # fewer, another order, twice
    assert run(*command) == 0 and len(judged_rows) == 3
    assert pq.read_table(out).column("image").to_pylist() == ["2.png", "2.png", "0.png"]
    other = tmp_path / "other.csv"
    write_table(other, [("0.png", "a red cat"), ("2.png", "a dog"), ("3.png", "a dog")])  # has all rows of the file
    assert run(str(other), "--auditor", saved, "--out", str(out)) == 0 and judged_rows[3:] == [["3.png"]]


def test_an_interrupted_command_may_find_other_images_when_it_goes_on(saved, tmp_path, monkeypatch, judged_rows):
    monkeypatch.setattr(audit_table, "PART", 2)
    folder, out = tmp_path / "images", tmp_path / "a.parquet"
    folder.mkdir()
    for i in range(1, 5):
        write_image(folder, i)
    counting = audit_table._judged

    def stopping(auditor, rows, **how):
        if judged_rows:
            raise KeyboardInterrupt
        return counting(auditor, rows, **how)

    command = (str(folder), "--prompt", "a red cat", "--auditor", saved, "--out", str(out))
    with monkeypatch.context() as patched:
        patched.setattr(audit_table, "_judged", stopping)
        assert run(*command) == 130
    write_image(folder, 0)
    assert run(*command) == 0
    assert judged_rows == [["1.png", "2.png"], ["0.png", "3.png"], ["4.png"]]
    assert pq.read_table(out).column("image").to_pylist() == [f"{i}.png" for i in range(5)]


def test_errors_are_judged_again_where_the_image_has_changed_or_when_asked_for(
    saved, tmp_path, monkeypatch, judged_rows
):
    """An empty prompt and an image that cannot be read are rows with an error, and stop nothing."""
    write_image(tmp_path, 0)
    (tmp_path / "bad.png").write_bytes(b"no image")
    table, out = tmp_path / "t.csv", tmp_path / "a.parquet"
    rows = [("0.png", "a cat"), ("0.png", ""), ("bad.png", "a cat"), ("", "a cat"), ("0.png", "  ")]
    write_table(table, rows)
    command = (str(table), "--auditor", saved, "--out", str(out))
    assert run(*command) == 1
    errors = pq.read_table(out).column("error").to_pylist()
    assert errors[0] is None and "neither JPEG" in errors[2]
    assert errors[1] == "the prompt is ''; expected words" and errors[4] == "the prompt is '  '; expected words"
    assert errors[3] == "no image; expected the path of a JPEG, PNG or WEBP file"
    assert run(*command) == 1 and len(judged_rows) == 1, "nothing has changed"
    assert run(*command, "--retry-errors") == 1
    assert judged_rows[1:] == [["0.png", "bad.png", "", "0.png"]], "the row that has a verdict is not judged again"
    write_image(tmp_path, 1).replace(tmp_path / "bad.png")
    write_table(table, [rows[0], ("0.png", "a dog"), *rows[2:3]])
    assert run(*command) == 0
    assert judged_rows[2:] == [["0.png", "bad.png"]]
    assert pq.read_table(out).column("error").to_pylist() == [None, None, None]
    with monkeypatch.context() as patched:  # what fails without a change of the file, such as a right to read it
        patched.setattr(Auditor, "prepare", refusing)
        (tmp_path / "u.csv").write_text("image,prompt\n0.png,a cat\n")
        other = (str(tmp_path / "u.csv"), "--auditor", saved, "--out", str(tmp_path / "u.parquet"))
        assert run(*other) == 1
    assert run(*other) == 1 and run(*other, "--retry-errors") == 0
    assert pq.read_table(tmp_path / "u.parquet").column("error").to_pylist() == [None]


def refusing(self, image, place=0):
    raise UserError("not now")


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "Ctrl-C"])
@pytest.mark.parametrize("again", [(), ("--retry-errors",)], ids=["plain", "retried"])
def test_what_was_judged_again_is_kept_where_the_file_could_not_be_written(
    saved, tmp_path, monkeypatch, judged_rows, stop, again
):
    """The file has a row for every input already, so that its parts alone say that it is to be written anew."""
    write_image(tmp_path, 0)
    write_table(tmp_path / "t.csv", [("0.png", "a cat")])
    out = tmp_path / "a.parquet"
    command = (str(tmp_path / "t.csv"), "--auditor", saved, "--out", str(out))
    with monkeypatch.context() as patched:
        patched.setattr(Auditor, "prepare", refusing)
        assert run(*command) == 1
    with monkeypatch.context() as patched:
        patched.setattr(audit_table, "_write_out", lambda *_: (_ for _ in ()).throw(stop))
        assert run(*command, "--retry-errors") == (2 if isinstance(stop, OSError) else 130)
    assert run(*command, *again) == 0 and len(judged_rows) == 2, "what was judged is not judged a third time"
    (row,) = pq.read_table(out).to_pylist()
    assert row["error"] is None and row["score"] is not None
    assert not out.with_name("a.parquet.parts").exists()


def test_an_encoder_that_cannot_be_loaded_is_no_fault_of_the_images(saved, tmp_path, capsys):
    write_image(tmp_path, 0)
    out = tmp_path / "a.parquet"
    command = (str(tmp_path), "--prompt", "a cat", "--auditor", saved, "--out", str(out), "--encoder", "nowhere")
    assert run(*command) == 2 and not out.exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: encoder nowhere: ") and "--encoder" in line


def test_a_device_that_is_not_there_is_one_line(saved, tmp_path, monkeypatch, capsys):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    image = write_image(tmp_path, 0)
    for inputs in ((str(image),), (str(tmp_path), "--out", str(tmp_path / "a.parquet"))):
        assert run(*inputs, "--prompt", "a cat", "--auditor", saved, "--device", "cuda") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: --device cuda: torch finds no CUDA device on this machine; take --device cpu")
    assert not (tmp_path / "a.parquet").exists()


def test_a_prompt_with_quotes_stays_readable_and_numbers_have_one_scale(saved):
    verdict = replace(
        Auditor.from_pretrained(saved).explain(draw_image(0), "a cat"),
        prompt='a sign that says "open"\nby a shop\'s door',
        risk=np.pad(np.full((2, 2), 0.78, np.float32), (1, 4)),
        risk_threshold=0.5,
        score=0.2,
        level=0.95,
    )
    text = audit.describe(verdict, "a.png", None)
    assert '\n  prompt: a sign that says "open" by a shop\'s door\n' in text
    assert ": highest risk 0.78" in text
    assert "prediction at level 95 %: " in text and "at most" not in text


def test_a_catalogue_gets_the_auditors_scores(saved, tmp_path, capsys):
    """Beside the zero-shot ones, once; and an image that was changed is named."""
    data = tmp_path / "poc"
    generate(data, count=3)
    command = (str(data / "catalog.db"), "--auditor", saved)
    assert run(*command) == 0 and "6 images judged now" in capsys.readouterr().out
    with open_catalog(data) as catalog:
        (scorer,) = catalog.scorers()
        scores = catalog.scores(scorer)
    auditor = Auditor.from_pretrained(saved)
    assert (scorer.name, scorer.digest) == ("auditor", auditor.digests.heads) and len(scores) == 6
    name, score = next(iter(scores.items()))
    verdict = auditor.explain(data / "images" / f"{name}.png", score.prompt)
    assert (
        score.global_score == pytest.approx(verdict.score, abs=1e-3)
        and score.raw == pytest.approx(verdict.logit, abs=1e-2)
        and len(score.patch_scores) == 49
    )
    assert heatmaps.main(["--data", str(data), "--scorer", "auditor"]) == 0
    with (
        Image.open(data / "heatmaps" / f"auditor@{scorer.digest[:8]}" / f"{name}_heatmap.png") as drawn,
        Image.open(data / "images" / f"{name}.png") as plain,
    ):
        expected = np.asarray(verdict.overlay(plain.convert("RGB"), boxes=False), np.int16)
        assert (
            np.abs(np.asarray(drawn.convert("RGB"), np.int16) - expected).max() <= 4
        )  # both are drawn by the auditor's own threshold
    assert run(*command) == 0 and "0 images judged now" in capsys.readouterr().out
    other = data / "images" / f"{name}.png"
    other.write_bytes(other.read_bytes() + b"x")
    make_bundle(tiny_fingerprint(), seed=5).save(tmp_path / "second")
    assert run(command[0], "--auditor", str(tmp_path / "second")) == 2
    assert "has changed since it was made; run the same generate.py command again" in capsys.readouterr().err


@pytest.fixture
def first_image_last(monkeypatch):
    """The image that is prepared first is done only after another one: with two cores there are two at a time."""
    prepare, calls, another = Auditor.prepare, itertools.count(), threading.Event()

    def waiting(self, image, place=0):
        if next(calls) == 0:
            assert another.wait(30), "one image at a time"
        try:
            return prepare(self, image, place)
        finally:
            another.set()

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(Auditor, "prepare", waiting)


def test_images_are_prepared_side_by_side_and_stay_in_their_order(saved, tmp_path, first_image_last):
    for i in range(3):
        write_image(tmp_path, i)
    (tmp_path / "bad.png").write_bytes(b"no image")
    write_table(tmp_path / "t.csv", [("0.png", "a cat"), ("bad.png", "a cat"), ("1.png", ""), ("2.png", "a cat")])
    assert run(str(tmp_path / "t.csv"), "--auditor", saved, "--out", str(tmp_path / "a.parquet")) == 1
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    errors = [row["error"] for row in rows]
    assert errors[0] is errors[3] is None and errors[2] == "the prompt is ''; expected words"
    assert errors[1] == (
        f"{tmp_path / 'bad.png'}: neither JPEG, PNG nor WEBP; expected a whole JPEG, PNG or WEBP image"
    )
    assert rows[0]["logit"] != pytest.approx(rows[3]["logit"], abs=5e-3)
    for row in (rows[0], rows[3]):
        expected = Auditor.from_pretrained(saved).explain(tmp_path / row["image"], "a cat").logit
        assert row["logit"] == pytest.approx(expected, abs=5e-3)


def test_images_of_a_catalogue_are_prepared_side_by_side(saved, tmp_path, first_image_last):
    data = tmp_path / "poc"
    generate(data, count=1)
    assert run(str(data / "catalog.db"), "--auditor", saved) == 0
    auditor = Auditor.from_pretrained(saved)
    with open_catalog(data) as catalog:
        scores = catalog.scores(catalog.scorers()[0])
    first, second = (score.raw for score in scores.values())
    assert first != pytest.approx(second, abs=5e-3)
    for name, score in scores.items():
        verdict = auditor.explain(data / "images" / f"{name}.png", score.prompt)
        assert score.raw == pytest.approx(verdict.logit, abs=5e-3)


def generate(data, *, count):
    """Two drawn images for each of the first few default prompts."""
    from precompute import generate as command

    prompts = json.loads((Path(command.__file__).parent / "assets" / "scene_prompts.json").read_text())[:count]
    file = data.with_suffix(".json")
    file.write_text(json.dumps(prompts))
    assert command.main(["--out", str(data), "--per-prompt", "2", "--prompts", str(file)]) == 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["nowhere.png", "--prompt", "a cat"],
            r"nowhere.png: no such file; expected a JPEG, PNG or WEBP image, a folder, or a table",
        ),
        (["a.png"], r"--prompt is missing: what should the images show\?"),
        (["a.png", "--prompt", "a cat", "--level", "90"], r"--level 90: expected a share above 0 and below 1"),
        (["t.csv", "--prompt", "a cat"], r"--prompt: t.csv names a prompt for each image"),
        (["t.csv", "b.csv"], r"t.csv: a folder, a table or a catalogue is judged alone"),
        (
            [__file__, "--prompt", "a cat", "--out", __file__],
            r"--out .*test_audit.py: is a file; the overlays of images go to a folder",
        ),
        (
            ["a.png", "--prompt", "a cat", "--retry-errors"],
            r"--retry-errors: only the parquet file of a folder or table",
        ),
        (["t.csv", "--out", "x.csv"], r"--out x.csv: a folder or a table goes to a parquet file"),
    ],
)
def test_what_is_refused(argv, message):
    with pytest.raises(UserError, match=message):
        audit.parse(argv)


def test_tables_that_do_not_fit(saved, tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("picture,prompt\n0.png,a cat\n")
    with pytest.raises(UserError, match=r"a.csv: no column 'image', only picture, prompt; expected image and prompt"):
        audit_table.table_rows(tmp_path / "a.csv")
    (tmp_path / "b.jsonl").write_text('{"image": "0.png", "prompt": 7}\n')
    with pytest.raises(UserError, match=r"b.jsonl: column 'prompt' holds 7; expected text"):
        audit_table.table_rows(tmp_path / "b.jsonl")
    (tmp_path / "h.jsonl").write_text('{"image": "0.png", "prompt": null}\n{"image": null, "prompt": "a cat"}\n')
    assert [(row.image, row.prompt) for row in audit_table.table_rows(tmp_path / "h.jsonl")] == [
        ("0.png", ""),
        ("", "a cat"),
    ]
    for name, line in (
        ("e.csv", b"image,prompt,caf\xe9\n0.png,a cat,x\n"),
        ("f.csv", b"image,prompt\n0.png,a caf\xe9\n"),
        ("g.jsonl", b'{"image": "0.png", "prompt": "a caf\xe9"}\n'),
    ):
        (tmp_path / name).write_bytes(line)
        with pytest.raises(UserError, match=rf"{name}: not a (CSV|JSONL) file that can be read"):
            audit_table.table_rows(tmp_path / name)
    with monkeypatch.context() as patched:
        patched.setattr("pyarrow.csv.read_csv", lambda *_, **__: (_ for _ in ()).throw(pa.ArrowInvalid("")))
        with pytest.raises(UserError, match=r"a.csv: not a CSV file that can be read \(ArrowInvalid\)"):
            audit_table.table_rows(tmp_path / "a.csv")
    (tmp_path / "d.csv").write_text("image,image,prompt\n0.png,1.png,a cat\n")
    with pytest.raises(UserError, match=r"d.csv: two columns 'image'; expected one image and one prompt"):
        audit_table.table_rows(tmp_path / "d.csv")
    (tmp_path / "c.jsonl").write_text("{not json")
    with pytest.raises(UserError, match=r"c.jsonl: not a JSONL file that can be read"):
        audit_table.table_rows(tmp_path / "c.jsonl")
    with pytest.raises(UserError, match=r"no image in it"):
        (tmp_path / "empty").mkdir()
        audit_table.folder_rows(tmp_path / "empty", "a cat")
