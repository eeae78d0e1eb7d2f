"""A given prompt is kept by the first scene of its pair and broken by the second in the category asked for."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from precompute.world.breaking import break_claim, breakable
from precompute.world.compose import compose
from precompute.world.grammar import parse

_spec = importlib.util.spec_from_file_location("square_judge", Path(__file__).with_name("test_square.py"))
judge = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(judge)

PROMPTS = {
    "a red car on the beach": {"object", "attribute", "counting"},
    "a yellow banana and a green apple": {"object", "attribute", "counting"},
    "three red apples and a blue cup": {"object", "attribute", "counting"},
    "a black cat left of a white dog": {"object", "attribute", "spatial"},
    "a bird on a horse, two keys and nothing else at night": {"object", "counting", "spatial"},
    'a sign that says "taxi"': {"text"},
    'a purple bus and a screen that says "hotel" in a city': {"object", "attribute", "counting", "text"},
}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_what_can_be_broken(prompt):
    assert set(breakable(parse(prompt))) == PROMPTS[prompt]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("difficulty", ["easy", "medium"])
def test_the_first_scene_keeps_it_and_the_second_breaks_it_in_one_way(prompt, difficulty):
    claim = parse(prompt)
    for category in sorted(PROMPTS[prompt]):
        rng = np.random.default_rng(5)
        kinds = set()
        for _ in range(25):
            spec, kind = break_claim(rng, claim, category=category, difficulty=difficulty)
            made = compose(rng, spec, banned=frozenset())
            if made is None:
                continue
            kinds.add(kind)
            assert not judge.broken(claim, made.scenes[0]), (prompt, made.scenes[0])
            assert judge.broken(claim, made.scenes[1]) == {category}, (prompt, kind, made.scenes[1])
            assert made.wrong[1] and made.absent[1] == (kind == "missing object")
        assert kinds
        if category == "object" and len(claim.phrases) > 1:
            assert kinds == {"missing object", "replaced object"}
