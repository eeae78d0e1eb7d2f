"""Muon in f32, for the matrices inside the transformer layers.

`torch.optim.Muon` orthogonalises in bfloat16, which on a CPU without bf16 kernels is hundreds of times slower than f32; this is the same rule
without the cast. It owns the update rule; which parameters get it is decided by `optimizers`.
"""

from collections.abc import Iterable

import torch
from transformers import CLIPModel

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz iteration (Jordan et al., 2024, "Muon: an optimizer for hidden layers in neural networks")."""


def orthogonalise(matrix: torch.Tensor, *, steps: int = 5) -> torch.Tensor:
    """A matrix with about the same singular vectors and singular values near one (0.7 to 1.2)."""
    a, b, c = COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, of the update size of AdamW (0.2 * sqrt(longer side); Liu et al., 2025), with decoupled weight decay."""

    def __init__(self, params: Iterable[torch.Tensor], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.05) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.mul_(group["momentum"]).add_(p.grad)
                update = orthogonalise(p.grad.add(buffer, alpha=group["momentum"]))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * 0.2 * max(p.shape) ** 0.5)


MUON_RATE = 4.0
"""Muon's learning rate over AdamW's: the best of 1, 4 and 10 over 150 steps of 32 crowded scenes, one seed."""


def optimizers(model: CLIPModel, *, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the rest, no decay on biases, norms and the logit scale."""
    inner = {name: p for name, p in model.named_parameters() if ".layers." in name and p.ndim == 2}
    outer = [p for name, p in model.named_parameters() if name not in inner]
    groups = [
        {"params": [p for p in outer if p.ndim >= 2], "weight_decay": 0.05},
        {"params": [p for p in outer if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [Muon(inner.values(), lr=MUON_RATE * rate), torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)]
