import jax.numpy as jnp
import numpy as np
from flax import nnx
from twins.heads import DecoderTwin
from twins.parity import assert_module_parity, shaken

from tipai_jax.heads.saliency_head import DecoderSaliency, InterpolateSaliency


def drawn(b=3, n=2, k=9, d=16):
    rng = np.random.default_rng(0)
    return rng.normal(size=(b, n, k)).astype(np.float32), rng.normal(size=(b, n, k, d)).astype(np.float32)


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
