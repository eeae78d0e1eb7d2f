"""The eleven losses of the small CLIP, all on cosine similarities times the learned scale.

contrastive  every image with a caption against all captions of the batch, right and wrong ones, and every right caption
             against all images (CLIP)
square       each of two scenes against its own caption and the other's, which differ in one thing: the hard negative,
             in both directions
negative     each image's own caption against the hard-negative captions made from it
direction    each image with a short claim on where one of its things is, seen from another, against the opposite claim
part         each image, and its caption, with a phrase on what it shows ("two red cats") against the same with the
             colour of something else there, with another number, or with another object
code         images, captions and those phrases along fixed directions, one for each object in each colour and number;
             without it neither images nor texts learn the binding first, as with the anchors below
side         each patch of a thing that occurs once, and its image, against half claims ("a cat left of") on the half of
             the image that it is in
anchor       those half claims and patches along two fixed directions of the joint space, for left against right and for
             above against below; without it texts learn to ignore places that patches do not show, and patches do not
             learn to show them
hue          each patch and crop of a coloured thing along the code of its colour, against that of another
phrase       each patch token in a thing's box (after post_layernorm and projection), and the global embedding of each
             crop around a thing, against the phrases "a COLOUR OBJECT" of the batch
kind         the same against the phrases "an OBJECT"
"""

import functools
from itertools import pairwise

import torch
import torch.nn.functional as F
from transformers import CLIPModel

from precompute.tiny_clip.batches import NEGATIVES
from precompute.tiny_clip.precision import products
from precompute.tiny_clip.shape import CONTEXT, JOINT, embed_images, embed_text, to_pixels

SQUARE_WEIGHT = 2.0
"""The encoder is evaluated on the hard negative. This weight and those below were chosen by hand, not compared."""
PART_WEIGHT = 2.0
CODE_WEIGHT = 1.0
"""Swapped colours were distinguished in .76 of the easy pairs without part, code and hue, in .95 with all three."""
DIRECTION_WEIGHT = 3.0
"""Relations are what is learned last from captions alone."""
TEXTS = ("phrases", "captions", "directions", "sides", "parts")
LENGTHS = (0, 6, 10, 16, 22, CONTEXT)
"""Upper ends, in tokens, of the groups of texts that are embedded together."""
CROP_WEIGHT = 30.0
"""Weight of a crop in patches: an image has about twenty patches of things, and eight images have one crop."""


def losses(
    model: CLIPModel, batch: dict[str, torch.Tensor], dtype: torch.dtype = torch.float32
) -> dict[str, torch.Tensor]:
    """The losses described above by name; without captions only hue, phrase and kind.

    Args:
        model: the CLIP.
        batch: as `make_batch` returns it.
        dtype: of the layers' matrix products; all else is float32.
    """
    n = len(batch["targets"])
    with products(batch["images"].device, dtype):
        image, patches = embed_images(model, to_pixels(batch["images"]))
        text = embed_texts(model, batch)
    scale = model.logit_scale.exp().clamp(max=100.0)
    named = _names(batch, text["phrases"], scale * patches, scale * image[n:])
    if "captions" not in batch:
        return named
    captioned = len(text["captions"]) // (1 + NEGATIVES)
    every = scale * image[:captioned] @ text["captions"].T
    right = every[:, :captioned]
    wrong = every[:, captioned:].reshape(captioned, captioned, NEGATIVES).diagonal(dim1=0, dim2=1).T
    own = torch.arange(captioned, device=every.device)
    aa, ab, ba, bb = (right[i::2, j::2].diagonal() for i in (0, 1) for j in (0, 1))
    gaps = (aa - ab, bb - ba, aa - ba, bb - ab)
    square = sum((F.softplus(-gap).mean() for gap in gaps), start=every.new_zeros(()))
    return {
        "contrastive": (F.cross_entropy(every, own) + F.cross_entropy(right.T, own)) / 2,
        "square": SQUARE_WEIGHT * square / 2,
        "negative": 2 * F.softplus(wrong - right.diagonal()[:, None]).mean(),
        **_direction(batch, scale * image, text),
        **_part(batch, scale * image, scale, text),
        **_side(batch, scale * image, scale * patches, scale, text),
        **named,
    }


