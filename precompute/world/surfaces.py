"""Backgrounds that show no place: plain, gradients, textures and spots of light, and photographs.

The photographs are those that the packages scikit-image and scikit-learn ship with a free licence, cropped to parts in
which nothing stands that a caption could name (no cat, no cup, no rocket).
"""

import functools
import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from precompute.world.scene import SIZE
from tipai_jax.errors import UserError

PHOTO_ATTRIBUTION = (
    "Photographs in backgrounds (split shift-background only), cropped, tinted or blurred: brick, grass, gravel and "
    "camera of scikit-image, CC0, the last by Lav Varshney; rocket of scikit-image, by SpaceX, public domain; "
    "china.jpg by danielbuechele and flower.jpg by vultilion of scikit-learn, CC BY 2.0 "
    "(creativecommons.org/licenses/by/2.0/)."
)
_PHOTOS: tuple[tuple[str, str, tuple[int, int, int, int], tuple[int, int, int] | None], ...] = (
    ("skimage/data", "brick.png", (0, 0, 512, 512), (205, 150, 130)),
    ("skimage/data", "brick.png", (0, 0, 512, 512), None),
    ("skimage/data", "grass.png", (0, 0, 512, 512), (150, 200, 110)),
    ("skimage/data", "gravel.png", (0, 0, 512, 512), (225, 210, 185)),
    ("skimage/data", "gravel.png", (0, 0, 512, 512), None),
    ("skimage/data", "camera.png", (400, 370, 512, 512), (180, 205, 160)),
    ("skimage/data", "rocket.jpg", (110, 0, 290, 110), None),
    ("sklearn/datasets/images", "china.jpg", (0, 300, 640, 427), None),
    ("sklearn/datasets/images", "china.jpg", (400, 60, 640, 427), None),
    ("sklearn/datasets/images", "flower.jpg", (0, 0, 250, 427), None),
    ("sklearn/datasets/images", "flower.jpg", (440, 0, 640, 340), None),
)
"""Package and folder, file, the part that is used (x1, y1, x2, y2), and a tint for photographs in grey."""


def _soft_colour(rng: np.random.Generator) -> np.ndarray:
    """A colour of little saturation, light in two of three cases, so that no named colour drowns in it."""
    value = rng.uniform(185, 245) if rng.random() < 0.67 else rng.uniform(55, 130)
    return np.clip(value + rng.uniform(-1, 1, 3) * 0.09 * value, 0, 255)


def _gradient(rng: np.random.Generator, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1)
    turn = rng.uniform(0, 2 * np.pi)
    along = np.clip(0.5 + (x - 0.5) * np.cos(turn) + (y - 0.5) * np.sin(turn), 0, 1)
    return first + (second - first) * along[..., None]


def _texture(rng: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """Stripes, checks, a weave, or the grain of paper, of faint contrast, one of them a variant."""
    y, x = np.mgrid[:SIZE, :SIZE]
    period = int(rng.integers(6, 22))
    depth = rng.uniform(0.05, 0.13)
    match int(rng.integers(4)):
        case 0:
            turn = rng.uniform(0, np.pi)
            pattern = np.sign(np.sin((x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / period))
        case 1:
            pattern = 2.0 * ((x // period + y // period) % 2) - 1
        case 2:
            pattern = np.sin(x * 2 * np.pi / period) * np.sin(y * 2 * np.pi / period)
        case _:
            grain = rng.choice((-1.0, -0.3, 0.3, 1.0), (SIZE // 2, SIZE // 2))
            pattern = np.kron(grain, np.ones((2, 2)))
    return colour * (1 + depth * pattern[..., None])


def _spots(rng: np.random.Generator, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Large blurred discs, as lights out of focus."""
    y, x = np.mgrid[:SIZE, :SIZE]
    weight = np.zeros((SIZE, SIZE))
    for cx, cy, radius in zip(*rng.uniform((0, 0, 14), (SIZE, SIZE, 46), (14, 3)).T, strict=True):
        weight = np.maximum(weight, np.clip((radius - np.hypot(x - cx, y - cy)) / 7, 0, 1) * rng.uniform(0.3, 0.9))
    return first + (second - first) * weight[..., None]


@functools.cache
def _photo(variant: int) -> Image.Image:
    folder, name, part, tint = _PHOTOS[variant % len(_PHOTOS)]
    package, *below = folder.split("/")
    found = importlib.util.find_spec(package)  # without importing it, which takes a second
    if found is None or not found.submodule_search_locations:
        raise UserError(f"{package}: not installed, and backgrounds of photographs need it; pip install scikit-image")
    with Image.open(Path(found.submodule_search_locations[0]).joinpath(*below, name)) as file:
        image = file.convert("RGB").crop(part)
    if tint:
        image = Image.fromarray(
            (np.asarray(image, np.float32) * np.array(tint, np.float32) / 190).clip(0, 255).astype(np.uint8)
        )
    return image


def photograph(variant: int, *, blurred: bool) -> np.ndarray:
    """A square piece of a photograph, u8[224, 224, 3]; which piece depends on the variant."""
    image = _photo(variant)
    rng = np.random.default_rng([variant, 77])
    side = int(min(image.size) * rng.uniform(0.65, 1.0))
    x, y = (int(rng.integers(0, length - side + 1)) for length in image.size)
    piece = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=(x, y, x + side, y + side))
    if variant % 2:
        piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(piece.filter(ImageFilter.GaussianBlur(5)) if blurred else piece)


def surface(family: str, variant: int) -> np.ndarray:
    """The background of a family (`plain`, `gradient`, `texture`, `spots`) in a variant, u8[224, 224, 3]."""
    rng = np.random.default_rng([len(family), ord(family[0]), variant])
    first, second = _soft_colour(rng), _soft_colour(rng)
    match family:
        case "gradient":
            image = _gradient(rng, first, second)
        case "texture":
            image = _texture(rng, first)
        case "spots":
            image = _spots(rng, first, second)
        case "plain":
            image = np.broadcast_to(first, (SIZE, SIZE, 3))
        case _:
            raise ValueError(family)
    return np.clip(image, 0, 255).astype(np.uint8)
