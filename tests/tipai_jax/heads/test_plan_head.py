import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from twins.build import HIDDEN, D, K, plan_twin
from twins.parity import assert_module_parity, embeddings, shaken

from tipai_jax.heads.inputs import InputFeatures
from tipai_jax.heads.plan_head import PlanHead

CHOICES = [
    InputFeatures(),
    InputFeatures(image=False),
    InputFeatures(text=False),
    InputFeatures(products=True),
    InputFeatures(products=True, scale_inputs=True),
]


def text_and_patches(**sizes):
    text, _, patches = (jnp.asarray(x) for x in embeddings(k=K, **sizes))
    return text, patches


@pytest.mark.parametrize("outputs", [1, 5])
@pytest.mark.parametrize("inputs", CHOICES)
def test_agrees_with_the_twin(inputs, outputs):
    head = shaken(PlanHead(D, outputs=outputs, hidden=HIDDEN, inputs=inputs, rngs=nnx.Rngs(1)))
    assert_module_parity(head, plan_twin(inputs, outputs), embeddings(k=K)[::2])


def test_the_plan_has_the_parameters_of_the_plan():
    head = PlanHead(768, rngs=nnx.Rngs(0))
    shapes = {path: value.shape for path, value in nnx.to_flat_state(nnx.state(head, nnx.Param))}
    assert shapes == {
        ("joint", "kernel"): (1536, 256),
        ("joint", "bias"): (256,),
        ("score", "kernel"): (256, 1),
        ("score", "bias"): (1,),
    }


def test_a_patch_does_not_know_its_neighbours():
    text, patches = text_and_patches()
    head = PlanHead(D, inputs=InputFeatures(products=True), rngs=nnx.Rngs(0))
    changed = head(text, patches.at[:, :, 0].multiply(-1.0)) != head(text, patches)
    np.testing.assert_array_equal(changed.any((0, 1, 3)), [True] + [False] * (K - 1))


def test_ablations_do_not_read_the_other_half():
    text, patches = text_and_patches()
    text_only = PlanHead(D, inputs=InputFeatures(image=False), rngs=nnx.Rngs(0))
    scores = text_only(text, patches)
    assert scores.shape == (3, 2, K, 1) and len(np.unique(scores[:, 0, 0])) == len(text)
    np.testing.assert_array_equal(scores, text_only(text, patches[::-1] * 2))
    image_only = PlanHead(D, inputs=InputFeatures(text=False), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(image_only(text, patches), image_only(text[::-1] * 2, patches))


def test_a_baseline_that_ties_ties_exactly():
    """Computed once a prompt, not once an image: rounding must not decide pairs that a text-only head cannot tell
    apart.
    """
    text, patches = text_and_patches(b=37)
    scores = jax.jit(PlanHead(D, inputs=InputFeatures(image=False), rngs=nnx.Rngs(0)))(text, patches)
    np.testing.assert_array_equal(scores, np.broadcast_to(scores[:, :1, :1], scores.shape))


def test_half_precision_inputs_are_computed_in_f32():
    text, patches = (x.astype(jnp.float16) for x in text_and_patches())
    head = PlanHead(D, rngs=nnx.Rngs(0))
    scores = head(text, patches)
    assert scores.dtype == jnp.float32
    np.testing.assert_array_equal(scores, head(text.astype(jnp.float32), patches.astype(jnp.float32)))


def test_dropout_drops_in_training_only_and_repeats_with_its_key():
    inputs = text_and_patches()
    head = PlanHead(D, dropout=0.5, rngs=nnx.Rngs(0))
    assert not nnx.to_flat_state(nnx.state(head, nnx.RngState)), "the step must stay a pure function of its key"
    first, again, other = (head(*inputs, rngs=nnx.Rngs(dropout=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    head.eval()
    np.testing.assert_array_equal(head(*inputs), PlanHead(D, rngs=nnx.Rngs(0))(*inputs))


def test_dropout_drops_the_same_in_all_patches_of_an_image():
    text, patches = text_and_patches()
    head = PlanHead(D, dropout=0.5, rngs=nnx.Rngs(0))
    scores = head(text, jnp.broadcast_to(patches[:, :, :1], patches.shape), rngs=nnx.Rngs(dropout=1))
    np.testing.assert_allclose(scores, np.broadcast_to(scores[:, :, :1], scores.shape), atol=1e-6)
