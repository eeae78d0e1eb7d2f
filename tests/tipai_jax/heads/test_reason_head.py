import jax.numpy as jnp
import pytest
from flax import nnx
from twins.build import HIDDEN, WIDTH, D, K, pooled_twin
from twins.parity import assert_module_parity, embeddings, shaken

from tipai_jax.heads import ReasonHead, Sees
from tipai_jax.store import CATEGORIES


@pytest.mark.parametrize("sees", [Sees(), Sees(products=True)])
def test_agrees_with_the_twin(sees):
    head = shaken(ReasonHead(D, hidden=HIDDEN, sees=sees, k=K, width=WIDTH, rngs=nnx.Rngs(1)))
    assert_module_parity(head, pooled_twin(sees, 5), embeddings(k=K))


def test_one_logit_for_each_category():
    text, image, patches = (jnp.asarray(x) for x in embeddings())
    assert ReasonHead(D, rngs=nnx.Rngs(0))(text, image, patches).shape == (3, 2, len(CATEGORIES))
