"""The enlargement is torch's bilinear one, and its picture has the colours of the enlarged values."""

import numpy as np
import torch

from tipai_jax.render.colours import risk_colours
from tipai_jax.render.heatmap import enlarge, heatmap


def test_enlarge_equals_torch_on_an_uneven_grid():
    risk = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(risk)[None, None], size=(61, 224), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(enlarge(risk, (61, 224)), theirs[0, 0].numpy(), atol=1e-6)


def test_a_constant_stays_constant_and_the_same_size_is_the_identity():
    np.testing.assert_allclose(enlarge(np.full((7, 7), 0.3, np.float32), (50, 40)), 0.3, rtol=1e-6)
    risk = np.arange(49, dtype=np.float32).reshape(7, 7)
    np.testing.assert_allclose(enlarge(risk, (7, 7)), risk)


def test_heatmap_size_is_height_then_width():
    risk = np.zeros((7, 7), np.float32)
    risk[0, 6] = 1.0  # top right
    picture = heatmap(risk, (30, 60))
    assert picture.size == (60, 30)
    pixels = np.asarray(picture)
    assert pixels[0, 59].tolist() == risk_colours(np.array(1.0)).tolist()
    assert pixels[29, 0].tolist() == risk_colours(np.array(0.0)).tolist()
