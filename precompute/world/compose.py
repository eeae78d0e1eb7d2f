"""From two claims to two scenes that differ only in what the claims differ in, with boxes of what is wrong."""

from dataclasses import dataclass, replace

import numpy as np

from precompute.world.backgrounds import VARIANTS
from precompute.world.draw import legible, word_box
from precompute.world.layout import LAYOUT, LAYOUT_B, Crowded, Layout, occlude, place, relate
from precompute.world.pictograms import Pose, extent
from precompute.world.scene import Box, Claim, Item, Phrase, Scene
from precompute.world.styles import Rendering, sample_styles
from precompute.world.things import LOOKS, Look, is_person
from precompute.world.vocabulary import BACKGROUNDS, COLOURS, THINGS

DISTRACTORS = {"easy": (0,), "medium": (0, 0, 0, 1), "hard": (1, 2, 3)}
"""Numbers of things that no caption names, equally likely."""
OCCLUSION = 0.4
"""Share of the hard scenes in which an unnamed thing stands in front of a named one."""
SMALLEST_PERSON = 36
"""Longer side in pixels; smaller ones could not be told apart by their profession."""
MOST = 6
"""Largest count."""


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

    @property
    def seconds(self) -> tuple[Phrase, ...]:
        """For each phrase of the first claim that of the second; a missing one is that of the first."""
        return self.claims[0].phrases if self.missing else self.claims[1].phrases

    @property
    def names(self) -> set[str]:
        """The names of all things that either claim names."""
        return {phrase.name for claim in self.claims for phrase in claim.phrases}


@dataclass(frozen=True)
class Made:
    """Two scenes and the truth about them; `size` is the longer side in pixels of the things concerned."""

    scenes: tuple[Scene, Scene]
    wrong: tuple[tuple[Box, ...], tuple[Box, ...]]
    absent: tuple[bool, bool]
    size: float


@dataclass(frozen=True)
class _Chances:
    """What chance decides for both scenes alike, a list entry per phrase; mirroring and look for each of its things."""

    pose: Pose
    layout: Layout
    sizes: list[int]
    colours: list[str]
    flips: list[list[bool]]
    looks: list[list[Look]]


def pick_thing(rng: np.random.Generator, *, without: set[str]) -> str:
    """The name of an object that is not in `without`."""
    while (name := THINGS[rng.integers(len(THINGS))].name) in without:
        pass
    return name


def pick_colour(rng: np.random.Generator, name: str, *, banned: frozenset[tuple[str, str]]) -> str:
    """A colour in which this object may be shown; "" for a person, who has none."""
    if is_person(name):
        return ""
    colours = tuple(COLOURS)
    while (name, colour := colours[rng.integers(len(colours))]) in banned:
        pass
    return colour


def pick_look(rng: np.random.Generator, name: str) -> Look | None:
    """Gender and skin tone of a person, all equally likely; None for anything else."""
    return LOOKS[rng.integers(len(LOOKS))] if is_person(name) else None


def compose(
    rng: np.random.Generator, spec: PairSpec, *, banned: frozenset[tuple[str, str]], rendering: Rendering = "train"
) -> Made | None:
    """Two scenes, or None when their things cannot be placed (the caller then draws another pair of claims).

    Args:
        rng: the only source of chance.
        spec: what to compose.
        banned: (object, colour) combinations that must not be shown.
        rendering: from which styles, and in which layout.
    """
    layout = LAYOUT_B if rendering == "shift-renderer" else LAYOUT
    low, high = layout.sizes[spec.difficulty]
    crowd = max(sum(p.count for p in claim.phrases) for claim in spec.claims)
    for attempt in range(12):
        shrink = min(1.0, (5.0 / max(crowd, 1)) ** 0.5) * 0.94**attempt
        sizes = [4 * max(5, round(rng.uniform(low, high) * shrink / 4)) for _ in spec.claims[0].phrases]
        for i, (phrase, other) in enumerate(zip(spec.claims[0].phrases, spec.seconds)):
            if phrase.word:
                sizes[i] = int(8 * round(rng.uniform(*layout.boards[spec.difficulty]) * max(0.85, shrink) / 8))
            elif is_person(phrase.name) or is_person(other.name):
                sizes[i] = max(SMALLEST_PERSON, sizes[i])
        try:
            return _try(rng, spec, sizes, banned=banned, rendering=rendering, layout=layout)
        except Crowded:
            continue
    return None


