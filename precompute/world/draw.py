"""A scene to pixels."""

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from precompute.world.backgrounds import background
from precompute.world.pictograms import palette, shape
from precompute.world.scene import Box, Item, Scene


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


def word_box(name: str, word: str, box: Box) -> Box:
    """Where on the scene the word of a board stands."""
    _, (x1, y1, x2, y2) = _board(name, word, box.x2 - box.x1, box.y2 - box.y1)
    return Box(box.x1 + x1, box.y1 + y1, box.x1 + x2, box.y1 + y2)


def _sprite(item: Item) -> tuple[np.ndarray, np.ndarray]:
    width, height = item.box.x2 - item.box.x1, item.box.y2 - item.box.y1
    if item.word:
        board, _ = _board(item.name, item.word, width, height)
        return board[..., :3], board[..., 3].astype(np.uint16)
    grey, alpha = shape(item.name, max(width, height), item.flip)
    return palette(item.name, item.colour)[grey], alpha


def draw(scene: Scene) -> np.ndarray:
    """The image of a scene, u8[224, 224, 3]."""
    canvas = background(scene.background, scene.variant).copy()
    for item in scene.items:
        colour, alpha = _sprite(item)
        view = canvas[item.box.y1 : item.box.y2, item.box.x1 : item.box.x2]
        weight = alpha[..., None]
        view[:] = ((colour * weight + view * (255 - weight) + 127) // 255).astype(np.uint8)
    return canvas
