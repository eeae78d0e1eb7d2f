"""From the bytes of an image to the pixels that the encoder takes: decode, resize, crop, with Pillow.

Equal to `CLIPImageProcessorPil` of transformers up to float rounding. The result is uint8, a quarter of the memory of
float32; scaling and normalising happen on the batch.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tipai_jax.errors import first_line

__all__ = ["MAX_PIXELS", "MAX_RATIO", "MEAN", "STD", "BadImage", "Preparation", "Prepared"]

MAX_PIXELS = 64_000_000
MAX_RATIO = 20  # of the sides, where the shorter one is resized to `edge` and the longer one along with it
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the three channels, on 0..1, as CLIP was trained."""
_FORMATS = ("JPEG", "PNG", "WEBP")


class BadImage(Exception):
    """An image that cannot be used; the message is the reason."""


@dataclass(frozen=True)
class Prepared:
    """One image, ready to be batched.

    Attributes:
        pixels: u8[image_size, image_size, 3], the encoder's input.
        detail: u8[crop_source, crop_source, 3], the same view at a higher resolution, from which crops or tiles are
            cut; None for other patch modes.
        width: of the image in pixels, after its orientation was applied.
        height: likewise.
    """

    pixels: np.ndarray
    detail: np.ndarray | None
    width: int
    height: int


@dataclass(frozen=True)
class Preparation:
    """The image preparation of an encoder.

    Attributes:
        image_size: side of the encoder's input in pixels.
        edge: the shorter side is first resized to this, then the centre is cropped; None: resized to the square.
        resample: filter of the resize, a number of `PIL.Image.Resampling`.
        mean: of the three channels, on 0..1.
        std: likewise.
        rescale: factor on 0..255, usually 1/255.
        crop_source: side in pixels of the finer view that crops and tiles are cut from; 0 for none.
    """

    image_size: int
    edge: int | None
    resample: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rescale: float
    crop_source: int = 0

    @classmethod
    def from_config(cls, config: dict[str, Any], *, image_size: int, crop_source: int) -> "Preparation":
        """Read the settings of an image processor (`EncoderFolder.processor`); what they omit is as in CLIP."""
        size = config.get("size", {"shortest_edge": 224})
        edge = size if isinstance(size, int) else size.get("shortest_edge")
        normalise = config.get("do_normalize", True)
        mean = config.get("image_mean", MEAN) if normalise else (0.0, 0.0, 0.0)
        std = config.get("image_std", STD) if normalise else (1.0, 1.0, 1.0)
        rescale = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
        return cls(image_size, edge, int(config.get("resample", 3)), tuple(mean), tuple(std), rescale, crop_source)

    def prepare(self, data: bytes) -> Prepared:
        """Decode and prepare one image.

        Args:
            data: the bytes of a JPEG, PNG or WEBP file.

        Raises:
            BadImage: not such a file, incomplete, damaged, of more than `MAX_PIXELS`, or with sides of a larger ratio
                than `MAX_RATIO`.
        """
        from PIL import Image

        with _bad_image(), Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return self.prepare_image(image)

    def prepare_image(self, image: Any) -> Prepared:
        """Prepare one PIL image, decoded or not yet.

        Raises:
            BadImage: incomplete, damaged, of more than `MAX_PIXELS`, or with sides of a larger ratio than `MAX_RATIO`.
        """
        if image.width * image.height > MAX_PIXELS:
            raise BadImage(f"{image.width} x {image.height} pixels, at most {MAX_PIXELS} are read")
        if self.edge is not None and max(image.size) > MAX_RATIO * min(image.size):
            raise BadImage(
                f"{image.width} x {image.height} pixels, one side may be at most {MAX_RATIO} times the other"
            )
        from tipai_jax.render.images import upright_rgb

        with _bad_image():
            image.load()  # only a full decode notices an incomplete file
            rgb = upright_rgb(image)
            detail = self._view(rgb, self.crop_source) if self.crop_source else None
            return Prepared(self._view(rgb, self.image_size), detail, rgb.width, rgb.height)

    def _view(self, rgb: Any, side: int) -> np.ndarray:
        """The encoder's view of an RGB image at `side` x `side` pixels; at `image_size` exactly as the HF processor."""
        if self.edge is None:
            return np.asarray(rgb.resize((side, side), resample=self.resample))
        edge = self.edge if side == self.image_size else round(self.edge * side / self.image_size)
        short, long = sorted(rgb.size)
        longer = int(edge * long / short)
        size = (edge, longer) if rgb.width <= rgb.height else (longer, edge)
        resized = rgb.resize(size, resample=self.resample) if size != rgb.size else rgb
        top, left = (resized.height - side) // 2, (resized.width - side) // 2
        return np.asarray(resized)[top : top + side, left : left + side]


@contextmanager
def _bad_image() -> Iterator[None]:
    """Whatever Pillow raises in the block as `BadImage`: its decoders raise half a dozen types for damaged bytes.

    Raises:
        BadImage: see above.
    """
    try:
        yield
    except BadImage:
        raise
    except Exception as error:
        unknown = type(error).__name__ == "UnidentifiedImageError"
        raise BadImage("neither JPEG, PNG nor WEBP" if unknown else first_line(error)) from None
