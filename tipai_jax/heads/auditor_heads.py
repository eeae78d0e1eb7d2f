"""All heads of the auditor in one module, sharing the evidence trunk."""

from functools import partial
from typing import Literal, assert_never

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from tipai_jax.heads.evidence import Evidence
from tipai_jax.heads.global_head import GlobalHead
from tipai_jax.heads.inputs import DEFAULT_INPUTS, InputFeatures
from tipai_jax.heads.output import AuditorOutput
from tipai_jax.heads.patch_head import PatchHead
from tipai_jax.heads.reason_head import ReasonHead
from tipai_jax.heads.saliency_head import DecoderSaliency, InterpolateSaliency

__all__ = ["AuditorHeads"]


class AuditorHeads(nnx.Module):
    """GlobalHead, PatchHead, ReasonHead and a saliency head on one set of frozen embeddings.

    Heads that ask for attention read one evidence trunk, computed once an image.

    Args:
        d: width of the embeddings.
        k: patches of an image.
        hidden: width of the hidden layers.
        dropout: share of hidden units dropped while training, in the trunk and in every head.
        global_inputs, patch_inputs, reason_inputs: the features each head reads; those with attention must be equal.
        saliency: "interpolate" (risk = 1 - score) or "decoder" (small and trainable).
        attention_width: width of the evidence tokens.
        dtype: of the operands of the products with the embeddings, float32 or bfloat16; everything else is float32.
        rngs: source of the initial values.
    """

    def __init__(
        self,
        d: int,
        *,
        k: int = 49,
        hidden: int = 256,
        dropout: float = 0.0,
        global_inputs: InputFeatures = DEFAULT_INPUTS,
        patch_inputs: InputFeatures = DEFAULT_INPUTS,
        reason_inputs: InputFeatures = DEFAULT_INPUTS,
        saliency: Literal["interpolate", "decoder"] = "interpolate",
        attention_width: int = 128,
        dtype: Literal["float32", "bfloat16"] = "float32",
        rngs: nnx.Rngs,
    ) -> None:
        self.dtype = jnp.dtype(dtype)
        wanted = {each for each in (global_inputs, patch_inputs, reason_inputs) if each.attention}
        assert len(wanted) <= 1, "the heads with attention read one trunk, so they must see the same"
        shared = {"hidden": hidden, "dropout": dropout, "width": attention_width, "rngs": rngs}
        self.global_head = GlobalHead(d, inputs=global_inputs, **shared)
        self.patch_head = PatchHead(d, k=k, inputs=patch_inputs, **shared)
        self.reason_head = ReasonHead(d, inputs=reason_inputs, **shared)
        trunk_inputs = wanted.pop() if wanted else None
        build = partial(Evidence, d, k=k, width=attention_width, dropout=dropout, rngs=rngs)
        self.evidence = build(inputs=trunk_inputs) if trunk_inputs else None
        match saliency:
            case "interpolate":
                self.saliency_head = InterpolateSaliency()
            case "decoder":
                self.saliency_head = DecoderSaliency(d, rngs=rngs)
            case _:
                assert_never(saliency)

    def __call__(
        self,
        text: Float[Array, "b d"],
        image: Float[Array, "b n d"],
        patches: Float[Array, "b n k d"],
        *,
        rngs: nnx.Rngs | None = None,
    ) -> AuditorOutput:
        """Judge n images for each prompt.

        Args:
            text: L2-normalised prompt embeddings, f16 or f32.
            image: L2-normalised global image embeddings.
            patches: L2-normalised patch embeddings.
            rngs: source of the dropout masks (stream "dropout"); needed only with dropout > 0 and after `.train()`.
        """
        text, image, patches = (each.astype(self.dtype) for each in (text, image, patches))
        tokens = None if self.evidence is None else self.evidence(text, image, patches, rngs=rngs)
        patch_logit = self.patch_head(text, image, patches, evidence=tokens, rngs=rngs)
        return AuditorOutput(
            global_logit=self.global_head(text, image, evidence=tokens, rngs=rngs),
            patch_logit=patch_logit,
            risk=self.saliency_head(patch_logit, patches),
            reason_logit=self.reason_head(text, image, evidence=tokens, rngs=rngs),
        )
