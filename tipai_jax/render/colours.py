"""The one colour map of the project: green where the prompt is kept, yellow where unsure, red where it is broken."""

import numpy as np
from jaxtyping import Float, UInt8

__all__ = ["STOPS", "risk_colours", "shown_risk"]

#: Risk and its colour, from faithful to unfaithful; straight lines in sRGB between them.
STOPS = (
    (0.0, (0, 140, 72)),
    (0.25, (122, 196, 92)),
    (0.5, (255, 233, 92)),
    (0.75, (245, 130, 48)),
    (1.0, (208, 18, 28)),
)


def risk_colours(risk: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape 3"]:
    """Colours of risks.

    Args:
        risk: 0 (faithful, green) to 1 (unfaithful, red); values outside are clipped, NaN is drawn grey.

    Returns:
        sRGB bytes, one triple a value.
    """
    known = np.nan_to_num(np.asarray(risk, np.float64), nan=0.0).clip(0.0, 1.0)
    places = [place for place, _ in STOPS]
    channels = [np.interp(known, places, [colour[c] for _, colour in STOPS]) for c in range(3)]
    colours = np.stack(channels, axis=-1)
    colours[np.isnan(risk)] = 128.0
    return np.rint(colours).astype(np.uint8)


def shown_risk(risk: Float[np.ndarray, "*shape"], threshold: float) -> Float[np.ndarray, "*shape"]:
    """Risk as it is coloured: the threshold is yellow, no risk green, twice the threshold (or certainty) red.

    A head whose risks are small everywhere still shows what stands out by its own measure, and the same measure holds
    for all sheets of a run.

    Args:
        risk: 0 to 1.
        threshold: the risk from which a pixel counts as unfaithful.
    """
    top = min(1.0, 2.0 * threshold)
    return np.interp(risk, [0.0, threshold, max(top, threshold + 1e-6)], [0.0, 0.5, 1.0])
