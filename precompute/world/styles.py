"""How a scene is drawn: a style of independent axes, which of them training may see, and which are kept for tests.

Held out of every training (encoder, heads, calibration):

- the fills `line` and `hatched` (split `shift-style`). With all other fills the area of a thing has its colour,
  whatever modulates it, and a contour at most surrounds it. A hatched thing is half paper and full of edges of its own;
  of a line drawing only the lines have the colour. An encoder that has learnt "the mean colour of a patch" or "the only
  edges are contours" fails there, a person does not. Another palette or a thicker outline would have been no shift:
  palettes and outlines are mixed freely in training.
- the background family `photo` (split `shift-background`): every other background is drawn or computed, so no training
  image holds a natural image's detail, noise or depth.

The renderer `b` (split `shift-renderer`) is another program, see `renderer_b`.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

__all__ = ["PLAIN", "RENDERINGS", "Rendering", "Style", "sample_styles"]

Rendering = Literal["train", "shift-style", "shift-background", "shift-renderer"]
"""From which styles a scene is drawn: those of training, validation and test, or those of one of the shifted splits."""
RENDERINGS: tuple[Rendering, ...] = ("train", "shift-style", "shift-background", "shift-renderer")

OUTLINES = ("none", "thin", "thick", "coloured", "wobbly")
FILLS = ("flat", "gradient", "shaded", "textured", "noisy")
HELD_OUT_FILLS = ("line", "hatched")
PALETTE_NAMES = ("plain", "pastel", "vivid", "dark", "muted", "cool")
ROTATIONS = (0, 0, 0, -10, -5, 5, 10)
STRETCHES = ("no", "no", "wide", "tall")
DAMAGES = ("none", "none", "none", "none", "none", "none", "none", "pixels", "blur", "jpeg")
PLACE_FAMILIES = ("place", "place", "place", "blurred-place")
FREE_FAMILIES = ("plain", "gradient", "texture", "spots")
HELD_OUT_FAMILIES = ("photo", "blurred-photo")
NO_PLACE = 0.6
"""Share of the scenes without a named place whose background shows no place at all."""
SAME_STYLE = 0.75
"""Share of the squares of which both scenes are drawn in one style."""
B_FILLS = ("multiplied", "silhouette")
B_PLACE_FAMILIES = ("b-place",)
B_FREE_FAMILIES = ("b-rings", "b-stripes", "b-cells")


@dataclass(frozen=True)
class Style:
    """The axes of a drawing; a scene has one for all of its things.

    Attributes:
        outline: of OUTLINES; `none` keeps faint inner lines.
        fill: of FILLS, HELD_OUT_FILLS or, for the renderer b, B_FILLS.
        palette: of PALETTE_NAMES.
        shadow: whether things drop one.
        rotate: degrees counter-clockwise.
        stretch: wide or tall by an eighth, or no.
        damage: of the whole image: none, or pixels, blur, jpeg; with its strength behind a hyphen once it is known.
        background: its family, of the FAMILIES above.
        renderer: a or b.
    """

    outline: str = "thin"
    fill: str = "flat"
    palette: str = "plain"
    shadow: bool = False
    rotate: int = 0
    stretch: str = "no"
    damage: str = "none"
    background: str = "place"
    renderer: str = "a"

    def line(self) -> str:
        """One line of words, as it is recorded for every image."""
        return (
            f"renderer={self.renderer} outline={self.outline} fill={self.fill} palette={self.palette} "
            f"shadow={'yes' if self.shadow else 'no'} rotate={self.rotate} stretch={self.stretch} "
            f"damage={self.damage} background={self.background}"
        )

    @property
    def shows_a_place(self) -> bool:
        """Whether the background is one of the world's places."""
        return self.background in (*PLACE_FAMILIES, *B_PLACE_FAMILIES)


PLAIN = Style()


def _choose(rng: np.random.Generator, values: tuple) -> str:
    return values[int(rng.integers(len(values)))]


def _drawn(rng: np.random.Generator, rendering: Rendering) -> Style:
    """A style without pose and background."""
    if rendering == "shift-renderer":
        return Style(outline="b", fill=_choose(rng, B_FILLS), palette="plain", renderer="b")
    fill = _choose(rng, HELD_OUT_FILLS if rendering == "shift-style" else FILLS)
    outline = _choose(rng, OUTLINES)
    return Style(
        outline="thin" if fill == "line" and outline == "none" else outline,
        fill=fill,
        palette=_choose(rng, PALETTE_NAMES),
        shadow=bool(rng.random() < 0.3),
        damage=_choose(rng, DAMAGES),
    )


def _background(rng: np.random.Generator, rendering: Rendering, *, place: bool) -> str:
    if rendering == "shift-background":
        return _choose(rng, HELD_OUT_FAMILIES)
    shown = place or rng.random() >= NO_PLACE
    if rendering == "shift-renderer":
        return _choose(rng, B_PLACE_FAMILIES if shown else B_FREE_FAMILIES)
    return _choose(rng, PLACE_FAMILIES if shown else FREE_FAMILIES)


def sample_styles(rng: np.random.Generator, rendering: Rendering, *, place: bool) -> tuple[Style, Style]:
    """The styles of the two scenes of a square: one pose and one background, mostly one style.

    Args:
        rng: the only source of chance.
        rendering: from which styles.
        place: a caption names the place, so the background shows it.
    """
    pose = {"rotate": ROTATIONS[rng.integers(len(ROTATIONS))], "stretch": _choose(rng, STRETCHES)}
    first = replace(_drawn(rng, rendering), background=_background(rng, rendering, place=place), **pose)
    if rng.random() < SAME_STYLE:
        return first, first
    return first, replace(_drawn(rng, rendering), background=first.background, **pose)


def other_style(rng: np.random.Generator, style: Style, rendering: Rendering, *, place: bool) -> Style:
    """Another style for the same scene, of the same pose: for controls."""
    return replace(
        _drawn(rng, rendering),
        background=_background(rng, rendering, place=place),
        rotate=style.rotate,
        stretch=style.stretch,
    )
