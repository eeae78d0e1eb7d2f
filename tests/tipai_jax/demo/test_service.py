"""The demo without a browser: what is made and scored, its markup, what is refused, and where it is served."""

import dataclasses
import io
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from auditor_world import draw_image, make_bundle, tiny_fingerprint
from catalog_world import PROMPTS, write_prompts
from PIL import Image

from precompute.generate import generate
from precompute.generators.scenes import SceneGenerator
from precompute.pairs import choose_pairs
from precompute.prompt_file import Prompt, read_prompts
from tipai_jax import Auditor
from tipai_jax.auditor.verdict import JudgedPhrase
from tipai_jax.demo import __main__ as demo
from tipai_jax.demo import cards
from tipai_jax.demo.catalog_view import read_catalog
from tipai_jax.demo.serve import HOST, private_folder, reserve
from tipai_jax.demo.service import LEVELS, DemoService, at_threshold
from tipai_jax.errors import UserError, run_main
from tipai_jax.evaluation.conformal import Conformal
from tipai_jax.render import risk_colours
from tipai_jax.render.phrases import KEY
from tipai_jax.store.catalog import CatalogScore, Scorer, open_catalog

ROOT = Path(__file__).resolve().parents[3]
PROMPT = "a red car on the beach"
HOSTILE = 'a <img src=x onerror="x()"> car'


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auditor")
    make_bundle(tiny_fingerprint()).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def service(saved):
    return DemoService(Auditor.from_pretrained(saved, device="cpu"), SceneGenerator())


@pytest.fixture(scope="module")
def found(service):
    return service.make_candidates(PROMPT)


@pytest.fixture
def catalogue(tmp_path):
    """Four prompts with two images each; two scorers of one name, of which the second scored the first image only."""
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


def test_candidates_are_what_the_generator_makes_and_the_auditor_predicts(service, found):
    made = [service.generator.make(Prompt("any", PROMPT), seed) for seed in range(4)]
    verdicts = service.auditor.score([each.image for each in made], PROMPT)
    np.testing.assert_allclose([each.verdict.logit for each in found.images], verdicts.logit, atol=1e-5)
    assert [each.seed for each in found.images] == [0, 1, 2, 3] and [each.truth for each in found.images] == [
        each.truth for each in made
    ]
    assert found.order == tuple(np.argsort(-verdicts.logit, kind="stable").tolist())
    assert found.best.verdict.score == verdicts.score.max() and found.worst.verdict.score == verdicts.score.min()


def test_four_others_have_the_next_seeds(service, found):
    steps = []
    others = service.make_others(found, f"  {PROMPT}\n", progress=lambda share, step: steps.append((share, step)))
    assert [each.seed for each in others.images] == [4, 5, 6, 7] and others.prompt == PROMPT
    assert [share for share, _ in steps] == sorted(share for share, _ in steps)
    assert steps[0][1] == "drawing image 1 of 4" and steps[-1][1] == "scoring"


def test_the_worked_example_is_what_anybody_would_get(service, saved, found):
    own = DemoService(Auditor.from_pretrained(saved, device="cpu"), service.generator)
    own.warm_up(PROMPT)
    example = own.worked_example()
    assert example.prompt == PROMPT and [each.seed for each in example.images] == [0, 1, 2, 3]
    scores, expected = ([each.verdict.score for each in candidates.images] for candidates in (example, found))
    np.testing.assert_allclose(scores, expected, atol=1e-5)


class SlowGenerator(SceneGenerator):
    """As slow as a diffusion model, which makes no example."""

    drawn = False

    def make(self, prompt, seed):
        raise AssertionError("an image was made that nobody asked for")


@pytest.mark.parametrize(("generator", "prompt"), [(SlowGenerator(), PROMPT), (SceneGenerator(), "a photo of Paris")])
def test_there_is_no_worked_example_where_it_takes_long_or_cannot_be_drawn(saved, generator, prompt):
    own = DemoService(Auditor.from_pretrained(saved, device="cpu"), generator)
    own.warm_up(prompt)
    assert own.worked_example() is None


