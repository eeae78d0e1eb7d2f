"""The spans of a caption, the words that fail, and the objects of an image, against captions written here by hand."""

import numpy as np
import pytest

from precompute.world.breaking import break_claim
from precompute.world.compose import compose
from precompute.world.grammar import parse
from precompute.world.scene import Box, Claim, Item, Scene
from precompute.world.square import Square, sample
from precompute.world.things import Look
from precompute.world.truth import failing_phrases, objects
from tipai_jax.store import CATEGORIES, DIFFICULTIES


def words_of(caption: str, spans) -> list[str]:
    return [caption[start:end] for start, end in spans]


def test_spans_are_the_words():
    caption = 'a red car left of a blue car, a sign that says "taxi" and nothing else in the snow'
    spans = parse(caption).spans()
    assert words_of(caption, spans.phrases) == ["a red car", "a blue car", 'a sign that says "taxi"']
    assert spans.relation and spans.only and spans.place
    assert words_of(caption, [spans.relation, spans.only, spans.place]) == ["left of", "nothing else", "in the snow"]
    assert parse("two cooks").spans() == (((0, 9),), None, None, None)


def square(first: str, second: str, *, category: str, concerns: tuple[int, ...], missing: bool = False) -> Square:
    empty = Scene("", 0, ())
    return Square(
        (empty, empty),
        (parse(first), parse(second)),
        category,
        "",
        "easy",
        0.5,
        0.5,
        ((), ()),
        (False, missing),
        False,
        concerns,
    )


@pytest.mark.parametrize(
    ("made", "failing"),
    [
        (square("a red car", "a red bus", category="object", concerns=(0,)), (["a red car"], ["a red bus"])),
        (
            square("a cat and a red dog", "a cat and nothing else", category="object", concerns=(1,), missing=True),
            (["a red dog"], ["nothing else"]),
        ),
        (
            square("a red cat and a blue dog", "a blue cat and a red dog", category="attribute", concerns=(0, 1)),
            (["a red cat", "a blue dog"], ["a blue cat", "a red dog"]),
        ),
        (
            square("a red cat and a blue cat", "a red cat and a pink cat", category="attribute", concerns=(1,)),
            (["a blue cat"], ["a pink cat"]),
        ),
        (square("two cooks", "three cooks", category="counting", concerns=(0,)), (["two cooks"], ["three cooks"])),
        (
            square("a cat on a dog", "a cat left of a dog", category="spatial", concerns=(0, 1)),
            (["on"], ["left of"]),
        ),
        (
            square(
                'a cat and a sign that says "open"', 'a cat and a sign that says "stop"', category="text", concerns=(1,)
            ),
            (['a sign that says "open"'], ['a sign that says "stop"']),
        ),
    ],
)
def test_the_words_that_fail(made, failing):
    for own in (0, 1):
        assert words_of(made.claims[own].text(), failing_phrases(made, own)) == failing[own]


def test_objects_say_what_they_are_and_which_phrase_names_them():
    claim = parse("a red car, a blue car and two cooks")
    boxes = [Box(x, 0, x + 9, 9) for x in range(0, 60, 10)]
    scene = Scene(
        "",
        0,
        (
            Item("car", "red", boxes[0], 0),
            Item("car", "green", boxes[1], 1),
            Item("cook", "", boxes[2], 2, look=Look("woman", 4)),
            Item("dog", "pink", boxes[3], 2),
            Item("tree", "green", boxes[4], -1),
        ),
    )
    car, other, cook, dog, tree = objects(scene, claim, wrong=(boxes[1], boxes[3]))
    assert car == {"name": "car", "attributes": ["red"], "bbox": [0, 0, 9, 9], "phrase": [0, 9], "wrong": False}
    assert other["phrase"] == [11, 21] and other["wrong"] and other["attributes"] == ["green"]
    assert cook == {
        "name": "cook",
        "attributes": [],
        "bbox": [20, 0, 29, 9],
        "phrase": [26, 35],
        "wrong": False,
        "gender": "woman",
        "tone": 4,
    }
    assert dog["phrase"] is None and dog["wrong"] and tree["phrase"] is None and not tree["wrong"]


@pytest.mark.parametrize("category", CATEGORIES)
def test_what_fails_is_what_the_two_captions_differ_in(category):
    """Without the failing words the two captions of a square are the same, but for a missing thing's conjunctions."""
    rng = np.random.default_rng(7)
    for number in range(60):
        made = sample(rng, category=category, difficulty=DIFFICULTIES[number % 3], banned=frozenset())
        rests = []
        for own in (0, 1):
            rest = made.claims[own].text()
            for start, end in sorted(failing_phrases(made, own), reverse=True):
                rest = f"{rest[:start]}_{rest[end:]}"
            rests.append(rest)
        assert made.absent[1] or rests[0] == rests[1], rests
        assert failing_phrases(made, 0) and failing_phrases(made, 1)


def test_twins_are_drawn_and_broken_in_one_way():
    """Two cars in two colours: the count, a colour and the relation can be wrong, but not one of the two cars."""
    rng = np.random.default_rng(3)
    twins = 0
    for number in range(600):
        made = sample(rng, category=CATEGORIES[number % 5], difficulty="hard", banned=frozenset())
        for claim in made.claims:
            names = [phrase.name for phrase in claim.phrases]
            if len(set(names)) < len(names):
                twins += 1
                assert parse(claim.text()) == claim
                lone = [i for i, name in enumerate(names) if names.count(name) == 1]
                assert made.category != "object" or set(made.concerns) <= set(lone)
    assert 40 < twins < 240
    claim = parse("a red car left of a blue car")
    for category in ("attribute", "spatial"):
        spec, kind = break_claim(rng, claim, category=category, difficulty="easy")
        assert kind in ("other colour", "wrong relation") and compose(rng, spec, banned=frozenset()) is not None
        assert isinstance(spec.claims[1], Claim) and parse(spec.claims[1].text()) == spec.claims[1]
