import jax.numpy as jnp
import pytest
from flax import nnx
from twins.build import HIDDEN, D, pooled_twin
from twins.parity import assert_module_parity, embeddings, shaken

from tipai_jax.heads.inputs import InputFeatures
from tipai_jax.heads.reason_head import ReasonHead
from tipai_jax.store import CATEGORIES


@pytest.mark.parametrize("inputs", [InputFeatures(), InputFeatures(products=True)])
def test_agrees_with_the_twin(inputs):
    head = shaken(ReasonHead(D, hidden=HIDDEN, inputs=inputs, rngs=nnx.Rngs(1)))
    assert_module_parity(head, pooled_twin(inputs, 5), embeddings()[:2])


def test_one_logit_for_each_category():
    text, image = (jnp.asarray(x) for x in embeddings()[:2])
    assert ReasonHead(D, rngs=nnx.Rngs(0))(text, image).shape == (3, 2, len(CATEGORIES))
