import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from twins.build import HIDDEN, D, K, auditor_twin
from twins.parity import assert_module_parity, embeddings, shaken

from tipai_jax.heads.auditor_heads import AuditorHeads
from tipai_jax.heads.inputs import InputFeatures
from tipai_jax.heads.output import AuditorOutput
from tipai_jax.heads.plan_head import PlanHead

INPUTS = {"global_inputs": InputFeatures(), "reason_inputs": InputFeatures(products=True, scale_inputs=True)}


def test_agrees_with_the_twin():
    """Each head is the one of its name: their inputs and parameters differ."""
    inputs = {**INPUTS, "patch_inputs": InputFeatures(products=True)}
    heads = shaken(AuditorHeads(D, hidden=HIDDEN, rngs=nnx.Rngs(0), **inputs), size=0.5)
    assert_module_parity(heads, auditor_twin(**inputs), embeddings(k=K))


def test_output_goes_through_jit_under_its_names():
    graph, params = nnx.split(AuditorHeads(D, rngs=nnx.Rngs(0)))
    out = jax.jit(lambda params, *inputs: nnx.merge(graph, params)(*inputs))(params, *map(jnp.asarray, embeddings(k=K)))
    assert isinstance(out, AuditorOutput)
    assert (out.global_logit.shape, out.patch_logit.shape, out.risk.shape, out.reason_logit.shape) == (
        (3, 2),
        (3, 2, K),
        (3, 2, K),
        (3, 2, 5),
    )
    assert bool(((out.risk > 0) & (out.risk < 1)).all())


def test_nothing_is_computed_once_a_patch_that_could_be_once_a_prompt():
    """The compiled plan costs about one product of the patches with W_v: far less than one with the concatenation."""
    b, k, d = 4, 49, 64
    graph, params = nnx.split(AuditorHeads(d, rngs=nnx.Rngs(0)))
    run = jax.jit(lambda params, *inputs: nnx.merge(graph, params)(*inputs))
    cost = run.lower(params, *map(jnp.asarray, embeddings(b=b, k=k, d=d))).compile().cost_analysis()
    patches = 2 * b * 2 * k * d * 256
    assert patches < cost["flops"] < 1.4 * patches
    concatenated = 2 * patches
    assert cost["flops"] < concatenated


def test_changing_what_another_head_reads_leaves_the_plan_alone():
    """The heads draw their values in a fixed order, so the global head of a seed is that of the lone head."""
    lone = nnx.state(PlanHead(D, rngs=nnx.Rngs(5)))
    for inputs in (InputFeatures(), InputFeatures(products=True)):
        composed = nnx.state(AuditorHeads(D, patch_inputs=inputs, rngs=nnx.Rngs(5)).global_head)
        jax.tree.map(np.testing.assert_array_equal, composed, lone)