@pytest.mark.parametrize("seen", [True, False])
def test_four_others_of_another_prompt_start_with_the_first_seed(service, found, seen):
    others = service.make_others(found if seen else None, "three red apples")
    assert others.prompt == "three red apples" and [each.seed for each in others.images] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("prompt", "line"),
    [
        (" \n", "no prompt yet"),
        ("a red car " * 40, "at most 300"),
        ("a photo of Paris", "the small world cannot draw it"),
    ],
)
def test_a_prompt_that_nothing_can_be_made_of(service, prompt, line):
    with pytest.raises(UserError, match=line):
        service.make_candidates(prompt)


def test_an_uploaded_image_is_scored_whole_and_shown_small(service, tmp_path):
    path = tmp_path / "own.jpg"
    Image.fromarray(draw_image(3, size=(900, 600))).save(path, quality=95)
    shown, verdict = service.score(service.read(path.read_bytes()), PROMPT), service.auditor.explain(path, PROMPT)
    assert shown.verdict.logit == pytest.approx(verdict.logit, abs=1e-5) and shown.seed is None and shown.truth is None
    assert verdict.size == (900, 600) and shown.image.size == shown.verdict.size == (480, 320)


def test_what_is_transparent_is_shown_as_it_is_scored(service):
    shown = service.score(service.read(as_file(Image.new("RGBA", (60, 60), (0, 0, 0, 0)))), PROMPT)
    assert np.asarray(shown.image).min() == 255


@pytest.mark.parametrize(("size", "small"), [((900, 600), (160, 107)), ((30, 60), (30, 60)), ((4000, 2), (160, 1))])
def test_a_thumbnail_is_small_and_leaves_the_upload_as_it_is(service, size, small):
    upload = service.read(as_file(Image.fromarray(draw_image(3, size=size))))
    assert upload.thumbnail.size == small and upload.image.size == size


JPEG = as_file(Image.fromarray(draw_image(1)), "JPEG")