def embed_texts(model: CLIPModel, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The embeddings [m, d] of each of TEXTS in the batch; texts of similar length go together, to save padding."""
    names = [name for name in TEXTS if name in batch]
    width = max(batch[name].shape[1] for name in names)
    ids, mask = (
        torch.cat([F.pad(batch[name + kind], (0, width - batch[name].shape[1])) for name in names])
        for kind in ("", "_mask")
    )
    length = mask.sum(1)
    groups = [
        part for low, high in pairwise(LENGTHS) if len(part := ((length > low) & (length <= high)).nonzero()[:, 0])
    ]
    made = torch.cat(
        [embed_text(model, ids[part, : length[part].max()], mask[part, : length[part].max()]) for part in groups]
    )
    every = made[torch.cat(groups).argsort()]
    return dict(zip(names, every.split([len(batch[name]) for name in names]), strict=True))


def _direction(
    batch: dict[str, torch.Tensor], image: torch.Tensor, text: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Images [n, d], scaled, against the short claims of those that have them."""
    if "directions" not in text:
        return {}
    true, false = ((image[batch["direction_of"]] * text["directions"][i::2]).sum(-1) for i in (0, 1))
    return {"direction": DIRECTION_WEIGHT * F.softplus(false - true).mean()}


def _part(
    batch: dict[str, torch.Tensor], image: torch.Tensor, scale: torch.Tensor, text: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Images [n, d], scaled, and the captions that name the thing, against what it is and what it is not."""
    if "parts" not in text:
        return {}
    scene, right, wrong = batch["part_of"].T
    named = batch["part_named"]

    def against(of: torch.Tensor) -> torch.Tensor:
        other = of[wrong] - of[right]
        of_image, of_caption = (F.softplus((each[scene] * other).sum(-1)) for each in (image, scale * text["captions"]))
        return of_image.mean() + (of_caption * named).sum() / named.sum().clamp(min=1)

    codes = batch["part_codes"]
    phrase = F.softplus(scale * (text["parts"][right] * (codes[wrong] - codes[right])).sum(-1))
    phrase = phrase + F.softplus(scale * (text["parts"][wrong] * (codes[right] - codes[wrong])).sum(-1))
    return {"part": PART_WEIGHT * against(text["parts"]), "code": CODE_WEIGHT * (against(codes) + phrase.mean())}


@functools.cache
def _anchors(device: torch.device) -> torch.Tensor:
    """The direction [4, d] of each of PLACES: two orthonormal ones and their opposites, always the same."""
    across, down = torch.linalg.qr(torch.randn(JOINT, 2, generator=torch.Generator().manual_seed(0)))[0].T
    return torch.stack([across, -across, down, -down]).to(device)


def _side(
    batch: dict[str, torch.Tensor],
    image: torch.Tensor,
    patches: torch.Tensor,
    scale: torch.Tensor,
    text: dict[str, torch.Tensor],
) -> dict[str, torch.Tensor]:
    """Images [n, d] and patches [n, 49, d], scaled, against half claims, and the latter two along the anchors."""
    if "sides" not in text:
        return {}
    claims = text["sides"]
    gap = lambda features, right, wrong: F.softplus((features * (claims[wrong] - claims[right])).sum(-1)).mean()
    scene, right, wrong = batch["side_of"].T
    at, cell, true, false = batch["side_patches"].T
    towards = _anchors(image.device)[batch["side_places"]]
    along = lambda features, place: F.softplus(-(features * place).sum(-1)).mean()
    return {
        "side": gap(image[scene], right, wrong) + gap(patches[at, cell], true, false),
        "anchor": along(scale * claims, towards) + along(patches[at, cell], towards[true]),
    }


def _names(
    batch: dict[str, torch.Tensor], phrase: torch.Tensor, patches: torch.Tensor, crops: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Patches [n, 49, d] and crops [m, d], scaled, against the names of the things they show."""
    wanted, coloured = batch["targets"] >= 0, len(batch["kind_of"])
    labelled = patches[: len(wanted)][wanted]
    target = torch.cat([batch["targets"][wanted], batch["crop_targets"]])
    weight = torch.cat([labelled.new_ones(len(labelled)), labelled.new_full((len(crops),), CROP_WEIGHT)])
    things = torch.cat([labelled, crops])
    against = lambda phrases, goal: (
        (F.cross_entropy(things @ phrases.T, goal, reduction="none") * weight).sum() / weight.sum()
    )
    code = batch["phrase_codes"][target]
    has = (code != 0).any(-1)
    hue = (F.softplus(-(things * code).sum(-1)) * weight * has).sum() / (weight * has).sum()
    return {
        "phrase": against(phrase[:coloured], target),
        "kind": against(phrase[coloured:], batch["kind_of"][target]),
        "hue": hue,
    }
