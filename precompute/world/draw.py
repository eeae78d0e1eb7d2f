"""A scene to pixels, by the renderer that its style names."""

import functools
import io
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from precompute.world.backgrounds import background
from precompute.world.palettes import PALETTES, to_lab
from precompute.world.renderer_b import board_b, draw_b
from precompute.world.scene import SIZE, Box, Item, Scene
from precompute.world.sprites import sprite
from precompute.world.styles import HELD_OUT_FAMILIES, Style
from precompute.world.surfaces import photograph, surface

SHADOW = (4, 5)
"""How far a shadow falls to the right and down, in pixels."""
_DARK = 78
_FAINT = 34.0
"""Distance in CIELAB between a thing and the ground behind it, below which it needs an outline to be seen."""


@functools.cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _fitting_font(word: str, width: int, height: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """The largest font in which the word fits into `width` x `height` pixels, found from its extent at 40."""
    x1, y1, x2, y2 = _font(40).getbbox(word)
    return _font(max(8, int(40 * min(width / (x2 - x1), height / (y2 - y1)))))


@functools.cache
def _board(name: str, word: str, width: int, height: int) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """A sign or a screen with its word, u8[h, w, 4], and the word's place (x1, y1, x2, y2) on it."""
    image = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(image)
    bottom = round(height * 0.74)
    if name == "sign":
        draw.rectangle((width // 2 - 3, bottom, width // 2 + 2, height), fill=(110, 85, 60))
        draw.rounded_rectangle((0, 0, width - 1, bottom), radius=4, fill=(252, 250, 240), outline=(60, 60, 60), width=2)
        ink = (25, 25, 30)
    else:
        draw.polygon(
            [(width * 0.36, height), (width * 0.64, height), (width * 0.55, bottom), (width * 0.45, bottom)],
            fill=(90, 94, 102),
        )
        draw.rounded_rectangle((0, 0, width - 1, bottom), radius=3, fill=(24, 34, 46), outline=(120, 124, 132), width=3)
        ink = (190, 250, 205)
    font = _fitting_font(word.upper(), width - 12, bottom - 10)
    x1, y1, x2, y2 = draw.textbbox((0, 0), word.upper(), font=font)
    left, top = (width - (x2 - x1)) // 2 - x1, (bottom - (y2 - y1)) // 2 - y1
    draw.text((left, top), word.upper(), font=font, fill=ink)
    return np.asarray(image), (int(left + x1), int(top + y1), int(left + x2), int(top + y2))


def word_box(name: str, word: str, box: Box, *, renderer: str = "a") -> Box:
    """Where on the scene the word of a board stands."""
    board = board_b if renderer == "b" else _board
    _, (x1, y1, x2, y2) = board(name, word, box.x2 - box.x1, box.y2 - box.y1)
    return Box(box.x1 + x1, box.y1 + y1, box.x1 + x2, box.y1 + y2)


@functools.lru_cache(512)
def _backdrop(family: str, place: str, variant: int) -> np.ndarray:
    match family:
        case "place":
            return background(place, variant)
        case "blurred-place":
            image = Image.fromarray(background(place, variant)).filter(ImageFilter.GaussianBlur(3))
            return np.asarray(image)
        case "photo" | "blurred-photo":
            return photograph(variant, blurred=family != "photo")
        case _:
            return surface(family, variant)


def backdrop(scene: Scene) -> np.ndarray:
    """What is behind the things of a scene, u8[224, 224, 3]; cached, so do not write into it."""
    return _backdrop(scene.style.background, scene.background, scene.variant)


def _faint(item: Item, style: Style, behind: np.ndarray) -> bool:
    """Whether a thing would be hard to see without an outline."""
    if not item.colour:
        return False
    ground = behind[item.box.y1 : item.box.y2, item.box.x1 : item.box.x2].reshape(-1, 3)[::7]
    distance = np.linalg.norm(to_lab(ground) - to_lab(np.array(PALETTES[style.palette][item.colour])), axis=-1)
    return bool(np.quantile(distance, 0.15) < _FAINT)


def legible(scene: Scene) -> Scene:
    """The scene with a style in which a person sees everything that its things are.

    The outline becomes a thin one where a thing would melt into the background without, or would be all outline with a
    thick one; a damage becomes as strong as the finest thing allows, and small line drawings have none.
    """
    style = scene.style
    if style.renderer != "a":
        return scene
    finest = min((_fineness(item) for item in scene.items), default=SIZE)
    if style.outline == "thick" and finest < 56:
        style = replace(style, outline="thin")
    if style.outline == "none":
        behind = backdrop(scene)
        photo = style.background in HELD_OUT_FAMILIES
        if photo or any(_faint(item, style, behind) for item in scene.items):
            style = replace(style, outline="thin")
    if style.fill == "line" and finest < 48:
        style = replace(style, damage="none")
    if style.damage in _STRENGTHS:
        fine, coarse = _STRENGTHS[style.damage]
        style = replace(style, damage=f"{style.damage}-{coarse if finest >= 48 else fine}")
    return replace(scene, style=style)


_STRENGTHS = {"pixels": ("2", "3"), "blur": ("0.7", "1.2"), "jpeg": ("45", "18")}
"""Of damages, for scenes of small and of large things: the side of a pixel, the radius, the quality."""


def _fineness(item: Item) -> float:
    if item.word_box:
        return 2.5 * (item.word_box.y2 - item.word_box.y1)
    return max(item.box.x2 - item.box.x1, item.box.y2 - item.box.y1)


def _damaged(canvas: np.ndarray, damage: str) -> np.ndarray:
    kind, _, strength = damage.partition("-")
    image = Image.fromarray(canvas)
    match kind:
        case "pixels":
            side = -(-SIZE // int(strength))
            image = image.resize((side, side), Image.Resampling.BOX).resize((SIZE, SIZE), Image.Resampling.NEAREST)
        case "blur":
            image = image.filter(ImageFilter.BoxBlur(float(strength)))
        case "jpeg":
            file = io.BytesIO()
            image.save(file, "jpeg", quality=int(strength))
            image = Image.open(file)
        case _:
            return canvas
    return np.asarray(image)


def _drop_shadow(canvas: np.ndarray, alpha: np.ndarray, box: Box) -> None:
    x1, y1 = box.x1 + SHADOW[0], box.y1 + SHADOW[1]
    view = canvas[y1 : y1 + alpha.shape[0], x1 : x1 + alpha.shape[1]]
    view *= 1 - 0.4 * alpha[: view.shape[0], : view.shape[1]]


def draw(scene: Scene) -> np.ndarray:
    """The image of a scene, u8[224, 224, 3]."""
    if scene.style.renderer == "b":
        return draw_b(scene)
    canvas = backdrop(scene).astype(np.float32)
    for item in scene.items:
        box = item.box
        view = canvas[box.y1 : box.y2, box.x1 : box.x2]
        if item.word:
            board, _ = _board(item.name, item.word, box.x2 - box.x1, box.y2 - box.y1)
            colour, alpha = board[..., :3].astype(np.float32), board[..., 3:].astype(np.float32) / 255
        else:
            colour, alpha = sprite(item, scene.style, dark=bool(view[::4, ::4].mean() < _DARK))
        if scene.style.shadow:
            _drop_shadow(canvas, alpha, box)
        view += (colour - view) * alpha
    return _damaged((canvas + 0.5).astype(np.uint8), scene.style.damage)
