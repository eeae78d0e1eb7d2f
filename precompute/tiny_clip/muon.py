"""The optimizer Muon for the matrices inside the transformer layers, in a chosen precision.

`torch.optim.Muon` orthogonalises in bfloat16, which on a CPU without bfloat16 kernels is hundreds of times slower than
float32; this is the same rule without the cast.
"""

from collections.abc import Callable, Iterable
from typing import overload

import torch
from transformers import CLIPModel

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz iteration.

Jordan et al., 2024, "Muon: an optimizer for hidden layers in neural networks".
"""


def orthogonalise(matrices: torch.Tensor, *, steps: int = 5, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Matrices [..., m, n] with about the same singular vectors and singular values near one (0.7 to 1.2)."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    wide = matrices.mT if tall else matrices
    wide = (wide / (torch.linalg.matrix_norm(wide, keepdim=True) + 1e-7)).to(dtype)
    for _ in range(steps):
        gram = wide @ wide.mT
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return (wide.mT if tall else wide).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum with decoupled weight decay.

    The update has the size of AdamW's, 0.2 * sqrt(longer side) (Liu et al., 2025).
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.05,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.dtype = dtype
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every matrix that has a gradient.

        Args:
            closure: as in every optimizer of torch, computes the loss and its gradients anew before the update.

        Returns:
            The loss of the closure, None without one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike: dict[torch.Size, list[tuple[torch.Tensor, torch.Tensor]]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    alike.setdefault(p.shape, []).append((p, p.grad))
            for shape, matrices in alike.items():
                ahead = []
                for p, gradient in matrices:
                    buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                    buffer.mul_(group["momentum"]).add_(gradient)
                    ahead.append(gradient.add(buffer, alpha=group["momentum"]))
                updates = orthogonalise(torch.stack(ahead), dtype=self.dtype)
                for (p, _), update in zip(matrices, updates, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(update, alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)
        return loss


MUON_RATE = 4.0
"""Muon's learning rate over AdamW's: the best of 1, 4 and 10 over 150 steps of 32 crowded scenes, one seed."""


def optimizers(model: CLIPModel, *, rate: float, dtype: torch.dtype = torch.float32) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the rest, no decay on biases, norms and the logit scale."""
    inner = {name: p for name, p in model.named_parameters() if ".layers." in name and p.ndim == 2}
    outer = [p for name, p in model.named_parameters() if name not in inner]
    groups = [
        {"params": [p for p in outer if p.ndim >= 2], "weight_decay": 0.05},
        {"params": [p for p in outer if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [
        Muon(inner.values(), lr=MUON_RATE * rate, dtype=dtype),
        torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True),
    ]
