"""In which precision the matrix products of the training run.

Processors with AMX multiply bfloat16 several times faster than float32, others hundreds of times slower: so it is measured, not guessed. Attention stays
in float32 either way, for its bfloat16 backward pass has no fast kernel on a CPU. It owns the choice and the context; it knows no losses.
"""

import time
from contextlib import AbstractContextManager

import torch
from transformers import AttentionInterface, AttentionMaskInterface, CLIPModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def _seconds(dtype: torch.dtype, device: torch.device) -> float:
    """The shortest of twenty products of the size of a layer's."""
    x, weight = torch.ones(1024, 160, dtype=dtype, device=device), torch.ones(640, 160, dtype=dtype, device=device)
    took = []
    for _ in range(20):
        began = time.perf_counter()
        float(torch.nn.functional.linear(x, weight).sum())
        took.append(time.perf_counter() - began)
    return min(took)


def choose(wanted: str, device: torch.device) -> torch.dtype:
    """`wanted`, one of PRECISIONS; or for "auto" bfloat16 where it takes less than half of the time."""
    if wanted != "auto":
        return PRECISIONS[wanted]
    return torch.bfloat16 if 2 * _seconds(torch.bfloat16, device) < _seconds(torch.float32, device) else torch.float32


def _attention_in_f32(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, **how: object
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
