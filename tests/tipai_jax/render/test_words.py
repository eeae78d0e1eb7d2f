"""Text fits its space and loses nothing."""

import pytest

from tipai_jax.render.words import font, wrap

LONG = (
    'a red car to the left of three very small blue boats in front of a beach with a sign that says "WELCOME" and'
    " nothing else"
)


@pytest.mark.parametrize("width", [60, 150, 400, 5000])
@pytest.mark.parametrize("size", [11, 19])
def test_lines_fit_and_hold_every_word(width, size):
    lines = wrap(LONG, size=size, width=width)
    assert all(font(size).getlength(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == LONG.replace(" ", "")
    assert (len(lines) == 1) == (width == 5000)


def test_a_word_wider_than_the_space_is_broken():
    word = "x" * 300
    lines = wrap(f"a {word} b", size=14, width=100)
    assert all(font(14).getlength(line) <= 100 for line in lines)
    assert "".join(lines).replace(" ", "") == f"a{word}b"


def test_line_breaks_stay_and_what_the_letters_lack_is_replaced():
    assert wrap("one\ntwo — three", size=14, width=500) == ["one", "two - three"]
    assert wrap("", size=14, width=100) == [""]
