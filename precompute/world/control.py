"""Controls: two scenes that both keep a caption and differ only in what it does not name. An auditor must not alarm.

What changes: the style, the background (its variant where the place is named), unnamed colours, colours of distractors,
the skin tone of people, and which things are mirrored.
"""

from dataclasses import replace

import numpy as np

from precompute.world.backgrounds import VARIANTS
from precompute.world.compose import pick_colour
from precompute.world.draw import legible
from precompute.world.scene import Claim, Item, Scene
from precompute.world.styles import Rendering, other_style
from precompute.world.vocabulary import BACKGROUNDS


def vary(
    rng: np.random.Generator,
    scene: Scene,
    claim: Claim,
    *,
    banned: frozenset[tuple[str, str]],
    rendering: Rendering = "train",
) -> Scene:
    """Another scene that keeps the claim of `scene`."""
    colours: dict[int, str] = {}

    def other(item: Item) -> Item:
        if item.word:
            return item
        flip = bool(rng.random() < 0.5)
        if item.look:
            return replace(item, look=replace(item.look, tone=1 + int(rng.integers(5))), flip=flip)
        unnamed = item.group < 0 or claim.phrases[item.group].colour is None
        if unnamed and (item.group not in colours or item.group < 0):
            colours[item.group] = pick_colour(rng, item.name, banned=banned)
        return replace(item, colour=colours[item.group] if unnamed else item.colour, flip=flip)

    style = other_style(rng, scene.style, rendering, place=bool(claim.background))
    places = [name for name in sorted(BACKGROUNDS) if name != scene.background]
    place = claim.background or (str(rng.choice(places)) if style.shows_a_place else "")
    variant = (scene.variant + 1 + int(rng.integers(VARIANTS - 1))) % VARIANTS
    return legible(Scene(place, variant, tuple(other(item) for item in scene.items), style))
