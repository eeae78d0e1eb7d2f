"""Images as users hand them over: PIL images, arrays, paths or bytes. Nothing is cropped or resized here."""

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from tipai_jax.errors import UserError

__all__ = [
    "ImageLike",
    "fit_size",
    "image_list",
    "open_image",
    "read_image",
    "to_rgb",
    "type_name",
    "upright_rgb",
]

_ORIENTATION = 0x0112  # the EXIF tag
ImageLike = Image.Image | np.ndarray | str | os.PathLike[str] | bytes
ACCEPTED = "a PIL image, an array u8[height, width] or u8[height, width, 3 or 4], or the path or the bytes of a file"


def image_list(images: object) -> list[Any]:
    """One or several images as a list; what each is, `read_image` checks.

    Raises:
        UserError: neither an image nor a sequence.
    """
    if isinstance(images, str | bytes | os.PathLike | Image.Image):
        return [images]
    if isinstance(images, np.ndarray) and images.ndim <= 3:
        return [images]
    if not isinstance(images, Iterable):
        raise UserError(f"images is of type {type_name(images)}; expected {ACCEPTED}, or a sequence of these")
    return list(images)


def type_name(value: object) -> str:
    """The type of a value as a message names it, such as "int" or "torch.Tensor"."""
    module, name = type(value).__module__, type(value).__qualname__
    return name if module == "builtins" else f"{module}.{name}"


def read_image(image: object, place: int = 0) -> tuple[bytes | Image.Image, str]:
    """The bytes of a file, or the image itself; and what a message calls it.

    Args:
        image: a PIL image, an array u8[h, w] or u8[h, w, 3 or 4], the path of a JPEG, PNG or WEBP file, or its bytes.
        place: its number among those handed over.

    Raises:
        UserError: it is something else, an array of another shape or type, or a file that cannot be read.
    """
    name = f"image {place}"
    if isinstance(image, Image.Image | bytes):
        return image, name
    if isinstance(image, np.ndarray):
        fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))
        if image.dtype != np.uint8 or not fits or not image.size:
            raise UserError(f"{name} is an array {image.dtype}{list(image.shape)}; expected {ACCEPTED}")
        return Image.fromarray(image), name
    if not isinstance(image, str | os.PathLike):
        raise UserError(f"{name} is of type {type_name(image)}; expected {ACCEPTED}")
    try:
        return Path(image).read_bytes(), str(image)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise UserError(
            f"{image}: cannot be read ({getattr(error, 'strerror', error)}); expected the path of a JPEG, PNG or WEBP"
            " file"
        ) from None


def open_image(image: object) -> Image.Image:
    """An image to draw on, as its encoder sees it: turned as its file says, anything transparent over white, RGB.

    Raises:
        UserError: it cannot be read, see `read_image`.
    """
    found, name = read_image(image)
    try:
        return upright_rgb(found if isinstance(found, Image.Image) else Image.open(io.BytesIO(found)))
    except Exception as error:  # Pillow's decoders raise half a dozen types for damaged bytes
        raise UserError(f"{name}: not an image that can be drawn on ({error})") from None


def fit_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height scaled so that the longer one is `side` pixels; the shorter one is never below one."""
    share = side / max(size)
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB with anything transparent over white, as transformers 5 does it."""
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")
    return image.convert("RGB")


def upright_rgb(image: Image.Image) -> Image.Image:
    """An image as its encoder and people see it: turned as its EXIF data say, anything transparent over white, RGB."""
    return to_rgb(ImageOps.exif_transpose(image) if image.getexif().get(_ORIENTATION, 1) != 1 else image)
