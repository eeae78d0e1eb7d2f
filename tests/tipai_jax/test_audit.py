"""The command: a few pictures in words and overlays, many into a parquet file, resumed, and what is refused."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor_world import make_bundle, tiny_fingerprint, write_picture
from PIL import Image

from precompute import heatmaps
from tipai_jax import Auditor, audit, audit_table
from tipai_jax.errors import UserError, run_main
from tipai_jax.lock import alone_in
from tipai_jax.store.catalog import open_catalog


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auditor")
    make_bundle(tiny_fingerprint()).save(folder)
    return str(folder)


def run(*argv: str) -> int:
    return run_main(lambda: audit.main(argv))


def test_a_few_pictures_in_words(saved, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    paths = [write_picture(tmp_path, 1, size=(200, 120)), write_picture(tmp_path / "other", 1)]
    assert run(*map(str, paths), "--prompt", "a red cat", "--auditor", saved, "--out", str(tmp_path / "out")) == 0
    out, err = capsys.readouterr()
    assert out.count("for 'a red cat'") == 2 and "strongest reason" in out and "at level 0.9:" in out
    assert "drawn scenes only" in err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1_2_audit.png", "1_audit.png"]
    with Image.open(tmp_path / "out" / "1_audit.png") as overlay:
        assert overlay.size == (200, 120)


def test_json(saved, tmp_path, capsys):
    path = write_picture(tmp_path, 1)
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


def test_a_folder_and_a_table_say_the_same(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(audit_table, "PART", 3)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(7):
        write_picture(folder, i)
    assert run(str(folder), "--prompt", "a red cat", "--auditor", saved, "--out", str(tmp_path / "a.parquet")) == 0
    assert "7 pictures judged" in capsys.readouterr().out
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "prompt"), *((f"pictures/{i}.png", "a red cat") for i in range(7))])
    (tmp_path / "t.jsonl").write_text(
        "".join(json.dumps({"image": f"pictures/{i}.png", "prompt": "a red cat"}) + "\n" for i in range(7))
    )
    pq.write_table(
        pa.table({"image": [f"pictures/{i}.png" for i in range(7)], "prompt": ["a red cat"] * 7}),
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
        and len(row["heads_digest"]) == 64
    )


def test_interrupted_and_resumed(saved, tmp_path, monkeypatch, capsys):
    """The parts that are there are not judged again; a finished file is left alone; other pictures in its place are
    refused.
    """
    monkeypatch.setattr(audit_table, "PART", 2)
    folder, out = tmp_path / "pictures", tmp_path / "a.parquet"
    folder.mkdir()
    for i in range(5):
        write_picture(folder, i)
    judged, calls = audit_table._judged, []

    def stopping(auditor, rows):
        calls.append([row.image for row in rows])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return judged(auditor, rows)

    monkeypatch.setattr(audit_table, "_judged", stopping)
    command = (str(folder), "--prompt", "a red cat", "--auditor", saved, "--out", str(out))
    assert run(*command) == 130 and not out.exists()
    assert "run the same command again" in capsys.readouterr().err
    assert run(str(folder), "--prompt", "a blue dog", "--auditor", saved, "--out", str(out)) == 2
    assert "parts of other pictures, prompts or another auditor" in capsys.readouterr().err
    assert run(*command) == 0
    assert calls == [["0.png", "1.png"], ["2.png", "3.png"], ["2.png", "3.png"], ["4.png"]]
    assert pq.read_table(out).column("image").to_pylist() == [f"{i}.png" for i in range(5)]
    before = out.stat().st_mtime_ns
    assert run(*command) == 0 and out.stat().st_mtime_ns == before and len(calls) == 4


def test_two_processes_cannot_write_one_file(saved, tmp_path, capsys):
    write_picture(tmp_path, 0)
    out = tmp_path / "a.parquet"
    command = (str(tmp_path), "--prompt", "a red cat", "--auditor", saved, "--out", str(out))
    with alone_in(tmp_path / "a.parquet.parts", what="", doing="", option=""):
        assert run(*command) == 2
    assert "another process is judging here; wait for it, or choose another --out" in capsys.readouterr().err
    assert run(*command) == 0 and not (tmp_path / "a.parquet.parts").exists()
    assert run(*command) == 0


def test_a_file_whose_name_is_no_text_is_judged_and_spelt_out(saved, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    write_picture(tmp_path, 0).rename(folder / os.fsdecode(b"caf\xe9.png"))
    (folder / os.fsdecode(b"t\xe9.png")).write_bytes(b"no picture")
    assert run(str(folder), "--prompt", "a red cat", "--auditor", saved, "--out", str(tmp_path / "a.parquet")) == 1
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert (
        [row["image"] for row in rows] == ["caf\\udce9.png", "t\\udce9.png"]
        and rows[0]["score"] is not None
        and "neither JPEG" in rows[1]["error"]
    )


def test_a_place_where_nothing_can_be_written(saved, tmp_path, capsys):
    image = write_picture(tmp_path, 0)
    (tmp_path / "t.csv").write_text("image,prompt\n0.png,a cat\n")
    assert run(str(tmp_path / "t.csv"), "--auditor", saved, "--out", str(image / "x.parquet")) == 2
    assert "cannot be used as the folder of the parts" in capsys.readouterr().err


def test_another_folder_with_the_same_names_is_not_taken_for_the_first(saved, tmp_path, capsys):
    out = tmp_path / "audit.parquet"
    for name, seed in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        write_picture(tmp_path, seed).rename(tmp_path / name / "a.png")
    command = ("--prompt", "a red cat", "--auditor", saved, "--out", str(out))
    assert run(str(tmp_path / "one"), *command) == 0
    before = out.read_bytes()
    assert run(str(tmp_path / "two"), *command) == 2 and out.read_bytes() == before
    assert "is there and holds something else" in capsys.readouterr().err
    write_picture(tmp_path, 3).replace(tmp_path / "one" / "a.png")  # made anew in its place
    assert run(str(tmp_path / "one"), *command) == 2
    assert run(str(out), "--auditor", saved, "--out", str(out)) == 2 and out.read_bytes() == before


def test_what_cannot_be_read_is_a_row_with_its_reason(saved, tmp_path, capsys):
    write_picture(tmp_path, 0)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "n.jsonl").write_text('{"image": "a\\u0000.png", "prompt": "a cat"}\n')
    assert run(str(tmp_path / "n.jsonl"), "--auditor", saved, "--out", str(tmp_path / "n.parquet")) == 1
    assert "null byte" in pq.read_table(tmp_path / "n.parquet").column("error").to_pylist()[0]
    capsys.readouterr()
    (tmp_path / "t.csv").write_text("image,prompt\n0.png,a cat\nbad.png,a cat\ngone.png,a cat\n")
    assert run(str(tmp_path / "t.csv"), "--auditor", saved, "--out", str(tmp_path / "a.parquet")) == 1
    assert "1 pictures judged, 2 could not be: see the column error" in capsys.readouterr().out
    errors = pq.read_table(tmp_path / "a.parquet").column("error").to_pylist()
    assert errors[0] is None and "neither JPEG, PNG nor WEBP" in errors[1] and "No such file" in errors[2]


def test_a_catalogue_gets_the_auditors_scores(saved, tmp_path, capsys):
    """Beside the zero-shot ones, once; and a picture that was changed is named."""
    data = tmp_path / "poc"
    generate(data, count=3)
    command = (str(data / "catalog.db"), "--auditor", saved)
    assert run(*command) == 0 and "6 pictures judged now" in capsys.readouterr().out
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
    assert run(*command) == 0 and "0 pictures judged now" in capsys.readouterr().out
    other = data / "images" / f"{name}.png"
    other.write_bytes(other.read_bytes() + b"x")
    make_bundle(tiny_fingerprint(), seed=5).save(tmp_path / "second")
    assert run(command[0], "--auditor", str(tmp_path / "second")) == 2
    assert "has changed since it was made; run the same generate.py command again" in capsys.readouterr().err


def generate(data, *, count):
    """Two drawn pictures for each of the first few default prompts."""
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
            r"nowhere.png: no such file; expected a JPEG, PNG or WEBP picture, a folder, or a table",
        ),
        (["a.png"], r"--prompt is missing: what were the pictures to show\?"),
        (["a.png", "--prompt", "a cat", "--level", "90"], r"--level 90: expected a share above 0 and below 1"),
        (["t.csv", "--prompt", "a cat"], r"--prompt: t.csv names a prompt for each picture"),
        (["t.csv", "b.csv"], r"t.csv: a folder, a table or a catalogue is judged alone"),
        (
            [__file__, "--prompt", "a cat", "--out", __file__],
            r"--out .*test_audit.py: is a file; the overlays of pictures go to a folder",
        ),
        (["t.csv", "--out", "x.csv"], r"--out x.csv: a folder or a table goes to a parquet file"),
    ],
)
def test_what_is_refused(argv, message):
    with pytest.raises(UserError, match=message):
        audit.parse(argv)


def test_tables_that_do_not_fit(saved, tmp_path):
    (tmp_path / "a.csv").write_text("picture,prompt\n0.png,a cat\n")
    with pytest.raises(UserError, match=r"a.csv: no column 'image', only picture, prompt; expected image and prompt"):
        audit_table.table_rows(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("image,prompt\n0.png,a cat\n1.png,\n")
    with pytest.raises(UserError, match=r"b.csv: row 2 has image '1.png' and prompt ''"):
        audit_table.table_rows(tmp_path / "b.csv")
    for name, line in (
        ("e.csv", b"image,prompt,caf\xe9\n0.png,a cat,x\n"),
        ("f.csv", b"image,prompt\n0.png,a caf\xe9\n"),
        ("g.jsonl", b'{"image": "0.png", "prompt": "a caf\xe9"}\n'),
    ):
        (tmp_path / name).write_bytes(line)
        with pytest.raises(UserError, match=rf"{name}: not a (CSV|JSONL) file that can be read"):
            audit_table.table_rows(tmp_path / name)
    (tmp_path / "d.csv").write_text("image,image,prompt\n0.png,1.png,a cat\n")
    with pytest.raises(UserError, match=r"d.csv: two columns 'image'; expected one image and one prompt"):
        audit_table.table_rows(tmp_path / "d.csv")
    (tmp_path / "c.jsonl").write_text("{not json")
    with pytest.raises(UserError, match=r"c.jsonl: not a JSONL file that can be read"):
        audit_table.table_rows(tmp_path / "c.jsonl")
    with pytest.raises(UserError, match=r"no picture in it"):
        (tmp_path / "empty").mkdir()
        audit_table.folder_rows(tmp_path / "empty", "a cat")
