"""Controls: two scenes that both keep a caption and differ only in what it does not name. An auditor must not alarm.

What changes: the place (its variant where the place is named), unnamed colours, colours of distractors, and which
things are mirrored.
"""

from dataclasses import replace

import numpy as np

from precompute.world.backgrounds import VARIANTS
from precompute.world.compose import pick_colour
from precompute.world.scene import Claim, Item, Scene
from precompute.world.vocabulary import BACKGROUNDS


def vary(rng: np.random.Generator, scene: Scene, claim: Claim, *, banned: frozenset[tuple[str, str]]) -> Scene:
    """Another scene that keeps the claim of `scene`."""
    colours: dict[int, str] = {}

    def other(item: Item) -> Item:
        if item.word:
            return item
        unnamed = item.group < 0 or claim.phrases[item.group].colour is None
        if unnamed and (item.group not in colours or item.group < 0):
            colours[item.group] = pick_colour(rng, item.name, banned=banned)
        return replace(item, colour=colours[item.group] if unnamed else item.colour, flip=bool(rng.random() < 0.5))

    places = [name for name in sorted(BACKGROUNDS) if name != scene.background]
    place = scene.background if claim.background else str(rng.choice(places))
    variant = (scene.variant + 1 + int(rng.integers(VARIANTS - 1))) % VARIANTS
    return Scene(place, variant, tuple(other(item) for item in scene.items))
