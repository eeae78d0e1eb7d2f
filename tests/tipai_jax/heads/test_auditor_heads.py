import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from twins.build import EVERYTHING, HIDDEN, WIDTH, D, K, auditor_twin
from twins.parity import assert_module_parity, embeddings, shaken

from tipai_jax.heads.auditor_heads import AuditorHeads
from tipai_jax.heads.global_head import GlobalHead
from tipai_jax.heads.inputs import InputFeatures
from tipai_jax.heads.output import AuditorOutput

CONTEXT = InputFeatures(products=True, global_image=True, position=True)
CHOICES = {
    "plan": {"global_inputs": InputFeatures(), "patch_inputs": InputFeatures(), "reason_inputs": InputFeatures()},
    "attention": {"global_inputs": EVERYTHING, "patch_inputs": EVERYTHING, "reason_inputs": EVERYTHING},
}


@pytest.mark.parametrize(("choice", "saliency"), [("plan", "interpolate"), ("attention", "decoder")])
def test_agrees_with_the_twin(choice, saliency):
    inputs = CHOICES[choice]
    heads = shaken(
        AuditorHeads(D, k=K, hidden=HIDDEN, attention_width=WIDTH, saliency=saliency, rngs=nnx.Rngs(0), **inputs),
        size=0.5,
    )
    if saliency == "decoder":
        heads.saliency_head.correct.kernel[...] = jnp.linspace(-1.0, 1.0, 32)[:, None]
    assert_module_parity(heads, auditor_twin(**inputs, decoder=saliency == "decoder"), embeddings(k=K))


def test_output_goes_through_jit_under_its_names():
    graph, params = nnx.split(AuditorHeads(D, k=K, rngs=nnx.Rngs(0)))
    out = jax.jit(lambda params, *inputs: nnx.merge(graph, params)(*inputs))(params, *map(jnp.asarray, embeddings(k=K)))
    assert isinstance(out, AuditorOutput)
    assert (out.global_logit.shape, out.patch_logit.shape, out.risk.shape, out.reason_logit.shape) == (
        (3, 2),
        (3, 2, K),
        (3, 2, K),
        (3, 2, 5),
    )
    assert bool(((out.risk > 0) & (out.risk < 1)).all())


def test_the_trunk_exists_once_and_learns_from_every_head():
    heads = AuditorHeads(D, k=K, hidden=HIDDEN, attention_width=WIDTH, rngs=nnx.Rngs(0), **CHOICES["attention"])
    graph, params = nnx.split(heads)
    assert set(nnx.to_pure_dict(params)) == {"evidence", "global_head", "patch_head", "reason_head"}
    assert not any("evidence" in path for path, _ in nnx.to_flat_state(params) if path[0] != "evidence")
    inputs = [jnp.asarray(x) for x in embeddings(k=K)]

    def weighed(params, weights):
        out = nnx.merge(graph, params)(*inputs)
        squares = [jnp.sum(x**2) for x in (out.global_logit, out.patch_logit, out.reason_logit)]
        return jnp.dot(jnp.stack(squares), weights)

    gradient_of = jax.jit(jax.grad(weighed))
    for only in np.eye(3, dtype=np.float32):
        assert float(jnp.abs(gradient_of(params, only)["evidence"]["qkv"]["kernel"][...]).max()) > 0, only


def test_nothing_is_computed_once_a_patch_that_could_be_once_a_prompt():
    """The compiled plan costs about one product of the patches with W_v: far less than one with the concatenation."""
    b, k, d = 4, 49, 64
    graph, params = nnx.split(AuditorHeads(d, k=k, rngs=nnx.Rngs(0)))
    run = jax.jit(lambda params, *inputs: nnx.merge(graph, params)(*inputs))
    cost = run.lower(params, *map(jnp.asarray, embeddings(b=b, k=k, d=d))).compile().cost_analysis()
    patches = 2 * b * 2 * k * d * 256
    assert patches < cost["flops"] < 1.4 * patches
    concatenated = 2 * patches
    assert cost["flops"] < concatenated


def test_changing_what_another_head_sees_leaves_the_plan_alone():
    """The heads draw their values in a fixed order, so the global head of a seed is that of the lone head."""
    lone = nnx.state(GlobalHead(D, rngs=nnx.Rngs(5)))
    for inputs in (InputFeatures(), CONTEXT, EVERYTHING):
        composed = nnx.state(AuditorHeads(D, k=K, patch_inputs=inputs, rngs=nnx.Rngs(5)).global_head)
        jax.tree.map(np.testing.assert_array_equal, composed, lone)


@pytest.mark.parametrize(
    ("choice", "word"),
    [
        ({"global_inputs": InputFeatures(attention=True), "patch_inputs": EVERYTHING}, "one trunk"),
        ({"reason_inputs": CONTEXT}, "attention"),
    ],
)
def test_what_a_config_refuses_is_not_built(choice, word):
    with pytest.raises(AssertionError, match=word):
        AuditorHeads(D, k=K, rngs=nnx.Rngs(0), **choice)
