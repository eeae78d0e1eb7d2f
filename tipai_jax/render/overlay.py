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

WEIGHT = 0.55
"""Of the heatmap where it is opaque; elsewhere it is multiplied by `risk_opacity`."""
COLOUR = 0.3
"""Share of its own colour that the image keeps under the opaque heatmap, 0 (grey) to 1."""
LIFT = 0.2
"""How far the image's shadows are lifted towards white there, 0 (not) to 1."""


def overlay(image: Image.Image, risk: Float[np.ndarray, "rows columns"]) -> Image.Image:
    """An image under the heatmap of its risks.

    Args:
        image: of any mode and size.
        risk: one risk a patch as it is coloured (`shown_risk`), 0 to 1, first row at the top.

    Returns:
        An RGB image of the same size.
    """
    plain = image.convert("RGB")
    grey = ImageEnhance.Color(plain).enhance(COLOUR)
    pale = Image.blend(grey, Image.new("RGB", grey.size, (255, 255, 255)), LIFT)
    enlarged = enlarge(risk, (image.height, image.width))
    opaque = Image.blend(pale, Image.fromarray(risk_colours(enlarged)), WEIGHT)
    mask = Image.fromarray(np.rint(255.0 * risk_opacity(enlarged)).astype(np.uint8))
    return Image.composite(opaque, plain, mask)
