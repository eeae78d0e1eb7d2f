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

__all__ = ["FOUND", "MAP_SIDE", "Mark", "Region", "draw_marks", "regions_of_grid"]


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
    """A place that stands out: its box as fractions of the map, and the highest risk in it."""

    x1: float
    y1: float
    x2: float
    y2: float
    risk: float


MAP_SIDE = 224
"""Pixels of either side of the map on which edges are found: a map of seven cells has no finer edges than this."""
MOST_REGIONS = 8
"""So many boxes can be told apart on an image."""
FALL = 2 / 3
"""A box ends where the risk has fallen to this share of its peak; of 0.5 to 0.8, 0.6 and 0.7 gave the best AP."""


def regions_of_grid(risk: Float[np.ndarray, "rows columns"], threshold: float, reach: float | None) -> list[Region]:
    """The peaks of a grid of patch risks, each with a box around it.

    A peak is a cell (or several equal ones that touch) without a higher neighbour among the eight, and without a higher
    peak within `reach`. Its box is drawn around the pixels of the enlarged map that lie within `reach`, are nearer to
    this peak than to any other, and whose risk is at least two thirds of the peak's. Things that stand side by side
    melt into one connected region of the map; their peaks stay apart. The threshold decides which boxes there are, and
    not how large they are.

    Verdicts, sheets and figures find their boxes by this function, so that they agree.

    Args:
        risk: of each patch, 0 to 1, row 0 at the top.
        threshold: the least risk of a peak.
        reach: the farthest that a box goes from its peak, as a fraction of the map; None: there are no boxes.

    Returns:
        At most `MOST_REGIONS`, the highest risk first, of equal ones the upper and then the left one; places are
        fractions of the map.
    """
    if reach is None:
        return []
    place, peak = _peaks(np.clip(risk, 0.0, 1.0), reach)
    heat = np.clip(enlarge(risk, (MAP_SIDE, MAP_SIDE)), 0.0, 1.0)
    middle = (np.arange(MAP_SIDE) + 0.5) / MAP_SIDE
    away = (middle[:, None] - place[:, 0, None, None]) ** 2 + (middle - place[:, 1, None, None]) ** 2
    inside = (away == away.min(axis=0)) & (away <= reach**2) & (heat >= FALL * peak[:, None, None])
    found = []
    for each, value in zip(inside[peak >= threshold], peak[peak >= threshold].tolist()):
        down, across = np.flatnonzero(each.any(axis=1)), np.flatnonzero(each.any(axis=0))
        if len(down):
            x1, y1, x2, y2 = (float(edge) / MAP_SIDE for edge in (across[0], down[0], across[-1] + 1, down[-1] + 1))
            found.append(Region(x1, y1, x2, y2, value))
    return found


def _peaks(
    risk: Float[np.ndarray, "rows columns"], reach: float
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
    """Where the peaks are, down and across as fractions of the map, and their risk; the highest first."""
    from scipy import ndimage  # late: who only draws frames does not wait for it

    top = risk == ndimage.maximum_filter(risk, size=3, mode="nearest")
    labels = np.empty(risk.shape, np.int32)
    ndimage.label(top, structure=np.ones((3, 3), np.int32), output=labels)
    numbers = np.arange(1, int(labels.max()) + 1)
    cells = np.array(ndimage.center_of_mass(top, labels, numbers), np.float64).reshape(-1, 2)
    place = (cells + 0.5) / risk.shape
    peak = np.asarray(ndimage.maximum(risk, labels, numbers), np.float64).reshape(-1)
    kept: list[int] = []
    for each in np.argsort(-peak, kind="stable").tolist():
        if all(np.hypot(*(place[each] - place[other])) > reach for other in kept):
            kept.append(each)
    return place[kept[:MOST_REGIONS]], peak[kept[:MOST_REGIONS]]
