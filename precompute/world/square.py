"""Squares: two scenes and two captions, each scene keeping its own caption and breaking the other in exactly one way.

Each caption of a square makes a pair, so every scene is chosen once and rejected once: neither the image alone nor the
caption alone tells which of the two is chosen. These are the rules of the small world.

Boxes of the rejected scene (`wrong`):
    replaced object, other colour, extra object    all instances of the thing
    swapped colours, wrong relation                both objects
    wrong count                                    all instances
    wrong word                                     the word
    missing object                                 its place in the other scene, `absent`: no pixel is wrong there

Distance of a mistake, 0 to 1:
    object     look-alike 0.2, same family 0.5, other 0.9, missing or extra 0.8
    colour     near 0.2, other 0.8, swapped 0.6, near ones swapped 0.2
    count      |n - m| / max(n, m) for n instead of m
    word       differing letters / longer length
    relation   opposite 0.9, on and next to 0.5, others 0.7
Margin = 0.05 + 0.8 * distance * (0.6 + 0.4 * min(1, size / 72)), with the size in pixels of the things concerned: a
large mistake of something large counts more.

Difficulty decides sizes, distractors (things that no caption names) and distance:
    easy    one or two noun phrases, 60-92 px, distance at least 0.5
    medium  one or two noun phrases, 46-72 px, a distractor in one square of four, no near colours or look-alikes,
            seldom a changed letter
    hard    two or three noun phrases (one or two for counts), 24-40 px, one to three distractors, often one of them in
            front of a named thing, mostly small distances
A sign or a screen may be one more phrase beside up to two others; "and nothing else" excludes distractors. Two phrases
may name one kind of thing in two colours ("a red car and a blue car"), but an object mistake never concerns those: a
car less would be a matter of counting as well. People have no colour, so colour mistakes do not concern them.
"""

from dataclasses import dataclass, replace

import numpy as np

from precompute.world.compose import PairSpec, compose, pick_colour, pick_thing
from precompute.world.scene import Box, Claim, Phrase, Scene
from precompute.world.styles import Rendering
from precompute.world.vocabulary import (
    BACKGROUNDS,
    BOARDS,
    BY_NAME,
    COLOURS,
    EXCLUDED_BY,
    OPPOSITE,
    RELATIONS,
    THINGS,
    WORDS,
    is_person,
    letters_apart,
    look_alike,
    near_colour,
)

DIFFICULTY_SHARES = (0.35, 0.40, 0.25)
"""Of the squares, by difficulty in the order of DIFFICULTIES."""
CHOSEN_SCORE = 0.95
TWINS = 0.12
"""Share of the scenes of two or three kinds of things in which two of them are one kind in two colours."""


@dataclass(frozen=True)
class Square:
    """Two scenes, their captions and the truth.

    `wrong[i]` are the boxes, in scene i, of what breaks the caption of the other scene; `concerns` the indices, in the
    first claim, of the phrases in which the claims differ.
    """

    scenes: tuple[Scene, Scene]
    claims: tuple[Claim, Claim]
    category: str
    kind: str
    difficulty: str
    distance: float
    margin: float
    wrong: tuple[tuple[Box, ...], tuple[Box, ...]]
    absent: tuple[bool, bool]
    unseen: bool
    concerns: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Draft:
    """A square before it is composed: two claims, the phrase they differ in, and how far they are apart."""

    claims: tuple[Claim, Claim]
    concerns: tuple[int, ...]
    kind: str
    distance: float
    missing: bool = False


def _count(rng: np.random.Generator, difficulty: str) -> int:
    if difficulty == "hard":
        return int(rng.integers(1, 4))
    return int(rng.choice((1, 1, 1, 2, 3)))


def _phrases(
    rng: np.random.Generator,
    difficulty: str,
    *,
    at_least: int,
    single: int,
    banned: frozenset[tuple[str, str]],
    with_board: bool = False,
    coloured: int = 0,
) -> list[Phrase]:
    """Noun phrases; the first `single` ones are single things, the first `coloured` ones no people.

    All name different things, but for those that share a name and differ in colour.
    """
    low, high = (2, 3) if difficulty == "hard" else (1, 2)
    number = max(at_least, int(rng.integers(low, high + 1)))
    phrases: list[Phrase] = []
    for index in range(number):
        while is_person(thing := pick_thing(rng, without={p.name for p in phrases})) and index < coloured:
            pass
        count = 1 if index < single else _count(rng, difficulty)
        colour = pick_colour(rng, thing, banned=banned) if rng.random() < 0.85 else ""
        phrases.append(Phrase(thing, count, colour or None))
    if number > 1 and rng.random() < TWINS and phrases[0].colour:
        other = phrases[0].colour
        while other == phrases[0].colour:
            other = pick_colour(rng, phrases[0].name, banned=banned)
        phrases[1] = replace(phrases[1], name=phrases[0].name, colour=other)
    if with_board:
        phrases[-1] = Phrase(BOARDS[rng.integers(2)], word=str(rng.choice(WORDS)))
    return phrases


