"""The vision tower of a large CLIP with random weights of the true shape: images a second, and the share of the
chip's peak that this is.

Weights are random because the time does not depend on them; nothing is downloaded.
"""

import time
from typing import Any

import torch

__all__ = ["LARGE", "images_per_second", "peak_of", "vit_flops"]

LARGE: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 14,
    "projection_dim": 768,
}
"""openai/clip-vit-large-patch14."""

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
"""Dense bfloat16 FLOP/s that the maker states for the SXM form, by a part of the device's name; the first that fits."""


def vit_flops(shape: dict[str, Any]) -> float:
    """Multiplications and additions of the matrix products of one image: patches, four projections, two of the MLP,
    attention, the last projection.
    """
    width, mlp, patch = shape["hidden_size"], shape["intermediate_size"], shape["patch_size"]
    cells = (shape["image_size"] // patch) ** 2
    tokens = cells + 1
    layer = 2.0 * tokens * (4 * width * width + 2 * width * mlp) + 4.0 * tokens * tokens * width
    return (
        2.0 * cells * 3 * patch * patch * width
        + shape["num_hidden_layers"] * layer
        + 2.0 * width * shape["projection_dim"]
    )


def peak_of(name: str) -> float | None:
    """The stated peak of a device, None if it is not in the list."""
    return next((peak for part, peak in PEAKS.items() if part in name), None)


@torch.inference_mode()
def images_per_second(shape: dict[str, Any], *, device: str, batch_size: int, batches: int) -> float:
    """How many images a second the tower encodes in bfloat16 with SDPA, images already on the device; the best of three
    rounds.
    """
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    config = CLIPVisionConfig(**shape, attn_implementation="sdpa")
    model = CLIPVisionModelWithProjection(config).to(device=device, dtype=torch.bfloat16).eval()
    size = shape["image_size"]
    pixels = torch.randn(batch_size, 3, size, size, device=device, dtype=torch.bfloat16)

    def done() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    model(pixels)
    rates = []
    for _ in range(3):
        done()
        began = time.perf_counter()
        for _ in range(batches):
            model(pixels)
        done()
        rates.append(batches * batch_size / (time.perf_counter() - began))
    return max(rates)
