"""Hard-negative captions: claims that a scene breaks in exactly one way, made from a claim that it keeps.

They are cheap, for a caption takes a fifth of the time of an image. Combinations held out for the test split are not
named here either: a phrase that is always wrong would be learned as wrong.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from precompute.world.scene import SIZE, Box, Claim, Item, Phrase, Scene
from precompute.world.vocabulary import (
    COLOURS,
    EXCLUDED_BY,
    OPPOSITE,
    THINGS,
    WORDS,
    held_out_combinations,
    is_person,
    letters_apart,
    look_alike,
    near_colour,
)

MOST_COUNTED = 6


def _held_out(name: str, colour: str | None) -> bool:
    """Whether this object in this colour is held out for the test split."""
    return (name, colour) in held_out_combinations()


def _with(claim: Claim, index: int, phrase: Phrase) -> Claim:
    return replace(claim, phrases=tuple(phrase if i == index else p for i, p in enumerate(claim.phrases)))


def _lone(claim: Claim) -> list[int]:
    """Things whose name no other phrase has."""
    names = [phrase.name for phrase in claim.phrases]
    return [i for i, phrase in enumerate(claim.phrases) if not phrase.word and names.count(phrase.name) == 1]


def _pick(rng: np.random.Generator, every: list[str], near: list[str]) -> str:
    """One of the near choices half of the time, if there are any."""
    return str(rng.choice(near if near and rng.random() < 0.5 else every))


def _relation(rng: np.random.Generator, claim: Claim, _: Scene) -> Claim:
    return replace(claim, relation=str(rng.choice(EXCLUDED_BY[claim.relation])))


def _roles(_: np.random.Generator, claim: Claim, __: Scene) -> Claim:
    """The two things of a one-way relation change places."""
    return replace(claim, phrases=(claim.phrases[1], claim.phrases[0], *claim.phrases[2:]))


def _swap(_: np.random.Generator, claim: Claim, __: Scene) -> Claim:
    a, b, *rest = claim.phrases
    return replace(claim, phrases=(replace(a, colour=b.colour), replace(b, colour=a.colour), *rest))


def _count(rng: np.random.Generator, claim: Claim, _: Scene) -> Claim:
    index = int(rng.choice([i for i, p in enumerate(claim.phrases) if not p.word]))
    old = claim.phrases[index]
    near = [n for n in (old.count - 1, old.count + 1) if 1 <= n <= MOST_COUNTED]
    return _with(
        claim,
        index,
        replace(old, count=int(rng.choice(near if rng.random() < 0.6 else [n for n in range(1, 7) if n != old.count]))),
    )


def _word(rng: np.random.Generator, claim: Claim, _: Scene) -> Claim:
    index = next(i for i, p in enumerate(claim.phrases) if p.word)
    old = claim.phrases[index].word
    others = [word for word in WORDS if word != old]
    return _with(
        claim,
        index,
        replace(claim.phrases[index], word=_pick(rng, others, [w for w in others if letters_apart(w, old) == 1])),
    )


def _object(rng: np.random.Generator, claim: Claim, scene: Scene) -> Claim:
    index = int(rng.choice(_lone(claim)))
    old, shown = claim.phrases[index].name, {item.name for item in scene.items}
    colour = claim.phrases[index].colour
    others = [
        thing.name
        for thing in THINGS
        if thing.name not in shown and not _held_out(thing.name, colour) and not (colour and is_person(thing.name))
    ]
    return _with(
        claim, index, replace(claim.phrases[index], name=_pick(rng, others, [n for n in others if look_alike(n, old)]))
    )


def _colour(rng: np.random.Generator, claim: Claim, _: Scene) -> Claim:
    index = int(rng.choice([i for i, p in enumerate(claim.phrases) if p.colour]))
    old, name = claim.phrases[index].colour or "", claim.phrases[index].name
    taken = {phrase.colour for phrase in claim.phrases if phrase.name == name}
    others = [colour for colour in COLOURS if colour not in taken and not _held_out(name, colour)]
    return _with(
        claim,
        index,
        replace(claim.phrases[index], colour=_pick(rng, others, [c for c in others if near_colour(c, old)])),
    )


def _ways(claim: Claim) -> list[tuple[Callable[[np.random.Generator, Claim, Scene], Claim], float]]:
    """The changes that make this claim false, with their weights: what is hard to learn comes more often."""
    phrases = claim.phrases
    ways: list[tuple[Callable[[np.random.Generator, Claim, Scene], Claim], float]] = []
    if any(not p.word for p in phrases):
        ways.append((_count, 2.0))
    if _lone(claim):
        ways.append((_object, 1.0))
    if any(p.colour for p in phrases):
        ways.append((_colour, 1.0))
    a, b = phrases[0], phrases[min(1, len(phrases) - 1)]
    if (
        a.colour
        and b.colour
        and a.colour != b.colour
        and len(_lone(claim)) == sum(not p.word for p in phrases)
        and not _held_out(a.name, b.colour)
        and not _held_out(b.name, a.colour)
    ):
        ways.append((_swap, 4.0))
    if any(p.word for p in phrases):
        ways.append((_word, 3.0))
    if claim.relation:
        ways.append((_relation, 4.0))
        if claim.relation != "next to":
            ways.append((_roles, 2.0))
    return ways


def negatives(rng: np.random.Generator, claim: Claim, scene: Scene, *, number: int) -> list[Claim]:
    """Claims that a scene breaks in one way each; the ways differ as far as there are enough.

    Args:
        rng: the only source of chance.
        claim: one that the scene keeps.
        scene: the scene.
        number: how many claims.
    """
    ways = _ways(claim)
    weights = np.array([weight for _, weight in ways])
    distinct = min(number, len(ways))
    order = rng.choice(len(ways), distinct, replace=False, p=weights / weights.sum()).tolist()
    return [ways[order[i % distinct]][0](rng, claim, scene) for i in range(number)]


def parts(rng: np.random.Generator, scene: Scene) -> list[tuple[Phrase, Phrase]]:
    """For each kind of coloured thing that a scene shows: what it is ("two red cats"), and what it is not.

    The wrong phrase mostly has the colour of something else in the scene, which a bag of words ("red, blue, cat, dog")
    does not distinguish. Otherwise the count is one more or fewer, or the object is another, if possible a look-alike.
    """
    shown = Counter((item.name, item.colour) for item in scene.items if item.colour)
    names = {item.name for item in scene.items}
    made = []
    for (name, colour), count in shown.items():
        right = Phrase(name, count, colour)
        colours = sorted({c for _, c in shown if c != colour and (name, c) not in shown and not _held_out(name, c)})
        counts = [n for n in (count - 1, count + 1) if 1 <= n <= MOST_COUNTED]
        others = [
            t.name for t in THINGS if t.name not in names and not _held_out(t.name, colour) and not is_person(t.name)
        ]
        draw = rng.random()
        if colours and draw < 0.5:
            made.append((right, replace(right, colour=str(rng.choice(colours)))))
        elif draw < 0.85:
            made.append((right, replace(right, count=int(rng.choice(counts)))))
        else:
            made.append((right, replace(right, name=_pick(rng, others, [n for n in others if look_alike(n, name)]))))
    return made


def side(rng: np.random.Generator, item: Item) -> tuple[str, str] | None:
    """Half a claim on a thing's place, such as "a cat left of", and the opposite one; None for a thing in the middle.

    The place is the half of the image that the thing is in. Like a colour it can be bound to the name in the thing's
    own patches; a relation is then a sum of two halves.
    """
    across, down = (item.box.x1 + item.box.x2) / (2 * SIZE) - 0.5, (item.box.y1 + item.box.y2) / (2 * SIZE) - 0.5
    places = [
        name
        for name, off in (("left of" if across < 0 else "right of", across), ("above" if down < 0 else "below", down))
        if abs(off) > 0.1
    ]
    if not places:
        return None
    place = places[rng.integers(len(places))]
    thing = Phrase(item.name).text()
    return f"{thing} {place}", f"{thing} {OPPOSITE[place]}"


def _direction(a: Box, b: Box) -> str:
    """Where `a` is, seen from `b`: the direction of the largest gap between them, of at least 8 px; "" for none."""
    gaps = {"left of": b.x1 - a.x2, "right of": a.x1 - b.x2, "above": b.y1 - a.y2, "below": a.y1 - b.y2}
    direction = max(gaps, key=lambda name: gaps[name])
    return direction if gaps[direction] >= 8 else ""


def directions(rng: np.random.Generator, scene: Scene) -> tuple[Claim, Claim] | None:
    """A short claim on where one thing is, seen from another, and the opposite claim; None if no two things allow one.

    It is made for every scene with a caption, because relations are learned last from captions alone.
    """
    names = [item.name for item in scene.items]
    single = [item for item in scene.items if names.count(item.name) == 1 and not item.word]
    pairs = [(a, b, d) for a in single for b in single if a is not b and (d := _direction(a.box, b.box))]
    if not pairs:
        return None
    a, b, direction = pairs[rng.integers(len(pairs))]
    colours = rng.random() < 0.5
    phrases = tuple(Phrase(item.name, 1, (colours and item.colour) or None) for item in (a, b))
    true = Claim(phrases, relation=direction)
    return true, replace(true, relation=OPPOSITE[direction]) if rng.random() < 0.5 else replace(
        true, phrases=phrases[::-1]
    )
