"""The five losses of the small CLIP, all on cosine similarities times the learned scale.

contrastive  every picture against every caption of the batch, right and wrong ones, and every right caption against every picture (CLIP)
square       each of two scenes against its own caption and the other's, which differ in one thing: the hard negative, both ways
negative     each picture's own caption against the hard-negative captions made from it
phrase       each patch token that lies in a thing's box (after post_layernorm and projection), and the whole-image embedding of each crop around a thing,
             against the phrases "a COLOUR OBJECT" of the batch
kind         the same against the phrases "an OBJECT"
"""

import torch
import torch.nn.functional as F
from transformers import CLIPModel

from precompute.tiny_clip.shape import embed_pictures, embed_text, to_pixels

CROP_WEIGHT = 30.0
"""A crop counts as much as this many patches: there are about twenty patches of things in a picture and a crop for every eight pictures."""


def losses(model: CLIPModel, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The five losses of the file's docstring."""
    n = len(batch["targets"])
    image, patches = embed_pictures(model, to_pixels(batch["pictures"]))
    text = embed_text(model, batch["captions"], batch["captions_mask"])
    phrase = embed_text(model, batch["phrases"], batch["phrases_mask"])
    scale = model.logit_scale.exp().clamp(max=100.0)
    every = scale * image[:n] @ text.T
    right, wrong = every[:, :n], every[:, n:].reshape(n, n, -1).diagonal(dim1=0, dim2=1).T
    own = torch.arange(n, device=every.device)
    four = torch.stack([right[i::2, j::2].diagonal() for i in (0, 1) for j in (0, 1)])
    aa, ab, ba, bb = four
    wanted = batch["targets"] >= 0
    things = torch.cat([patches[:n][wanted], image[n:]])
    target = torch.cat([batch["targets"][wanted], batch["crop_targets"]])
    coloured = len(batch["kind_of"])
    weight = torch.cat([wanted.new_ones(int(wanted.sum()), dtype=scale.dtype), things.new_full((len(image) - n,), CROP_WEIGHT)])
    against = lambda phrases, goal: (F.cross_entropy(scale * things @ phrases.T, goal, reduction="none") * weight).sum() / weight.sum()
    return {
        "contrastive": (F.cross_entropy(every, own) + F.cross_entropy(right.T, own)) / 2,
        "square": sum(F.softplus(-gap).mean() for gap in (aa - ab, bb - ba, aa - ba, bb - ab)) / 2,
        "negative": 2 * F.softplus(wrong - right.diagonal()[:, None]).mean(),
        "phrase": against(phrase[:coloured], target),
        "kind": against(phrase[coloured:], batch["kind_of"][target]),
    }
