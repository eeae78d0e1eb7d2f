"""One thing in one style: its colours and its alpha."""

import functools

import numpy as np

from precompute.world.palettes import PALETTES
from precompute.world.pictograms import Layers, Pose, layers, master
from precompute.world.scene import Item
from precompute.world.styles import Style

_DARK_PAPER, _PAPER = np.array([74, 74, 78], np.float32), np.array([250, 250, 246], np.float32)


@functools.cache
def _table(name: str, palette: str, colour: str) -> np.ndarray:
    """The table f32[256, 3] from the greys of a pictogram's fill to shades of a colour.

    The plain grey becomes the colour, shadows become darker and highlights pale.
    """
    plain = master(name, None).plain
    target = np.array(PALETTES[palette][colour], np.float32)
    levels = np.array([0.0, 50.0, max(plain, 70.0), 256.0])
    shades = np.stack([0.2 * target, 0.5 * target, target, 0.5 * target + 0.5 * 255])
    return np.stack([np.interp(np.arange(256), levels, shades[:, c]) for c in range(3)], -1).astype(np.float32)


@functools.cache
def _sheet(kind: str) -> np.ndarray:
    """A sheet f32[256, 256] of brightness factors (of ink for `hatched`), from which sprites cut their piece."""
    rng = np.random.default_rng([len(kind), ord(kind[0])])
    y, x = np.mgrid[:256, :256]
    match kind:
        case "noisy":
            return rng.choice(np.array([0.8, 0.9, 1.0, 1.0, 1.1, 1.18], np.float32), (256, 256))
        case "textured":
            waves = sum(
                np.sin(x * np.cos(turn) / period + y * np.sin(turn) / period + shift)
                for turn, period, shift in rng.uniform((0, 1.4, 0), (np.pi, 3.2, 6), (7, 3))
            )
            return (1 + 0.2 * np.clip(np.asarray(waves) / 2.5, -1, 1)).astype(np.float32)
        case "wide":
            return (np.clip(np.sin((x + y) * 2 * np.pi / 8) * 2 + 0.7, 0, 1)).astype(np.float32)
        case _:
            return (np.clip(np.sin((x + y) * 2 * np.pi / 5) * 2 + 0.7, 0, 1)).astype(np.float32)


@functools.lru_cache(2048)
def _shading(fill: str, height: int, width: int) -> np.ndarray:
    """Brightness factors f32[h, w, 1] that depend on the place on the thing."""
    y, x = np.linspace(0, 1, height, dtype=np.float32)[:, None], np.linspace(0, 1, width, dtype=np.float32)[None]
    if fill == "gradient":
        return np.broadcast_to(1.25 - 0.45 * y, (height, width))[..., None]
    return np.clip(1.35 - 0.75 * np.hypot(x - 0.33, y - 0.28), 0.78, 1.35)[..., None].astype(np.float32)


def _lit(colour: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Colours under brightness factors: below 1 darker, above 1 nearer to white, so that the hue stays."""
    white = np.maximum(factor - 1, 0)
    return colour * np.minimum(factor, 1) * (1 - white) + 255 * white


def _filled(item: Item, style: Style, base: np.ndarray) -> np.ndarray:
    height, width = base.shape[:2]
    top, left = (item.box.y1 * 7) % 128, (item.box.x1 * 5) % 128
    cut = lambda kind: _sheet(kind)[top : top + height, left : left + width, None]
    match style.fill:
        case "noisy" | "textured":
            return _lit(base, cut(style.fill))
        case "gradient" | "shaded":
            return _lit(base, _shading(style.fill, height, width))
        case "hatched":
            ink = cut("wide" if max(height, width) >= 44 else "narrow")
            return base * ink + _paper(item.colour, base) * (1 - ink)
        case "line":
            if not item.colour:
                return 0.4 * base + 0.6 * _PAPER
            plain = np.array(PALETTES[style.palette][item.colour], np.float32)
            wash = plain if item.colour == "white" else 0.8 * _paper(item.colour, plain) + 0.2 * plain
            return np.broadcast_to(wash, base.shape)
        case _:
            return base


def _paper(colour: str, base: np.ndarray) -> np.ndarray:
    """What shows where a hatched or line-drawn thing has no colour: paper, pale in the thing's tint; grey for black."""
    if colour == "black":
        return _DARK_PAPER
    if colour == "white":
        return 0.88 * base
    return 0.16 * base + 0.84 * _PAPER


def _line_colour(item: Item, style: Style, *, dark: bool) -> np.ndarray:
    """The colour of the lines, f32[3]; pale around things on dark ground."""
    if not item.colour:
        return (
            np.array([225, 225, 220], np.float32)
            if dark and style.outline != "none"
            else np.array([20, 20, 24], np.float32)
        )
    target = np.array(PALETTES[style.palette][item.colour], np.float32)
    if style.fill == "line":
        return (
            np.array([120, 120, 124], np.float32)
            if item.colour == "white"
            else target * (0.3 if item.colour == "black" else 0.92)
        )
    if style.outline == "coloured":
        return target * 0.5 if item.colour != "black" else np.array([110, 110, 116], np.float32)
    if style.outline == "none":
        return target * 0.45 if item.colour != "black" else np.array([110, 110, 116], np.float32)
    return 0.25 * target + 0.75 * 235 if dark else 0.1 * target


def sprite(item: Item, style: Style, *, dark: bool) -> tuple[np.ndarray, np.ndarray]:
    """The colours f32[h, w, 3] of a thing, from 0 to 255, and its alpha f32[h, w, 1], from 0 to 1.

    Args:
        item: a pictogram.
        style: in which it is drawn.
        dark: it stands on dark ground, so that dark lines would not be seen.
    """
    width, height = item.box.x2 - item.box.x1, item.box.y2 - item.box.y1
    pose = Pose(style.rotate, style.stretch)
    parts: Layers = layers(item.name, item.look, pose, style.outline, width, height, item.flip)
    if parts.colour is not None:
        base = parts.colour.astype(np.float32)
    else:
        base = _table(item.name, style.palette, item.colour)[parts.grey]
    line = parts.line[..., None]
    colour = _filled(item, style, base) * (1 - line) + _line_colour(item, style, dark=dark) * line
    return colour, parts.alpha[..., None]