def _lone(phrases: list[Phrase]) -> list[int]:
    """Indices of the phrases whose name no other has."""
    names = [phrase.name for phrase in phrases]
    return [i for i, name in enumerate(names) if names.count(name) == 1]


def _object(rng: np.random.Generator, difficulty: str, banned: frozenset[tuple[str, str]]) -> _Draft:
    if rng.random() < 0.3 and difficulty != "hard":
        phrases = _phrases(rng, difficulty, at_least=2, single=0, banned=banned)
        if not _lone(phrases):
            return _object(rng, difficulty, banned)
        relation = _maybe_relation(rng, phrases)
        full = Claim(tuple(phrases), relation=relation, only=bool(rng.random() < 0.3))
        gone = int(rng.choice(_lone(phrases)))
        rest = tuple(p for i, p in enumerate(phrases) if i != gone)
        return _Draft((full, Claim(rest, only=True)), (gone,), "missing or extra object", 0.8, missing=True)
    phrases = _phrases(rng, difficulty, at_least=1, single=0, banned=banned)
    if not _lone(phrases):
        return _object(rng, difficulty, banned)
    at = int(rng.choice(_lone(phrases)))
    old = phrases[at]
    taken = {p.name for p in phrases}
    others = [
        t.name
        for t in THINGS
        if t.name not in taken and (t.name, old.colour) not in banned and not (old.colour and is_person(t.name))
    ]
    like = [name for name in others if look_alike(name, old.name)]
    family = [name for name in others if BY_NAME[name].kind == BY_NAME[old.name].kind and name not in like]
    strange = [name for name in others if BY_NAME[name].kind != BY_NAME[old.name].kind and name not in like]
    if difficulty == "hard" and like and rng.random() < 0.8:
        new, distance = str(rng.choice(like)), 0.2
    elif rng.random() < (0.35 if difficulty == "easy" else 0.6):
        new, distance = str(rng.choice(family)), 0.5
    else:
        new, distance = str(rng.choice(strange)), 0.9
    return _Draft(_two(rng, phrases, at, replace(old, name=new)), (at,), "replaced object", distance)


def _maybe_relation(rng: np.random.Generator, phrases: list[Phrase]) -> str:
    single = len(phrases) >= 2 and phrases[0].count == phrases[1].count == 1
    return str(rng.choice(RELATIONS)) if single and rng.random() < 0.4 else ""


def _two(rng: np.random.Generator, phrases: list[Phrase], at: int, changed: Phrase) -> tuple[Claim, Claim]:
    """Two claims that differ in one phrase."""
    relation = _maybe_relation(rng, phrases) if changed.count == phrases[at].count else ""
    return Claim(tuple(phrases), relation=relation), Claim(
        tuple(changed if i == at else p for i, p in enumerate(phrases)), relation=relation
    )


def _attribute(rng: np.random.Generator, difficulty: str, banned: frozenset[tuple[str, str]]) -> _Draft:
    swap = rng.random() < 0.45
    phrases = _phrases(rng, difficulty, at_least=2 if swap else 1, single=0, banned=banned, coloured=2 if swap else 1)
    phrases = [replace(p, colour=p.colour or pick_colour(rng, p.name, banned=banned) or None) for p in phrases]
    if swap and len(_lone(phrases)) < len(phrases):
        return _attribute(rng, difficulty, banned)
    near = difficulty == "hard" and rng.random() < 0.8
    at = 0 if swap else int(rng.choice([i for i, p in enumerate(phrases) if p.colour]))
    old = phrases[at]
    other = {
        c
        for c in COLOURS
        if (old.name, c) not in {(p.name, p.colour) for p in phrases} | banned
        and near_colour(c, old.colour or "") == near
    }
    if swap:
        other = {c for c in other if (phrases[1].name, c) not in banned and (phrases[1].name, old.colour) not in banned}
    if not other:
        return _attribute(rng, difficulty, banned)
    new = str(rng.choice(sorted(other)))
    if not swap:
        return _Draft(_two(rng, phrases, at, replace(old, colour=new)), (at,), "other colour", 0.2 if near else 0.8)
    phrases[1] = replace(phrases[1], colour=new)
    swapped = [replace(phrases[0], colour=new), replace(phrases[1], colour=old.colour), *phrases[2:]]
    relation = _maybe_relation(rng, phrases)
    return _Draft(
        (Claim(tuple(phrases), relation=relation), Claim(tuple(swapped), relation=relation)),
        (0, 1),
        "swapped colours",
        0.2 if near else 0.6,
    )


