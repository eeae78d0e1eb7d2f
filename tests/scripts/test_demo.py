"""The demo behind its page: what is made and judged, what is said of it, what is refused, and where it is served."""

import io
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from auditor_world import make_bundle, picture, tiny_fingerprint
from catalog_world import PROMPTS, write_prompts
from PIL import Image

from precompute.generate import generate
from precompute.generators.scenes import SceneGenerator
from precompute.pairs import choose_pairs
from precompute.prompt_file import Prompt, read_prompts
from scripts import demo
from scripts.demo_app import cards
from scripts.demo_app.desk import LEVELS, Desk, at_threshold
from scripts.demo_app.serve import HOST, private_folder, reserve
from scripts.demo_app.shelf import read_shelf
from tipai_jax import Auditor
from tipai_jax.errors import UserError, run_main
from tipai_jax.render import risk_colours
from tipai_jax.store.catalog import CatalogScore, Scorer, open_catalog

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "a red car on the beach"
HOSTILE = 'a <img src=x onerror="x()"> car'


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auditor")
    make_bundle(tiny_fingerprint()).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def desk(saved):
    return Desk(Auditor.from_pretrained(saved, device="cpu"), SceneGenerator())


@pytest.fixture(scope="module")
def found(desk):
    return desk.make_round(PROMPT)


@pytest.fixture
def catalogue(tmp_path):
    """Four prompts with two pictures each; two scorers of one name, of whom the second knows the first picture only."""
    folder = tmp_path / "poc"
    generate(read_prompts(write_prompts(tmp_path / "prompts.json")), SceneGenerator(), folder, per_prompt=2)
    with open_catalog(folder) as catalog:
        images = catalog.images()
        one, two = (Scorer(name="zero_shot", digest=letter * 64, model="m", rule="r") for letter in "ab")
        scores = [
            CatalogScore(
                sha256=i.sha256,
                prompt=i.prompt,
                global_score=0.2 + 0.5 * i.seed,
                raw=float(i.seed),
                patch_scores=(0.5,),
            )
            for i in images
        ]
        catalog.put_scores(one, scores)
        catalog.put_scores(two, [replace(scores[0], global_score=0.91)])
        catalog.put_pairs(one, choose_pairs(images, catalog.scores(one), one))
    return folder


