import numpy as np
import pytest
import torch

from tipai_jax.errors import UserError
from tipai_jax.grids import bilinear_matrix, grid_side


@pytest.mark.parametrize("size", [(224, 224), (16, 30), (7, 7), (5, 5), (50, 3)])
@pytest.mark.parametrize("side", [1, 3, 7, 14])
def test_the_enlargement_is_torchs_bilinear(size, side):
    grid = np.random.default_rng(0).random((side, side), np.float32)
    wanted = torch.nn.functional.interpolate(torch.tensor(grid)[None, None], size=size, mode="bilinear")[0, 0]
    rows, columns = (bilinear_matrix(length, side) for length in size)
    np.testing.assert_allclose(rows @ grid @ columns.T, wanted.numpy(), atol=1e-6)


def test_a_grid_that_is_not_square_is_refused():
    assert grid_side(49) == 7
    with pytest.raises(UserError, match="10 patches"):
        grid_side(10)


def test_an_empty_axis_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        bilinear_matrix(0, 7)
