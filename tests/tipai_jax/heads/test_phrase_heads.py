import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from twins.parity import assert_module_parity, shaken
from twins.parity import embeddings as numpy_embeddings
from twins.phrase_heads import PhraseTwin

from tipai_jax.errors import UserError
from tipai_jax.heads.phrase_heads import PhraseHeads, Phrases

D, K, WIDTH, B, P = 16, 9, 8, 3, 8


def embeddings(*, k: int = K, seed: int = 0) -> list[jax.Array]:
    return [jnp.asarray(x) for x in numpy_embeddings(b=B, k=k, d=D, seed=seed)]


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    x = rng.normal(size=shape).astype(np.float32)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def some_phrases(counts=(3, 1, 8), seed: int = 1) -> Phrases:
    """Prompts of so many phrases; a relation at place 1 connects the places 0 and 2 where there are three or more."""
    rng = np.random.default_rng(seed)
    present = np.arange(P) < np.array(counts)[:, None]
    relation = (np.arange(P) == 1) & (np.array(counts)[:, None] > 2)
    return Phrases(
        text=unit(rng, B, P, D),
        bare=unit(rng, B, P, D),
        kind=np.where(relation, 3, rng.integers(0, 7, (B, P))).astype(np.int8),
        count=rng.integers(1, 7, (B, P)).astype(np.int8),
        subject=np.where(relation, 0, -1).astype(np.int8),
        object=np.where(relation, 2, -1).astype(np.int8),
        present=present,
    )


def flat(phrases: Phrases) -> tuple[np.ndarray, ...]:
    return tuple(getattr(phrases, field.name) for field in dataclasses.fields(phrases))


class Unpacked(nnx.Module):
    """The heads with the phrases as plain arguments, and without what stands at places that hold none."""

    def __init__(self, heads: PhraseHeads) -> None:
        self.heads = heads

    def __call__(self, text, image, patches, *phrases):
        out = self.heads(text, image, patches, Phrases(*phrases))
        return dataclasses.replace(out, phrase_logit=jnp.where(phrases[-1][:, None], out.phrase_logit, 0.0))


class TwinOfUnpacked(PhraseTwin):
    """Under the names that `Unpacked` gives the parameters."""

    def named_parameters(self, *args, **kwargs):
        return ((f"heads.{name}", value) for name, value in super().named_parameters(*args, **kwargs))

    def load_state_dict(self, state, **kwargs):
        return super().load_state_dict({name.removeprefix("heads."): value for name, value in state.items()}, **kwargs)


def test_agrees_with_the_twin():
    heads = shaken(PhraseHeads(D, k=K, width=WIDTH, rngs=nnx.Rngs(0)), size=0.5)
    inputs = (*numpy_embeddings(b=B, k=K, d=D), *flat(some_phrases()))
    assert_module_parity(Unpacked(heads), TwinOfUnpacked(D, K, WIDTH), inputs)


def test_untrained_heads_are_zero_shot_clip():
    text, image, patches = embeddings()
    out = PhraseHeads(D, k=K, width=WIDTH, rngs=nnx.Rngs(0))(text, image, patches, some_phrases())
    np.testing.assert_allclose(out.global_logit, 20.0 * np.einsum("bd,bnd->bn", text, image), atol=2e-6)
    assert not np.any(out.patch_logit) and not np.any(out.phrase_logit) and np.all(out.risk == 0.5)


@pytest.mark.parametrize("k", [4, 9, 196])
def test_any_grid_and_any_number_of_phrases(k):
    heads = shaken(PhraseHeads(D, k=k, width=WIDTH, rngs=nnx.Rngs(0)))
    for counts in ((1, 2, 3), (8, 8, 8), (0, 1, 0)):
        out = heads(*embeddings(k=k), some_phrases(counts))
        assert out.patch_logit.shape == (B, 2, k) and out.phrase_logit.shape == (B, 2, P)
        assert all(bool(jnp.isfinite(each).all()) for each in jax.tree.leaves(out))


def test_what_stands_at_a_place_without_a_phrase_counts_nowhere():
    heads = shaken(PhraseHeads(D, k=K, width=WIDTH, rngs=nnx.Rngs(0)))
    phrases, other = some_phrases(), some_phrases(seed=2)
    mixed = Phrases(
        *(
            np.where(phrases.present.reshape(B, P, *[1] * (mine.ndim - 2)), mine, theirs)
            for mine, theirs in zip(flat(phrases)[:-1], flat(other)[:-1])
        ),
        present=phrases.present,
    )
    for one, two in zip(
        jax.tree.leaves(heads(*embeddings(), phrases)),
        jax.tree.leaves(heads(*embeddings(), mixed)),
    ):
        one, two = np.asarray(one), np.asarray(two)
        if one.shape == (B, 2, P):
            one, two = one * phrases.present[:, None], two * phrases.present[:, None]
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("reads", "hidden"), [("image", "prompt"), ("prompt", "image")])
def test_the_matched_ablations_read_one_side_only(reads, hidden):
    heads = shaken(PhraseHeads(D, k=K, width=WIDTH, reads=reads, rngs=nnx.Rngs(0)))
    one, two = embeddings(), embeddings(seed=1)
    phrases, others = some_phrases(), some_phrases((2, 5, 7), seed=2)
    same = {
        "prompt": ((one[0], *one[1:], phrases), (two[0], *one[1:], others)),
        "image": ((one[0], *one[1:], phrases), (one[0], *two[1:], phrases)),
    }
    changed = {"prompt": same["image"], "image": same["prompt"]}
    for a, b in zip(*(jax.tree.leaves(heads(*each)) for each in same[hidden])):
        np.testing.assert_array_equal(a, b)
    a, b = (heads(*each).global_logit for each in changed[hidden])
    assert float(jnp.abs(a - b).max()) > 1e-3


def test_bfloat16_is_close_to_float32():
    wide, narrow = (
        shaken(PhraseHeads(D, k=K, width=WIDTH, dtype=t, rngs=nnx.Rngs(0))) for t in ("float32", "bfloat16")
    )
    inputs = (*embeddings(), some_phrases())
    a, b = wide(*inputs).global_logit, narrow(*inputs).global_logit
    assert 0 < float(jnp.abs(a - b).max()) < 0.3


def test_a_width_that_does_not_fit_is_refused():
    with pytest.raises(UserError, match="width 10 must be a multiple of its 4"):
        PhraseHeads(D, k=K, width=10, rngs=nnx.Rngs(0))
