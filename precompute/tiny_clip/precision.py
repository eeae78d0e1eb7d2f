"""The precision of the matrix products in training.

Attention is always in float32, because its bfloat16 backward pass has no fast kernel on a CPU.
"""

from contextlib import AbstractContextManager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, CLIPModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from precompute.encoders.dtypes import DTYPES, fast_dtype

PRECISIONS = ("float32", "bfloat16")


def choose(wanted: str, device: torch.device) -> torch.dtype:
    """`wanted`, one of PRECISIONS; or for "auto" what this machine multiplies fastest."""
    return DTYPES[fast_dtype(device) if wanted == "auto" else wanted]


def _attention_in_f32(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    **how: Any,
) -> tuple[torch.Tensor, None]:
    with torch.autocast(query.device.type, enabled=False):
        return sdpa_attention_forward(module, query.float(), key.float(), value.float(), mask, **how)


def prepare(model: CLIPModel) -> None:
    """Let a model's attention, and the patch embedding for the same reason, run in float32 under `products`."""
    AttentionInterface.register("sdpa_f32", _attention_in_f32)
    AttentionMaskInterface.register("sdpa_f32", sdpa_mask)
    model.set_attn_implementation("sdpa_f32")
    embeddings = model.vision_model.embeddings
    embeddings.forward = torch.autocast(model.device.type, enabled=False)(embeddings.forward)


def products(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """A context in which linear layers multiply in `dtype`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype != torch.float32)
