"""The renderer b: the same scenes by another hand, for a split that no training sees (`shift-renderer`).

It shares the pictograms and the meaning of a scene with the other renderer, and nothing else: things are tinted by
multiplication, which keeps the pictogram's own shades and its lines, or are flat silhouettes with lines in white; the
layout is another (`LAYOUT_B`); backgrounds are painted in soft colour with a curved horizon; words stand in a bitmap
font of fixed width on boards of another shape.
"""

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from precompute.world.pictograms import Pose, layers, master
from precompute.world.scene import SIZE, Item, Scene

_TINTS: dict[str, tuple[int, int, int]] = {
    "red": (224, 30, 48),
    "orange": (255, 138, 10),
    "yellow": (255, 226, 40),
    "green": (40, 170, 80),
    "blue": (40, 110, 240),
    "purple": (140, 50, 190),
    "pink": (255, 135, 190),
    "brown": (122, 76, 40),
    "black": (38, 38, 44),
    "white": (250, 250, 250),
}
_PLACES: dict[str, tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]] = {
    "beach": ((150, 205, 235), (60, 140, 190), (245, 225, 180)),
    "meadow": ((205, 230, 250), (150, 195, 120), (185, 215, 145)),
    "snow": ((190, 205, 225), (215, 225, 238), (250, 251, 255)),
    "desert": ((255, 235, 205), (225, 170, 110), (240, 200, 145)),
    "night": ((14, 18, 44), (40, 46, 80), (26, 30, 52)),
    "city": ((220, 225, 232), (150, 156, 170), (128, 130, 138)),
    "forest": ((190, 215, 190), (70, 110, 75), (125, 150, 100)),
    "room": ((240, 232, 222), (220, 208, 192), (176, 136, 98)),
}
"""For each place the colours of its sky, of what stands at the horizon, and of the ground in front."""


