"""A heatmap laid over its image: opaque where the risk is high, absent where it is low.

So an image keeps its own colours where nothing is wrong. Under the heatmap the image loses part of its colour and depth
first: neither a red apple nor black ink may look like a higher risk.
"""

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageEnhance

from tipai_jax.render.colours import risk_colours, risk_opacity
from tipai_jax.render.heatmap import enlarge

__all__ = ["overlay"]


def overlay(
    image: Image.Image,
    risk: Float[np.ndarray, "rows columns"],
    *,
    alpha: float = 0.55,
    colour: float = 0.3,
    lift: float = 0.2,
) -> Image.Image:
    """An image under the heatmap of its risks.

    Args:
        image: of any mode and size.
        risk: one risk a patch as it is coloured (`shown_risk`), 0 to 1, first row at the top.
        alpha: weight of the heatmap where it is opaque, 0 (the image alone) to 1 (the heatmap alone); elsewhere it is
            multiplied by `risk_opacity`.
        colour: share of its own colour that the image keeps under the opaque heatmap, 0 (grey) to 1.
        lift: how far its shadows are lifted towards white there, 0 (not) to 1.

    Returns:
        An RGB image of the same size.

    Raises:
        ValueError: `alpha`, `colour` or `lift` outside 0..1.
    """
    if not all(0.0 <= share <= 1.0 for share in (alpha, colour, lift)):
        raise ValueError(f"overlay: alpha, colour and lift lie in 0..1, got {alpha}, {colour} and {lift}")
    plain = image.convert("RGB")
    grey = ImageEnhance.Color(plain).enhance(colour)
    pale = Image.blend(grey, Image.new("RGB", grey.size, (255, 255, 255)), lift)
    enlarged = enlarge(risk, (image.height, image.width))
    opaque = Image.blend(pale, Image.fromarray(risk_colours(enlarged)), alpha)
    mask = Image.fromarray(np.rint(255.0 * risk_opacity(enlarged)).astype(np.uint8))
    return Image.composite(opaque, plain, mask)
