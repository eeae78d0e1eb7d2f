"""Verdicts on grids small enough to look at: heatmap, boxes, words, overlay."""

import numpy as np
import pytest
from PIL import Image

from tipai_jax.auditor.verdict import Alternative, Digests, JudgedPhrase, Ranking, Verdict, Verdicts, percent
from tipai_jax.errors import UserError

MINE = Digests(encoder="e" * 64, heads="h" * 64)

WRONG_COLOUR = (
    "Breaks the prompt; strongest reason: attribute (0.70), an object has the wrong colour or another wrong property."
)


def verdict(risk=None, **changes) -> Verdict:
    risk = np.full((7, 7), 0.1, np.float32) if risk is None else risk
    fields = {
        "prompt": "a red cat",
        "score": 0.3,
        "logit": -0.8,
        "patch_score": 1 - risk,
        "risk": risk,
        "risk_threshold": 0.5,
        "box_reach": 0.15,
        "level": 0.9,
        "prediction": "breaks",
        "reasons": {"object": 0.2, "attribute": 0.7, "counting": 0.1, "spatial": 0.05, "text": 0.0},
        "worst_patch_score": 0.2,
        "consistent": True,
        "size": (140, 140),
        "view": (0.0, 0.0, 140.0, 140.0),
        "digests": MINE,
        "small_world_only": True,
    }
    return Verdict(**(fields | changes))


def spot(*places: tuple[int, int, float]) -> np.ndarray:
    risk = np.full((7, 7), 0.1, np.float32)
    for row, column, value in places:
        risk[row, column] = value
    return risk


def test_the_heatmap_has_the_size_of_the_image_and_no_value_outside_the_view():
    found = verdict(spot((0, 6, 1.0)), size=(200, 100), view=(50.0, 0.0, 150.0, 100.0)).heatmap
    assert found.shape == (100, 200)
    assert np.isnan(found[:, :50]).all() and np.isnan(found[:, 150:]).all() and np.isfinite(found[:, 50:150]).all()
    assert found[0, 149] == pytest.approx(1.0) and found[99, 50] == pytest.approx(0.1)


def test_boxes_are_in_pixels_and_begin_with_the_highest_risk():
    boxes = verdict(spot((1, 1, 0.9), (5, 4, 0.7))).boxes
    assert [box.risk for box in boxes] == pytest.approx([0.9, 0.7])
    first = boxes[0]
    assert (
        first.x1 < 30 < first.x2 and first.y1 < 30 < first.y2 and first.x2 - first.x1 <= 40
    )  # the middle of cell (1, 1) is at (30, 30)
    assert boxes[1].x1 < 90 < boxes[1].x2 and boxes[1].y1 < 110 < boxes[1].y2
    moved = verdict(spot((1, 1, 0.9), (5, 4, 0.7)), size=(340, 140), view=(100.0, 0.0, 240.0, 140.0)).boxes
    assert [(box.x1 - 100, box.y1, box.risk) for box in moved] == [(box.x1, box.y1, box.risk) for box in boxes]
    assert verdict().boxes == ()
    large = verdict(spot((1, 1, 0.9)), size=(1400, 1400), view=(0.0, 0.0, 1400.0, 1400.0)).boxes[0]
    assert large.x1 == pytest.approx(10 * first.x1, abs=10) and large.y2 == pytest.approx(10 * first.y2, abs=10)


def test_an_image_that_keeps_its_prompt_has_no_boxes():
    for score, count in ((0.49, 1), (0.5, 0), (0.9, 0)):
        assert len(verdict(spot((1, 1, 0.9)), score=score).boxes) == count
    assert len(verdict(spot((1, 1, 0.9)), score=0.6, score_threshold=0.7).boxes) == 1
    assert verdict(spot((1, 1, 0.9)), box_reach=None).boxes == ()


WIDE_AND_SHARP = spot(*((row, column, 0.7) for row in range(4, 7) for column in range(3)), (1, 5, 0.95))
"""At the lower left a wide region of risk 0.7, at the upper right a single patch of risk 0.95."""


def test_the_sentence_the_list_and_the_overlay_begin_with_the_highest_risk(monkeypatch):
    found = verdict(WIDE_AND_SHARP)
    sharp, wide = found.boxes
    assert (sharp.risk, wide.risk) == pytest.approx((0.95, 0.7))
    assert found.place(wide) == "at the lower left" and found.sentence.endswith(
        "Look at the upper right and elsewhere."
    )
    assert [box["risk"] for box in found.as_json()["boxes"]] == [sharp.risk, wide.risk]
    drawn = []
    monkeypatch.setattr("tipai_jax.auditor.verdict.draw_marks", lambda image, marks: drawn.extend(marks) or image)
    found.overlay(Image.new("RGB", found.size))
    assert [mark.label for mark in drawn] == ["0.95", "0.70"]


