import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from twins import losses as twins
from twins.full_size import dice_loss_full, upsample
from twins.parity import close

from tipai_jax.grids import bilinear_matrix
from tipai_jax.losses import dice_loss, small_ones


def boxes(b, size, seed):
    """Masks of one or two random boxes each, never empty."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((b, *size), np.float32)
    for mask in masks:
        for _ in range(rng.integers(1, 3)):
            top, left = (rng.integers(0, length - 1) for length in size)
            mask[top : top + rng.integers(1, size[0]), left : left + rng.integers(1, size[1])] = 1
    return masks


def shrunk(masks, side):
    rows, columns = (bilinear_matrix(length, side) for length in masks.shape[1:])
    return np.einsum("hr,bhw,wc->brc", rows, masks, columns).reshape(len(masks), -1)


def small_dice(masks, side):
    mask, area, ones = shrunk(masks, side), masks.sum((1, 2)), small_ones(masks.shape[1:], side * side)
    return lambda risk: dice_loss(risk, jnp.asarray(mask), jnp.asarray(area), jnp.asarray(ones))


@pytest.mark.parametrize(("size", "side"), [((224, 224), 7), ((64, 64), 7), ((30, 50), 3)])
def test_the_small_space_is_the_full_resolution(size, side):
    """Value and gradient, against enlarging and summing over HxW, in jax and in torch."""
    b = 40
    masks = boxes(b, size, seed=side)
    risk = np.random.default_rng(1).random((b, side * side), np.float32)
    small = small_dice(masks, side)
    weight = jnp.asarray(np.random.default_rng(2).normal(size=b).astype(np.float32))
    full = lambda r: dice_loss_full(upsample(r, size), jnp.asarray(masks))
    close(small(jnp.asarray(risk)), full(jnp.asarray(risk)), "value")
    ours, reference = (jax.grad(lambda r, f=f: jnp.dot(f(r), weight))(jnp.asarray(risk)) for f in (small, full))
    close(ours, reference, "gradient")
    tensor = torch.tensor(risk, requires_grad=True)
    theirs = twins.saliency(tensor, torch.tensor(masks))
    close(small(jnp.asarray(risk)), theirs.detach(), "value of torch")
    (theirs * torch.tensor(np.asarray(weight))).sum().backward()
    close(ours, tensor.grad, "gradient of torch")


def test_the_number_of_the_plan():
    """A Dice of 0.95 costs 0.05: a mask of 95 pixels inside a heatmap of 105, on a grid as fine as the image."""
    heatmap, mask = (jnp.arange(400) < pixels for pixels in (105, 95))
    ones = jnp.asarray(small_ones((20, 20), 400))
    loss = dice_loss(heatmap[None].astype(float), mask[None].astype(float), jnp.array([95.0]), ones)
    assert float(loss[0]) == pytest.approx(0.05, abs=1e-6)


def test_ends():
    masks = boxes(3, (64, 64), seed=0)
    np.testing.assert_allclose(small_dice(np.ones_like(masks), 7)(jnp.ones((3, 49))), 0.0, atol=1e-6)
    np.testing.assert_allclose(small_dice(masks, 7)(jnp.zeros((3, 49))), 1.0, atol=1e-6)


def test_no_mask_and_no_risk_is_finite_with_its_gradient():
    loss = small_dice(np.zeros((2, 64, 64), np.float32), 7)
    value, gradient = jax.value_and_grad(lambda r: loss(r).sum())(jnp.zeros((2, 49)))
    assert float(value) == 2.0
    assert bool(jnp.isfinite(gradient).all())


def test_small_ones_count_the_pixels():
    assert small_ones((224, 224), 49).sum() == pytest.approx(224 * 224)
