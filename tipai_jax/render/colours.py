"""The one colour map of the project: green where the prompt is kept, yellow where unsure, red where it is broken."""

import numpy as np
from jaxtyping import Float, UInt8

__all__ = ["STOPS", "legend_colours", "risk_colours", "risk_opacity", "shown_risk"]

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


def risk_opacity(risk: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """How far a heatmap hides the image below it, 0 (not at all) to 1; the image's own colours show where it is low.

    Args:
        risk: as it is coloured, 0 to 1. Nothing is drawn up to 0.15, and from 0.6 on everything; between them lies a
            smooth step, which at the threshold (0.5, yellow) has reached 0.87. NaN is opaque.
    """
    step = np.clip((np.nan_to_num(np.asarray(risk, np.float64), nan=1.0) - 0.15) / 0.45, 0.0, 1.0)
    return step * step * (3.0 - 2.0 * step)


def legend_colours(risk: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape 3"]:
    """Colours of risks as a heatmap shows them on white paper: white at no risk, then yellow, then red."""
    opacity = risk_opacity(risk)[..., None]
    return np.rint(255.0 + opacity * (risk_colours(risk) - 255.0)).astype(np.uint8)


def shown_risk(risk: Float[np.ndarray, "*shape"], threshold: float) -> Float[np.ndarray, "*shape"]:
    """Risk as it is coloured: 0 for no risk, 0.5 (yellow) at the threshold, 1 (red) at twice the threshold or at 1.

    A head whose risks are small everywhere still shows what stands out by its own measure, and the same measure holds
    for all images of a run.

    Args:
        risk: 0 to 1.
        threshold: the risk from which a pixel counts as unfaithful.
    """
    top = min(1.0, 2.0 * threshold)
    return np.interp(risk, [0.0, threshold, max(top, threshold + 1e-6)], [0.0, 0.5, 1.0])
