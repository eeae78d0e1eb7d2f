"""Words are escaped, markup is not, and numbers are short."""

import pytest

from tipai_jax.render.markup import Markup, element, join


def test_words_are_escaped_and_markup_is_left_alone():
    inner = element("b", "a < b & c")
    assert inner == "<b>a &lt; b &amp; c</b>" and isinstance(inner, Markup)
    assert element("p", inner, " <script>") == "<p><b>a &lt; b &amp; c</b> &lt;script&gt;</p>"
    assert join(["<i>", Markup("<i>")]) == "&lt;i&gt;<i>"


def test_attributes_are_escaped_renamed_and_left_out():
    assert (
        element("a", "x", href='"><script>', class_=None, aria_label="é")
        == '<a href="&quot;&gt;&lt;script&gt;" aria-label="é">x</a>'
    )
    assert (
        element("path", d="M0 0", stroke_width=1.5, text_anchor="end")
        == '<path d="M0 0" stroke-width="1.5" text-anchor="end"></path>'
    )


@pytest.mark.parametrize(
    ("number", "written"), [(2, "2"), (2.0, "2"), (0.333333, "0.33"), (-0.001, "0"), (100.5, "100.5"), (1e3, "1000")]
)
def test_numbers(number, written):
    assert element("g", x=number) == f'<g x="{written}"></g>'


def test_what_has_no_end_has_none():
    assert element("img", src="data:,", alt="") == '<img src="data:," alt="">'
