"""The phrase heads once more, in plain PyTorch, written from their docstring, an image and a prompt at a time."""

import math

import torch
import torch.nn.functional as F
from torch import nn

SHARPNESS = 20.0


class LayerTwin(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp_in, self.mlp_out = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        split = lambda part: part.unflatten(-1, (self.heads, -1)).transpose(0, 1)
        query, key, value = map(split, self.qkv(self.norm_attention(x)).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(query[None], key[None], value[None])[0]
        x = x + self.out(mixed.transpose(0, 1).flatten(1))
        return x + self.mlp_out(F.gelu(self.mlp_in(self.norm_mlp(x)), approximate="tanh"))


def centres(*maps):
    """Mean place under each map's softmax, across and down, -1 to 1."""
    side = math.isqrt(len(maps[0]))
    at = torch.linspace(-1, 1, side)
    return torch.stack(
        [(F.softmax(each, 0) * w).sum() for each in maps for w in (at.repeat(side), at.repeat_interleave(side))]
    )


def peaks(values):
    """The eight highest places that no neighbour is above, then the lowest place as often as there are fewer."""
    side = math.isqrt(len(values))
    grid, found = values.reshape(side, side), []
    for i in range(side):
        for j in range(side):
            around = grid[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
            if grid[i, j] == around.max():
                found.append(grid[i, j])
    return torch.stack([*sorted(found, reverse=True), *[values.min()] * 8][:8])


class PhraseTwin(nn.Module):
    """Takes absent phrases out instead of masking them."""

    def __init__(self, d, k, width, layers=2, heads=4, places=8):
        super().__init__()
        table = lambda rows: nn.Parameter(torch.zeros(rows, width))
        for name in ("image_in", "patch_in", "phrase_in", "bare_in"):
            setattr(self, name, nn.Parameter(torch.zeros(d, width)))
        sizes = {"token_kind": 3, "patch_place": k, "phrase_place": places, "phrase_kind": 7, "count": 10}
        self.direction_in, self.relation_in = nn.Parameter(torch.zeros(d, 4)), nn.Linear(4, width)
        for name, rows in {**sizes, "subject": places + 1, "object": places + 1}.items():
            setattr(self, name, table(rows))
        self.similarity_in, self.map_in = nn.Linear(18, width), nn.Linear(2 * places, width)
        self.map_value = nn.Linear(width, width, bias=False)
        self.names = [f"layer_{i}" for i in range(layers)]
        for name in self.names:
            self.add_module(name, LayerTwin(width, heads))
        self.norm = nn.LayerNorm(width)
        self.patch_out, self.phrase_out, self.global_out = nn.Linear(width, 1), nn.Linear(width, 1), nn.Linear(width, 1)
        self.global_in, self.reason_in = nn.Linear(2 * width, width), nn.Linear(3 * width, width)
        self.reason_out = nn.Linear(width, 5)
        self.cosine_scale = nn.Parameter(torch.tensor(0.0))

    def forward(self, text, image, patches, *phrases):
        rows = [
            [self.one(text[b], image[b, n], patches[b, n], *(x[b] for x in phrases)) for n in range(2)]
            for b in range(len(text))
        ]
        outputs = [torch.stack([torch.stack([each[i] for each in row]) for row in rows]) for i in range(5)]
        return outputs

    def one(self, text, image, patches, said, bare, kind, count, subject, object, present):
        there = present.nonzero()[:, 0]
        d = len(image)
        said, bare = said[there], bare[there]
        full_map, bare_map = SHARPNESS * patches @ said.T, SHARPNESS * patches @ bare.T  # [k, p]
        cosines = SHARPNESS * torch.stack([said @ image, bare @ image], dim=-1)
        tops = [torch.cat([peaks(full_map[:, j]), peaks(bare_map[:, j])]) for j in range(len(said))]
        seen = torch.cat([torch.stack(tops), cosines], dim=-1) if tops else torch.zeros(0, 18)
        phrase = (
            said @ self.phrase_in * d**0.5
            + bare @ self.bare_in * d**0.5
            + self.phrase_kind[kind[there].long()]
            + self.count[count[there].long().clamp(0, 9)]
            + self.subject[subject[there].long()]
            + self.object[object[there].long()]
            + self.phrase_place[there]
            + self.token_kind[0]
            + self.similarity_in(seen)
        )
        for j in range(len(said)):
            ends = [int(subject[there[j]]), int(object[there[j]])]
            apart = torch.zeros(4)
            if min(ends) >= 0:
                a, b = (centres(full_map[:, i], bare_map[:, i]) for i in map(there.tolist().index, ends))
                apart = a - b
            phrase = phrase + self.relation_in(said[j] @ self.direction_in * d**0.5 * apart) * (
                torch.arange(len(said)) == j
            ).unsqueeze(-1)
        maps = torch.zeros(len(patches), len(present), 2)  # an absent phrase is similar to nothing
        maps[:, there] = torch.stack([full_map, bare_map], dim=-1)
        patch = patches @ self.patch_in * d**0.5 + self.map_in(maps.flatten(1)) + self.patch_place + self.token_kind[1]
        patch = patch + full_map / SHARPNESS @ self.map_value(phrase)
        x = torch.cat([(image @ self.image_in * d**0.5 + self.token_kind[2])[None], patch, phrase])
        for name in self.names:
            x = getattr(self, name)(x)
        x = self.norm(x)
        whole, patch, phrase = x[0], x[1 : 1 + len(patches)], x[1 + len(patches) :]
        patch_logit, logit = self.patch_out(patch)[:, 0], self.phrase_out(phrase)[:, 0]
        pooled = torch.cat([whole, patch.max(0).values])
        read = self.global_out(F.gelu(self.global_in(pooled), approximate="tanh"))[0]
        everything = (
            read + self.cosine_scale * text @ image + (F.logsigmoid(logit) - F.logsigmoid(torch.zeros(()))).sum()
        )
        reason = self.reason_in(torch.cat([pooled, phrase.max(0).values]))
        reason = self.reason_out(F.gelu(reason, approximate="tanh"))
        every = torch.zeros(len(present)).index_put((there,), logit)
        return everything, patch_logit, 1 - torch.sigmoid(patch_logit), reason, every
