import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from twins.build import EVERYTHING, HEADS, WIDTH, D, K, evidence_twin
from twins.heads import PoolTwin
from twins.parity import assert_module_parity, embeddings, shaken

from tipai_jax.errors import UserError
from tipai_jax.heads import Evidence, EvidencePool, Sees
from tipai_jax.heads.evidence import grid_offsets


@pytest.mark.parametrize("sees", [Sees(attention=True), EVERYTHING])
def test_trunk_agrees_with_the_twin(sees):
    trunk = shaken(Evidence(D, k=K, width=WIDTH, heads=HEADS, sees=sees, rngs=nnx.Rngs(1)))
    assert_module_parity(trunk, evidence_twin(sees), embeddings(k=K))


@pytest.mark.parametrize("sees", [Sees(attention=True), EVERYTHING])
def test_pool_agrees_with_the_twin(sees):
    pool = shaken(EvidencePool(D, width=WIDTH, heads=HEADS, sees=sees, rngs=nnx.Rngs(1)))
    text = embeddings()[0]
    tokens = np.random.default_rng(0).normal(size=(3, 2, K, WIDTH)).astype(np.float32)
    assert_module_parity(pool, PoolTwin(D, WIDTH, HEADS, True, sees.scale_inputs), (text, tokens))


def test_pool_of_equal_tokens_is_that_token():
    pool = EvidencePool(D, width=WIDTH, heads=HEADS, sees=Sees(attention=True), rngs=nnx.Rngs(0))
    token = np.random.default_rng(0).normal(size=WIDTH).astype(np.float32)
    pooled = pool(jnp.asarray(embeddings()[0]), jnp.broadcast_to(token, (3, 2, K, WIDTH)))
    np.testing.assert_allclose(pooled, np.broadcast_to(np.tile(token, HEADS), pooled.shape), rtol=1e-5)


def test_offsets_of_a_grid_are_numbered_by_row_and_column():
    offsets = grid_offsets(9)
    assert offsets[0, 0] == offsets[4, 4] == offsets[8, 8] == 12  # the same cell: offset (0, 0) in the middle of 5x5
    assert offsets[0, 1] == offsets[7, 8] == 11  # one to the left
    assert offsets[3, 0] == offsets[8, 5] == 17  # one row below
    assert len(np.unique(offsets)) == 25


def test_impossible_shapes_are_refused():
    with pytest.raises(UserError, match="square"):
        Evidence(D, k=10, sees=Sees(attention=True, position=True), rngs=nnx.Rngs(0))
    with pytest.raises(UserError, match="multiple"):
        Evidence(D, width=30, heads=4, sees=Sees(attention=True), rngs=nnx.Rngs(0))


def test_dropout_is_shared_by_the_patches_of_an_image_and_repeats_with_its_key():
    trunk = Evidence(D, k=K, width=WIDTH, sees=Sees(attention=True), dropout=0.5, rngs=nnx.Rngs(0))
    inputs = [jnp.asarray(x) for x in embeddings(k=K)]
    first, again, other = (trunk(*inputs, rngs=nnx.Rngs(dropout=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    same = [jnp.broadcast_to(x[:, :, :1], x.shape) if x.ndim == 4 else x for x in inputs]
    tokens = trunk(*same, rngs=nnx.Rngs(dropout=1))
    np.testing.assert_allclose(tokens, jnp.broadcast_to(tokens[:, :, :1], tokens.shape), atol=1e-5)
    trunk.eval()
    np.testing.assert_array_equal(
        trunk(*inputs), Evidence(D, k=K, width=WIDTH, sees=Sees(attention=True), rngs=nnx.Rngs(0))(*inputs)
    )
