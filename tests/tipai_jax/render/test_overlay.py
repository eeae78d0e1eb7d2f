"""Where the risk is high the heatmap covers the image, where it is low the image keeps its colours."""

import numpy as np
import pytest
from PIL import Image

from tipai_jax.render.colours import risk_colours
from tipai_jax.render.overlay import LIFT, WEIGHT, overlay

RISK = np.zeros((7, 7), np.float32)
RISK[3, 3] = 1.0
COLOURS = [(220, 20, 20), (10, 10, 10), (250, 250, 250), (20, 160, 40), (30, 60, 220)]


def redness(image):
    pixels = np.asarray(image).astype(int)
    return pixels[..., 0] - pixels[..., 1]


@pytest.mark.parametrize("colour", COLOURS)
def test_without_risk_an_image_keeps_its_colours(colour):
    """What an attribute error is about has to be seen; up to a shown risk of 0.15 nothing is drawn at all."""
    image = Image.new("RGB", (70, 70), colour)
    drawn = np.asarray(overlay(image, RISK))
    assert (drawn[:20] == colour).all() and (drawn[:, -20:] == colour).all()
    faint = np.full((7, 7), 0.15, np.float32)
    assert overlay(image, faint).tobytes() == image.tobytes()
    assert overlay(image, faint + 0.15).tobytes() != image.tobytes()


@pytest.mark.parametrize("colour", COLOURS)
def test_under_the_heatmap_a_higher_risk_is_redder_whatever_colour_is_below(colour):
    """From the threshold on, where the heatmap is opaque, an image's own colour does not make a risk."""
    drawn = [redness(overlay(Image.new("RGB", (9, 9), colour), np.full((1, 1), r, np.float32))) for r in (0.5, 0.75, 1)]
    assert drawn[0][4, 4] + 20 < drawn[1][4, 4] < drawn[2][4, 4] - 5 and drawn[2][4, 4] > 60
    least = min(redness(overlay(Image.new("RGB", (9, 9), each), np.ones((1, 1), np.float32)))[4, 4] for each in COLOURS)
    most = max(
        redness(overlay(Image.new("RGB", (9, 9), each), np.full((1, 1), 0.5, np.float32)))[4, 4] for each in COLOURS
    )
    assert least > most - 5, "the least red of certain risk against the reddest of the threshold"


def test_opacity_follows_the_risk():
    """Over mid-grey, the distance from the image rises with the risk until the heatmap is opaque."""
    image = Image.new("RGB", (9, 9), (128, 128, 128))
    distance = []
    for risk in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6):
        drawn = np.asarray(overlay(image, np.full((1, 1), risk, np.float32))).astype(int)[4, 4]
        distance.append(np.abs(drawn - 128).sum())
    assert distance[0] == 0 and (np.diff(distance) > 0).all() and distance[-1] > 100


def test_no_risk_leaves_the_image_as_it_is_and_full_risk_is_mostly_red():
    image = Image.effect_noise((40, 30), 60).convert("L")
    before = np.asarray(image).copy()
    bare = overlay(image, np.zeros((7, 7), np.float32))
    assert bare.tobytes() == image.convert("RGB").tobytes() and bare.size == (40, 30)
    hot = np.asarray(overlay(image, np.ones((7, 7), np.float32))).astype(float)
    pale = before[..., None] + LIFT * (255 - before[..., None])
    expected = (1 - WEIGHT) * pale + WEIGHT * risk_colours(np.array(1.0))
    np.testing.assert_allclose(hot, expected, atol=2)
    np.testing.assert_array_equal(np.asarray(image), before)


def test_height_and_width_are_not_exchanged():
    risk = np.zeros((7, 7), np.float32)
    risk[0, 6] = 1.0  # top right
    drawn = redness(overlay(Image.new("RGB", (60, 30), (128, 128, 128)), risk))
    assert drawn[0, 59] > 60 and drawn[29, 0] == 0