def as_file(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def test_a_round_is_what_the_generator_makes_and_the_auditor_says(desk, found):
    made = [desk.generator.make(Prompt("any", PROMPT), seed) for seed in range(4)]
    said = desk.auditor.score([each.picture for each in made], PROMPT)
    np.testing.assert_allclose([each.verdict.logit for each in found.shown], said.logit, atol=1e-5)
    assert [each.seed for each in found.shown] == [0, 1, 2, 3] and [each.truth for each in found.shown] == [
        each.truth for each in made
    ]
    assert found.order == tuple(np.argsort(-said.logit, kind="stable").tolist())
    assert found.best.verdict.score == said.score.max() and found.worst.verdict.score == said.score.min()


def test_four_others_have_the_next_seeds(desk, found):
    told = []
    others = desk.make_round(
        f"  {PROMPT}\n", first=found.next_seed, tell=lambda share, words: told.append((share, words))
    )
    assert [each.seed for each in others.shown] == [4, 5, 6, 7] and others.prompt == PROMPT
    assert (
        [share for share, _ in told] == sorted(share for share, _ in told)
        and told[0][1] == "drawing picture 1 of 4"
        and told[-1][1] == "judging"
    )


@pytest.mark.parametrize(
    ("prompt", "line"),
    [
        (" \n", "no prompt yet"),
        ("a red car " * 40, "at most 300"),
        ("a photo of Paris", "the small world cannot draw it"),
    ],
)
def test_a_prompt_that_nothing_can_be_made_of(desk, prompt, line):
    with pytest.raises(UserError, match=line):
        desk.make_round(prompt)


def test_a_picture_of_ones_own_is_judged_whole_and_shown_small(desk, tmp_path):
    path = tmp_path / "own.jpg"
    Image.fromarray(picture(3, size=(900, 600))).save(path, quality=95)
    shown, said = desk.judge(path.read_bytes(), PROMPT), desk.auditor.explain(path, PROMPT)
    assert shown.verdict.logit == pytest.approx(said.logit, abs=1e-5) and shown.seed is None and shown.truth is None
    assert said.size == (900, 600) and shown.picture.size == shown.verdict.size == (480, 320)


def test_what_is_transparent_is_shown_as_it_is_judged(desk):
    shown = desk.judge(as_file(Image.new("RGBA", (60, 60), (0, 0, 0, 0))), PROMPT)
    assert np.asarray(shown.picture).min() == 255


JPEG = as_file(Image.fromarray(picture(1)), "JPEG")


@pytest.mark.parametrize(
    ("data", "prompt", "line"),
    [
        (None, PROMPT, "no picture yet"),
        (b"", PROMPT, "no picture yet"),
        (b"words", PROMPT, "neither JPEG, PNG nor WEBP; choose"),
        (as_file(Image.fromarray(picture(1)), "BMP"), PROMPT, "neither JPEG, PNG nor WEBP; choose"),
        (JPEG[: len(JPEG) // 2], PROMPT, "this file cannot be judged: .+; choose"),
        (as_file(Image.new("1", (8001, 8000))), PROMPT, "at most 64000000 are read"),
        (JPEG, "  ", "no prompt yet"),
    ],
)
def test_what_cannot_be_judged(desk, data, prompt, line):
    with pytest.raises(UserError, match=line):
        desk.judge(data, prompt)


def test_the_threshold_moves_boxes_and_colours_and_nothing_is_judged_again(desk, found, monkeypatch):
    monkeypatch.setattr(desk.auditor, "score", None)
    low, high = (
        at_threshold(found.worst, float(edge))
        for edge in (found.worst.verdict.risk.min(), found.worst.verdict.risk.max() + 0.01)
    )
    (box,) = low.verdict.boxes
    assert (box.x1, box.y1, box.x2, box.y2) == (0, 0, *low.verdict.size) and high.verdict.boxes == ()
    assert low.verdict.score == high.verdict.score == found.worst.verdict.score
    assert cards.comparison(found, 0.1) != cards.comparison(found, 0.8)


def test_another_level_is_what_an_auditor_of_that_level_says(desk, saved, monkeypatch):
    told = set()
    for seed in range(4):
        data = as_file(desk.generator.make(Prompt("any", PROMPT), seed).picture)
        shown = desk.judge(data, PROMPT)
        for level in LEVELS:
            again = desk.at_level(shown, level).verdict
            other = Auditor(desk.auditor.bundle, level=level, device="cpu")
            monkeypatch.setitem(other.__dict__, "encoder", desk.auditor.encoder)
            assert (again.prediction, again.level) == (
                other.explain(Image.open(io.BytesIO(data)), PROMPT).prediction,
                level,
            )
            told.add(again.prediction)
    assert len(told) > 1


def test_the_cards_say_what_was_found(desk, found):
    text = cards.candidates(found)
    assert (
        all(f"<strong>{each.verdict.score:.2f}</strong>" in text for each in found.shown)
        and text.count("<img") == 4
        and text.count("truth: ") == 4
    )
    assert "drawn, not generated" in text and text.count(">best<") == text.count(">worst<") == 1
    low = at_threshold(found.worst, 0.3)
    text = cards.analysis(found.worst, 0.3, title="Title")
    assert (
        low.verdict.sentence in text
        and text.count("<td style") == 49
        and all(f'scope="row">{name}<' in text for name in low.verdict.reasons)
    )
    assert text.count("</tr>") == 7 + 5 + (1 + len(low.verdict.boxes) if low.verdict.boxes else 0)
    assert "drawn scenes only" in cards.head(desk) and desk.auditor.digests.heads[:12] in cards.about(desk)


def test_words_of_the_user_are_words(desk, found):
    """Nothing that was typed becomes markup, whatever it looks like."""
    shown = desk.judge(JPEG, HOSTILE)
    hostile = replace(found, prompt=HOSTILE)
    for text in (cards.single(shown, 0.5), cards.candidates(hostile), cards.message(HOSTILE)):
        assert "<img src=x" not in text and "&lt;img src=x onerror=&quot;x()&quot;&gt;" in text


def test_numbers_on_colours_can_be_read():
    """Contrast 4.5 (WCAG 2, AA) on every colour of the scale."""
    light = lambda rgb: float(
        np.dot(
            [0.2126, 0.7152, 0.0722],
            [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.asarray(rgb) / 255],
        )
    )
    for colour in risk_colours(np.linspace(0.0, 1.0, 101)).tolist():
        ink = light([0] * 3 if cards._ink(*colour) == "#000" else [255] * 3)
        low, high = sorted((ink, light(colour)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, colour


def test_the_catalogue_prompt_by_prompt(catalogue):
    shelf = read_shelf(catalogue)
    assert shelf.prompts == tuple((row["prompt_id"], row["prompt"]) for row in PROMPTS)
    first, second = shelf.exhibits["c1"]
    assert [(said.scorer, said.score, said.place) for said in first.opinions] == [
        ("zero_shot@aaaaaaaa", 0.2, "worst"),
        ("zero_shot@bbbbbbbb", 0.91, ""),
    ]
    assert [(said.score, said.place) for said in second.opinions] == [(0.7, "best"), (None, "")]
    assert [shelf.near("c1", 1), shelf.near("c1", -1), shelf.near("c3"), shelf.near("gone", 1), shelf.near(None)] == [
        "c2",
        "c4",
        "c3",
        "c1",
        "c1",
    ]
    text = cards.shelf_page(shelf, "c1")
    assert text.count("<img") == 2 and "0.91" in text and "not scored" in text and text.count("truth: ") == 2


def test_a_picture_that_is_gone_leaves_a_line_and_the_others(catalogue):
    shelf = read_shelf(catalogue)
    (catalogue / shelf.exhibits["c1"][0].image.path).unlink()
    text = cards.shelf_page(shelf, "c1")
    assert (
        text.count("<img") == 2 and text.count('role="alert"') == 1 and "run the same generate.py command again" in text
    )


def test_no_catalogue_and_an_empty_one(tmp_path):
    with pytest.raises(UserError, match="no catalogue here"):
        read_shelf(tmp_path / "none")
    with open_catalog(tmp_path, create=True):
        pass
    with pytest.raises(UserError, match="is empty"):
        read_shelf(tmp_path)


def test_the_examples_can_be_drawn():
    examples = read_prompts(demo.EXAMPLES)
    SceneGenerator().check(examples)
    assert 4 <= len(examples) <= demo.MOST_EXAMPLES


def test_mistakes_on_the_command_line(saved, tmp_path, capsys, monkeypatch):
    def line(*arguments: str) -> str:
        assert run_main(lambda: demo.main(["--port", "0", *arguments])) == 2
        (said,) = capsys.readouterr().err.splitlines()
        return said

    assert "none: no such folder" in line("--auditor", str(tmp_path / "none"))
    assert "no such file" in line("--examples", str(tmp_path / "none.json"))
    many = write_prompts(tmp_path / "many.json", [{"prompt_id": str(n), "prompt": "a dog"} for n in range(31)])
    assert "at most 30" in line("--examples", str(many))
    assert "--port 70000" in line("--port", "70000")
    assert "no such folder" in line("--auditor", saved, "--model", "nothing at all")
    monkeypatch.setattr(demo, "find_spec", lambda name: find_spec("nothing_of_that_name"))
    assert "-e '.[demo]'" in line("--auditor", saved)


def test_the_port_is_this_machines_and_nobody_elses():
    taken = reserve(0)
    try:
        host, port = taken.getsockname()
        assert host == HOST == "127.0.0.1" and port > 0
        with pytest.raises(UserError, match=f"--port {port}: cannot be used"):
            reserve(port)
    finally:
        taken.close()


BROKEN = """
import sys
from scripts.demo_app import serve as room
from tipai_jax.errors import UserError, run_main

class Desk:
    def warm_up(self):
        raise {"user": UserError("encoder my_clip: no such folder"), "ours": RuntimeError("out of memory")}[sys.argv[1]]

async def page(scope, receive, send):
    while scope["type"] == "lifespan":
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return

room._application = lambda *_: page
with room.reserve(0) as at:
    sys.exit(run_main(lambda: room.serve(Desk(), [], None, at=at)))
"""


@pytest.mark.parametrize(
    ("whose", "code", "line"),
    [("user", 2, "error: encoder my_clip: no such folder"), ("ours", 1, "RuntimeError: out of memory")],
)
def test_a_desk_that_cannot_be_made_ready_ends_the_demo_with_its_error(whose, code, line):
    done = subprocess.run([sys.executable, "-c", BROKEN, whose], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code and done.stderr.rstrip().endswith(line) and done.stdout == "", (
        done.stdout + done.stderr
    )


def test_uploads_lie_in_a_private_folder_that_goes():
    with private_folder() as folder:
        (folder / "upload").write_bytes(b"x")
        assert os.stat(folder).st_mode & 0o777 == 0o700
    assert not folder.exists()
