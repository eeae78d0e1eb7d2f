"""A heatmap laid over the picture it speaks of.

The picture is taken most of its colour and depth first: neither a red apple under a green veil nor black ink under
any veil must look like a risk.
"""

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageEnhance

from tipai_jax.render.heatmap import heatmap

__all__ = ["overlay"]


def overlay(
    picture: Image.Image,
    risk: Float[np.ndarray, "rows columns"],
    *,
    alpha: float = 0.55,
    colour: float = 0.1,
    lift: float = 0.3,
) -> Image.Image:
    """A picture under the heatmap of its risks.

    Args:
        picture: what was judged; any mode, any size.
        risk: one risk a patch, 0 (green) to 1 (red), first row at the top.
        alpha: weight of the heatmap, 0 (the picture alone) to 1 (the heatmap alone).
        colour: share of its own colour that the picture keeps, 0 (grey) to 1.
        lift: how far its shadows are lifted towards white, 0 (not) to 1.

    Returns:
        An RGB picture of the same size.

    Raises:
        ValueError: `alpha`, `colour` or `lift` outside 0..1.
    """
    if not all(0.0 <= share <= 1.0 for share in (alpha, colour, lift)):
        raise ValueError(f"overlay: alpha, colour and lift lie in 0..1, got {alpha}, {colour} and {lift}")
    grey = ImageEnhance.Color(picture.convert("RGB")).enhance(colour)
    base = Image.blend(grey, Image.new("RGB", grey.size, (255, 255, 255)), lift)
    return Image.blend(base, heatmap(risk, (picture.height, picture.width)), alpha)
