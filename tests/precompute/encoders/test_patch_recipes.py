import pytest
import torch

from precompute.encoders.patch_recipes import area_matrix, cut_crops, cut_tiles, merge_tiles, reduce_grid
from tipai_jax.errors import UserError


def test_sixteen_cells_to_seven_by_hand():
    matrix = area_matrix(16, 7)
    # a target cell is 16/7 wide: the first takes two whole cells and 2/7 of the third, the last mirrors it
    torch.testing.assert_close(matrix[0], torch.tensor([7, 7, 2] + [0] * 13) / 16)
    torch.testing.assert_close(matrix[6], matrix[0].flip(0))
    torch.testing.assert_close(matrix[1], torch.tensor([0, 0, 5, 7, 4] + [0] * 11) / 16)
    torch.testing.assert_close(matrix.sum(1), torch.ones(7))
    torch.testing.assert_close(matrix.sum(0), torch.full((16,), 7 / 16))


def test_seven_to_seven_is_the_identity():
    torch.testing.assert_close(area_matrix(7, 7), torch.eye(7))
    tokens = torch.randn(2, 49, 3)
    assert reduce_grid(tokens, 7) is tokens


def test_reduction_of_a_grid_is_the_area_mean():
    # 14 x 14 to 7 x 7 is the plain mean of two by two
    tokens = torch.randn(2, 14, 14, 3)
    mean = torch.nn.functional.avg_pool2d(tokens.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1).reshape(2, 49, 3)
    torch.testing.assert_close(reduce_grid(tokens.reshape(2, 196, 3), 7), mean)
    # rows stay rows: an image that is 1 in its upper half
    half = torch.zeros(1, 16, 16, 1)
    half[:, :8] = 1
    reduced = reduce_grid(half.reshape(1, 256, 1), 7).reshape(7, 7)
    torch.testing.assert_close(reduced[:, 0], torch.tensor([1, 1, 1, 0.5, 0, 0, 0]))
    with pytest.raises(UserError, match="a square grid of patches is needed"):
        reduce_grid(torch.zeros(1, 50, 3), 7)


def test_crops_are_cut_row_by_row():
    images = torch.zeros(2, 3, 28, 28)
    for i in range(7):
        for j in range(7):
            images[1, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = 7 * i + j
    crops = cut_crops(images, cells=7, size=9)
    assert crops.shape == (98, 3, 9, 9)
    torch.testing.assert_close(crops[49:, 0, 4, 4], torch.arange(49.0))
    assert (crops[:49] == 0).all()


def test_a_crop_equals_the_cut_and_resize_of_one():
    images = torch.randint(0, 256, (3, 3, 56, 56)).float()
    crops = cut_crops(images, cells=7, size=20)
    alone = images[1:2, :, 8:16, 40:48]
    alone = torch.nn.functional.interpolate(alone, size=(20, 20), mode="bicubic", antialias=True).clamp(0, 255)
    torch.testing.assert_close(crops[49 + 7 + 5], alone[0])
    with pytest.raises(ValueError, match="equal parts"):
        cut_crops(images, cells=5, size=20)


def test_tiles_lie_in_the_four_corners():
    detail = torch.rand(2, 3, 14, 14) * 255
    tiles = cut_tiles(detail, cells=7, span=5)
    assert tiles.shape == (8, 3, 10, 10)
    torch.testing.assert_close(tiles[0], detail[0, :, :10, :10])
    torch.testing.assert_close(tiles[1], detail[0, :, :10, 4:])
    torch.testing.assert_close(tiles[6], detail[1, :, 4:, :10])
    with pytest.raises(ValueError, match="cannot be cut into 7"):
        cut_tiles(torch.rand(1, 3, 15, 15), cells=7, span=5)


def test_merged_tiles_are_back_in_their_places():
    """A grid that encodes its places alone comes back unchanged: tiles agree where they overlap."""
    grid = torch.arange(49.0).reshape(1, 7, 7, 1)
    parts = [grid[:, y : y + 5, x : x + 5].reshape(1, 25, 1) for y in (0, 2) for x in (0, 2)]
    torch.testing.assert_close(merge_tiles(torch.cat(parts), cells=7, span=5), grid.reshape(1, 49, 1))
    marked = torch.zeros(4, 25, 1)
    marked[0] = 1  # 1 in the first tile, 0 in the others
    found = merge_tiles(marked, cells=7, span=5).reshape(7, 7)
    assert found[0].tolist() == [1, 1, 0.5, 0.5, 0.5, 0, 0] and found[3, 3] == 0.25 and found[6].sum() == 0
