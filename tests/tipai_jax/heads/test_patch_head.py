import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from twins.build import EVERYTHING, HIDDEN, WIDTH, D, K, patch_twin
from twins.parity import assert_module_parity, embeddings, shaken

from tipai_jax.heads import PatchHead, Sees

SEES = [
    Sees(),
    Sees(image=False),
    Sees(text=False),
    Sees(products=True),
    Sees(global_image=True),
    Sees(products=True, global_image=True, position=True, scale_inputs=True),
    EVERYTHING,
]


@pytest.mark.parametrize("sees", SEES)
def test_agrees_with_the_twin(sees):
    head = shaken(PatchHead(D, hidden=HIDDEN, sees=sees, k=K, width=WIDTH, rngs=nnx.Rngs(1)))
    assert_module_parity(head, patch_twin(sees), embeddings(k=K))


def test_the_plan_has_the_parameters_of_the_plan():
    head = PatchHead(768, rngs=nnx.Rngs(0))
    assert [value.shape for _, value in nnx.to_flat_state(nnx.state(head, nnx.Param))] == [
        (256,),
        (1536, 256),
        (1,),
        (256, 1),
    ]


@pytest.mark.parametrize("sees", [Sees(), Sees(products=True), Sees(global_image=True)])
def test_a_patch_alone_does_not_know_its_neighbours(sees):
    text, image, patches = (jnp.asarray(x) for x in embeddings(k=K))
    head = PatchHead(D, sees=sees, k=K, rngs=nnx.Rngs(0))
    changed = head(text, image, patches.at[:, :, 0].multiply(-1.0)) != head(text, image, patches)
    np.testing.assert_array_equal(changed.any((0, 1)), [True] + [False] * (K - 1))


def test_with_attention_every_patch_knows_every_other():
    text, image, patches = (jnp.asarray(x) for x in embeddings(k=K))
    head = PatchHead(D, sees=Sees(attention=True), k=K, rngs=nnx.Rngs(0))
    changed = head(text, image, patches.at[:, :, 0].multiply(-1.0)) != head(text, image, patches)
    assert bool(changed.any((0, 1)).all())


def test_without_position_the_patches_may_be_shuffled():
    text, image, patches = (jnp.asarray(x) for x in embeddings(k=K))
    order = np.random.default_rng(0).permutation(K)
    for sees, same in ((Sees(attention=True), True), (EVERYTHING, False)):
        head = shaken(PatchHead(D, sees=sees, k=K, rngs=nnx.Rngs(0)))
        a, b = head(text, image, patches)[..., order], head(text, image, patches[:, :, order])
        assert bool(jnp.allclose(a, b, atol=1e-5)) is same


def test_text_only_gives_every_patch_the_same_score():
    text, image, patches = (jnp.asarray(x) for x in embeddings(k=K))
    scores = PatchHead(D, sees=Sees(image=False), k=K, rngs=nnx.Rngs(0))(text, image, patches)
    assert scores.shape == (3, 2, K)
    np.testing.assert_array_equal(scores, np.broadcast_to(scores[:, :1, :1], scores.shape))


def test_a_baseline_that_ties_ties_exactly():
    """Computed once a prompt, not once an image: rounding must not decide pairs that a blind head cannot tell apart."""
    text, image, patches = (jnp.asarray(x) for x in embeddings(b=37, k=K))
    scores = jax.jit(PatchHead(D, sees=Sees(image=False), k=K, rngs=nnx.Rngs(0)))(text, image, patches)
    np.testing.assert_array_equal(scores, np.broadcast_to(scores[:, :1, :1], scores.shape))
