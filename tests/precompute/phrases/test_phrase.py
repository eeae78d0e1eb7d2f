"""The forms that are embedded, and nouns in the singular."""

import pytest

from precompute.phrases import Phrase, at_most, embedded_forms, from_words
from precompute.phrases.nouns import singular
from precompute.world.vocabulary import THINGS


@pytest.mark.parametrize(
    ("words", "phrase", "bare"),
    [
        ("two blue dogs", "a blue dog", "a dog"),
        ("an orange elephant", "an orange elephant", "an elephant"),
        ("3 tiny old owls", "a tiny old owl", "an owl"),
        ("the dog", "a dog", "a dog"),
        ("coffee", "coffee", "coffee"),
        ("hot coffee", "hot coffee", "coffee"),
        ("orange eyes", "an orange eye", "an eye"),
        ("a cup of hot coffee", "a cup of hot coffee", "a cup of hot coffee"),
        ("two red cups of coffee", "a red cup of coffee", "a cup of coffee"),
        ("a pile of red apples", "a red apple", "an apple"),
        ("two dogs playing", "a playing dog", "a dog"),
        ("a red scissors", "a red scissors", "a scissors"),
        ("Darth Vader", "Darth Vader", "Darth Vader"),
        ('a red sign that says "open"', 'a red sign that says "open"', "a sign"),
        ('"open"', '"open"', '"open"'),
        ("no dogs", "no dogs", "no dogs"),
    ],
)
def test_what_is_embedded(words, phrase, bare):
    assert embedded_forms(from_words(words)) == (phrase, bare)


def test_relations_and_places_are_their_words():
    relation = Phrase(text="left \n of", start=0, end=9, kind="relation", head="left of")
    assert embedded_forms(relation) == ("left of", "left of")


def test_a_count_is_kept_as_long_as_a_store_can():
    assert [from_words(f"{number} dogs").count for number in ("two", "12", "0", "4000", "99999999999999")] == [
        *(2, 12, 1, 127, 127)
    ]
    assert from_words("several dogs").count == 1 and from_words("several dogs").kind == "object"


def test_every_thing_of_the_small_world_is_known_in_the_plural():
    assert [singular(thing.plural) for thing in THINGS] == [thing.name for thing in THINGS]
    assert [singular(thing.name) for thing in THINGS] == [thing.name for thing in THINGS]


@pytest.mark.parametrize(
    ("many", "one"),
    [
        *[("boxes", "box"), ("dishes", "dish"), ("benches", "bench"), ("ladies", "lady"), ("potatoes", "potato")],
        *[("horses", "horse"), ("oranges", "orange"), ("knives", "knife"), ("stop signs", "stop sign")],
        *[("women", "woman"), ("teddy-bears", "teddy-bear"), ("glass", "glass"), ("octopus", "octopus")],
        *[("tennis", "tennis"), ("Mars", "Mars"), ("gas", "gas"), ("ties", "tie"), ("dresses", "dress")],
    ],
)
def test_the_singular(many, one):
    assert singular(many) == one


def test_phrases_without_a_place_are_put_together_too():
    many = [from_words(f"a dog{i}") for i in range(10)]
    last = at_most(many, "anything")[-1]
    assert (last.text, last.start, last.kind) == ("a dog7, a dog8, a dog9", -1, "other")
