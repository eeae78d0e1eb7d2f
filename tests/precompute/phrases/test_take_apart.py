"""Prompts of the plan, of GenEval's and DrawBench's kinds and of the small world are taken apart; nothing fails."""

import json
import random
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from precompute.phrases import coverage, embedded_forms, take_apart, words
from precompute.world.square import sample
from tipai_jax.store import CATEGORIES, DIFFICULTIES, MOST_PHRASES, PHRASE_KINDS

ROOT = Path(__file__).parents[3]
PLAN = [prompt["prompt"] for prompt in json.loads((ROOT / "precompute/assets/prompts.json").read_text())]


def parts(prompt: str) -> list[str]:
    """The words of each phrase, with its kind unless it is a thing, and with what a relation connects."""
    found = take_apart(prompt)
    for phrase in found:
        assert prompt[phrase.start : phrase.end] == phrase.text
    shown = {"relation": lambda phrase: f"{phrase.text} {phrase.arguments[0]}-{phrase.arguments[1]}"}
    shown |= {kind: lambda phrase: f"{phrase.kind}: {phrase.text}" for kind in ("place", "text", "other")}
    return [shown.get(phrase.kind, lambda phrase: phrase.text)(phrase) for phrase in found]


EXPECTED = [
    ["a dog", "a cat sitting"],
    ["a bicycle", "next to 0-2", "a tree"],
    ["a cup of coffee", "on 0-2", "a wooden table"],
    ["a bird", "flying over 0-2", "a lake"],
    ["a red car", "place: on the beach"],
    ["a blue house", "a white door"],
    ["a yellow banana", "a green apple"],
    ["a black cat", "orange eyes"],
    ["three red apples", "on 0-2", "a plate"],
    ["two dogs playing", "place: in a park"],
    ["five balloons floating", "place: in the sky"],
    ["four chairs", "around 0-2", "a table"],
    ["a cat", "sitting on top of 0-2", "a box"],
    ["a lamp", "next to 0-2", "a bed"],
    ["a ball", "under 0-2", "a chair"],
    ["a book", "in front of 0-2", "a computer"],
    ["a chef cooking", "place: in a modern kitchen"],
    ["a child", "reading 0-2", "a book", "under 2-4", "a tree"],
    ["an astronaut", "riding 0-2", "a horse", "place: on mars"],
    ["a robot", "serving 0-2", "coffee", "place: in a cafe"],
]


@pytest.mark.parametrize(("prompt", "expected"), list(zip(PLAN, EXPECTED, strict=True)))
def test_the_prompts_of_the_plan(prompt, expected):
    assert parts(prompt) == expected
    inside, content = coverage(prompt, take_apart(prompt))
    assert inside == content > 0


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a photo of a bench", [("object", "bench", (), 1)]),
        ("a photo of two clocks", [("count", "clock", (), 2)]),
        ("a photo of a red dog", [("attribute", "dog", ("red",), 1)]),
        (
            "a photo of a dog right of a tie",
            [("object", "dog", (), 1), ("relation", "right of", (), 1), ("object", "tie", (), 1)],
        ),
        (
            "a photo of a red scissors and a green bus",
            [("attribute", "scissors", ("red",), 1), ("attribute", "bus", ("green",), 1)],
        ),
        ("a photo of three wine glasses", [("count", "wine glass", (), 3)]),
        ("a photo of four fire hydrants", [("count", "fire hydrant", (), 4)]),
        ("a photo of an orange and a glass", [("object", "orange", (), 1), ("object", "glass", (), 1)]),
    ],
)
def test_the_kinds_of_geneval(prompt, expected):
    assert [(each.kind, each.head, each.attributes, each.count) for each in take_apart(prompt)] == expected
    assert len(set(coverage(prompt, take_apart(prompt)))) == 1


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("A purple colored cow.", ["A purple colored cow"]),
        (
            "Two parrots and one goat standing on the grass.",
            ["Two parrots", "one goat standing", "place: on the grass"],
        ),
        ("A stack of 4 bowls. A red bowl is on the top.", ["A stack of 4 bowls", "A red bowl", "place: on the top"]),
        ("A shop window with 'Fresh Bread' on it.", ["text: A shop window with 'Fresh Bread'"]),
        (
            'a neon sign with the word "jazz" in the rain',
            ['text: a neon sign with the word "jazz"', "place: in the rain"],
        ),
        ('the words "good night"', ['text: the words "good night"']),
        ('"hello"', ['text: "hello"']),
        (
            "A square yellow stop sign in the shape of a star.",
            ["A square yellow stop sign", "other: in the shape", "a star"],
        ),
        ("Sleeping fox chasing rabbits.", ["Sleeping fox", "chasing 0-2", "rabbits"]),
        (
            "Luke Skywalker dancing with a bear on Venus",
            ["Luke Skywalker", "dancing with 0-2", "a bear", "on 2-4", "Venus"],
        ),
        ("a woman feeds the birds", ["a woman", "feeds 0-2", "the birds"]),
        ("A man sits on a bench.", ["A man", "sits on 0-2", "a bench"]),
        ("a kitchen without a window, no people", ["a kitchen", "other: without a window", "other: no people"]),
        ("a black and white cat wearing a hat", ["a black and white cat", "wearing 0-2", "a hat"]),
        ("The apple is red and the car is blue.", ["The apple is red", "the car is blue"]),
        ("Snigle farmre hlods", ["Snigle farmre hlods"]),
        ("a house made of wood", ["a house", "made of 0-2", "wood"]),
        ("the", ["other: the"]),
        ("?!", ["other: ?!"]),
        (" \n", []),
    ],
)
def test_sentences_of_other_kinds(prompt, expected):
    assert parts(prompt) == expected


