"""From two claims to two scenes that differ only in what the claims differ in, with boxes of what is wrong."""

from dataclasses import dataclass, replace

import numpy as np

from precompute.world.backgrounds import VARIANTS
from precompute.world.draw import word_box
from precompute.world.layout import Crowded, occlude, place, relate
from precompute.world.pictograms import extent
from precompute.world.scene import Box, Claim, Item, Phrase, Scene
from precompute.world.vocabulary import BACKGROUNDS, COLOURS, THINGS

SIZES = {"easy": (60, 92), "medium": (46, 72), "hard": (24, 40)}
BOARD_WIDTHS = {"easy": (96, 120), "medium": (84, 108), "hard": (56, 80)}
DISTRACTORS = {"easy": (0,), "medium": (0, 0, 0, 1), "hard": (1, 2, 3)}
"""Numbers of things that no caption names, equally likely."""
OCCLUSION = 0.4
"""Share of the hard scenes in which an unnamed thing stands in front of a named one."""


@dataclass(frozen=True)
class PairSpec:
    """What to compose.

    Attributes:
        claims: of the two scenes.
        concerns: indices, in the first claim, of the phrases in which they differ.
        difficulty: of the scenes.
        missing: the second claim lacks that phrase.
    """

    claims: tuple[Claim, Claim]
    concerns: tuple[int, ...]
    difficulty: str
    missing: bool


@dataclass(frozen=True)
class Made:
    """Two scenes and the truth about them; `size` is the longer side in pixels of the things concerned."""

    scenes: tuple[Scene, Scene]
    wrong: tuple[tuple[Box, ...], tuple[Box, ...]]
    absent: tuple[bool, bool]
    size: float


def pick_thing(rng: np.random.Generator, *, without: set[str]) -> str:
    """The name of an object that is not in `without`."""
    while (name := THINGS[rng.integers(len(THINGS))].name) in without:
        pass
    return name


def pick_colour(rng: np.random.Generator, name: str, *, banned: frozenset[tuple[str, str]]) -> str:
    """A colour in which this object may be shown."""
    colours = tuple(COLOURS)
    while (name, colour := colours[rng.integers(len(colours))]) in banned:
        pass
    return colour


def _extent(name: str, size: int, *, board: bool) -> tuple[int, int]:
    return (size, round(size * 0.72)) if board else extent(name, size)


