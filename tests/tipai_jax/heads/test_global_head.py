import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from twins.build import HIDDEN, D, pooled_twin
from twins.parity import assert_module_parity, embeddings, shaken

from tipai_jax.heads.global_head import GlobalHead
from tipai_jax.heads.inputs import InputFeatures

CHOICES = [
    InputFeatures(),
    InputFeatures(image=False),
    InputFeatures(text=False),
    InputFeatures(products=True),
    InputFeatures(products=True, scale_inputs=True),
]


@pytest.mark.parametrize("inputs", CHOICES)
def test_agrees_with_the_twin(inputs):
    head = shaken(GlobalHead(D, hidden=HIDDEN, inputs=inputs, rngs=nnx.Rngs(1)))
    assert_module_parity(head, pooled_twin(inputs, 1), embeddings()[:2])


def test_the_plan_has_the_parameters_of_the_plan():
    head = GlobalHead(768, rngs=nnx.Rngs(0))
    shapes = {path: value.shape for path, value in nnx.to_flat_state(nnx.state(head, nnx.Param))}
    assert shapes == {
        ("joint", "kernel"): (1536, 256),
        ("joint", "bias"): (256,),
        ("score", "kernel"): (256, 1),
        ("score", "bias"): (1,),
    }


def test_ablations_do_not_read_the_other_half():
    text, image = (jnp.asarray(x) for x in embeddings()[:2])
    text_only = GlobalHead(D, inputs=InputFeatures(image=False), rngs=nnx.Rngs(0))
    scores = text_only(text, image)
    np.testing.assert_array_equal(scores[:, 0], scores[:, 1])
    np.testing.assert_array_equal(scores, text_only(text, image[::-1] * 2))
    assert len(np.unique(scores[:, 0])) == len(text)
    image_only = GlobalHead(D, inputs=InputFeatures(text=False), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(image_only(text, image), image_only(text[::-1] * 2, image))


def test_half_precision_inputs_are_computed_in_f32():
    text, image = (jnp.asarray(x).astype(jnp.float16) for x in embeddings()[:2])
    head = GlobalHead(D, rngs=nnx.Rngs(0))
    scores = head(text, image)
    assert scores.dtype == jnp.float32
    np.testing.assert_array_equal(scores, head(*(x.astype(jnp.float32) for x in (text, image))))


def test_dropout_drops_in_training_only_and_repeats_with_its_key():
    inputs = [jnp.asarray(x) for x in embeddings()[:2]]
    head = GlobalHead(D, dropout=0.5, rngs=nnx.Rngs(0))
    assert not nnx.to_flat_state(nnx.state(head, nnx.RngState)), "the step must stay a pure function of its key"
    first, again, other = (head(*inputs, rngs=nnx.Rngs(dropout=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    head.eval()
    np.testing.assert_array_equal(head(*inputs), GlobalHead(D, rngs=nnx.Rngs(0))(*inputs))
