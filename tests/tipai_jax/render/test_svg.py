"""Plots against places worked out by hand; they are well-formed, named, and say what is missing."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from tipai_jax.render.svg import Curve, IntervalMark, curves, intervals, reliability, ticks

NAN = float("nan")


def places(tree, shape="circle"):
    return [(float(each.get("cx")), float(each.get("cy"))) for each in tree.iter(shape)]


def read(markup):
    tree = ElementTree.fromstring(markup)
    assert tree.get("role") == "img" and tree.get("aria-label")
    width, height = (float(size) for size in tree.get("viewBox").split()[2:])
    for each in tree.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(each.get(name, 0)) <= width, (each.tag, each.attrib)
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(each.get(name, 0)) <= height, (each.tag, each.attrib)
    return tree


def words(tree):
    return [each.text for each in tree.iter("text")]


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.8, 1.0, [0.8, 0.85, 0.9, 0.95, 1.0]),
        (0.0, 20.0, [0.0, 5.0, 10.0, 15.0, 20.0]),
        (-0.3, 0.3, [-0.2, 0.0, 0.2]),
        (0.0, 0.00037, [0.0, 0.0001, 0.0002, 0.0003]),
    ],
)
def test_ticks(low, high, found):
    assert ticks(low, high) == pytest.approx(found)


def test_ticks_are_few_and_inside_whatever_the_range():
    rng = np.random.default_rng(0)
    for low, span in zip(rng.normal(size=200) * 10, 10 ** rng.uniform(-6, 6, 200)):
        found = ticks(float(low), float(low + span))
        assert 2 <= len(found) <= 6 and low - 1e-6 <= found[0] and found[-1] <= low + span * (1 + 1e-6)


def test_curves_by_hand():
    """The frame is 298 wide from 52 and 170 high down to 200; the axis runs from 0 to 1.05 times the highest value."""
    series = [Curve("a", [0.0, 1.0, 2.0], [2.0, 1.0, 0.0], marked=True), Curve("b", [0.0, 2.0], [1.0, 1.0])]
    tree = read(curves("two curves", series, x_label="epoch", y_label="loss"))
    (key, *dots) = sorted(places(tree), key=lambda place: place[1] != 14)
    assert key == (63.0, 14.0)
    np.testing.assert_allclose(dots, [(52, 200 - 170 / 1.05), (201, 200 - 85 / 1.05), (350, 200)], atol=0.01)
    assert {"a", "b", "epoch", "loss", "0", "1", "2"} <= set(words(tree))
    assert "two curves" in tree.get("aria-label")


def test_what_is_not_finite_breaks_the_line():
    series = [Curve("a", [0.0, 1.0, 2.0, 3.0, 4.0], [1.0, 2.0, NAN, None, 3.0])]
    tree = read(curves("d", series, x_label="x", y_label="y"))
    (path,) = [each.get("d") for each in tree.iter("path")]
    assert re.sub(r"[-0-9. ]+", "", path) == "MhLMh"


@pytest.mark.parametrize("series", [[], [Curve("a", [], [])], [Curve("a", [1.0], [NAN])]])
def test_no_points_are_said(series):
    assert words(read(curves("d", series, x_label="x", y_label="y"))) == ["nothing was logged"]


def test_a_single_point_and_a_constant():
    for x, y in (([3.0], [0.0]), ([0.0, 1.0], [0.5, 0.5])):
        assert places(read(curves("d", [Curve("a", x, y, marked=True)], x_label="x", y_label="y", from_zero=False)))


def test_reliability_by_hand():
    """The square runs from 52 to 344 and from 292 up to 12; an empty bin has neither dot nor bar."""
    bins = {"confidence": [0.25, None, 0.75], "frequency": [0.5, None, 1.0], "count": [10, 0, 20]}
    tree = read(reliability("d", **bins, x_label="score", y_label="share"))
    np.testing.assert_allclose(places(tree), [(52 + 73, 292 - 140), (52 + 219, 12)])
    heights = [float(each.get("height")) for each in tree.iter("rect")]
    assert heights == [20.0, 40.0] and "examples in a bin, at most 20" in words(tree)


def test_intervals_by_hand():
    """The axis of 0.5 to 1 is 184 wide from 120; a row is 30 high. What is missing has a dash and no dot."""
    rows = [
        IntervalMark("first", 0.75, [0.6, 0.9], 0.5, "0.750"),
        IntervalMark("second", None),
        IntervalMark("third", 0.2, [0.1, 0.3], text="0.2 s"),
    ]
    tree = read(intervals("d", rows, span=(0.5, 1.0), x_label="AUC", reference=0.5))
    assert places(tree) == [(120 + 92, 23), (120, 83)], "what lies outside is drawn at the end"
    assert {"first", "second", "third", "0.750", "0.2 s", "-", "AUC"} <= set(words(tree))
    dashed = lambda tree: [each for each in tree.iter("line") if each.get("class") == "dashed"]
    assert [float(each.get("x1")) for each in dashed(tree)] == [120.0]
    assert [each.get("d")[:10] for each in tree.iter("path")] == ["M120.00 27"]
    assert not dashed(read(intervals("d", rows, span=(0.6, 1.0), x_label="x", reference=0.5))), "it lies outside"


def test_words_of_others_are_escaped():
    tree = read(intervals("<script>", [IntervalMark("<script>alert(1)</script>", 0.5)], span=(0.0, 1.0), x_label="&"))
    assert "<script>alert(1)</script>" in words(tree) and tree.get("aria-label") == "<script>"
