"""The four losses of the small CLIP, all on cosine similarities times the learned scale.

contrastive  every picture against every caption of the batch, both ways (CLIP)
square       each of two scenes against its own caption and the other's, which differ in one thing: the hard negative, both ways
region       each patch token that lies in a thing's box (after post_layernorm and projection) against the phrases "a COLOUR OBJECT" of the batch
crop         crops around single things, whole-image embedding, against the same phrases
"""

import torch
import torch.nn.functional as F
from transformers import CLIPModel

from precompute.tiny_clip.shape import embed_pictures, embed_text, to_pixels


def losses(model: CLIPModel, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The four losses of the file's docstring."""
    n = len(batch["captions"])
    image, patches = embed_pictures(model, to_pixels(batch["pictures"]))
    text = embed_text(model, batch["captions"], batch["captions_mask"])
    phrase = embed_text(model, batch["phrases"], batch["phrases_mask"])
    scale = model.logit_scale.exp().clamp(max=100.0)
    logits = scale * image[:n] @ text.T
    own = torch.arange(n, device=logits.device)
    four = torch.stack(
        [logits[0::2, 0::2].diagonal(), logits[0::2, 1::2].diagonal(), logits[1::2, 0::2].diagonal(), logits[1::2, 1::2].diagonal()]
    )
    aa, ab, ba, bb = four
    wanted = batch["targets"] >= 0
    region = scale * patches[:n][wanted] @ phrase.T
    return {
        "contrastive": (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2,
        "square": sum(F.softplus(-gap).mean() for gap in (aa - ab, bb - ba, aa - ba, bb - ab)) / 2,
        "region": F.cross_entropy(region, batch["targets"][wanted]),
        "crop": 0.3 * F.cross_entropy(scale * image[n:] @ phrase.T, batch["crop_targets"]),
    }
