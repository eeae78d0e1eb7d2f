"""Images as people hand them over: PIL images, arrays, or paths. Nothing is cropped or resized here."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from tipai_jax.errors import UserError

__all__ = ["Picture", "is_one", "open_picture", "read_picture", "to_rgb", "upright_rgb"]

_ORIENTATION = 0x0112  # the EXIF tag
Picture = Image.Image | np.ndarray | str | os.PathLike[str]


def is_one(images: Any) -> bool:
    """Whether this is a single picture and not a sequence of them."""
    return isinstance(images, str | os.PathLike | Image.Image) or (isinstance(images, np.ndarray) and images.ndim <= 3)


def read_picture(image: Picture, place: int = 0) -> tuple[bytes | Image.Image, str]:
    """The bytes of a file, or the picture itself; and what to call it.

    Args:
        image: a PIL picture, an array u8[h, w] or u8[h, w, 3 or 4], or the path of a file.
        place: its number among those handed over.

    Raises:
        UserError: the file cannot be read, or the array is none of a picture.
    """
    if isinstance(image, Image.Image):
        return image, f"picture {place}"
    if isinstance(image, np.ndarray):
        if (
            image.dtype != np.uint8
            or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4)))
            or not image.size
        ):
            raise UserError(
                f"picture {place}: an array {image.dtype}{list(image.shape)}; expected u8[height, width] or u8[height,"
                " width, 3 or 4]"
            )
        return Image.fromarray(image), f"picture {place}"
    try:
        return Path(image).read_bytes(), str(image)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise UserError(
            f"{image}: cannot be read ({getattr(error, 'strerror', error)}); expected the path of a JPEG, PNG or WEBP"
            " file"
        ) from None


def open_picture(image: Picture) -> Image.Image:
    """A picture to draw on, as its encoder sees it: turned as its file says, anything transparent over white, RGB.

    Raises:
        UserError: it cannot be read.
    """
    found, name = read_picture(image)
    try:
        return upright_rgb(found if isinstance(found, Image.Image) else Image.open(io.BytesIO(found)))
    except Exception as error:  # Pillow's decoders raise half a dozen types for damaged bytes
        raise UserError(f"{name}: not a picture that can be drawn on ({error})") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB with anything transparent over white, as transformers 5 does it."""
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")
    return image.convert("RGB")


def upright_rgb(image: Image.Image) -> Image.Image:
    """An image as its encoder and people see it: turned as its EXIF data say, anything transparent over white, RGB."""
    return to_rgb(ImageOps.exif_transpose(image) if image.getexif().get(_ORIENTATION, 1) != 1 else image)