def _blend(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return first + (second - first) * weight[..., None]


def _horizon(place: str, rng: np.random.Generator, x: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Upper edge of what stands at the horizon, for every column."""
    phase = rng.uniform(0, 6)
    match place:
        case "city":
            return line - 12 - 50 * np.abs(np.sin(np.floor(x / 26 + phase) * 2.1))
        case "forest":
            return line - 22 - 34 * np.abs(((x / 23 + phase) % 1) - 0.5) * 2
        case "desert":
            return line - np.clip(46 - np.abs(x - 40 - 20 * phase) * 0.8, 0, None)
        case "beach" | "night":
            return line - 16 + 0 * x
        case "room":
            return line - 9 + 0 * x
        case _:
            return line - 14 - 12 * np.sin(x / 31 + phase)


@functools.lru_cache(256)
def _place(place: str, variant: int) -> np.ndarray:
    """A place in soft colours, f32[224, 224, 3]."""
    rng = np.random.default_rng([sorted(_PLACES).index(place), variant, 5])
    sky, middle, front = (np.array(colour, np.float64) + rng.uniform(-9, 9, 3) for colour in _PLACES[place])
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float64)
    curve = 0 if place in ("room", "beach") else 7 * np.sin(x[0] / 45 + rng.uniform(0, 6))
    line = rng.uniform(118, 150) + curve + 0 * x[0]
    image = _blend(sky * 0.9, np.minimum(sky * 1.08, 255), y / SIZE)
    image = np.where((y > _horizon(place, rng, x[0], line))[..., None], middle, image)
    image = np.where((y > line)[..., None], _blend(front, front * 0.84, (y - line) / SIZE), image)
    if place in ("snow", "night"):
        for cx, cy in rng.uniform(0, SIZE if place == "snow" else 120, (40, 2)):
            near = np.hypot(x - cx * (1 if place == "snow" else SIZE / 120), y - cy) < (2.6 if place == "snow" else 1.3)
            image[near] = (255, 255, 255) if place == "snow" else (250, 245, 190)
    if place == "room":
        image[(np.abs((x - SIZE / 2) / (1 + (y - line) / 60) % 34) < 1.5) & (y > line)] *= 0.85
    if place == "meadow":
        stems = (rng.random((SIZE, SIZE)) < 0.012) & (y > line)
        image[stems | np.roll(stems, 1, 0) | np.roll(stems, 2, 0)] = (105, 160, 75)
    return np.clip(image, 0, 255).astype(np.float32)


@functools.lru_cache(128)
def _pattern(family: str, variant: int) -> np.ndarray:
    """A background without a place, f32[224, 224, 3]: rings, broad stripes, or cells."""
    rng = np.random.default_rng([ord(family[2]), variant, 6])
    first = rng.uniform(175, 245) + rng.uniform(-14, 14, 3)
    second = first * rng.uniform(0.8, 0.92) + rng.uniform(-8, 8, 3)
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float64)
    match family:
        case "b-rings":
            distance = np.hypot(x - rng.uniform(0, SIZE), y - rng.uniform(0, SIZE))
            weight = 0.5 + 0.5 * np.sin(distance / rng.uniform(5, 14))
        case "b-stripes":
            weight = ((x + y * rng.uniform(-1, 1)) // rng.uniform(14, 36)) % 2
        case "b-cells":
            seeds = rng.uniform(0, SIZE, (24, 2))
            nearest = np.argmin(np.hypot(x[..., None] - seeds[:, 0], y[..., None] - seeds[:, 1]), -1)
            weight = rng.uniform(0, 1, 24)[nearest]
        case _:
            raise ValueError(family)
    return np.clip(_blend(first, second, weight), 0, 255).astype(np.float32)


@functools.lru_cache(1024)
def board_b(name: str, word: str, width: int, height: int) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """A sign or a screen with its word in a bitmap font, f32[h, w, 4], and the word's place (x1, y1, x2, y2) on it."""
    bottom = round(height * 0.74)
    image = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(image)
    if name == "sign":
        for x in (width // 4, 3 * width // 4):
            draw.rectangle((x - 2, bottom, x + 1, height), fill=(70, 74, 80))
        draw.rectangle((0, 0, width - 1, bottom), fill=(255, 236, 150), outline=(70, 74, 80), width=2)
        ink = (40, 36, 30)
    else:
        draw.rectangle((width // 5, height - 3, width - width // 5, height), fill=(50, 50, 54))
        draw.rectangle((width // 2 - 4, bottom, width // 2 + 4, height), fill=(50, 50, 54))
        draw.rectangle((0, 0, width - 1, bottom), fill=(226, 238, 250), outline=(50, 50, 54), width=4)
        ink = (20, 40, 120)
    font = ImageFont.load_default_imagefont()
    x1, y1, x2, y2 = (int(side) for side in font.getbbox(word))
    letters = Image.new("L", (x2 - x1, y2 - y1))
    ImageDraw.Draw(letters).text((-x1, -y1), word, fill=255, font=font)
    letters = letters.crop(letters.getbbox())
    scale = min((width - 14) / letters.width, (bottom - 12) / letters.height)
    size = (max(1, round(letters.width * scale)), max(1, round(letters.height * scale)))
    letters = letters.resize(size, Image.Resampling.BOX)
    left, top = (width - size[0]) // 2, (bottom - size[1]) // 2
    image.paste(ink, (left, top), letters)
    return np.asarray(image, np.float32), (left, top, left + size[0], top + size[1])


def _thing(item: Item, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The colours f32[h, w, 3] of a pictogram and its alpha f32[h, w, 1]."""
    style = scene.style
    width, height = item.box.x2 - item.box.x1, item.box.y2 - item.box.y1
    parts = layers(item.name, item.look, Pose(style.rotate, style.stretch), "thin", width, height, item.flip)
    line, alpha = parts.line[..., None], parts.alpha[..., None]
    if parts.colour is not None:
        return parts.colour * (1 - line) + 30 * line, alpha
    plain = max(70.0, master(item.name, None).plain)
    tint = np.array(_TINTS[item.colour], np.float32)
    if style.fill == "multiplied":
        shade = np.interp(parts.grey, (0, 0.5 * plain, plain, 256), (0.35, 0.78, 1.0, 1.08)).astype(np.float32)
        ink = 0.22 * tint if item.colour != "black" else np.array([0, 0, 0], np.float32) + 128
        return np.minimum(tint * shade[..., None], 255) * (1 - line) + ink * line, alpha
    pale = (
        np.array([250, 250, 250], np.float32)
        if item.colour not in ("white", "yellow", "pink")
        else np.array([70, 70, 74], np.float32)
    )
    return tint * (1 - line) + pale * line, alpha


def draw_b(scene: Scene) -> np.ndarray:
    """The image of a scene, u8[224, 224, 3]."""
    family = scene.style.background
    ground = _place(scene.background, scene.variant) if family == "b-place" else _pattern(family, scene.variant)
    canvas = ground.copy()
    for item in scene.items:
        box = item.box
        view = canvas[box.y1 : box.y2, box.x1 : box.x2]
        if item.word:
            board, _ = board_b(item.name, item.word, box.x2 - box.x1, box.y2 - box.y1)
            colour, alpha = board[..., :3], board[..., 3:] / 255
        else:
            colour, alpha = _thing(item, scene)
        view += (colour - view) * alpha
    return (canvas + 0.5).astype(np.uint8)
