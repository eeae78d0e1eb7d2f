"""The plan's heads once more, in plain PyTorch, written from the formulas: every input is concatenated,
nothing is factorised."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class PlanHeadTwin(nn.Module):
    """A head on [text; image], whatever stands between the axis of the prompts and that of the embedding."""

    def __init__(self, d, outputs, hidden, blocks, scaled):
        super().__init__()
        self.blocks, self.factor = blocks, math.sqrt(d) if scaled else 1.0
        self.joint, self.score = nn.Linear(len(blocks) * d, hidden), nn.Linear(hidden, outputs)

    def forward(self, text, image):
        image = image * self.factor
        text = (text * self.factor).reshape(len(text), *(1,) * (image.dim() - 2), -1).expand(image.shape)
        made = {"text": text, "image": image, "text*image": text * image}
        return self.score(F.relu(self.joint(torch.cat([made[block] for block in self.blocks], dim=-1))))


class AuditorTwin(nn.Module):
    """All heads; returns [global, patch, risk, reason]."""

    def __init__(self, global_head, patch_head, reason_head):
        super().__init__()
        self.global_head, self.patch_head, self.reason_head = global_head, patch_head, reason_head

    def forward(self, text, image, patches):
        patch = self.patch_head(text, patches)[..., 0]
        return [self.global_head(text, image)[..., 0], patch, 1 - torch.sigmoid(patch), self.reason_head(text, image)]
