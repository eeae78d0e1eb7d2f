import jax.numpy as jnp
import numpy as np
import torch
from twins import losses as twins
from twins.parity import assert_function_parity

from tipai_jax.losses import reason_loss


def test_each_category_is_a_question_of_its_own():
    category = jnp.array([[1, 0, 1, -1, 0]], jnp.int8)
    loss = reason_loss(jnp.zeros((1, 5)), category)
    np.testing.assert_allclose(loss, np.log(2) * np.array([[1, 1, 1, 0, 1]]), rtol=1e-6)


def test_agrees_with_the_twin():
    rng = np.random.default_rng(0)
    category = rng.integers(-1, 2, size=(7, 5)).astype(np.int8)
    logits = rng.normal(size=(7, 5)).astype(np.float32)
    assert_function_parity(
        lambda x: reason_loss(x, jnp.asarray(category)),
        lambda x: twins.faithfulness(x, torch.tensor(category)),
        (logits,),
    )
