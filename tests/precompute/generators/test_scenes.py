"""Drawn images: a function of prompt and seed, broken as often as asked for and in the prompt's category."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from precompute.generators import DIFFUSION_MODEL
from precompute.generators.scenes import SceneGenerator
from precompute.prompt_file import PROMPTS, SCENE_PROMPTS, Prompt, read_prompts
from precompute.world.grammar import parse
from tipai_jax.errors import UserError
from tipai_jax.store import CATEGORIES

_spec = importlib.util.spec_from_file_location("square_judge", Path(__file__).parents[1] / "world" / "test_square.py")
judge = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(judge)

CAR = Prompt("p", "a red car on the beach", "attribute")


def test_the_projects_own_prompts_can_all_be_drawn_and_truly_are_as_recorded():
    generator = SceneGenerator()
    prompts = read_prompts(SCENE_PROMPTS)
    generator.check(prompts)
    for prompt in prompts:
        for seed in range(4):
            breaks, category, _, composed = generator._compose(prompt, seed)
            made = generator.make(prompt, seed)
            found = judge.broken(parse(prompt.prompt), composed.scenes[int(breaks)])
            assert found == ({category} if made.truth.broken else set()), (prompt, seed)
            assert made.truth.broken == breaks and (made.truth.category or prompt.category) == prompt.category
            assert bool(made.truth.boxes) == breaks and made.image.size == (224, 224)


def test_prompt_and_seed_decide_the_image_and_nothing_else():
    one, other = SceneGenerator(), SceneGenerator()
    other.make(Prompt("q", "three red apples", "counting"), 0)
    same = [np.asarray(each.make(CAR, 5).image) for each in (one, other)]
    assert (same[0] == same[1]).all()
    assert (same[0] != np.asarray(one.make(CAR, 6).image)).any()
    assert (same[0] == np.asarray(one.make(Prompt("another name", CAR.prompt, "attribute"), 5).image)).all()


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_as_many_are_broken_as_was_asked_for(chance):
    generator = SceneGenerator({"attribute": chance})
    share = np.mean([generator._compose(CAR, seed)[0] for seed in range(400)])
    assert abs(share - chance) <= 2.5 * (chance * (1 - chance) / 400) ** 0.5


def test_a_prompt_without_a_category_is_broken_in_any_that_it_has():
    categories = {
        SceneGenerator()._compose(Prompt("p", "a dog left of a red cat", "Compositional"), seed)[1]
        for seed in range(60)
    }
    assert categories == {"object", "attribute", "spatial"}
    assert SceneGenerator()._compose(Prompt("p", "a dog left of a red cat", "Spatial Relations"), 1)[1] == "spatial"


def test_a_prompt_outside_the_grammar_gets_one_line_with_both_ways_on():
    with pytest.raises(UserError) as refused:
        SceneGenerator().check(read_prompts(PROMPTS))
    line = str(refused.value)
    assert line.startswith('prompt 01, "a dog and a cat sitting together": the small world cannot draw it')
    assert (
        '"cat sitting together"' in line
        and f"--model {DIFFUSION_MODEL}" in line
        and "three dogs" in line
        and "\n" not in line
    )


def test_a_category_without_anything_to_break_is_refused():
    with pytest.raises(
        UserError,
        match="has nothing that could be broken in its category, text; it can be in object, attribute, counting",
    ):
        SceneGenerator().check([Prompt("p", "a red car", "text")])


def test_a_crowd_is_drawn_smaller_and_what_finds_no_room_is_refused(monkeypatch):
    crowd = Prompt("p", "six red sheep, six blue horses and six elephants", "attribute")
    assert len(SceneGenerator()._compose(crowd, 0)[3].scenes[0].items) >= 18
    monkeypatch.setattr("precompute.generators.scenes.compose", lambda *_, **__: None)
    with pytest.raises(UserError, match=r'prompt p, "six red sheep, .*too much for one scene; ask for fewer things'):
        SceneGenerator().check([crowd])


def test_the_two_files_of_prompts_are_the_plans_and_four_of_each_category():
    plan, scenes = read_prompts(PROMPTS), read_prompts(SCENE_PROMPTS)
    assert [prompt.prompt_id for prompt in plan] == [f"{i:02d}" for i in range(1, 21)]
    assert plan[4].prompt == "a red car on the beach" and plan[18].prompt == "an astronaut riding a horse on mars"
    names = ("Object Presence", "Attribute Binding", "Counting", "Spatial Relations", "Compositional")
    assert [prompt.category for prompt in plan] == [name for name in names for _ in range(4)]
    assert [prompt.category for prompt in scenes] == [category for category in CATEGORIES for _ in range(4)]
