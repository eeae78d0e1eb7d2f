"""Boxes: drawn where the truth is, and found where a heatmap is hot.

Places are fractions of the image (0 to 1, x to the right, y downwards), so a frame fits an image of any size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from tipai_jax.render.heatmap import enlarge
from tipai_jax.render.words import font

__all__ = ["FOUND", "MAP_SIDE", "Mark", "Region", "draw_marks", "find_regions", "regions_of_grid"]


FOUND = (150, 0, 130)
"""The violet of a box that was found."""


@dataclass(frozen=True)
class Mark:
    """A frame to draw: corners as fractions of the image, a word for its tab, dashed where no pixel is to blame."""

    x1: float
    y1: float
    x2: float
    y2: float
    label: str = ""
    dashed: bool = False
    colour: tuple[int, int, int] = (20, 20, 20)


def draw_marks(image: Image.Image, marks: Sequence[Mark]) -> Image.Image:
    """A copy of an image with frames on it; each has a white rim, so that it shows on any ground.

    Args:
        image: what to draw on.
        marks: the frames; the part outside the image is cut off.

    Returns:
        An RGB copy; the image itself is left alone. A tab that would leave the image is moved inside.
    """
    drawn = image.convert("RGB").copy()
    pen = ImageDraw.Draw(drawn)
    width = max(2, round(max(drawn.size) / 240))
    for mark in marks:
        corners = _corners(mark, drawn.size, width)
        _frame(pen, corners, (255, 255, 255), width + 2, mark.dashed)
        _frame(pen, corners, mark.colour, width, mark.dashed)
    taken: list[tuple[int, int, int, int]] = []
    for mark in marks:
        if mark.label:
            _tab(pen, _corners(mark, drawn.size, width), mark, drawn.size, taken)
    return drawn


def _corners(mark: Mark, size: tuple[int, int], width: int) -> tuple[int, int, int, int]:
    """Pixels of a frame, kept inside the image by its own thickness and never thinner than that."""
    inset = width // 2 + 1
    left, right = (min(max(round(x * size[0]), inset), size[0] - 1 - inset) for x in (mark.x1, mark.x2))
    top, bottom = (min(max(round(y * size[1]), inset), size[1] - 1 - inset) for y in (mark.y1, mark.y2))
    return left, top, max(right, left), max(bottom, top)


def _frame(
    pen: ImageDraw.ImageDraw, corners: tuple[int, int, int, int], colour: tuple[int, int, int], width: int, dashed: bool
) -> None:
    left, top, right, bottom = corners
    sides = [
        ((left, top), (right, top)),
        ((right, top), (right, bottom)),
        ((right, bottom), (left, bottom)),
        ((left, bottom), (left, top)),
    ]
    for (ax, ay), (bx, by) in sides:
        length = max(abs(bx - ax), abs(by - ay))
        pieces = max(1, length // 7) if dashed else 1
        for piece in range(0, pieces, 2):
            start, end = piece / pieces, (piece + 1) / pieces
            pen.line(
                [(ax + (bx - ax) * start, ay + (by - ay) * start), (ax + (bx - ax) * end, ay + (by - ay) * end)],
                fill=colour,
                width=width,
            )


def _tab(
    pen: ImageDraw.ImageDraw,
    corners: tuple[int, int, int, int],
    mark: Mark,
    size: tuple[int, int],
    taken: list[tuple[int, int, int, int]],
) -> None:
    """The word of a frame on a tab above it, or under its top edge where there is no room; left out where one lies."""
    letters = font(max(11, round(max(size) / 30)))
    x1, y1, x2, y2 = map(round, letters.getbbox(mark.label))
    wide, high = x2 - x1 + 6, y2 - y1 + 6
    left = min(max(corners[0] - 1, 0), max(size[0] - wide, 0))
    for top in (corners[1] - high, corners[3] + 1, corners[1] + 1):
        place = (left, top, left + wide, top + high)
        free = all(place[2] <= o[0] or place[0] >= o[2] or place[3] <= o[1] or place[1] >= o[3] for o in taken)
        if top >= 0 and top + high <= size[1] and free:
            taken.append(place)
            pen.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=mark.colour, outline=(255, 255, 255))
            pen.text((left + 3 - x1, top + 3 - y1), mark.label, font=letters, fill=(255, 255, 255))
            return


@dataclass(frozen=True)
class Region:
    """Connected hot pixels: their box as fractions of the map, the highest risk among them, and their share of all hot
    risk.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    peak: float
    share: float


def find_regions(
    risk: Float[np.ndarray, "height width"], threshold: float, *, min_share: float = 0.004
) -> list[Region]:
    """The hot regions of a map: connected pixels (four neighbours) at or above a threshold.

    Args:
        risk: a map, 0 to 1.
        threshold: the least risk that belongs to a region.
        min_share: regions below this share of the map are dropped.

    Returns:
        The regions, that of the highest risk first.
    """
    from scipy import ndimage  # late: who only draws frames does not wait for it

    height, width = risk.shape
    labels = np.empty(risk.shape, np.int32)
    ndimage.label(risk >= threshold, output=labels)
    pixels = np.bincount(labels.reshape(-1))
    mass = np.bincount(labels.reshape(-1), weights=risk.reshape(-1).astype(np.float64))
    total, found = float(mass[1:].sum()), []
    for number, (down, across) in enumerate(ndimage.find_objects(labels), start=1):
        if pixels[number] >= min_share * risk.size:
            peak = float(risk[down, across][labels[down, across] == number].max())
            corners = (across.start / width, down.start / height, across.stop / width, down.stop / height)
            found.append(Region(*corners, peak, float(mass[number]) / total))
    return sorted(found, key=lambda region: (-region.peak, region.y1, region.x1))


MAP_SIDE = 224
"""Pixels of the longer side of the map in which regions are found: a map of seven cells has no finer edges than this.
"""
MOST_REGIONS = 8
"""So many boxes can be told apart on an image."""


def regions_of_grid(
    risk: Float[np.ndarray, "rows columns"],
    threshold: float,
    *,
    size: tuple[int, int] = (MAP_SIDE, MAP_SIDE),
) -> list[Region]:
    """The hot regions of a grid of patch risks, enlarged to a map whose longer side has `MAP_SIDE` pixels at most.

    Sheets and verdicts find their boxes by this function, so that they agree.

    Args:
        risk: of each patch, 0 to 1, row 0 at the top.
        threshold: the least risk that belongs to a region.
        size: height and width in pixels of what the encoder saw; the map has the same shape.

    Returns:
        At most `MOST_REGIONS`, the largest share of the hot risk first and among equal shares the higher risk; places
        are fractions of the map.
    """
    share = min(1.0, MAP_SIDE / max(size))
    height, width = (max(1, round(share * side)) for side in size)
    regions = find_regions(np.clip(enlarge(risk, (height, width)), 0.0, 1.0), threshold)
    return sorted(regions, key=lambda region: -region.share)[:MOST_REGIONS]
