"""Sizes of images as they are shown."""

import pytest

from tipai_jax.render.images import fit_size


@pytest.mark.parametrize(
    ("size", "fitted"),
    [((900, 600), (300, 200)), ((60, 90), (200, 300)), ((300, 300), (300, 300)), ((1, 7), (43, 300))],
)
def test_the_longer_side_has_the_length_and_proportions_stay(size, fitted):
    assert fit_size(size, 300) == fitted


@pytest.mark.parametrize(("size", "fitted"), [((4000, 1), (300, 1)), ((1, 4000), (1, 300))])
def test_no_side_is_below_one_pixel(size, fitted):
    assert fit_size(size, 300) == fitted
