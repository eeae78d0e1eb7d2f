"""The reference of the phrase heads: the same model and losses in plain PyTorch, as a careful user writes them.

Absent phrases are masked; attention is torch's own. The parameters have the names of ours, so that a test can load ours
and compare outputs and loss.
"""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from scripts.benchmark.reference import make_optimizer
from tipai_jax.data.batches import gather
from tipai_jax.store import Store
from tipai_jax.tasks.auditor import PhrasePairBatch, pair_columns, pairs_of_split

__all__ = ["PhraseLoop", "PhraseReference", "phrase_loss", "tensors"]

SHARPNESS, WEIGHTS = 20.0, {"pair": 1.0, "faithful": 3.0, "reason": 0.5, "pointwise": 0.5, "phrase": 2.0}
gelu = lambda x: F.gelu(x, approximate="tanh")


class Layer(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp_in, self.mlp_out = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Tokens [m, t, width] to the next ones; `present` [m, t]."""
        split = lambda part: part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        query, key, value = map(split, self.qkv(self.norm_attention(x)).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=present[:, None, None])
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp_out(gelu(self.mlp_in(self.norm_mlp(x))))


def apart(maps: torch.Tensor, subject: torch.Tensor, object: torch.Tensor) -> torch.Tensor:
    """From the centre of a relation's object to that of its subject, [b, 2, p, 4]; 0 for what is no relation."""
    side = math.isqrt(maps.shape[2])
    at = torch.linspace(-1, 1, side, device=maps.device)
    where = torch.stack([at.repeat(side), at.repeat_interleave(side)], -1)
    centre = torch.einsum("bnkpc,kx->bnpcx", maps.softmax(2), where).flatten(3)
    ends = (each.long().clamp(0)[:, None, :, None].expand_as(centre) for each in (subject, object))
    first, second = (centre.gather(2, each) for each in ends)
    return (first - second) * ((subject >= 0) & (object >= 0))[:, None, :, None]


def peaks(maps: torch.Tensor) -> torch.Tensor:
    """The eight highest local maxima of each map [b, n, k, p, 2], [b, n, p, 16]; the minimum where there are fewer."""
    side = math.isqrt(maps.shape[2])
    grid = maps.movedim(2, -1).flatten(0, -2).unflatten(-1, (1, side, side))
    high = torch.where(grid >= F.max_pool2d(grid, 3, 1, 1), grid, grid.amin((2, 3), keepdim=True))
    return high.flatten(1).topk(8).values.view(*maps.shape[:2], maps.shape[3], 16)


class PhraseReference(nn.Module):
    """See `tipai_jax.heads.phrase_heads.PhraseHeads`."""

    def __init__(self, d: int, k: int, *, width: int = 96, layers: int = 2, heads: int = 4, places: int = 8) -> None:
        super().__init__()
        rows = {"token_kind": 3, "patch_place": k, "phrase_place": places, "phrase_kind": 7, "count": 10}
        rows |= {"subject": places + 1, "object": places + 1} | dict.fromkeys(
            ("image_in", "patch_in", "phrase_in", "bare_in"), d
        )
        for name, each in rows.items():
            self.register_parameter(name, nn.Parameter(torch.randn(each, width) * (each**-0.5)))
        self.similarity_in, self.map_in = nn.Linear(18, width), nn.Linear(2 * places, width)
        self.direction_in, self.relation_in = nn.Parameter(torch.randn(d, 4) * d**-0.5), nn.Linear(4, width)
        self.map_value = nn.Linear(width, width, bias=False)
        self.names = [f"layer_{i}" for i in range(layers)]
        for name in self.names:
            self.add_module(name, Layer(width, heads))
        self.norm, self.global_in = nn.LayerNorm(width), nn.Linear(2 * width, width)
        self.patch_out, self.phrase_out, self.global_out = nn.Linear(width, 1), nn.Linear(width, 1), nn.Linear(width, 1)
        self.reason_in, self.reason_out = nn.Linear(3 * width, width), nn.Linear(width, 5)
        self.cosine_scale = nn.Parameter(torch.tensor(SHARPNESS))

    def forward(self, b: SimpleNamespace) -> dict[str, torch.Tensor]:
        """Logits of images [b, 2], patches [b, 2, k], reasons [b, 2, 5] and phrases [b, 2, p]."""
        said, bare = (each.float() * b.phrase_present[..., None] for each in (b.phrase_text, b.phrase_bare))
        image, patches, unit = b.image.float(), b.patches.float(), b.image.shape[-1] ** 0.5
        both = torch.stack([said, bare], 1)
        maps = SHARPNESS * torch.einsum("bnkd,bcpd->bnkpc", patches, both)
        seen = torch.cat([peaks(maps), SHARPNESS * torch.einsum("bnd,bcpd->bnpc", image, both)], -1)
        word = unit * (said @ self.phrase_in + bare @ self.bare_in) + self.phrase_kind[b.phrase_kind.long()]
        word = word + self.count[b.phrase_count.long().clamp(0, 9)] + self.phrase_place + self.token_kind[0]
        word = word + self.subject[b.phrase_subject.long()] + self.object[b.phrase_object.long()]
        turned = (said @ self.direction_in * unit)[:, None] * apart(maps, b.phrase_subject, b.phrase_object)
        word = (word[:, None] + self.similarity_in(seen) + self.relation_in(turned)) * b.phrase_present[
            :, None, :, None
        ]
        patch = unit * patches @ self.patch_in + self.map_in(maps.flatten(3)) + self.patch_place + self.token_kind[1]
        patch = patch + (maps[..., 0] / SHARPNESS) @ self.map_value(word)
        whole = (unit * image @ self.image_in + self.token_kind[2])[:, :, None]
        n, k, p = image.shape[1], patches.shape[2], word.shape[2]
        x = torch.cat([whole, patch, word], 2).flatten(0, 1)
        there = F.pad(b.phrase_present, (1 + k, 0), value=True).repeat_interleave(n, 0)
        for name in self.names:
            x = getattr(self, name)(x, there)
        whole, patch, word = self.norm(x).unflatten(0, (-1, n)).split((1, k, p), 2)
        phrase, parts = self.phrase_out(word)[..., 0], self.patch_out(patch)[..., 0]
        pooled = torch.cat([whole[:, :, 0], patch.amax(2)], -1)
        spoken = word.masked_fill(~b.phrase_present[:, None, :, None], -1e9).amax(2)
        cosine = torch.einsum("bd,bnd->bn", b.text.float(), image)
        kept = ((F.logsigmoid(phrase) + np.log(2.0)) * b.phrase_present[:, None]).sum(-1)
        read = self.global_out(gelu(self.global_in(pooled)))[..., 0]
        reason = self.reason_out(gelu(self.reason_in(torch.cat([pooled, spoken], -1))))
        return {"global": self.cosine_scale * cosine + kept + read, "patch": parts, "reason": reason, "phrase": phrase}


def phrase_loss(model: PhraseReference, b: SimpleNamespace) -> torch.Tensor:
    """The terms of configs/base.py, weighted: ranking on logits, patches of both images, reasons, images, phrases."""
    out, real = model(b), ~b.control
    yes_no = lambda logit, label: F.binary_cross_entropy_with_logits(logit, (label == 1).float(), reduction="none")
    mean = lambda values, weight: (values * weight).sum() / weight.sum().clamp(min=1e-9)
    weight = (b.patch_label >= 0) * torch.where(b.patch_label == 0, 5.0, torch.where(b.patch_object, 3.0, 1.0))
    why = torch.stack([torch.zeros_like(b.category), b.category], 1)
    keeps = torch.stack([torch.ones_like(b.control), b.control], 1)
    label = torch.stack([torch.where(b.phrase_label < 0, b.phrase_label, 1), b.phrase_label], 1)
    terms = {
        "pair": mean(F.softplus(out["global"][:, 1] - out["global"][:, 0]), real.float()),
        "faithful": mean(yes_no(out["patch"], b.patch_label), weight),
        "reason": mean(yes_no(out["reason"], why), (why >= 0).float()),
        "pointwise": yes_no(out["global"], keeps).mean(),
        "phrase": mean(yes_no(out["phrase"], label), (label >= 0).float()),
    }
    return torch.stack([WEIGHTS[name] * value for name, value in terms.items()]).sum()


def tensors(batch: PhrasePairBatch, *, device: str = "cpu") -> SimpleNamespace:
    """The fields of a batch as tensors."""
    made = {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in vars(batch).items()}
    return SimpleNamespace(**{name: each.to(device, non_blocking=True) for name, each in made.items()})


@dataclass
class PhraseLoop:
    """Fetch, forward, backward, update, `loss.item()`, over shuffled batches of a store's training pairs."""

    store: Store
    batch: int
    device: str = "cpu"

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        shape = self.store.manifest.encoder
        self.columns = pair_columns(self.store, pairs_of_split(self.store, "train"), phrases=True)
        self.model = PhraseReference(shape.d, shape.k).to(self.device)
        self.optimizer = make_optimizer(self.model, lr=4e-3, weight_decay=0.02)
        self.order = np.random.default_rng(0)

    def fetch(self) -> SimpleNamespace:
        """A batch as tensors."""
        rows = self.order.choice(self.columns.n, self.batch, replace=False)
        return tensors(gather(self.columns, rows, np.ones(self.batch, bool)), device=self.device)

    def __call__(self, steps: int) -> None:
        """As many steps as asked for."""
        for _ in range(steps):
            loss = phrase_loss(self.model, self.fetch())
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            loss.item()