def _try(
    rng: np.random.Generator,
    spec: PairSpec,
    sizes: list[int],
    *,
    banned: frozenset[tuple[str, str]],
    rendering: Rendering,
    layout: Layout,
) -> Made:
    a, b = spec.claims
    styles = sample_styles(rng, rendering, place=bool(a.background))
    chances = _Chances(
        Pose(styles[0].rotate, styles[0].stretch),
        layout,
        sizes,
        colours=[_free_colour(rng, spec, i, banned=banned) for i in range(len(a.phrases))],
        flips=[[bool(rng.random() < 0.5) for _ in range(MOST)] for _ in a.phrases],
        looks=[[LOOKS[rng.integers(len(LOOKS))] for _ in range(MOST)] for _ in a.phrases],
    )
    grounds = _named(rng, spec, chances)
    more: list[Item] = []
    if not (a.only or b.only):
        taken = [item.box for items in grounds for item in items]
        more = _distractors(rng, spec, taken, banned=banned, chances=chances)
    shown = a.background or (str(rng.choice(sorted(BACKGROUNDS))) if styles[0].shows_a_place else "")
    variant = int(rng.integers(VARIANTS))
    scenes = [legible(Scene(shown, variant, tuple(items + more), style)) for items, style in zip(grounds, styles)]
    return _mark(spec, (scenes[0], scenes[1]))


def _named(rng: np.random.Generator, spec: PairSpec, chances: _Chances) -> list[list[Item]]:
    """The named things of either scene, from one set of places."""
    a, b = spec.claims
    widest = replace(a, phrases=tuple(p if p.count >= q.count else q for p, q in zip(a.phrases, spec.seconds)))
    extents = [
        _larger(_extent(p, size, chances.pose), _extent(q, size, chances.pose))
        for p, q, size in zip(a.phrases, spec.seconds, chances.sizes)
    ]
    places = [_lay(rng, widest, extents, layout=chances.layout)]
    places.append(places[0])
    if not spec.missing and a.relation != b.relation:
        places[1] = _lay_again(rng, b, extents, places[0], layout=chances.layout)
    keep = [rng.permutation(len(group)).tolist() for group in places[0]]
    grounds: list[list[Item]] = []
    for claim, phrases, place_of in zip(spec.claims, (a.phrases, spec.seconds), places):
        items: list[Item] = []
        for i, phrase in enumerate(phrases):
            if spec.missing and claim is b and i in spec.concerns:
                continue
            boxes = [place_of[i][j] for j in sorted(keep[i][: phrase.count])]
            items += [_item(phrase, i, n, box, _edge(claim.relation, i), chances) for n, box in enumerate(boxes)]
        grounds.append(items)
    return grounds


