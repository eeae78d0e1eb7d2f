"""Training of the small CLIP: two losses, and a step whose gradients are computed in parts by several threads.

contrast   every image of a batch against all captions, and every caption against all images (Radford et al. 2021,
           "Learning Transferable Visual Models From Natural Language Supervision")
phrases    the patches under the box of every thing, averaged by area, against the distinct phrases of the batch, with
           colour ("a red car") and without ("a car"); as in Zhong et al. 2022, "RegionCLIP"
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.nn.functional as F

from precompute.encoders.dtypes import DTYPES
from precompute.tiny_clip.shape import build_model, build_tokenizer, embed_images, embed_text, to_pixels
from tipai_jax.errors import UserError

WARM_UP = 200
PART = 32
"""Images that are embedded together. It is fixed, so that sums are the same for any number of threads."""


def contrast(image: torch.Tensor, text: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of image i [n, d] with text i [n, d], over texts and over images; log(n) for equal rows."""
    logits = scale * image @ text.T
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def pool(patches: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Mean of normalised patches [m, 49, d] with weights [m, 49], normalised, [m, d]."""
    return F.normalize(torch.einsum("mk,mkd->md", cells, patches), dim=-1)


def losses(
    batch: dict[str, torch.Tensor],
    image: torch.Tensor,
    patches: torch.Tensor,
    *,
    scale: torch.Tensor,
    **text: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """The losses by name.

    Args:
        batch: of `Batches`.
        image: [images, d], normalised like all embeddings; those of tiles come last and have no caption.
        patches: [images, 49, d].
        scale: by which cosines are multiplied.
        **text: captions, phrases and kinds, each [n, d].
    """
    regions = scale * pool(patches[batch["region_image"]], batch["region_cells"])
    named = F.cross_entropy(regions @ text["phrases"].T, batch["region_phrase"])
    kind = F.cross_entropy(regions @ text["kinds"].T, batch["region_kind"])
    whole = image[: len(text["captions"])]
    return {"contrast": contrast(whole, text["captions"], scale), "phrases": (named + kind) / 2}


def pace(step: int, total: int) -> float:
    """Share of the learning rate: a linear warm-up, then half a cosine to zero."""
    fall = max(0, step - WARM_UP) / max(1, total - WARM_UP)
    return min(1.0, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, fall)))


class Training:
    """A model in training; what a step does depends on the recipe and the batch alone, not on the number of threads.

    Attributes:
        model: the CLIP.
        recipe: seed, batch, rate, precision and steps.
        step: steps done.
    """

    def __init__(self, recipe: dict[str, int | float | str], *, device: str = "cpu", threads: int = 1) -> None:
        torch.manual_seed(int(recipe["seed"]))
        torch.set_num_threads(1)
        self.recipe, self.device, self.step = recipe, torch.device(device), 0
        self.model = build_model(build_tokenizer()).to(self.device)
        self.model.set_attn_implementation("eager")  # the fused one has no fast backward pass in bfloat16 on a CPU
        self._params = list(self.model.parameters())
        groups = [
            {"params": [p for p in self._params if p.ndim >= 2], "weight_decay": 0.05},
            {"params": [p for p in self._params if p.ndim < 2], "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(groups, lr=float(recipe["rate"]), betas=(0.9, 0.98), fused=True)
        self._threads = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))

    def save(self, file: Path) -> None:
        """Write the state, whole or not at all."""
        kept = {"model": self.model.state_dict(), "optimizer": self._optimizer.state_dict()}
        torch.save(kept | {"step": self.step, "recipe": self.recipe}, file.with_suffix(".part"))
        file.with_suffix(".part").replace(file)

    def restore(self, file: Path) -> None:
        """Go on from a state; a recipe that leaves out steps or precision takes over those of the state.

        Raises:
            UserError: it is of another recipe.
        """
        kept = torch.load(file, map_location=self.device, weights_only=True)
        if kept["recipe"] | self.recipe != kept["recipe"]:
            raise UserError(
                f"{file}: trained with {kept['recipe']}, asked for {self.recipe}; give the same, or another --workdir"
            )
        self.recipe, self.step = kept["recipe"], kept["step"]
        self.model.load_state_dict(kept["model"])
        self._optimizer.load_state_dict(kept["optimizer"])

    def advance(self, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        """One step; returns the losses before it."""
        share = pace(self.step, int(self.recipe.get("steps", 10**9)))
        for group in self._optimizer.param_groups:
            group["lr"] = float(self.recipe["rate"]) * share
        self.model.zero_grad(set_to_none=True)
        terms = self.backward({name: value.to(self.device) for name, value in batch.items()})
        torch.nn.utils.clip_grad_norm_(self._params, 1.0)
        self._optimizer.step()
        self.step += 1
        return {name: value.item() for name, value in terms.items()}

    def backward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The losses, and the gradient of their sum in the parameters' `grad`.

        Threads embed parts of the batch, the losses are computed on all embeddings, and threads carry the gradients of
        these back; they are added in the order of the parts.
        """
        texts = {name: batch[name] for name in ("captions", "phrases", "kinds")}
        parts: list[Callable[[], tuple[torch.Tensor, ...]]] = [
            lambda part=part: embed_images(self.model, to_pixels(part)) for part in batch["images"].split(PART)
        ]
        views = len(parts)
        parts += [lambda name=name: (embed_text(self.model, texts[name], batch[f"{name}_mask"]),) for name in texts]
        made = list(self._threads.map(self._in_precision, parts))
        leaves = [tuple(x.detach().requires_grad_() for x in outputs) for outputs in made]
        image, patches = (torch.cat(x) for x in zip(*leaves[:views], strict=True))
        text = dict(zip(texts, (leaf for (leaf,) in leaves[views:]), strict=True))
        terms = losses(batch, image, patches, scale=self.model.logit_scale.exp().clamp(max=100.0), **text)
        sum(terms.values()).backward()  # of the leaves and of the scale
        back = lambda outputs, of: torch.autograd.grad(outputs, self._params, [x.grad for x in of], allow_unused=True)
        for gradients in self._threads.map(back, made, leaves):
            for parameter, gradient in zip(self._params, gradients, strict=True):
                if gradient is not None:
                    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        return terms

    def _in_precision(self, part: Callable[[], tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
        dtype = DTYPES[str(self.recipe["precision"])]
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32, cache_enabled=False):
            return part()
