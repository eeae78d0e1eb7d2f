"""A prompt in coloured words: nothing of it is lost, and no mark is a colour alone."""

import re

import numpy as np
import pytest
from PIL import Image

from tipai_jax.render.phrases import LEAST_WIDTH, Run, captioned, phrase_tint, runs_of, words_image, words_markup

PROMPT = "two red cars left of a blue dog, and nothing else"


def phrase(words: str, kept: float) -> tuple[int, int, float]:
    start = PROMPT.index(words)
    return start, start + len(words), kept


RUNS = runs_of(PROMPT, [phrase("a blue dog", 0.97), phrase("two red cars", 0.09), phrase("left of", 0.5)])


def luminance(colour) -> float:
    """Relative luminance of WCAG 2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.asarray(colour) / 255]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_runs_are_the_prompt_in_order():
    expected = [
        Run("two red cars", 0.09),
        Run(" "),
        Run("left of", 0.5),
        Run(" "),
        Run("a blue dog", 0.97),
        Run(", and nothing else"),
    ]
    assert expected == RUNS
    assert [run.fails for run in RUNS] == [True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("phrases", "expected"),
    [
        ([], [Run("a red car")]),
        ([(-1, -1, 0.2)], [Run("a red car")]),
        ([(0, 9, 0.2)], [Run("a red car", 0.2)]),
        ([(0, 5, 0.2), (2, 9, 0.7)], [Run("a red", 0.2), Run(" car", 0.7)]),
        ([(0, 9, 0.2), (2, 5, 0.7)], [Run("a red car", 0.2)]),
        ([(2, 99, 0.2)], [Run("a "), Run("red car", 0.2)]),
    ],
)
def test_phrases_that_overlap_or_do_not_occur_lose_no_word(phrases, expected):
    assert runs_of("a red car", phrases) == expected


def test_of_no_words_there_are_no_runs():
    assert runs_of("", []) == []


def test_letters_are_legible_on_every_tint_and_tints_follow_the_probability():
    """4.5 to 1 is what WCAG 2 asks of body text; the grey numbers are held to it too."""
    for kept in np.linspace(0, 1, 21):
        ground = luminance(phrase_tint(kept)) + 0.05
        for ink in ((24, 24, 27), (70, 70, 78)):
            assert ground / (luminance(ink) + 0.05) > (4.5 if ink[0] < 30 else 3.0), (kept, ink)
    broken, kept = phrase_tint(0.0), phrase_tint(1.0)
    assert broken[0] > broken[1] + 60 and kept[1] > kept[0] + 60


def test_html_holds_the_prompt_and_says_without_colour_what_fails():
    html = words_markup(runs_of("a <b> car & a dog", [(0, 9, 0.09), (12, 17, 0.97)]))
    assert "a &lt;b&gt; car" in html and " &amp; " in html
    marks = re.findall(r"<mark.*?</mark>", html)
    assert len(marks) == 2
    assert 'title="more likely broken: the image keeps it with probability 0.09"' in marks[0]
    assert "underline" in marks[0] and "0.09</small>" in marks[0]
    assert 'title="more likely kept: the image keeps it with probability 0.97"' in marks[1]
    assert "underline" not in marks[1] and "0.97</small>" in marks[1]


def dark(image: Image.Image) -> np.ndarray:
    """How many pixels of each row are nearly black."""
    return (np.asarray(image).max(axis=2) < 60).sum(axis=1)


def test_a_failing_phrase_is_underlined_in_the_image_too():
    """The same words on one line, as a phrase that fails and as one that does not: only the line differs."""
    fails, holds = (words_image([Run("a red car", kept)], width=400, size=24) for kept in (0.49, 0.51))
    assert dark(fails).max() > 80 and dark(holds).max() < 80


def test_an_image_of_words_grows_with_them_and_cuts_nothing_off():
    wide, narrow = (words_image(RUNS, width=width, size=20) for width in (900, 200))
    assert (wide.width, narrow.width) == (900, 200) and narrow.height >= 3 * wide.height
    word = words_image([Run("w" * 200, 0.1)], width=200, size=20)
    for image in (narrow, word):
        pixels = np.asarray(image)
        assert (pixels[:, -1] == 255).all(), "the right edge stays white"
    whole = words_image([Run("w" * 200, 0.1)], width=9000, size=20)
    inks = [sum(dark(each)) for each in (word, whole)]
    assert inks[0] > 0.9 * inks[1], "letters of a word that is broken inside"


def test_phrases_stand_on_their_tints_and_other_words_on_white():
    image = np.asarray(words_image(RUNS, width=900, size=20)).reshape(-1, 3)
    found = {tuple(colour) for colour in image.tolist()}
    assert {phrase_tint(kept) for kept in (0.09, 0.5, 0.97)} <= found and (255, 255, 255) in found
    plain = np.asarray(words_image([Run(PROMPT)], width=900, size=20)).astype(int)
    assert np.ptp(plain, axis=2).max() < 8, "black letters on white"


def test_the_caption_stands_below_an_image_that_is_as_it_was():
    image = Image.effect_noise((400, 90), 60).convert("RGB")
    made = captioned(image, RUNS)
    assert made.width == 400 and made.height > 130
    assert made.crop((0, 0, 400, 90)).tobytes() == image.tobytes()
    small = captioned(image.crop((0, 0, 40, 40)), RUNS)
    assert small.width == LEAST_WIDTH, "words need room"
    assert small.crop((0, 0, 40, 40)).tobytes() == image.crop((0, 0, 40, 40)).tobytes()