@pytest.mark.parametrize(
    ("data", "prompt", "line"),
    [
        (None, PROMPT, "no image yet"),
        (b"", PROMPT, "no image yet"),
        (b"words", PROMPT, "neither JPEG, PNG nor WEBP; choose"),
        (as_file(Image.fromarray(draw_image(1)), "BMP"), PROMPT, "neither JPEG, PNG nor WEBP; choose"),
        (JPEG[: len(JPEG) // 2], PROMPT, "this file cannot be scored: .+; choose"),
        (as_file(Image.new("1", (8001, 8000))), PROMPT, "at most 64000000 are read"),
        (JPEG, "  ", "no prompt yet"),
    ],
)
def test_what_cannot_be_scored(service, data, prompt, line):
    with pytest.raises(UserError, match=line):
        service.score(service.read(data), prompt)


def test_the_threshold_moves_boxes_and_colours_and_nothing_is_scored_again(service, found, monkeypatch):
    monkeypatch.setattr(service.auditor, "score", None)
    low, high = (
        at_threshold(dataclasses.replace(found.worst, verdict=broken), float(edge))
        for broken in [dataclasses.replace(found.worst.verdict, score=0.2)]
        for edge in (broken.risk.min(), broken.risk.max() + 0.01)
    )
    assert low.verdict.boxes[0].risk == pytest.approx(low.verdict.risk.max()) and high.verdict.boxes == ()
    assert low.verdict.score == high.verdict.score == 0.2
    assert cards.comparison(found, 0.1) != cards.comparison(found, 0.8)


def test_another_level_is_what_an_auditor_of_that_level_says(service, monkeypatch):
    data = [as_file(service.generator.make(Prompt("any", PROMPT), seed).image) for seed in range(4)]
    middle = np.median([service.score(service.read(each), PROMPT).verdict.logit for each in data])
    bundle, spread = service.auditor.bundle, np.linspace(-0.5, 0.5, 40)
    undecided = Conformal(tuple(middle + spread + 0.2), tuple(-middle + spread + 0.2))
    bundle = replace(bundle, calibration=replace(bundle.calibration, conformal=undecided))
    with_level = lambda level: Auditor(bundle, level=level, device="cpu")
    service = DemoService(with_level(0.9), service.generator)
    predictions = set()
    for each in data:
        shown = service.score(service.read(each), PROMPT)
        for level in LEVELS:
            again = service.at_level(shown, level).verdict
            other = with_level(level)
            monkeypatch.setitem(other.__dict__, "encoder", service.auditor.encoder)
            assert (again.prediction, again.level) == (
                other.explain(Image.open(io.BytesIO(each)), PROMPT).prediction,
                level,
            )
            predictions.add(again.prediction)
    assert len(predictions) > 1


def test_the_cards_show_what_was_found(service, found):
    text = cards.candidates(found)
    assert (
        all(f"<strong>{each.verdict.score:.2f}</strong>" in text for each in found.images)
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
    kept = dataclasses.replace(low, verdict=dataclasses.replace(low.verdict, score=0.9))
    assert "by its score the image keeps the prompt" in cards.analysis(kept, 0.3, title="Title")
    assert text.count("</tr>") == 7 + 5 + (1 + len(low.verdict.boxes) if low.verdict.boxes else 0)
    assert "drawn scenes only" in cards.head(service) and service.auditor.digests.heads[:12] in cards.about(service)


def test_the_prompt_stands_there_in_coloured_words(found):
    """Where heads read phrases: on every candidate, on both sides of the comparison, above the verdict on an image."""
    said = (JudgedPhrase(text="a red car", start=0, end=9, kind="attribute", kept=0.09),)
    told = lambda scored: replace(scored, verdict=replace(scored.verdict, phrases=said))
    images = tuple(map(told, found.images))
    mark = 'title="more likely broken: the image keeps it with probability 0.09"'
    for text in (cards.analysis(images[0], 0.3, title="Title"), cards.single(images[0], 0.3)):
        assert text.count(mark) == 1 and KEY in text and "on the beach" in text
    made = replace(found, images=images)
    assert cards.comparison(made, 0.3).count(mark) == 2
    assert cards.candidates(made).count(mark) == 4 and cards.candidates(made).count(KEY) == 1
    plain = (cards.candidates(found), cards.comparison(found, 0.3), cards.analysis(found.best, 0.3, title="Title"))
    for text in plain:
        assert "<mark" not in text and KEY not in text


@pytest.mark.parametrize("prediction", ["keeps", "breaks", "abstains"])
def test_the_colour_of_a_badge_follows_the_prediction_and_not_the_rank(found, prediction):
    images = tuple(replace(each, verdict=replace(each.verdict, prediction=prediction)) for each in found.images)
    alike = replace(found, images=images)
    for place in ("best", "worst"):
        assert f'class="tp-badge tp-{prediction}">{place}<' in cards.candidates(alike)
    assert cards.comparison(alike, 0.5).count(f'class="tp-side tp-{prediction}"') == 2


def test_text_of_the_user_is_never_markup(service, found):
    """Whatever it looks like."""
    shown = service.score(service.read(JPEG), HOSTILE)
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
    view = read_catalog(catalogue)
    assert view.prompts == tuple((row["prompt_id"], row["prompt"]) for row in PROMPTS)
    first, second = view.entries["c1"]
    assert [(each.scorer, each.score, each.place) for each in first.results] == [
        ("zero_shot@aaaaaaaa", 0.2, "worst"),
        ("zero_shot@bbbbbbbb", 0.91, ""),
    ]
    assert [(each.score, each.place) for each in second.results] == [(0.7, "best"), (None, "")]
    assert [
        view.neighbour("c1", 1),
        view.neighbour("c1", -1),
        view.neighbour("c3"),
        view.neighbour("gone", 1),
        view.neighbour(None),
    ] == ["c2", "c4", "c3", "c1", "c1"]
    text = cards.catalog_page(view, "c1")
    assert text.count("<img") == 2 and "0.91" in text and "not scored" in text and text.count("truth: ") == 2


def test_an_image_that_is_gone_leaves_a_line_and_the_others(catalogue):
    view = read_catalog(catalogue)
    (catalogue / view.entries["c1"][0].image.path).unlink()
    text = cards.catalog_page(view, "c1")
    assert (
        text.count("<img") == 2 and text.count('role="alert"') == 1 and "run the same generate.py command again" in text
    )


def test_no_catalogue_and_an_empty_one(tmp_path):
    with pytest.raises(UserError, match="no catalogue here"):
        read_catalog(tmp_path / "none")
    with open_catalog(tmp_path, create=True):
        pass
    with pytest.raises(UserError, match="is empty"):
        read_catalog(tmp_path)


def test_the_examples_can_be_drawn():
    examples = read_prompts(demo.EXAMPLES)
    SceneGenerator().check(examples)
    assert 4 <= len(examples) <= demo.MAX_EXAMPLES


def test_mistakes_on_the_command_line(saved, tmp_path, capsys, monkeypatch):
    def line(*arguments: str) -> str:
        assert run_main(lambda: demo.main(["--port", "0", *arguments])) == 2
        (error,) = capsys.readouterr().err.splitlines()
        return error

    assert "none: no such folder" in line("--auditor", str(tmp_path / "none"))
    assert "no such file" in line("--examples", str(tmp_path / "none.json"))
    many = write_prompts(tmp_path / "many.json", [{"prompt_id": str(n), "prompt": "a dog"} for n in range(31)])
    assert "at most 30" in line("--examples", str(many))
    assert "--port 70000" in line("--port", "70000")
    assert "no such folder" in line("--auditor", saved, "--model", "nothing at all")
    monkeypatch.setattr(demo, "find_spec", lambda name: find_spec("nothing_of_that_name"))
    assert "-e '.[demo]'" in line("--auditor", saved)


def test_a_missing_encoder_is_one_line_before_any_address_and_can_be_named(tmp_path, capsys, monkeypatch):
    make_bundle(replace(tiny_fingerprint(), name="my_clip")).save(tmp_path)
    arguments = ["--port", "0", "--auditor", str(tmp_path)]
    assert run_main(lambda: demo.main(arguments)) == 2
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 1 and "my_clip" in err and "--encoder" in err and "http" not in out
    served = []
    monkeypatch.setattr("tipai_jax.demo.serve.serve", lambda service, *_, at: served.append(service))
    assert demo.main([*arguments, "--encoder", "tiny"]) == 0
    assert "encoder" in vars(served[0].auditor), "it is loaded before the page is served"


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
from precompute.prompt_file import Prompt
from tipai_jax.demo import serve as module
from tipai_jax.errors import UserError, run_main

class Service:
    def warm_up(self, example):
        raise {"user": UserError("encoder my_clip: no such folder"), "ours": RuntimeError("out of memory")}[sys.argv[1]]

async def page(scope, receive, send):
    while scope["type"] == "lifespan":
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return

module._application = lambda *_: page
with module.reserve(0) as at:
    sys.exit(run_main(lambda: module.serve(Service(), [Prompt('e1', 'a red car')], None, at=at)))
"""


@pytest.mark.parametrize(
    ("whose", "code", "line"),
    [("user", 2, "error: encoder my_clip: no such folder"), ("ours", 1, "RuntimeError: out of memory")],
)
def test_a_service_that_cannot_warm_up_ends_the_demo_with_its_error(whose, code, line):
    done = subprocess.run([sys.executable, "-c", BROKEN, whose], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code and done.stderr.rstrip().endswith(line) and done.stdout == "", (
        done.stdout + done.stderr
    )


def test_uploads_lie_in_a_private_folder_that_goes():
    with private_folder() as folder:
        (folder / "upload").write_bytes(b"x")
        assert os.stat(folder).st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_the_scale_is_as_faint_as_the_heatmap_where_the_risk_is_low(found):
    text = cards.comparison(found, 0.5)
    assert "rgba(0,140,72,0.00) 0%" in text and "rgba(255,233,92,0.87) 50%" in text
    assert "rgba(208,18,28,1.00) 100%" in text and "no risk: no colour" in text


def test_patch_scores_and_risks_are_shown_on_one_scale(found):
    text, verdict = cards.analysis(found.worst, 0.3, title="Title"), found.worst.verdict
    assert all(f">{score:.2f}</td>" in text for score in verdict.patch_score.reshape(-1))
