"""The losses once more, in plain PyTorch, written from the plan's formulas with loops where the plan has sums."""

import torch
import torch.nn.functional as F


def pair(chosen, rejected):
    return torch.log(1 + torch.exp(-(chosen - rejected)))


def patch(chosen, rejected, over):
    rows = [
        pair(c[o], r[o]).mean() if o.any() else (c.sum() * 0) for c, r, o in zip(chosen, rejected, over, strict=True)
    ]
    return torch.stack(rows)


def faithfulness(logit, label):
    loss = F.binary_cross_entropy(torch.sigmoid(logit), (label == 1).float(), reduction="none")
    return torch.where(label >= 0, loss, torch.zeros_like(loss))


def saliency(risk, mask):
    """1 - Dice of the grid `risk` [b k], enlarged by torch, against `mask` [b h w]."""
    side = int(risk.shape[-1] ** 0.5)
    heatmap = F.interpolate(
        risk.reshape(-1, 1, side, side), size=mask.shape[-2:], mode="bilinear", align_corners=False
    )[:, 0]
    overlap = (heatmap * mask).sum((1, 2))
    return 1 - 2 * overlap / (heatmap.sum((1, 2)) + mask.sum((1, 2)))
