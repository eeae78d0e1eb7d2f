"""Each scene of a square keeps its own caption and breaks the other in exactly one way.

That is decided by a checker written here, apart from the sampler.
"""

import numpy as np
import pytest

from precompute.world.scene import SIZE, Box, Claim, Phrase, Scene
from precompute.world.square import Square, sample
from precompute.world.vocabulary import BACKGROUNDS, COLOURS, RELATIONS, THINGS, WORDS, held_out_combinations
from tipai_jax.store import CATEGORIES, DIFFICULTIES


def holds(relation: str, a: Box, b: Box) -> bool:
    """Whether "A relation B" is true of two boxes, from the geometry that `layout.relate` promises."""
    gap_x, gap_y = max(a.x1, b.x1) - min(a.x2, b.x2), max(a.y1, b.y1) - min(a.y2, b.y2)
    beside, stacked = gap_y < 0, gap_x < 0
    return {
        "left of": beside and not stacked and a.x2 <= b.x1,
        "right of": beside and not stacked and a.x1 >= b.x2,
        "above": stacked and a.y2 <= b.y1 and gap_y > 6,
        "below": stacked and a.y1 >= b.y2 and gap_y > 6,
        "on": stacked and abs(a.y2 - b.y1) <= 2,
        "next to": beside and 0 <= gap_x < 40 and abs(a.y2 - b.y2) <= 2,
    }[relation]


def broken(claim: Claim, scene: Scene) -> set[str]:
    """The categories in which a scene breaks a claim."""
    found: set[str] = set()
    items = scene.items

    def named(phrase: Phrase) -> list:
        if phrase.word:
            return [item for item in items if item.name == phrase.name and item.word == phrase.word]
        return [item for item in items if item.name == phrase.name and phrase.colour in (None, item.colour)]

    for phrase in claim.phrases:
        if len(named(phrase)) != phrase.count:
            same_name = [item for item in items if item.name == phrase.name]
            claimed = sum(other.count for other in claim.phrases if other.name == phrase.name)
            found.add(
                "text"
                if phrase.word
                else "object"
                if not same_name
                else "counting"
                if len(same_name) != claimed
                else "attribute"
            )
    if claim.only and len(items) > sum(phrase.count for phrase in claim.phrases) and not found:
        found.add("object")
    if claim.relation and not found:
        first, second = (named(phrase)[0].box for phrase in claim.phrases[:2])
        if not holds(claim.relation, first, second):
            found.add("spatial")
    if claim.background and claim.background != scene.background:
        found.add("background")
    return found


def squares(category: str, difficulty: str, number: int = 60) -> list[Square]:
    rng = np.random.default_rng([CATEGORIES.index(category), DIFFICULTIES.index(difficulty)])
    return [
        sample(rng, category=category, difficulty=difficulty, banned=held_out_combinations()) for _ in range(number)
    ]


def test_the_world_is_as_large_as_it_says():
    assert len(THINGS) >= 60 and len(COLOURS) >= 9 and len(BACKGROUNDS) >= 8 and len(RELATIONS) == 6
    assert len({thing.name for thing in THINGS} | {thing.plural for thing in THINGS}) >= 2 * len(THINGS) - 2
    assert len(set(WORDS)) == len(WORDS) >= 40


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("category", CATEGORIES)
def test_keeps_its_own_caption_and_breaks_the_other_in_one_way(category, difficulty):
    for square in squares(category, difficulty):
        captions = [claim.text() for claim in square.claims]
        for own in (0, 1):
            assert not broken(square.claims[own], square.scenes[own]), (captions[own], square.scenes[own])
            assert broken(square.claims[own], square.scenes[1 - own]) == {category}, (
                captions[own],
                square.scenes[1 - own],
            )


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("category", CATEGORIES)
def test_things_lie_inside_and_only_one_unnamed_thing_hides_another(category, difficulty):
    for square in squares(category, difficulty, 30):
        for scene in square.scenes:
            for item in scene.items:
                assert 0 <= item.box.x1 < item.box.x2 <= SIZE and 0 <= item.box.y1 < item.box.y2 <= SIZE
            for index, low in enumerate(scene.items):
                for high in scene.items[index + 1 :]:
                    across = min(low.box.x2, high.box.x2) - max(low.box.x1, high.box.x1)
                    down = min(low.box.y2, high.box.y2) - max(low.box.y1, high.box.y1)
                    if across > 1 and down > 1:
                        assert difficulty == "hard" and high.group == -1
                        assert across * down <= 0.3 * (low.box.x2 - low.box.x1) * (low.box.y2 - low.box.y1)


def test_what_is_marked_follows_the_rule():
    for square in squares("counting", "easy"):
        for side in (0, 1):
            changed = [
                i
                for i in range(len(square.claims[0].phrases))
                if square.claims[0].phrases[i] != square.claims[1].phrases[i]
            ]
            assert len(changed) == 1 and list(square.wrong[side]) == square.scenes[side].boxes(changed[0])
            assert len(square.wrong[side]) == square.claims[side].phrases[changed[0]].count
    for square in squares("spatial", "medium"):
        assert all(
            list(square.wrong[s]) == [item.box for item in square.scenes[s].items if item.group in (0, 1)]
            for s in (0, 1)
        )
    for square in squares("text", "medium"):
        for side in (0, 1):
            (box,), (board,) = (
                square.wrong[side],
                [
                    item
                    for item in square.scenes[side].items
                    if item.word == square.claims[side].phrases[-1].word or item.word_box in square.wrong[side]
                ][:1],
            )
            assert board.box.x1 < box.x1 < box.x2 < board.box.x2 and board.box.y1 < box.y1 < box.y2 < board.box.y2
    missing = [square for square in squares("object", "easy", 120) if square.absent[1]]
    assert missing
    for square in missing:
        assert square.wrong[1] == square.wrong[0] and not square.absent[0]
        assert not {item.box for item in square.scenes[1].items} & set(square.wrong[1])
    swapped = [square for square in squares("attribute", "medium") if square.kind == "swapped colours"]
    assert swapped and all(len(s.wrong[0]) == sum(p.count for p in s.claims[0].phrases[:2]) for s in swapped)


def test_margins_are_graded():
    mean = {d: np.mean([s.margin for c in CATEGORIES for s in squares(c, d, 40)]) for d in DIFFICULTIES}
    assert mean["easy"] > mean["medium"] > mean["hard"] > 0.05
    gross = [s for s in squares("attribute", "easy") if s.kind == "other colour"]
    subtle = [s for s in squares("attribute", "hard") if s.distance == 0.2]
    assert min(s.margin for s in gross) > max(s.margin for s in subtle)


def test_held_out_combinations_show_only_where_they_are_wanted():
    held_out = held_out_combinations()
    shown = lambda square: {(item.name, item.colour) for scene in square.scenes for item in scene.items}
    assert not any(shown(square) & held_out for c in CATEGORIES for square in squares(c, "hard", 30))
    rng = np.random.default_rng(5)
    for category in CATEGORIES:
        square = sample(rng, category=category, difficulty="medium", banned=frozenset(), wanted=held_out)
        assert square.unseen and shown(square) & held_out