def _larger(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the smallest box that holds either extent."""
    return max(a[0], b[0]), max(a[1], b[1])


def _items(phrase: Phrase, group: int, *, boxes: list[Box], colour: str, flips: list[bool]) -> list[Item]:
    if phrase.word:
        return [
            Item(
                phrase.name,
                "",
                boxes[0],
                group,
                word=phrase.word,
                word_box=word_box(phrase.name, phrase.word, boxes[0]),
            )
        ]
    return [Item(phrase.name, phrase.colour or colour, box, group, flip=flip) for box, flip in zip(boxes, flips)]


def _lay(
    rng: np.random.Generator, claim: Claim, extents: list[tuple[int, int]], *, related: tuple[Box, Box] | None
) -> list[list[Box]]:
    """Boxes for every phrase of a claim, first the related two, then the others."""
    taken: list[Box] = []
    boxes: list[list[Box]] = [[] for _ in claim.phrases]
    if claim.relation:
        first, second = related or relate(rng, claim.relation, a=extents[0], b=extents[1], taken=[])
        boxes[0], boxes[1] = [first], [second]
        taken += [first, second]
    for index, phrase in enumerate(claim.phrases):
        if not boxes[index]:
            boxes[index] = place(rng, [extents[index]] * phrase.count, taken=taken)
            taken += boxes[index]
    return boxes


def compose(rng: np.random.Generator, spec: PairSpec, *, banned: frozenset[tuple[str, str]]) -> Made | None:
    """Two scenes, or None when their things cannot be placed (the caller then draws another pair of claims)."""
    low, high = SIZES[spec.difficulty]
    crowd = max(sum(p.count for p in claim.phrases) for claim in spec.claims)
    for attempt in range(12):
        shrink = min(1.0, (5.0 / max(crowd, 1)) ** 0.5) * 0.94**attempt
        sizes = [4 * max(5, round(rng.uniform(low, high) * shrink / 4)) for _ in spec.claims[0].phrases]
        for i, phrase in enumerate(spec.claims[0].phrases):
            if phrase.word:
                sizes[i] = int(8 * round(rng.uniform(*BOARD_WIDTHS[spec.difficulty]) * max(0.85, shrink) / 8))
        try:
            return _try(rng, spec, sizes, banned=banned)
        except Crowded:
            continue
    return None


def _try(rng: np.random.Generator, spec: PairSpec, sizes: list[int], *, banned: frozenset[tuple[str, str]]) -> Made:
    a, b = spec.claims
    names = {p.name for claim in spec.claims for p in claim.phrases}
    colours = [_free_colour(rng, spec, i, banned=banned) for i in range(len(a.phrases))]
    flips = [[bool(rng.random() < 0.5) for _ in range(6)] for _ in a.phrases]
    second = list(a.phrases) if spec.missing else list(b.phrases)
    widest = replace(a, phrases=tuple(p if p.count >= q.count else q for p, q in zip(a.phrases, second)))
    extents = [
        _larger(_extent(p.name, s, board=bool(p.word)), _extent(q.name, s, board=bool(q.word)))
        for p, q, s in zip(a.phrases, second, sizes)
    ]
    places = [_lay(rng, widest, extents, related=None)]
    places.append(places[0])
    if not spec.missing and a.relation != b.relation:
        places[1] = _lay_again(rng, b, extents, places[0])
    keep = [rng.permutation(len(group)).tolist() for group in places[0]]
    grounds: list[list[Item]] = []
    for claim, phrases, place_of in zip(spec.claims, (a.phrases, second), places):
        items = []
        for i, phrase in enumerate(phrases):
            if spec.missing and claim is b and i in spec.concerns:
                continue
            boxes = [
                _fit(phrase, sizes[i], place_of[i][j], edge=_edge(claim.relation, i))
                for j in sorted(keep[i][: phrase.count])
            ]
            items += _items(phrase, i, boxes=boxes, colour=colours[i], flips=flips[i])
        grounds.append(items)
    distractors = (
        []
        if a.only or b.only
        else _distractors(rng, spec, names, [item.box for items in grounds for item in items], banned=banned)
    )
    scenery = (a.background or str(rng.choice(sorted(BACKGROUNDS))), int(rng.integers(VARIANTS)))
    scenes = tuple(Scene(*scenery, tuple(items + distractors)) for items in grounds)
    return _mark(spec, (scenes[0], scenes[1]))


def _free_colour(rng: np.random.Generator, spec: PairSpec, index: int, *, banned: frozenset[tuple[str, str]]) -> str:
    """A colour for a phrase that names none, allowed for the objects of both claims."""
    names = {spec.claims[0].phrases[index].name}
    if not spec.missing:
        names.add(spec.claims[1].phrases[index].name)
    return pick_colour(rng, sorted(names)[0], banned=banned | {(sorted(names)[0], c) for n, c in banned if n in names})


def _edge(relation: str, index: int) -> str:
    """The edge at which a thing touches its box: for "on" the two touch, for "next to" they share the ground."""
    if relation == "on" and index < 2:
        return ("bottom", "top")[index]
    return "bottom" if relation == "next to" and index < 2 else "centre"


def _fit(phrase: Phrase, size: int, box: Box, *, edge: str) -> Box:
    """The phrase's own extent inside the box that was laid out for the larger of the two scenes' objects."""
    width, height = _extent(phrase.name, size, board=bool(phrase.word))
    x = box.x1 + (box.x2 - box.x1 - width) // 2
    y = {"top": box.y1, "bottom": box.y2 - height, "centre": box.y1 + (box.y2 - box.y1 - height) // 2}[edge]
    return Box(x, y, x + width, y + height)


def _lay_again(
    rng: np.random.Generator, claim: Claim, extents: list[tuple[int, int]], before: list[list[Box]]
) -> list[list[Box]]:
    """The same places but for the two related things, which stand in the relation of the other claim."""
    others = [box for boxes in before[2:] for box in boxes]
    first, second = relate(rng, claim.relation, a=extents[0], b=extents[1], taken=others)
    return [[first], [second], *before[2:]]


def _distractors(
    rng: np.random.Generator, spec: PairSpec, names: set[str], taken: list[Box], *, banned: frozenset[tuple[str, str]]
) -> list[Item]:
    """Things that no caption names, the same in both scenes."""
    distractors: list[Item] = []
    for index in range(int(rng.choice(DISTRACTORS[spec.difficulty]))):
        name = pick_thing(rng, without=names)
        size = 4 * round(rng.uniform(*SIZES[spec.difficulty]) / 4)
        if index == 0 and spec.difficulty == "hard" and rng.random() < OCCLUSION:
            box = occlude(rng, target=taken[int(rng.integers(len(taken)))], size=extent(name, size), taken=taken)
        else:
            (box,) = place(rng, [extent(name, size)], taken=taken + [item.box for item in distractors])
        distractors.append(Item(name, pick_colour(rng, name, banned=banned), box, -1, flip=bool(rng.random() < 0.5)))
    return distractors


def _mark(spec: PairSpec, scenes: tuple[Scene, Scene]) -> Made:
    """The boxes of what is wrong in either scene (rule: see `square`)."""
    wrong: list[tuple[Box, ...]] = []
    for scene in scenes:
        marked = [item for item in scene.items if item.group in spec.concerns]
        wrong.append(tuple(item.word_box or item.box for item in marked))
    if spec.missing:
        wrong[1] = wrong[0]
    sides = [max(box.x2 - box.x1, box.y2 - box.y1) for box in wrong[0]]
    return Made(scenes, (wrong[0], wrong[1]), (False, spec.missing), sum(sides) / len(sides))
