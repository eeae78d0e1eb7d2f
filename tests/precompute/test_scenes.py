"""The drawn folder: the same bytes for the same seed, splits that share no prompt, clear refusals."""

import collections
import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from precompute.scenes import _group, _recipe, draw, groups, main
from precompute.world.control import vary
from precompute.world.square import sample
from precompute.world.vocabulary import held_out_combinations
from tipai_jax.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("world") / "scenes"
    draw(out, pairs=120, seed=3, processes=1)
    return out


def pairs_of(folder):
    return [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]


def digest(folder):
    names = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in names)).hexdigest()


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_processes(folder, tmp_path):
    draw(tmp_path / "again", pairs=120, seed=3, processes=2)
    assert digest(tmp_path / "again") == digest(folder)
    draw(tmp_path / "other", pairs=120, seed=4, processes=1)
    assert digest(tmp_path / "other") != digest(folder)


def test_an_interrupted_folder_is_finished_by_the_same_command(folder, tmp_path):
    draw(tmp_path / "w", pairs=120, seed=3, processes=1)
    (tmp_path / "w" / "pairs.jsonl").unlink()
    lost = sorted((tmp_path / "w" / "images").iterdir())[::3]
    for path in lost[::2]:
        path.unlink()
    for path, left in zip(lost[1::2], (0, 5, -5, -200), strict=False):  # a kill or a power cut in the middle of a file
        path.write_bytes(path.read_bytes()[:left])
    draw(tmp_path / "w", pairs=120, seed=3, processes=1)
    assert digest(tmp_path / "w") == digest(folder)


def test_every_scene_is_chosen_once_and_rejected_once(folder):
    pairs = [pair for pair in pairs_of(folder) if not pair["control"]]
    splits = collections.Counter(pair["split"] for pair in pairs_of(folder))
    assert splits["train"] + splits["validation"] + splits["test"] == 120
    assert all(splits[name] == 6 for name in ("shift-style", "shift-background", "shift-renderer"))
    chosen, rejected = (collections.Counter(pair[key] for pair in pairs) for key in ("chosen_image", "rejected_image"))
    assert chosen == rejected and set(chosen.values()) == {1}
    for pair in pairs_of(folder):
        with Image.open(folder / pair["rejected_image"]) as image:
            assert image.size == (224, 224)


def test_splits_go_by_prompt_and_the_test_split_names_its_unseen_pairs():
    every = [pair for group in groups(1200, 0) for pair in group.rows]
    split_of = collections.defaultdict(set)
    for pair in every:
        split_of[pair["prompt"]].add(pair["split"])
    assert all(len(splits) == 1 for splits in split_of.values())
    every = [pair for pair in every if not pair["split"].startswith("shift-")]
    share = collections.Counter(pair["split"] for pair in every)
    assert share["train"] / len(every) == pytest.approx(0.7, abs=0.02)
    assert {pair["split"] for pair in every if pair["unseen_combination"]} == {"test"}
    assert sum(pair["control"] for pair in every) == 60
    assert all(
        pair["chosen_score"] == pair["rejected_score"] and not pair["unfaithful_patches"]
        for pair in every
        if pair["control"]
    )
    assert all(
        pair["chosen_score"] > pair["rejected_score"] and pair["unfaithful_patches"]
        for pair in every
        if not pair["control"]
    )


def test_no_training_or_validation_scene_shows_a_held_out_combination():
    recipe = _recipe(600, 0)
    for index in range(0, recipe.total, 3):
        group = _group(recipe, index)
        shown = {(item.name, item.colour) for scene in group.scenes for item in scene.items}
        assert group.rows[0]["split"] == "test" or not shown & held_out_combinations()


def test_a_control_changes_something_but_nothing_that_the_caption_names():
    rng = np.random.default_rng(0)
    for _ in range(40):
        square = sample(rng, category="attribute", difficulty="medium", banned=held_out_combinations())
        scene, claim = square.scenes[0], square.claims[0]
        other = vary(rng, scene, claim, banned=held_out_combinations())
        assert other != scene
        for old, new in zip(scene.items, other.items, strict=True):
            assert (old.name, old.box, old.word, old.group) == (new.name, new.box, new.word, new.group)
            if old.group >= 0 and claim.phrases[old.group].colour:
                assert new.colour == old.colour
        assert not claim.background or other.background == claim.background


def test_refusals_are_one_line(folder, tmp_path):
    with pytest.raises(UserError, match="another world than --pairs 200"):
        draw(folder, pairs=200, seed=3)
    with pytest.raises(UserError, match="at least 40"):
        draw(tmp_path / "small", pairs=10, seed=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(UserError, match="not a drawn world"):
        draw(tmp_path / "mine", pairs=40, seed=0)
    assert (tmp_path / "mine" / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "--seed -1: expected a whole number from 0"),
        (["--processes", "-2"], "--processes -2: expected a whole number from 1"),
        (["--pairs", "x"], "--pairs x: expected a whole number from 1"),
        (["--pair", "40"], "unrecognized arguments: --pair 40"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(arguments, message, tmp_path):
    with pytest.raises(UserError, match=message):
        main(["--out", str(tmp_path / "w"), *arguments])
    assert not (tmp_path / "w").exists()


def test_the_truth_of_a_drawn_pair_is_complete(folder):
    """What fails, where and why agree with each other, and no image is without a style."""
    for pair in pairs_of(folder):
        chosen, rejected = pair["objects"]["chosen"], pair["objects"]["rejected"]
        assert chosen and all(not entry["wrong"] for entry in chosen)
        assert sum(entry["wrong"] for entry in rejected) == sum(not p.get("absent") for p in pair["unfaithful_patches"])
        assert bool(pair["failing_phrases"]) != pair["control"]
        assert all(0 <= start < end <= len(pair["prompt"]) for start, end in pair["failing_phrases"])
        for entry in (*chosen, *rejected):
            if entry["phrase"]:
                words = pair["prompt"][slice(*entry["phrase"])]
                assert entry["name"][:3] in words, (words, entry)
            assert ("gender" in entry) == ("tone" in entry) and not (entry["attributes"] and "tone" in entry)
        for line in pair["style"].values():
            words = dict(word.split("=") for word in line.split(" "))
            assert list(words)[:3] == ["renderer", "outline", "fill"] and len(words) == 9


def test_the_renderer_b_draws_a_world_of_its_split_alone(tmp_path):
    draw(tmp_path / "b", pairs=40, seed=3, processes=1, renderer="b")
    pairs = pairs_of(tmp_path / "b")
    assert len(pairs) == 40 and {pair["split"] for pair in pairs} == {"shift-renderer"}
    assert all(line.startswith("renderer=b") for pair in pairs for line in pair["style"].values())
    with pytest.raises(UserError, match="another world"):
        draw(tmp_path / "b", pairs=40, seed=3)


def test_what_is_held_out_is_in_no_other_split(folder):
    from precompute.world.styles import HELD_OUT_FAMILIES, HELD_OUT_FILLS

    for pair in pairs_of(folder):
        for line in pair["style"].values():
            words = dict(word.split("=") for word in line.split(" "))
            assert (words["renderer"] == "b") == (pair["split"] == "shift-renderer")
            assert (words["fill"] in HELD_OUT_FILLS) == (pair["split"] == "shift-style")
            assert (words["background"] in HELD_OUT_FAMILIES) == (pair["split"] == "shift-background")