def _larger(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the smallest box that holds either extent."""
    return max(a[0], b[0]), max(a[1], b[1])


def _extent(phrase: Phrase, size: int, pose: Pose) -> tuple[int, int]:
    """Width and height for a thing; for a person what any gender needs."""
    if phrase.word:
        return size, round(size * 0.72)
    if is_person(phrase.name):
        every = [extent(phrase.name, size, look, pose) for look in LOOKS[::5]]
        return max(width for width, _ in every), max(height for _, height in every)
    return extent(phrase.name, size, None, pose)


def _item(phrase: Phrase, group: int, number: int, place: Box, edge: str, chances: _Chances) -> Item:
    """Thing `number` of a phrase in the place that was laid out for the larger of the two scenes' things."""
    size = chances.sizes[group]
    person = is_person(phrase.name)
    look = chances.looks[group][number] if person else None
    width, height = extent(phrase.name, size, look, chances.pose) if person else _extent(phrase, size, chances.pose)
    x = place.x1 + (place.x2 - place.x1 - width) // 2
    y = {"top": place.y1, "bottom": place.y2 - height, "centre": place.y1 + (place.y2 - place.y1 - height) // 2}[edge]
    box = Box(x, y, x + width, y + height)
    if phrase.word:
        where = word_box(phrase.name, phrase.word, box, renderer=chances.layout.renderer)
        return Item(phrase.name, "", box, group, word=phrase.word, word_box=where)
    colour = "" if person else phrase.colour or chances.colours[group]
    return Item(phrase.name, colour, box, group, flip=chances.flips[group][number], look=look)


def _free_colour(rng: np.random.Generator, spec: PairSpec, index: int, *, banned: frozenset[tuple[str, str]]) -> str:
    """A colour for a phrase that names none, allowed for the objects of both claims; "" for people."""
    names = {spec.claims[0].phrases[index].name, spec.seconds[index].name}
    names = {name for name in names if not is_person(name)}
    if not names:
        return ""
    first = min(names)
    return pick_colour(rng, first, banned=banned | {(first, colour) for name, colour in banned if name in names})


def _edge(relation: str, index: int) -> str:
    """The edge at which a thing touches its place: for "on" the two touch, for "next to" they share the ground."""
    if relation == "on" and index < 2:
        return ("bottom", "top")[index]
    return "bottom" if relation == "next to" and index < 2 else "centre"


def _lay(rng: np.random.Generator, claim: Claim, extents: list[tuple[int, int]], *, layout: Layout) -> list[list[Box]]:
    """Places for every phrase of a claim, first the related two, then the others."""
    taken: list[Box] = []
    boxes: list[list[Box]] = [[] for _ in claim.phrases]
    if claim.relation:
        first, second = relate(rng, claim.relation, a=extents[0], b=extents[1], taken=[], layout=layout)
        boxes[0], boxes[1] = [first], [second]
        taken += [first, second]
    for index, phrase in enumerate(claim.phrases):
        if not boxes[index]:
            boxes[index] = place(rng, [extents[index]] * phrase.count, taken=taken, ground=layout.ground)
            taken += boxes[index]
    return boxes


def _lay_again(
    rng: np.random.Generator,
    claim: Claim,
    extents: list[tuple[int, int]],
    before: list[list[Box]],
    *,
    layout: Layout,
) -> list[list[Box]]:
    """The same places but for the two related things, which stand in the relation of the other claim."""
    others = [box for boxes in before[2:] for box in boxes]
    first, second = relate(rng, claim.relation, a=extents[0], b=extents[1], taken=others, layout=layout)
    return [[first], [second], *before[2:]]


def _distractors(
    rng: np.random.Generator,
    spec: PairSpec,
    taken: list[Box],
    *,
    banned: frozenset[tuple[str, str]],
    chances: _Chances,
) -> list[Item]:
    """Things that no caption names, the same in both scenes."""
    items: list[Item] = []
    for index in range(int(rng.choice(DISTRACTORS[spec.difficulty]))):
        name = pick_thing(rng, without=spec.names)
        look = pick_look(rng, name)
        side = 4 * round(rng.uniform(*chances.layout.sizes[spec.difficulty]) / 4)
        size = extent(name, max(SMALLEST_PERSON, side) if look else side, look, chances.pose)
        if index == 0 and spec.difficulty == "hard" and rng.random() < OCCLUSION:
            box = occlude(rng, target=taken[int(rng.integers(len(taken)))], size=size, taken=taken)
        else:
            used = taken + [item.box for item in items]
            (box,) = place(rng, [size], taken=used, ground=chances.layout.ground)
        colour = pick_colour(rng, name, banned=banned)
        items.append(Item(name, colour, box, -1, flip=bool(rng.random() < 0.5), look=look))
    return items


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
