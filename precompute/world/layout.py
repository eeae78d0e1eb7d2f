"""The places of things: boxes without overlap, and pairs of boxes for which exactly one relation holds.

All lengths are pixels of the scene.
"""

from dataclasses import dataclass, field

import numpy as np

from precompute.world.scene import SIZE, Box

MARGIN = 3


@dataclass(frozen=True)
class Layout:
    """How large things are and how they are placed, by difficulty where a dict.

    Attributes:
        sizes: smallest and largest longer side in pixels.
        boards: likewise, widths of signs and screens.
        far: of things that are left of, right of, above or below each other, the gap.
        near: of things next to each other, the gap.
        ground: things gather at the bottom, on a grid of eight pixels.
        renderer: that draws it.
    """

    sizes: dict[str, tuple[int, int]] = field(
        default_factory=lambda: {"easy": (60, 92), "medium": (46, 72), "hard": (24, 40)}
    )
    boards: dict[str, tuple[int, int]] = field(
        default_factory=lambda: {"easy": (96, 120), "medium": (84, 108), "hard": (56, 80)}
    )
    far: tuple[int, int] = (14, 70)
    near: tuple[int, int] = (2, 8)
    ground: bool = False
    renderer: str = "a"


LAYOUT = Layout()
LAYOUT_B = Layout(
    sizes={"easy": (72, 104), "medium": (54, 84), "hard": (28, 48)},
    boards={"easy": (92, 112), "medium": (80, 100), "hard": (60, 84)},
    far=(20, 90),
    near=(4, 14),
    ground=True,
    renderer="b",
)


class Crowded(Exception):
    """There is no free place; the caller draws smaller things or starts again."""


def _touches(box: Box, others: list[Box], gap: int) -> bool:
    return any(
        box.x1 < o.x2 + gap and o.x1 < box.x2 + gap and box.y1 < o.y2 + gap and o.y1 < box.y2 + gap for o in others
    )


def place(
    rng: np.random.Generator, sizes: list[tuple[int, int]], *, taken: list[Box], gap: int = 4, ground: bool = False
) -> list[Box]:
    """Boxes of the given (width, height) at random free places, clear of each other and of `taken`.

    With `ground` they gather at the bottom on a grid of eight pixels. Raises Crowded.
    """
    boxes: list[Box] = []
    for width, height in sizes:
        xs = rng.integers(MARGIN, SIZE - MARGIN - width + 1, 40)
        ys = rng.integers(MARGIN, SIZE - MARGIN - height + 1, 40)
        if ground:
            ys = np.maximum(ys, rng.permutation(ys))
            xs, ys = xs - (xs - MARGIN) % 8, ys - (ys - MARGIN) % 8
        for x, y in zip(xs.tolist(), ys.tolist()):
            box = Box(x, y, x + width, y + height)
            if not _touches(box, taken + boxes, gap):
                boxes.append(box)
                break
        else:
            raise Crowded
    return boxes


def relate(
    rng: np.random.Generator,
    relation: str,
    *,
    a: tuple[int, int],
    b: tuple[int, int],
    taken: list[Box],
    layout: Layout = LAYOUT,
) -> tuple[Box, Box]:
    """Boxes of the sizes `a` and `b` such that "A relation B" holds, clear of `taken`. Raises Crowded.

    left of, right of   side by side, as far apart as the layout says, vertical centres within 0.3 of the smaller height
    above, below        likewise, one above the other
    on                  A's lower edge on B's upper one, horizontal centres within a quarter of the smaller width
    next to             as near as the layout says, on the same ground, on either side
    """
    (aw, ah), (bw, bh) = a, b
    for _ in range(60):
        across = int(rng.integers(-(3 * min(ah, bh)) // 10, (3 * min(ah, bh)) // 10 + 1))
        along = int(rng.integers(-(3 * min(aw, bw)) // 10, (3 * min(aw, bw)) // 10 + 1))
        far = int(rng.integers(layout.far[0], layout.far[1] + 1))
        match relation:
            case "left of":
                dx, dy = -far - aw, (bh - ah) // 2 + across
            case "right of":
                dx, dy = bw + far, (bh - ah) // 2 + across
            case "above":
                dx, dy = (bw - aw) // 2 + along, -far - ah
            case "below":
                dx, dy = (bw - aw) // 2 + along, bh + far
            case "on":
                dx, dy = (bw - aw) // 2 + int(along * 0.8), 1 - ah
            case "next to":
                near = int(rng.integers(layout.near[0], layout.near[1] + 1))
                dx, dy = (-near - aw if rng.random() < 0.5 else bw + near), bh - ah
            case _:
                raise ValueError(relation)
        low_x, high_x = MARGIN + max(0, -dx), SIZE - MARGIN - max(bw, dx + aw)
        low_y, high_y = MARGIN + max(0, -dy), SIZE - MARGIN - max(bh, dy + ah)
        if high_x < low_x or high_y < low_y:
            continue
        x, y = int(rng.integers(low_x, high_x + 1)), int(rng.integers(low_y, high_y + 1))
        first, second = Box(x + dx, y + dy, x + dx + aw, y + dy + ah), Box(x, y, x + bw, y + bh)
        if not _touches(first, taken, 4) and not _touches(second, taken, 4):
            return first, second
    raise Crowded


def occlude(rng: np.random.Generator, *, target: Box, size: tuple[int, int], taken: list[Box]) -> Box:
    """A box that hides 15 to 30 per cent of `target` from a random side and touches nothing else. Raises Crowded."""
    width, height = size
    for _ in range(40):
        x, y = (
            int(rng.integers(MARGIN, SIZE - MARGIN - width + 1)),
            int(rng.integers(MARGIN, SIZE - MARGIN - height + 1)),
        )
        box = Box(x, y, x + width, y + height)
        shared = max(0, min(box.x2, target.x2) - max(box.x1, target.x1)) * max(
            0, min(box.y2, target.y2) - max(box.y1, target.y1)
        )
        share = shared / ((target.x2 - target.x1) * (target.y2 - target.y1))
        if 0.15 <= share <= 0.30 and not _touches(box, [other for other in taken if other != target], 2):
            return box
    raise Crowded
