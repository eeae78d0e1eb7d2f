"""The colours of things: ten names, each in six palettes, and how near two colours are to the eye.

Palettes vary hue, lightness and saturation only as far as a person would still use the same name; a test holds every
colour of every palette nearer, in CIELAB, to its own name than to any other.
"""

import numpy as np

from precompute.world.vocabulary import COLOURS

_NAMES = tuple(COLOURS)


def _palette(*rows: tuple[int, int, int]) -> dict[str, tuple[int, int, int]]:
    return dict(zip(_NAMES, rows, strict=True))


PALETTES: dict[str, dict[str, tuple[int, int, int]]] = {
    "plain": COLOURS,
    "pastel": _palette(
        (226, 84, 78),
        (250, 165, 84),
        (250, 226, 118),
        (112, 190, 116),
        (98, 142, 232),
        (160, 100, 205),
        (250, 172, 206),
        (150, 106, 72),
        (66, 66, 72),
        (246, 246, 244),
    ),
    "vivid": _palette(
        (235, 15, 25),
        (255, 128, 0),
        (255, 222, 0),
        (0, 168, 50),
        (10, 80, 245),
        (140, 20, 200),
        (255, 105, 180),
        (130, 70, 20),
        (20, 20, 24),
        (255, 255, 255),
    ),
    "dark": _palette(
        (172, 20, 28),
        (226, 118, 14),
        (230, 192, 30),
        (25, 112, 46),
        (26, 58, 160),
        (98, 32, 134),
        (228, 110, 160),
        (92, 56, 30),
        (28, 28, 30),
        (222, 222, 218),
    ),
    "muted": _palette(
        (190, 62, 58),
        (218, 142, 70),
        (226, 202, 96),
        (92, 148, 92),
        (74, 106, 180),
        (122, 78, 152),
        (224, 150, 184),
        (120, 88, 62),
        (55, 55, 58),
        (232, 230, 225),
    ),
    "cool": _palette(
        (206, 24, 58),
        (246, 128, 44),
        (246, 226, 66),
        (38, 156, 102),
        (38, 122, 226),
        (112, 58, 192),
        (240, 126, 200),
        (108, 78, 56),
        (40, 46, 56),
        (236, 242, 246),
    ),
}


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of sRGB colours from 0 to 255, f64[..., 3], by the formulas of IEC 61966-2-1 and CIE 15."""
    value = np.asarray(rgb, np.float64) / 255
    linear = np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / np.array([0.9505, 1.0, 1.089])
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack(
        [116 * root[..., 1] - 16, 500 * (root[..., 0] - root[..., 1]), 200 * (root[..., 1] - root[..., 2])], -1
    )


_NAMED_LAB = to_lab(np.array(list(COLOURS.values())))


def name_of(rgb: np.ndarray) -> tuple[str, float]:
    """The name of the nearest plain colour in CIELAB, and by how much nearer it is than the second."""
    distance = np.linalg.norm(_NAMED_LAB - to_lab(rgb), axis=-1)
    first, second = np.argsort(distance)[:2]
    return _NAMES[first], float(distance[second] - distance[first])
