import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from twins.parity import embeddings

from tipai_jax.heads.joint_linear import JointLinear

D = 16


def test_initial_kernel_is_that_of_the_linear_on_the_concatenated_input():
    plain = nnx.Linear(2 * D, 8, rngs=nnx.Rngs(3))
    joint = JointLinear(D, 8, blocks=("text", "image"), rngs=nnx.Rngs(3))
    np.testing.assert_array_equal(joint.kernel[...], plain.kernel[...])
    np.testing.assert_array_equal(joint.bias[...], plain.bias[...])
    assert joint.part("text").shape == (D, 8)


def test_initial_spread_follows_the_whole_fan_in():
    joint = JointLinear(64, 512, blocks=("text", "image"), rngs=nnx.Rngs(0))
    assert float(jnp.std(joint.part("image"))) == pytest.approx(128**-0.5, rel=0.02)


def test_equals_the_linear_on_the_concatenated_input():
    text, _, patches = (jnp.asarray(x) for x in embeddings())
    joint = JointLinear(D, 8, blocks=("text", "image", "text*image"), rngs=nnx.Rngs(0))
    t = jnp.broadcast_to(text[:, None, None], patches.shape)
    concatenated = jnp.concatenate([t, patches, t * patches], axis=-1)
    np.testing.assert_allclose(joint(text, patches), concatenated @ joint.kernel[...] + joint.bias[...], atol=1e-6)


def test_scaled_inputs_start_at_size_one_and_unscaled_ones_near_zero():
    text, _, patches = (jnp.asarray(x) for x in embeddings(b=8, d=256))
    build = lambda scaled: JointLinear(
        256, 64, blocks=("text", "image", "text*image"), scale_inputs=scaled, rngs=nnx.Rngs(0)
    )
    sizes = [float(jnp.std(build(scaled)(text, patches))) for scaled in (False, True)]
    assert sizes[0] < 0.1
    assert 0.7 < sizes[1] < 1.3


def test_a_block_it_does_not_see_is_a_defect_not_a_silent_zero():
    joint = JointLinear(D, 8, blocks=("text",), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="tuple"):
        joint.part("image")