def test_a_copy_of_another_size_has_the_same_boxes_in_its_own_pixels():
    whole = verdict(spot((1, 1, 0.9)), size=(340, 140), view=(100.0, 0.0, 240.0, 140.0))
    half = whole.at_size((170, 70))
    assert half.size == (170, 70) and half.view == (50.0, 0.0, 120.0, 70.0) and half.heatmap.shape == (70, 170)
    assert (half.score, half.sentence) == (whole.score, whole.sentence)
    for small, large in zip(half.boxes, whole.boxes, strict=True):
        assert [2 * small.x1, 2 * small.y1, 2 * small.x2, 2 * small.y2] == pytest.approx(
            [large.x1, large.y1, large.x2, large.y2], abs=2
        )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"risk": spot((0, 0, 0.9))},
            f"{WRONG_COLOUR} Look at the upper left.",
        ),
        (
            {"risk": spot((3, 3, 0.9))},
            f"{WRONG_COLOUR} Look at the middle.",
        ),
        (
            {"risk": spot((6, 3, 0.9))},
            f"{WRONG_COLOUR} Look at the bottom.",
        ),
        (
            {"risk": spot((0, 0, 0.9), (6, 6, 0.8))},
            f"{WRONG_COLOUR} Look at the upper left and elsewhere.",
        ),
        (
            {},
            f"{WRONG_COLOUR} No region is marked.",
        ),
        (
            {"prediction": "keeps", "reasons": {"object": 0.2, "counting": 0.3}},
            "Keeps the prompt.",
        ),
        (
            {"prediction": "keeps", "reasons": {"counting": 0.6}},
            "Keeps the prompt, though one reason stands out: counting (0.60).",
        ),
        (
            {"prediction": "abstains", "reasons": {"text": 0.4}, "consistent": False},
            "Not sure whether it keeps the prompt; no reason stands out (the strongest: text, 0.40). "
            "No region is marked. "
            "The score and the heatmap disagree: check the image yourself.",
        ),
    ],
)
def test_words(changes, sentence):
    assert verdict(**changes).sentence == sentence


def test_quotation_marks_in_a_phrase_stand_within_other_ones():
    sign = JudgedPhrase(text='a sign that says "open"', start=0, end=23, kind="text", kept=0.0)
    assert """most likely in 'a sign that says "open"' (kept: 0.00)""" in verdict(phrases=(sign,)).sentence


def failing(alternative=None, **changes):
    said = {"text": "a red cat", "start": 0, "end": 9, "kind": "attribute", "kept": 0.2}
    return verdict(phrases=(JudgedPhrase(**said, alternative=alternative),), **changes)


@pytest.mark.parametrize(
    ("alternative", "words"),
    [
        (None, "(kept: 0.20); strongest"),
        (
            Alternative("colour", "blue", 0.914),
            "(kept: 0.20): the colour does not fit, it looks blue (0.91); strongest",
        ),
        (Alternative("number", "three", 0.6), "the number does not fit, it looks like three (0.60); strongest"),
        (Alternative("relation", "on", 0.6), 'the relation does not fit, it looks like "on" (0.60); strongest'),
        (Alternative("material", "wooden", 0.6), "the material does not fit, it looks wooden (0.60); strongest"),
    ],
)
def test_the_sentence_says_what_a_failing_phrase_looks_like_instead(alternative, words):
    found = failing(alternative)
    assert 'most likely in "a red cat" (kept: 0.20)' in found.sentence and words in found.sentence
    assert "most likely" not in failing(alternative, prediction="keeps").sentence
    json = found.as_json()["phrases"][0]["alternative"]
    assert json == (alternative and {"what": alternative.what, "word": alternative.word, "kept": alternative.kept})


def test_the_prompt_is_written_below_the_overlay_where_phrases_are_known():
    image, found = Image.new("RGB", (140, 140)), failing()
    plain = found.overlay(image)
    with_words = found.overlay(image, words=True)
    assert plain.size == (140, 140) == verdict().overlay(image, words=True).size
    assert with_words.crop((0, 0, 140, 140)).tobytes() == plain.tobytes() and with_words.height > 170
    assert [run.text for run in found.runs] == ["a red cat"] and found.runs[0].kept == 0.2
    assert found.overlay(image, boxes=False, words=True).height == with_words.height