def _counting(rng: np.random.Generator, difficulty: str, banned: frozenset[tuple[str, str]]) -> _Draft:
    pairs = {
        "easy": [(1, 3), (1, 4), (2, 4), (1, 2), (2, 5), (1, 5), (3, 6)],
        "medium": [(1, 2), (2, 4), (3, 5), (1, 3), (4, 6)],
        "hard": [(2, 3), (3, 4), (4, 5), (5, 6), (4, 6)],
    }[difficulty]
    n, m = pairs[rng.integers(len(pairs))]
    phrases = _phrases(rng, "medium", at_least=1, single=0, banned=banned)
    at = int(rng.integers(len(phrases)))
    phrases = [replace(p, count=n) if i == at else replace(p, count=min(p.count, 2)) for i, p in enumerate(phrases)]
    return _Draft(_two(rng, phrases, at, replace(phrases[at], count=m)), (at,), "wrong count", abs(n - m) / max(n, m))


def _spatial(rng: np.random.Generator, difficulty: str, banned: frozenset[tuple[str, str]]) -> _Draft:
    phrases = _phrases(rng, difficulty, at_least=2, single=2, banned=banned)
    relation = str(rng.choice(RELATIONS))
    if difficulty == "easy" and relation in OPPOSITE:
        new = OPPOSITE[relation]
    else:
        new = str(rng.choice(EXCLUDED_BY[relation]))
    distance = 0.9 if OPPOSITE.get(relation) == new else 0.5 if {relation, new} == {"on", "next to"} else 0.7
    return _Draft(
        (Claim(tuple(phrases), relation=relation), Claim(tuple(phrases), relation=new)),
        (0, 1),
        "wrong relation",
        distance,
    )


def _text(rng: np.random.Generator, difficulty: str, banned: frozenset[tuple[str, str]]) -> _Draft:
    phrases = _phrases(rng, difficulty, at_least=1, single=0, banned=banned, with_board=True)
    old = phrases[-1]
    near = {"easy": 0.0, "medium": 0.1, "hard": 0.75}[difficulty]
    letter = rng.random() < near
    words = [
        w for w in WORDS if w != old.word and (len(w) == len(old.word) and letters_apart(w, old.word) == 1) == letter
    ]
    if not words:
        return _text(rng, difficulty, banned)
    new = str(rng.choice(words))
    kind = "a letter changed" if letter else "another word"
    return _Draft(
        _two(rng, phrases, len(phrases) - 1, replace(old, word=new)),
        (len(phrases) - 1,),
        kind,
        letters_apart(old.word, new) / max(len(old.word), len(new)),
    )


_DRAFTS = {"object": _object, "attribute": _attribute, "counting": _counting, "spatial": _spatial, "text": _text}


def _finish(rng: np.random.Generator, draft: _Draft, difficulty: str, *, places: bool) -> _Draft:
    """Adds what every draft may have: a board elsewhere in the scene, "and nothing else", a named background."""
    a, b = draft.claims
    if not draft.missing:
        if (
            len(a.phrases) < 3
            and not any(p.word for p in a.phrases)
            and rng.random() < (0.12 if difficulty == "easy" else 0.25)
        ):
            board = Phrase(BOARDS[rng.integers(2)], word=str(rng.choice(WORDS)))
            a, b = replace(a, phrases=(*a.phrases, board)), replace(b, phrases=(*b.phrases, board))
        if rng.random() < 0.12:
            a, b = replace(a, only=True), replace(b, only=True)
    if places and rng.random() < 0.5:
        place = str(rng.choice(sorted(BACKGROUNDS)))
        a, b = replace(a, background=place), replace(b, background=place)
    return replace(draft, claims=(a, b))


def sample(
    rng: np.random.Generator,
    *,
    category: str,
    difficulty: str,
    banned: frozenset[tuple[str, str]],
    wanted: frozenset[tuple[str, str]] = frozenset(),
    rendering: Rendering = "train",
) -> Square:
    """Draw a square.

    Args:
        rng: the only source of chance.
        category: what the two captions differ in, one of CATEGORIES.
        difficulty: one of DIFFICULTIES.
        banned: (object, colour) combinations that must not be shown.
        wanted: combinations of which at least one must be named by both captions; the square is then marked `unseen`.
        rendering: from which styles the scenes are drawn. Captions of `shift-background` name no place, for its
            backgrounds show none.
    """
    places = rendering != "shift-background"
    while True:
        draft = _finish(rng, _DRAFTS[category](rng, difficulty, banned), difficulty, places=places)
        if wanted and not all(any((p.name, p.colour) in wanted for p in claim.phrases) for claim in draft.claims):
            continue
        spec = PairSpec(draft.claims, draft.concerns, difficulty, draft.missing)
        made = compose(rng, spec, banned=banned, rendering=rendering)
        if made is not None:
            break
    margin = 0.05 + 0.8 * draft.distance * (0.6 + 0.4 * min(1.0, made.size / 72))
    return Square(
        made.scenes,
        draft.claims,
        category,
        draft.kind,
        difficulty,
        draft.distance,
        round(margin, 4),
        made.wrong,
        made.absent,
        unseen=bool(wanted),
        concerns=draft.concerns,
    )
