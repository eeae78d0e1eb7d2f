"""The reference: the plan's training loop in plain PyTorch, as a careful user writes it.

Concatenated inputs, a `Dataset` over the memory map with a `DataLoader`, the risk map enlarged to 224x224 for Dice,
AdamW with no decay on biases, `loss.item()` every step. It fetches a batch at a time (`__getitems__`), converts once,
and keeps Python out of the inner loop. The same losses as ours on the same arrays: a test compares value and gradient.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["Arrays", "Heads", "PairSet", "loader", "make_optimizer", "total_loss"]

PIXELS = 224


@dataclass(frozen=True)
class Arrays:
    """What is trained from, as numpy arrays (memory maps of f16 where embeddings)."""

    text: np.ndarray
    image: np.ndarray
    patches: np.ndarray
    prompt: np.ndarray
    image_index: np.ndarray
    patch_label: np.ndarray
    category: np.ndarray
    control: np.ndarray
    boxes: np.ndarray
    """f32[n, 4] of the wrong region in pixels, x1 y1 x2 y2; empty (x1 = x2) for none."""


class PairSet(torch.utils.data.Dataset):
    """Pairs by number; a batch at a time, so that the loader has nothing to collate."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays.prompt)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {name: value[0] for name, value in self.__getitems__([index]).items()}

    def __getitems__(self, pairs: list[int]) -> dict[str, torch.Tensor]:
        a, pairs = self.arrays, np.asarray(pairs)
        edge = np.arange(PIXELS)
        x1, y1, x2, y2 = a.boxes[pairs].T[:, :, None]
        across, down = (edge >= x1) & (edge < x2), (edge >= y1) & (edge < y2)
        made = {
            "text": a.text[a.prompt[pairs]],
            "image": a.image[a.image_index[pairs]],
            "patches": a.patches[a.image_index[pairs]],
            "patch_label": a.patch_label[pairs],
            "category": a.category[pairs],
            "control": a.control[pairs],
            "mask": down[:, :, None] & across[:, None, :],
        }
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in made.items()}


def loader(arrays: Arrays, *, batch_size: int, workers: int, seed: int = 0) -> torch.utils.data.DataLoader:
    """Shuffled batches."""
    return torch.utils.data.DataLoader(
        PairSet(arrays),
        batch_size=batch_size,
        shuffle=True,
        collate_fn=lambda batch: batch,
        num_workers=workers,
        persistent_workers=workers > 0,
        generator=torch.Generator().manual_seed(seed),
    )


class Heads(nn.Module):
    """The plan's two scorers and the reason head, each Linear(2d -> hidden) -> ReLU -> Linear on concatenated
    embeddings.
    """

    def __init__(self, d: int, hidden: int = 256) -> None:
        super().__init__()
        make = lambda outputs: nn.Sequential(nn.Linear(2 * d, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
        self.global_head, self.patch_head, self.reason_head = make(1), make(1), make(5)

    def forward(
        self, text: torch.Tensor, image: torch.Tensor, patches: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits [b, 2], [b, 2, k] and [b, 2, 5]."""
        whole = torch.cat([text[:, None].expand_as(image), image], -1)
        parts = torch.cat([text[:, None, None].expand_as(patches), patches], -1)
        return self.global_head(whole)[..., 0], self.patch_head(parts)[..., 0], self.reason_head(whole)


def total_loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The plan's four losses, and the reason's, weighted 1.0, 1.0, 0.5, 0.1 and 0.1."""
    score, patch, reason = model(batch["text"].float(), batch["image"].float(), batch["patches"].float())
    real, label, mask = ~batch["control"], batch["patch_label"], batch["mask"].float()
    rank = lambda a, b: F.softplus(b - a)
    score, parts = torch.sigmoid(score), torch.sigmoid(patch)
    pair = _mean(rank(score[:, 0], score[:, 1]), real)
    known = (label >= 0).all(1)
    over = known.sum(1)
    each = (rank(parts[:, 0], parts[:, 1]) * known).sum(1) / over.clamp(min=1)
    patches = _mean(each, real & (over > 0))
    yes_no = F.binary_cross_entropy_with_logits(patch[:, 1], (label[:, 1] == 1).float(), reduction="none")
    faithful = _mean(yes_no, label[:, 1] >= 0)
    side = round(patch.shape[-1] ** 0.5)
    risk = F.interpolate(
        (1 - parts[:, 1]).reshape(-1, 1, side, side), size=mask.shape[1:], mode="bilinear", align_corners=False
    )[:, 0]
    dice = 1 - 2 * (risk * mask).sum((1, 2)) / (risk.sum((1, 2)) + mask.sum((1, 2)))
    saliency = _mean(dice, mask.sum((1, 2)) > 0)
    category = torch.stack([torch.zeros_like(batch["category"]), batch["category"]], 1)
    why = F.binary_cross_entropy_with_logits(reason, (category == 1).float(), reduction="none")
    reasons = _mean(why, category >= 0)
    return pair + patches + 0.5 * faithful + 0.1 * saliency + 0.1 * reasons


def _mean(values: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    return (values * counts).sum() / counts.sum().clamp(min=1)


def make_optimizer(model: nn.Module, *, lr: float = 1e-4, weight_decay: float = 0.01) -> torch.optim.Optimizer:
    """AdamW, fused, decay on matrices only."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, fused=True)
