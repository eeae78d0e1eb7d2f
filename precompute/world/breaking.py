"""From one claim to a pair of claims: the given one, and one that contradicts it in a given category.

(`square` draws both claims of a pair at random.)
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from precompute.world.compose import PairSpec
from precompute.world.scene import Claim, Phrase
from precompute.world.vocabulary import BY_NAME, COLOURS, COUNT_WORDS, EXCLUDED_BY, THINGS, WORDS, is_person

__all__ = ["Broken", "break_claim", "breakable"]

MISSING = 0.3
"""Share of the mistakes about objects in which one of several is missing; in the others one is replaced."""
SWAPPED = 0.5
"""Share of the mistakes about colours in which two named ones are swapped, where that is possible."""

Broken = tuple[Claim, tuple[int, ...], str, bool]
"""A contradicting claim, the indices of the phrases they differ in, the kind of mistake, whether a thing is missing."""


def breakable(claim: Claim) -> tuple[str, ...]:
    """The categories in which a scene can break this claim."""
    return tuple(category for category, places in _PLACES.items() if places(claim))


def break_claim(rng: np.random.Generator, claim: Claim, *, category: str, difficulty: str) -> tuple[PairSpec, str]:
    """Claims for two scenes, of which the first keeps the given claim and the second breaks it in one category only.

    Args:
        rng: the only source of chance.
        claim: what is to be kept and broken.
        category: one of `breakable(claim)`.
        difficulty: of the scenes' sizes and distractors.

    Returns:
        What `compose` needs, and the kind of mistake in words.
    """
    other, concerns, kind, missing = _WAYS[category](rng, claim)
    return PairSpec((claim, other), concerns, difficulty, missing), kind


def _things(claim: Claim) -> list[int]:
    return [i for i, phrase in enumerate(claim.phrases) if not phrase.word]


def _lone(claim: Claim) -> list[int]:
    """Things whose name no other phrase has: one of two cars less would be a matter of counting as well."""
    names = [phrase.name for phrase in claim.phrases]
    return [i for i in _things(claim) if names.count(names[i]) == 1]


def _coloured(claim: Claim) -> list[int]:
    return [i for i, phrase in enumerate(claim.phrases) if phrase.colour]


def _countable(claim: Claim) -> list[int]:
    """Things outside a relation, which stands between single ones; several of a kind come first."""
    free = [i for i in _things(claim) if not claim.relation or i > 1]
    return [i for i in free if claim.phrases[i].count > 1] or free


def _related(claim: Claim) -> list[int]:
    return [0, 1] if claim.relation else []


def _boards(claim: Claim) -> list[int]:
    return [i for i, phrase in enumerate(claim.phrases) if phrase.word]


_PLACES: dict[str, Callable[[Claim], list[int]]] = {
    "object": _lone,
    "attribute": _coloured,
    "counting": _countable,
    "spatial": _related,
    "text": _boards,
}


def _changed(claim: Claim, phrases: dict[int, Phrase]) -> Claim:
    return replace(claim, phrases=tuple(phrases.get(i, phrase) for i, phrase in enumerate(claim.phrases)))


def _object(rng: np.random.Generator, claim: Claim) -> Broken:
    at = int(rng.choice(_lone(claim)))
    if len(claim.phrases) > 1 and rng.random() < MISSING:
        rest = tuple(phrase for i, phrase in enumerate(claim.phrases) if i != at)
        return Claim(rest, background=claim.background, only=True), (at,), "missing object", True
    old = claim.phrases[at]
    named = {phrase.name for phrase in claim.phrases}
    others = [t.name for t in THINGS if t.name not in named and not (old.colour and is_person(t.name))]
    family = [name for name in others if BY_NAME[name].kind == BY_NAME[old.name].kind]
    new = str(rng.choice(family if rng.random() < 0.5 else others))
    return _changed(claim, {at: replace(old, name=new)}), (at,), "replaced object", False


def _attribute(rng: np.random.Generator, claim: Claim) -> Broken:
    coloured = _coloured(claim)
    shown = {(phrase.name, phrase.colour) for phrase in claim.phrases}
    pairs = [
        (i, j)
        for i in coloured
        for j in coloured
        if i < j
        and claim.phrases[i].colour != claim.phrases[j].colour
        and not shown
        & {(claim.phrases[i].name, claim.phrases[j].colour), (claim.phrases[j].name, claim.phrases[i].colour)}
    ]
    if pairs and rng.random() < SWAPPED:
        i, j = pairs[rng.integers(len(pairs))]
        a, b = claim.phrases[i], claim.phrases[j]
        return (
            _changed(claim, {i: replace(a, colour=b.colour), j: replace(b, colour=a.colour)}),
            (i, j),
            "swapped colours",
            False,
        )
    at = int(rng.choice(coloured))
    new = str(rng.choice([colour for colour in COLOURS if (claim.phrases[at].name, colour) not in shown]))
    return _changed(claim, {at: replace(claim.phrases[at], colour=new)}), (at,), "other colour", False


def _counting(rng: np.random.Generator, claim: Claim) -> Broken:
    at = int(rng.choice(_countable(claim)))
    old = claim.phrases[at].count
    near = [count for count in range(1, len(COUNT_WORDS)) if 1 <= abs(count - old) <= 2]
    return _changed(claim, {at: replace(claim.phrases[at], count=int(rng.choice(near)))}), (at,), "wrong count", False


def _spatial(rng: np.random.Generator, claim: Claim) -> Broken:
    return replace(claim, relation=str(rng.choice(EXCLUDED_BY[claim.relation]))), (0, 1), "wrong relation", False


def _text(rng: np.random.Generator, claim: Claim) -> Broken:
    at = int(rng.choice(_boards(claim)))
    old = claim.phrases[at]
    new = str(rng.choice([word for word in WORDS if word != old.word]))
    return _changed(claim, {at: replace(old, word=new)}), (at,), "another word", False


_WAYS: dict[str, Callable[[np.random.Generator, Claim], Broken]] = {
    "object": _object,
    "attribute": _attribute,
    "counting": _counting,
    "spatial": _spatial,
    "text": _text,
}
