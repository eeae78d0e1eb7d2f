"""Captions of the small world are read back exactly; others are refused with the words that are not understood."""

import numpy as np
import pytest

from precompute.world.grammar import OutsideGrammar, parse
from precompute.world.scene import Claim, Phrase
from precompute.world.square import sample
from tipai_jax.store import CATEGORIES, DIFFICULTIES


def test_every_caption_that_is_drawn_is_read_back():
    rng = np.random.default_rng(0)
    claims = [
        claim
        for i in range(1500)
        for claim in sample(rng, category=CATEGORIES[i % 5], difficulty=DIFFICULTIES[i % 3], banned=frozenset()).claims
    ]
    for claim in claims:
        assert parse(claim.text()) == claim, claim.text()
    assert len({claim.relation for claim in claims}) == 7 and {claim.only for claim in claims} == {True, False}
    assert max(len(claim.phrases) for claim in claims) == 3 and len({claim.background for claim in claims}) == 9


def test_claims_put_together_at_random_are_read_back():
    """Beyond what squares draw: every mixture of boards, counts, relations and places."""
    from precompute.world.vocabulary import BACKGROUNDS, BOARDS, COLOURS, RELATIONS, THINGS, WORDS, is_person

    rng = np.random.default_rng(0)
    for _ in range(3000):
        names = [THINGS[i].name for i in rng.choice(len(THINGS), rng.integers(1, 4), replace=False)]
        phrases = [
            Phrase(
                name,
                int(rng.integers(1, 7)),
                str(rng.choice(list(COLOURS))) if rng.random() < 0.7 and not is_person(name) else None,
            )
            for name in names
        ]
        if rng.random() < 0.3:
            phrases[rng.integers(len(phrases))] = Phrase(str(rng.choice(BOARDS)), word=str(rng.choice(WORDS)))
        single = len(phrases) > 1 and all(phrase.count == 1 for phrase in phrases[:2])
        claim = Claim(
            tuple(phrases),
            relation=str(rng.choice(RELATIONS)) if single else "",
            background=str(rng.choice(["", *BACKGROUNDS])),
            only=bool(rng.random() < 0.3),
        )
        assert parse(claim.text()) == claim, claim.text()


def test_capitals_spaces_and_a_full_stop_do_not_matter():
    assert parse(" A red car  on the beach.") == Claim((Phrase("car", 1, "red"),), background="beach")
    assert parse("a red car left of a blue car") == Claim(
        (Phrase("car", 1, "red"), Phrase("car", 1, "blue")), "left of"
    )
    assert parse("a sign that says “OPEN” and two sheep") == Claim((Phrase("sign", word="open"), Phrase("sheep", 2)))


@pytest.mark.parametrize(
    ("caption", "blamed"),
    [
        (
            "a chef cooking in a modern kitchen",
            '"chef cooking in a modern kitchen" is not one of its 127 things in one of its 10 colours',
        ),
        ("a apple", '"an apple" is the expected wording'),
        ("one dog", '"one dog" does not begin with a, an or a number from two to six'),
        ("seven dogs", '"seven dogs" does not begin with'),
        ("two dog", '"dog" is not several of'),
        ("a dogs", '"dogs" is not one of'),
        ("a dog and a cat and a cow", '"a dog and a cat" is not|"dog and a cat" is not'),
        ("a dog, a cat, a cow and a pig", "names 4 kinds of things, at most 3"),
        ("a dog and a blue dog", "the same kind of thing twice, not in two colours"),
        ("a red dog and two red dogs", "the same kind of thing twice, not in two colours"),
        ("a cook and two cooks", "the same kind of thing twice, not in two colours"),
        ("a white cook", "people are named by what they do"),
        ("two dogs left of a cat", '"left of" stands between single things only'),
        ('a sign that says "bonjour"', 'no sign says "bonjour" there'),
        ("nothing else", '"nothing else" does not begin with'),
        ("", '"" does not begin with'),
        ("on the beach", '"on the beach" does not begin'),
        ("a dog on the moon", '"the moon" does not begin'),
    ],
)
def test_what_is_outside_the_grammar_is_refused_with_the_words_to_blame(caption, blamed):
    with pytest.raises(OutsideGrammar, match=blamed):
        parse(caption)