def test_the_overlay_reddens_what_is_wrong_and_pales_what_was_not_seen():
    image, found = (
        Image.new("RGB", (200, 100), (40, 90, 200)),
        verdict(spot((3, 3, 1.0)), size=(200, 100), view=(50.0, 0.0, 150.0, 100.0)),
    )
    drawn = np.asarray(found.overlay(image, boxes=False)).astype(int)
    for unseen in (drawn[:, :50], drawn[:, 150:]):
        assert (unseen == unseen[0, 0]).all() and np.ptp(unseen[0, 0]) == 0 and unseen[0, 0, 0] > 150
    red, faithful = drawn[50, 100], drawn[5, 60]
    assert red[0] > red[1] + 60 and faithful.tolist() == [40, 90, 200]
    framed = np.asarray(found.overlay(image)).astype(int)
    assert (framed != drawn).any()
    with pytest.raises(UserError, match="the image is 200 x 100 pixels, the one that was judged 140 x 140"):
        verdict().overlay(image)


def test_the_overlay_takes_whatever_was_judged(tmp_path):
    """An array, a path, bytes, a file that is to be turned; and what is transparent is shown over white, as the encoder
    saw it.
    """
    found = verdict(spot((3, 3, 1.0)), size=(40, 20), view=(0.0, 0.0, 40.0, 20.0))
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 40, 3), np.uint8))
    expected = np.asarray(found.overlay(upright))
    upright.save(tmp_path / "plain.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as turned:
        data = (tmp_path / "plain.png").read_bytes()
        for each in (np.asarray(upright), tmp_path / "plain.png", str(tmp_path / "turned.png"), turned, data):
            np.testing.assert_array_equal(np.asarray(found.overlay(each)), expected)
    (tmp_path / "half.png").write_bytes((tmp_path / "plain.png").read_bytes()[:-400])
    with Image.open(tmp_path / "half.png") as half:
        for each in (tmp_path / "half.png", half):
            with pytest.raises(UserError, match="not an image that can be drawn on"):
                found.overlay(each)
    clear, white = Image.new("RGBA", (40, 20), (0, 90, 0, 0)), Image.new("RGB", (40, 20), (255, 255, 255))
    np.testing.assert_array_equal(np.asarray(found.overlay(clear)), np.asarray(found.overlay(white)))


def test_json_holds_what_can_be_said_without_pixels():
    found = verdict(spot((1, 1, 0.9))).as_json()
    assert (
        found["heads_digest"] == "h" * 64
        and len(found["boxes"]) == 1
        and found["boxes"][0]["risk"] == pytest.approx(0.9)
    )
    assert np.shape(found["patch_score"]) == (7, 7) and found["risk"][1][1] == 0.9


def test_a_matrix_of_verdicts():
    each = tuple(verdict(score=i / 10, logit=float(i)) for i in range(6))
    table = Verdicts(each, (2, 3))
    assert (
        table.score.shape == (2, 3)
        and table[1, 2] is each[5]
        and table[0] is each[0]
        and list(table[1:3]) == list(each[1:3])
    )
    assert table.logit.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_reprs_are_one_short_line():
    long = verdict(prompt="a red cat\n" * 40)
    assert repr(verdict()) == "Verdict('a red cat', score=0.300, prediction='breaks')"
    table = Verdicts(tuple(verdict(score=i / 10) for i in range(6)), (2, 3))
    assert repr(table) == "Verdicts(shape=(2, 3), scores 0.000 to 0.500)"
    assert repr(Verdicts(())) == "Verdicts(shape=(0,))"
    assert repr(Ranking((2, 0, 1), Verdicts(table[:3]))) == "Ranking(3 images, best 2 with score 0.200)"
    assert repr(Ranking((), Verdicts(()))) == "Ranking(0 images)"
    for each in (long, Verdicts((long,)), Ranking((0,), Verdicts((long,)))):
        assert len(repr(each)) < 120 and "\n" not in repr(each)


def test_there_is_no_best_of_none():
    with pytest.raises(UserError, match="rank at least one image"):
        Ranking((), Verdicts(())).best  # noqa: B018


@pytest.mark.parametrize(("share", "words"), [(0.9, "90 %"), (0.57, "57 %"), (0.995, "99.5 %"), (1.0, "100 %")])
def test_percent(share, words):
    assert percent(share) == words
