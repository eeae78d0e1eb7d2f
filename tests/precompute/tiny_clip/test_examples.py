"""The batches of the encoder's training: which scenes, which phrase for which patches, tiles as they are read later."""

import numpy as np
import pytest
import torch
from PIL import Image

from precompute.encoders.folder import GRID, TILE_SPAN
from precompute.encoders.images import MEAN, STD, Preparation
from precompute.encoders.patch_recipes import cut_tiles
from precompute.tiny_clip import examples
from precompute.tiny_clip.examples import TILE, Batches, Example, cover, draw_examples, phrases_of, view_of
from precompute.tiny_clip.shape import SIDE
from precompute.world.scene import SIZE, Box, Item, Phrase
from precompute.world.vocabulary import held_out_combinations


def test_scenes_are_unrelated_and_show_no_combination_of_the_test_split():
    made = draw_examples(np.random.default_rng(0), 60)
    shown = {phrase for example in made for phrase, _, _ in example.things}
    assert len({example.caption for example in made}) == 60
    assert not shown & {Phrase(name, 1, colour).text() for name, colour in held_out_combinations()}
    assert len(shown) > 60 and {example.image.shape for example in made} == {(SIZE, SIZE, 3)}


def test_captions_that_are_there_already_are_drawn_anew(monkeypatch):
    """Sampled twice each, two squares still give two captions, not four."""
    rng, real, made = np.random.default_rng(0), examples.sample, []

    def twice(*args, **options):
        made.append(made[-1] if len(made) % 2 else real(*args, **options))
        return made[-1]

    monkeypatch.setattr(examples, "sample", twice)
    assert len({example.caption for example in draw_examples(rng, 12)}) == 12 and len(made) > 12


def test_a_thing_has_a_phrase_with_its_colour_and_one_without():
    box = Box(0, 0, 9, 9)
    assert phrases_of(Item("owl", "red", box, -1)) == ("a red owl", "an owl")
    assert phrases_of(Item("sign", "", box, 0, word="milk")) == ('a sign that says "milk"', "a sign")


def test_a_box_covers_cells_by_its_area():
    whole = cover(Box(16, 32, 48, 40), left=0, top=0, side=SIZE).reshape(7, 7)
    assert whole[1].tolist() == [128, 128, 0, 0, 0, 0, 0] and whole.sum() == 32 * 8
    tile = cover(Box(90, 90, 106, 112), left=96, top=96, side=TILE).reshape(7, 7)
    assert tile[0, 0] == pytest.approx(10 * 16) and tile.sum() == pytest.approx(10 * 16)  # cells of 128 / 7 pixels


def test_views_are_those_that_the_encoder_is_given():
    """The whole scene and its tiles, pixel by pixel, against the preparation of images and the recipe's cutting."""
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    prepared = Preparation(SIDE, None, 4, MEAN, STD, 1 / 255, GRID * SIDE // TILE_SPAN).prepare_image(
        Image.fromarray(image)
    )
    np.testing.assert_array_equal(view_of(image, 0, 0, SIZE), prepared.pixels)
    detail = torch.from_numpy(prepared.detail.copy())[None].permute(0, 3, 1, 2)
    far = SIZE - TILE
    corners = ((0, 0), (far, 0), (0, far), (far, far))
    for tile, (left, top) in zip(cut_tiles(detail, cells=GRID, span=TILE_SPAN), corners, strict=True):
        np.testing.assert_array_equal(view_of(image, left, top, TILE), tile.permute(1, 2, 0).numpy())


@pytest.fixture
def two_scenes(monkeypatch):
    """Always these: a car and a cat in two corners; another car, and a dog that is whole in the last tile only."""
    blank = np.zeros((SIZE, SIZE, 3), np.uint8)
    corner, middle, end = Box(0, 0, 32, 32), Box(112, 112, 152, 152), Box(192, 192, 224, 224)
    first = Example(blank, "x", [("a red car", "a car", corner), ("a blue cat", "a cat", end)])
    second = Example(blank, "y", [("a red car", "a car", end), ("a green dog", "a dog", middle)])
    monkeypatch.setattr(examples, "draw_examples", lambda rng, number: [first, second])
    monkeypatch.setattr(examples, "TILES", 1.0)
    return first, second


def test_each_region_has_its_phrases_and_its_cells(two_scenes):
    data = Batches(seed=0, size=2)
    batch = data[0]
    read = lambda name: data.tokenizer.batch_decode(batch[name], skip_special_tokens=True)
    assert read("phrases") == ["a red car", "a blue cat", "a green dog"] and read("kinds") == [
        "a car",
        "a cat",
        "a dog",
    ]
    assert len(batch["images"]) == 4 and len(batch["captions"]) == 2
    assert batch["region_image"][:4].tolist() == [0, 0, 1, 1]
    assert batch["region_phrase"][:4].tolist() == batch["region_kind"][:4].tolist() == [0, 1, 0, 2]
    assert [cells.nonzero()[:, 0].tolist() for cells in batch["region_cells"][:4]] == [
        [0],
        [48],
        [48],
        [24, 25, 31, 32],
    ]
    torch.testing.assert_close(batch["region_cells"].sum(1), torch.ones(len(batch["region_cells"])))


def test_a_tile_names_only_what_it_shows(two_scenes):
    """A thing in a corner is in one tile of the four; of the dog the others show less than half."""
    things = set()
    for step in range(12):
        batch = Batches(seed=0, size=2)[step]
        things |= {tuple(batch["region_phrase"][batch["region_image"] == tile].tolist()) for tile in (2, 3)}
    assert things == {(), (0,), (1,), (0, 2)}


def test_a_batch_is_a_function_of_seed_and_step():
    first, again, later, other = (Batches(seed=s, size=4)[i] for s, i in ((1, 5), (1, 5), (1, 6), (2, 5)))
    assert first.keys() == again.keys() and all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["images"][:4], later["images"][:4])
    assert not torch.equal(first["images"][:4], other["images"][:4])