def test_captions_of_the_small_world_are_exact():
    prompt = "A red car  left of a blue dog and nothing else on the beach."
    assert parts(prompt) == ["A red car", "left of 0-2", "a blue dog", "other: nothing else", "place: on the beach"]
    prompt = "three mice, a sign that says “OPEN” and a pink owl at night"
    found = take_apart(prompt)
    assert parts(prompt)[1:] == ["text: a sign that says “OPEN”", "a pink owl", "place: at night"]
    assert (found[0].kind, found[0].head, found[0].count) == ("count", "mouse", 3)
    rng = np.random.default_rng(0)
    for i in range(300):
        drawn = sample(rng, category=CATEGORIES[i % 5], difficulty=DIFFICULTIES[i % 3], banned=frozenset())
        for claim in drawn.claims:
            found = take_apart(claim.text())
            things = [phrase for phrase in found if phrase.kind not in ("relation", "place", "other")]
            assert [phrase.text for phrase in things] == [phrase.text() for phrase in claim.phrases]
            assert [phrase.head for phrase in things] == [phrase.name for phrase in claim.phrases]
            assert sum(phrase.kind == "relation" for phrase in found) == bool(claim.relation)
            assert len(set(coverage(claim.text(), found))) == 1


def test_the_chunker_agrees_with_the_grammar_of_the_small_world():
    """The same captions with one word that the grammar does not know."""
    rng = np.random.default_rng(1)
    for i in range(200):
        drawn = sample(rng, category=CATEGORIES[i % 5], difficulty=DIFFICULTIES[i % 3], banned=frozenset())
        for claim in drawn.claims:
            first, *others = take_apart(claim.text())
            strange = claim.text().replace(first.text, "a zebra", 1)
            one, *more = take_apart(strange)
            assert one.text == "a zebra"
            assert [(each.text, each.kind, each.count, each.arguments) for each in more] == [
                (each.text, each.kind, each.count, each.arguments) for each in others
            ], strange


def test_what_is_too_much_is_the_last_phrase():
    prompt = "a dog, a cat, a cow, a pig, a fox, a hen, an owl near a tree, a rose"
    found = take_apart(prompt)
    assert len(found) == MOST_PHRASES and found[-1].text == "near a tree, a rose" and found[-1].kind == "other"
    assert take_apart("a dog near a cat, a cow, a pig, a fox, a hen under an elk")[-1].text == "under an elk"
    chain = take_apart("a dog near a cat near a cow near a pig near a fox")
    assert [each.arguments for each in chain if each.kind == "relation"] == [(0, 2), (2, 4), (4, 6)]
    cut = take_apart("a hen, a dog near a cat near a cow near a pig")
    assert cut[6].text == "near" and cut[6].arguments == (5, 7) and cut[7].kind == "object"
    cut = take_apart("a hen, a dog near a cat near a cow near a pig near a fox")
    assert cut[6].arguments == (5, -1) and cut[7].text == "a pig near a fox"


def random_prompts() -> list[str]:
    chosen = random.Random(0)
    tables = [getattr(words, name) for name in words.__all__ if name.isupper()]
    vocabulary = sorted({word for table in tables for word in table if isinstance(word, str)})
    vocabulary += [
        '"open"',
        "'x y'",
        '"',
        "“a”",
        "dogs",
        "cat",
        "3",
        "9999999999",
        "²",
        "riding",
        ".",
        ",",
        ";",
        "\n",
        "ſ",
    ]
    signs = string.printable + "ſİßé日“”‘’²½🙂"
    made = [" ".join(chosen.choice(vocabulary) for _ in range(chosen.randint(0, 20))) for _ in range(1500)]
    return made + ["".join(chosen.choice(signs) for _ in range(chosen.randint(0, 40))) for _ in range(1500)]


def test_whatever_is_asked_has_phrases_that_lie_in_it_one_after_the_other():
    for prompt in random_prompts():
        found, end = take_apart(prompt), 0
        assert len(found) <= MOST_PHRASES and bool(found) == bool(prompt.strip()), prompt
        for place, phrase in enumerate(found):
            assert phrase.start >= end and prompt[phrase.start : phrase.end] == phrase.text, prompt
            assert phrase.text.strip() and phrase.kind in PHRASE_KINDS and 1 <= phrase.count <= 127
            assert all(-1 <= other < len(found) and other != place for other in phrase.arguments)
            assert all(form.strip() for form in embedded_forms(phrase))
            end = phrase.end
        inside, content = coverage(prompt, found)
        assert 0 <= inside <= content


def test_it_needs_neither_torch_nor_jax():
    program = (
        "import sys; from precompute.phrases import take_apart; take_apart('a red dog'); "
        "print([name for name in ('torch', 'jax', 'transformers', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
