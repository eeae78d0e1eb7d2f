"""The square grid of patches and its bilinear enlargement to pixels: the one definition that everything shares."""

import math

import numpy as np
from jaxtyping import Float

from tipai_jax.errors import UserError

__all__ = ["bilinear_matrix", "grid_side"]


def bilinear_matrix(size: int, cells: int) -> Float[np.ndarray, "size cells"]:
    """Matrix of the bilinear enlargement of one axis, half-pixel centres, edges clamped.

    Equal to `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)` along that axis: output pixel p
    reads the source at (p + 0.5) * cells / size - 0.5.

    Args:
        size: pixels of the enlarged axis.
        cells: cells of the small axis.

    Returns:
        f32[size, cells]; each row sums to 1.
    """
    if size < 1 or cells < 1:
        raise ValueError(f"size and cells must be at least 1, got {size} and {cells}")
    source = np.maximum((np.arange(size) + 0.5) * cells / size - 0.5, 0.0)
    low = np.minimum(np.floor(source).astype(int), cells - 1)
    high = np.minimum(low + 1, cells - 1)
    weight = source - low
    matrix = np.zeros((size, cells))
    np.add.at(matrix, (np.arange(size), low), 1.0 - weight)
    np.add.at(matrix, (np.arange(size), high), weight)
    return matrix.astype(np.float32)


def grid_side(k: int) -> int:
    """The side of the square grid that k patches form.

    Raises:
        UserError: k is not a square number.
    """
    side = math.isqrt(k)
    if side * side != k:
        raise UserError(f"a square grid of patches is needed here, but this store has {k} patches an image")
    return side
