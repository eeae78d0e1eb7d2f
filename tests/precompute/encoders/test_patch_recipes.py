import pytest
import torch

from precompute.encoders.patch_recipes import area_matrix, cut_crops, reduce_grid


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
    # rows stay rows: a picture that is 1 in its upper half
    half = torch.zeros(1, 16, 16, 1)
    half[:, :8] = 1
    reduced = reduce_grid(half.reshape(1, 256, 1), 7).reshape(7, 7)
    torch.testing.assert_close(reduced[:, 0], torch.tensor([1, 1, 1, 0.5, 0, 0, 0]))
    with pytest.raises(ValueError, match="no square grid"):
        reduce_grid(torch.zeros(1, 50, 3), 7)


def test_crops_are_cut_row_by_row():
    picture = torch.zeros(2, 3, 28, 28)
    for i in range(7):
        for j in range(7):
            picture[1, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = 7 * i + j
    crops = cut_crops(picture, cells=7, size=9)
    assert crops.shape == (98, 3, 9, 9)
    torch.testing.assert_close(crops[49:, 0, 4, 4], torch.arange(49.0))
    assert (crops[:49] == 0).all()


def test_a_crop_equals_the_cut_and_resize_of_one():
    picture = torch.randint(0, 256, (3, 3, 56, 56)).float()
    crops = cut_crops(picture, cells=7, size=20)
    alone = picture[1:2, :, 8:16, 40:48]
    alone = torch.nn.functional.interpolate(alone, size=(20, 20), mode="bicubic", antialias=True).clamp(0, 255)
    torch.testing.assert_close(crops[49 + 7 + 5], alone[0])
    with pytest.raises(ValueError, match="equal parts"):
        cut_crops(picture, cells=5, size=20)
