import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from twins.heads import DecoderTwin
from twins.parity import assert_module_parity, shaken

from tipai_jax.errors import UserError
from tipai_jax.heads import DecoderSaliency, InterpolateSaliency, upsample
from tipai_jax.heads.saliency_head import bilinear_matrix
from tipai_jax.store.masks import upsample_matrix


def drawn(b=3, n=2, k=9, d=16):
    rng = np.random.default_rng(0)
    return rng.normal(size=(b, n, k)).astype(np.float32), rng.normal(size=(b, n, k, d)).astype(np.float32)


@pytest.mark.parametrize("size", [(224, 224), (16, 30), (7, 7), (5, 5), (50, 3)])
@pytest.mark.parametrize("side", [1, 3, 7])
def test_upsampling_is_torchs_bilinear(size, side):
    risk = np.random.default_rng(0).random((2, 3, side * side), np.float32)
    wanted = torch.nn.functional.interpolate(
        torch.tensor(risk).reshape(2, 3, side, side), size=size, mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(upsample(jnp.asarray(risk), size), wanted.numpy(), atol=1e-6)


def test_the_store_enlarges_with_the_same_matrix():
    np.testing.assert_allclose(bilinear_matrix(224, 7), upsample_matrix(224, 7), atol=1e-6)


def test_a_grid_that_is_not_square_is_refused():
    with pytest.raises(UserError, match="square"):
        upsample(jnp.zeros((1, 10)), (20, 20))


def test_interpolating_risk_is_one_minus_the_score():
    logit, features = drawn()
    assert not nnx.to_flat_state(nnx.state(InterpolateSaliency(), nnx.Param))
    risk = InterpolateSaliency()(jnp.asarray(logit), jnp.asarray(features))
    np.testing.assert_allclose(risk, 1 - 1 / (1 + np.exp(-logit)), atol=1e-6)


def test_an_untrained_decoder_is_the_interpolating_head():
    logit, features = (jnp.asarray(x) for x in drawn())
    np.testing.assert_array_equal(
        DecoderSaliency(16, rngs=nnx.Rngs(0))(logit, features), InterpolateSaliency()(logit, features)
    )


def test_decoder_agrees_with_a_convolution():
    head = shaken(DecoderSaliency(16, channels=4, hidden=8, rngs=nnx.Rngs(0)))
    head.correct.kernel[...] = jnp.linspace(-1.0, 1.0, 8)[:, None]
    assert_module_parity(head, DecoderTwin(16, 4, 8), drawn())
