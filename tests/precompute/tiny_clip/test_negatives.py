"""A hard-negative caption is broken by its scene, in one way; the judge is that of the world's own tests."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from precompute.tiny_clip.negatives import directions, negatives, parts, side
from precompute.world.scene import Box, Claim, Item, Scene
from precompute.world.square import sample
from precompute.world.vocabulary import held_out_combinations
from tipai_jax.store import CATEGORIES

spec = importlib.util.spec_from_file_location("judge", Path(__file__).parents[1] / "world" / "test_square.py")
judge = importlib.util.module_from_spec(spec)
spec.loader.exec_module(judge)


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_is_broken_by_its_scene(category):
    rng = np.random.default_rng(1)
    for _ in range(25):
        square = sample(rng, category=category, difficulty="medium", banned=frozenset())
        for claim, scene in zip(square.claims, square.scenes):
            made = negatives(rng, claim, scene, number=3)
            assert len(made) == 3
            for wrong in made:
                assert wrong.text() != claim.text()
                assert judge.broken(wrong, scene), (claim.text(), wrong.text())


def test_what_the_test_split_keeps_for_itself_is_never_called_wrong():
    rng, kept = np.random.default_rng(2), held_out_combinations()
    named = set()
    for number in range(300):
        square = sample(rng, category=CATEGORIES[number % 5], difficulty="hard", banned=kept)
        for claim, scene in zip(square.claims, square.scenes):
            for wrong in negatives(rng, claim, scene, number=3):
                named |= {(phrase.name, phrase.colour) for phrase in wrong.phrases}
    assert len(named) > 200 and not named & kept


def test_a_part_is_kept_and_what_it_is_not_is_broken():
    rng, kept = np.random.default_rng(3), held_out_combinations()
    changed = {"name": 0, "count": 0, "colour": 0}
    for number in range(120):
        square = sample(
            rng, category=CATEGORIES[number % 5], difficulty=("easy", "medium", "hard")[number % 3], banned=kept
        )
        for scene in square.scenes:
            for right, wrong in parts(rng, scene):
                assert not judge.broken(Claim((right,)), scene), right.text()
                assert judge.broken(Claim((wrong,)), scene), wrong.text()
                assert (wrong.name, wrong.colour) not in kept
                (field,) = [field for field in changed if getattr(right, field) != getattr(wrong, field)]
                changed[field] += 1
    assert min(changed.values()) > 40, changed


def test_a_direction_is_true_and_its_opposite_is_not():
    scene = Scene(
        "room", 0, (Item("cat", "red", Box(10, 100, 50, 140), 0), Item("dog", "blue", Box(120, 90, 170, 140), 1))
    )
    texts = set()
    for seed in range(40):
        true, false = directions(np.random.default_rng(seed), scene)
        texts.add(true.text())
        assert true.text() != false.text() and {p.name for p in true.phrases} == {p.name for p in false.phrases} == {
            "cat",
            "dog",
        }
        cat_first = lambda claim: claim.phrases[0].name == "cat"
        assert (true.relation == "left of") == cat_first(true)
        assert (false.relation == "left of") != cat_first(false)
    assert texts == {
        "a cat left of a dog",
        "a dog right of a cat",
        "a red cat left of a blue dog",
        "a blue dog right of a red cat",
    }


def test_things_that_touch_or_come_twice_have_no_direction():
    touching = (Item("cat", "red", Box(10, 100, 50, 140), 0), Item("dog", "blue", Box(52, 100, 90, 140), 1))
    twice = (Item("cat", "red", Box(10, 100, 50, 140), 0), Item("cat", "red", Box(120, 100, 160, 140), 0))
    assert directions(np.random.default_rng(0), Scene("room", 0, touching)) is None
    assert directions(np.random.default_rng(0), Scene("room", 0, twice)) is None


def test_half_a_claim_says_in_which_half_a_thing_is():
    claims = lambda box: {side(np.random.default_rng(seed), Item("cat", "red", box, 0)) for seed in range(20)}
    assert claims(Box(10, 150, 50, 190)) == {("a cat left of", "a cat right of"), ("a cat below", "a cat above")}
    assert claims(Box(92, 10, 132, 50)) == {("a cat above", "a cat below")}
    assert claims(Box(92, 92, 132, 132)) == {None}
