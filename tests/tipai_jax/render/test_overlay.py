"""The veil is over the picture, the risk is redder than the rest, whatever colour the picture had."""

import numpy as np
import pytest
from PIL import Image

from tipai_jax.render.heatmap import heatmap
from tipai_jax.render.overlay import overlay

RISK = np.zeros((7, 7), np.float32)
RISK[3, 3] = 1.0


def redness(picture):
    pixels = np.asarray(picture).astype(int)
    return pixels[..., 0] - pixels[..., 1]


@pytest.mark.parametrize("colour", [(220, 20, 20), (10, 10, 10), (250, 250, 250), (20, 160, 40)])
def test_the_risk_is_the_reddest_place_even_on_a_red_picture(colour):
    drawn = redness(overlay(Image.new("RGB", (70, 70), colour), RISK))
    assert np.unravel_index(drawn.argmax(), drawn.shape) in [(row, column) for row in (34, 35) for column in (34, 35)]
    assert drawn[35, 35] > 40 > 0 > drawn[0, 0]


def test_the_ends_of_alpha_and_the_picture_itself_is_left_alone():
    picture = Image.effect_noise((40, 30), 60).convert("L")
    before = np.asarray(picture).copy()
    assert overlay(picture, RISK, alpha=1.0).tobytes() == heatmap(RISK, (30, 40)).tobytes()
    bare = overlay(picture, RISK, alpha=0.0, colour=1.0, lift=0.0)
    assert bare.tobytes() == picture.convert("RGB").tobytes()
    np.testing.assert_array_equal(np.asarray(picture), before)


def test_shares_outside_are_refused():
    with pytest.raises(ValueError, match="alpha, colour and lift"):
        overlay(Image.new("RGB", (4, 4)), RISK, alpha=1.5)
