"""The enlargement is torch's bilinear one."""

import numpy as np
import torch

from tipai_jax.render.heatmap import enlarge


def test_enlarge_equals_torch_on_an_uneven_grid():
    risk = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    grid = torch.from_numpy(risk)[None, None]
    theirs = torch.nn.functional.interpolate(grid, size=(61, 224), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(enlarge(risk, (61, 224)), theirs[0, 0].numpy(), atol=1e-6)


def test_a_constant_stays_constant_and_the_same_size_is_the_identity():
    np.testing.assert_allclose(enlarge(np.full((7, 7), 0.3, np.float32), (50, 40)), 0.3, rtol=1e-6)
    risk = np.arange(49, dtype=np.float32).reshape(7, 7)
    np.testing.assert_allclose(enlarge(risk, (7, 7)), risk)
