"""The heads once more, in plain PyTorch, written from the formulas: every input is concatenated, nothing is factorised."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def concatenated(text, image, patches, blocks, scaled):
    """[b n k len(blocks)*d] (or [b n len(blocks)*d] without patches): what the plain Linear of a head would take."""
    shape = image.shape if patches is None else patches.shape
    axes = (1,) * (len(shape) - 2)
    factor = math.sqrt(shape[-1]) if scaled else 1.0
    text = (text * factor).reshape(len(text), *axes, -1).expand(shape)
    image = image * factor
    image = image if patches is None else image[:, :, None].expand(shape)
    patch = None if patches is None else patches * factor
    made = {
        "text": lambda: text,
        "patch": lambda: patch,
        "text*patch": lambda: text * patch,
        "image": lambda: image,
        "text*image": lambda: text * image,
    }
    return torch.cat([made[block]() for block in blocks], dim=-1)


class EvidenceTwin(nn.Module):
    def __init__(self, d, k, width, heads, blocks, position, scaled):
        super().__init__()
        self.heads, self.blocks, self.scaled = heads, blocks, scaled
        self.joint = nn.Linear(len(blocks) * d, width)
        side = math.isqrt(k)
        if position:
            self.position = nn.Parameter(torch.zeros(k, width))
            self.offset_bias = nn.Parameter(torch.zeros((2 * side - 1) ** 2, heads))
        self.side = side
        self.norm_attention, self.norm_mlp, self.norm_out = (nn.LayerNorm(width) for _ in range(3))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp_in, self.mlp_out = nn.Linear(width, width), nn.Linear(width, width)

    def bias(self):
        if not hasattr(self, "offset_bias"):
            return None
        side, rows = self.side, []
        for a in range(side * side):
            for b in range(side * side):
                dy, dx = a // side - b // side, a % side - b % side
                rows.append((dy + side - 1) * (2 * side - 1) + dx + side - 1)
        return self.offset_bias[rows].reshape(side * side, side * side, -1).permute(2, 0, 1)

    def forward(self, text, image, patches):
        x = self.joint(concatenated(text, image, patches, self.blocks, self.scaled))
        if hasattr(self, "position"):
            x = x + self.position
        x = F.relu(x).flatten(0, 1)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(self.norm_attention(x)).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=self.bias())
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        x = x + self.mlp_out(F.relu(self.mlp_in(self.norm_mlp(x))))
        return self.norm_out(x).unflatten(0, image.shape[:2])


class PoolTwin(nn.Module):
    def __init__(self, d, width, heads, text, scaled):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(heads, width))
        self.factor = math.sqrt(d) if scaled else 1.0
        if text:
            self.from_text = nn.Linear(d, heads * width)

    def forward(self, text, tokens):
        pooled = []
        for b in range(len(tokens)):
            query = self.query
            if hasattr(self, "from_text"):
                query = query + self.from_text(text[b] * self.factor).reshape(query.shape)
            share = torch.softmax(tokens[b] @ query.T / math.sqrt(query.shape[1]), dim=1)
            pooled.append((share.transpose(1, 2) @ tokens[b]).flatten(1))
        return torch.stack(pooled)


class PooledTwin(nn.Module):
    """GlobalHead with outputs=1 (squeezed), ReasonHead with outputs=5."""

    def __init__(self, d, outputs, hidden, blocks, scaled, evidence=None, pool=None, width=0):
        super().__init__()
        self.blocks, self.scaled = blocks, scaled
        self.joint = nn.Linear(len(blocks) * d, hidden)
        if evidence is not None:
            self.evidence = evidence
        if pool is not None:
            self.pool = pool
            self.from_evidence = nn.Linear(width * len(pool.query), hidden, bias=False)
        self.score = nn.Linear(hidden, outputs)

    def forward(self, text, image, patches, tokens=None):
        hidden = self.joint(concatenated(text, image, None, self.blocks, self.scaled))
        if hasattr(self, "pool"):
            tokens = self.evidence(text, image, patches) if tokens is None else tokens
            hidden = hidden + self.from_evidence(self.pool(text, tokens))
        out = self.score(F.relu(hidden))
        return out[..., 0] if out.shape[-1] == 1 else out


class PatchTwin(nn.Module):
    def __init__(self, d, k, hidden, blocks=(), position=False, scaled=False, evidence=None, width=0):
        super().__init__()
        self.blocks, self.scaled = blocks, scaled
        if width:
            if evidence is not None:
                self.evidence = evidence
            self.from_evidence = nn.Linear(width, hidden)
        else:
            self.joint = nn.Linear(len(blocks) * d, hidden)
            if position:
                self.position = nn.Parameter(torch.zeros(k, hidden))
        self.score = nn.Linear(hidden, 1)

    def forward(self, text, image, patches, tokens=None):
        if hasattr(self, "from_evidence"):
            hidden = self.from_evidence(self.evidence(text, image, patches) if tokens is None else tokens)
        else:
            hidden = self.joint(concatenated(text, image, patches, self.blocks, self.scaled))
            hidden = hidden + self.position if hasattr(self, "position") else hidden
        return self.score(F.relu(hidden))[..., 0]


class DecoderTwin(nn.Module):
    """The 3x3 neighbourhood as torch's own convolution, with the weight of the Linear reshaped."""

    def __init__(self, d, channels, hidden):
        super().__init__()
        self.project, self.neighbourhood = nn.Linear(d, channels), nn.Linear(9 * (channels + 1), hidden)
        self.correct = nn.Linear(hidden, 1)

    def forward(self, patch_logit, features):
        side = math.isqrt(patch_logit.shape[-1])
        cells = torch.cat([torch.sigmoid(patch_logit)[..., None], self.project(features)], dim=-1)
        grid = cells.flatten(0, 1).unflatten(1, (side, side)).permute(0, 3, 1, 2)
        weight = self.neighbourhood.weight.reshape(-1, 3, 3, cells.shape[-1]).permute(0, 3, 1, 2)
        hidden = F.relu(F.conv2d(grid, weight, self.neighbourhood.bias, padding=1)).permute(0, 2, 3, 1)
        return torch.sigmoid(self.correct(hidden).reshape(patch_logit.shape) - patch_logit)


class AuditorTwin(nn.Module):
    """All heads on one trunk; returns [global, patch, risk, reason]."""

    def __init__(self, global_head, patch_head, reason_head, evidence=None, saliency_head=None):
        super().__init__()
        self.global_head, self.patch_head, self.reason_head = global_head, patch_head, reason_head
        if evidence is not None:
            self.evidence = evidence
        if saliency_head is not None:
            self.saliency_head = saliency_head

    def forward(self, text, image, patches):
        tokens = self.evidence(text, image, patches) if hasattr(self, "evidence") else None
        patch = self.patch_head(text, image, patches, tokens)
        risk = self.saliency_head(patch, patches) if hasattr(self, "saliency_head") else 1 - torch.sigmoid(patch)
        return [
            self.global_head(text, image, patches, tokens),
            patch,
            risk,
            self.reason_head(text, image, patches, tokens),
        ]
