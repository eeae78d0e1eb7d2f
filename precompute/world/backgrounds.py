"""The eight places, each in two dozen variants, of flat shapes; `surfaces` has the backgrounds that show no place."""

import functools

import numpy as np
from PIL import Image, ImageDraw

from precompute.world.scene import SIZE
from precompute.world.vocabulary import BACKGROUNDS

VARIANTS = 24
"""Of every background."""


def _jitter(rng: np.random.Generator, colour: tuple[int, int, int], amount: int = 12) -> tuple[int, ...]:
    return tuple(int(np.clip(c + rng.integers(-amount, amount + 1), 0, 255)) for c in colour)


def _dots(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, *, colour: tuple[int, ...], top: int, radius: int, number: int
) -> None:
    for _ in range(number):
        x, y = int(rng.integers(0, SIZE)), int(rng.integers(top, SIZE))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


@functools.cache
def background(name: str, variant: int) -> np.ndarray:
    """The image of an empty place, u8[224, 224, 3]; cached, so do not write into it."""
    rng = np.random.default_rng([list(BACKGROUNDS).index(name), variant])
    horizon = int(rng.integers(95, 135))
    sky, ground = {
        "beach": ((170, 215, 240), (236, 214, 165)),
        "meadow": ((190, 225, 245), (165, 205, 130)),
        "snow": ((205, 218, 232), (238, 243, 248)),
        "desert": ((250, 225, 190), (226, 178, 120)),
        "night": ((28, 34, 66), (44, 52, 74)),
        "city": ((205, 210, 218), (150, 150, 156)),
        "forest": ((160, 195, 165), (110, 145, 95)),
        "room": ((235, 225, 210), (190, 155, 120)),
    }[name]
    image = Image.new("RGB", (SIZE, SIZE), _jitter(rng, sky))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, horizon, SIZE, SIZE), fill=_jitter(rng, ground))
    match name:
        case "beach":
            draw.rectangle((0, horizon - int(rng.integers(14, 30)), SIZE, horizon), fill=_jitter(rng, (90, 165, 205)))
        case "meadow":
            _dots(draw, rng, colour=_jitter(rng, (235, 235, 200)), top=horizon + 6, radius=1, number=22)
        case "snow":
            _dots(draw, rng, colour=(250, 252, 255), top=0, radius=2, number=30)
        case "desert":
            x = int(rng.integers(-30, 120))
            draw.polygon([(x, horizon), (x + 70, horizon - 22), (x + 150, horizon)], fill=_jitter(rng, (214, 165, 108)))
        case "night":
            _dots(draw, rng, colour=(225, 225, 190), top=0, radius=1, number=26)
            draw.rectangle((0, horizon, SIZE, SIZE), fill=_jitter(rng, ground))
        case "city":
            for x in range(int(rng.integers(-20, 0)), SIZE, 36):
                draw.rectangle(
                    (x, horizon - int(rng.integers(20, 80)), x + 28, horizon), fill=_jitter(rng, (172, 176, 188))
                )
        case "forest":
            for x in range(int(rng.integers(-20, 0)), SIZE, 30):
                draw.polygon(
                    [(x, horizon), (x + 16, horizon - int(rng.integers(40, 80))), (x + 32, horizon)],
                    fill=_jitter(rng, (120, 160, 120)),
                )
        case "room":
            for y in range(horizon + 14, SIZE, 22):
                draw.line((0, y, SIZE, y), fill=_jitter(rng, (175, 140, 106), 4), width=2)
            draw.rectangle((0, horizon - 5, SIZE, horizon), fill=_jitter(rng, (215, 200, 180)))
    return np.asarray(image)
