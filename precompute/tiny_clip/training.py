"""Training of the small CLIP: two losses, and a step whose gradients several threads compute in parts.

contrast   every image of a batch against all captions, and every caption against all images; Radford et al. 2021 (CLIP)
phrases    the patches under the box of each thing, averaged by area, against the distinct phrases of the batch, those
           with a colour ("a red car") and those without ("a car"); as in Zhong et al. 2022 (RegionCLIP)
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from precompute.encoders.dtypes import DTYPES, fast_dtype
from precompute.tiny_clip.shape import build_model, build_tokenizer, embed_images, embed_text, to_pixels
from tipai_jax.errors import UserError

WARM_UP, DECAY, TEXTS = 50, 0.05, ("captions", "phrases", "kinds")
PART = 32  # images that are embedded together; always the same, so that the number of threads changes no sum


@dataclass
class Recipe:
    """What determines the weights; precision is None until it is known."""

    seed: int
    batch: int
    rate: float
    steps: int
    precision: str | None = None


def losses(batch: dict[str, torch.Tensor], made: dict[str, torch.Tensor], scale: torch.Tensor) -> list[torch.Tensor]:
    """Contrast and phrases of a batch, from its normalised embeddings (image [images, d], patches [images, 49, d], and
    TEXTS, each [n, d]) and the scale of cosines."""
    logits = scale * made["image"][: len(made["captions"])] @ made["captions"].T  # tiles have no caption
    own = torch.arange(len(logits), device=logits.device)
    contrast = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    under = torch.einsum("mk,mkd->md", batch["region_cells"], made["patches"][batch["region_image"]])
    regions = scale * F.normalize(under, dim=-1)
    phrase = F.cross_entropy(regions @ made["phrases"].T, batch["region_phrase"])
    kind = F.cross_entropy(regions @ made["kinds"].T, batch["region_kind"])
    return [contrast, (phrase + kind) / 2]


def pace(step: int, total: int) -> float:
    """Share of the learning rate: a linear warm-up, then half a cosine to zero."""
    fall = max(0, step - WARM_UP) / max(1, total - WARM_UP)
    return min(1.0, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, fall)))


class Training:
    """A model that is trained; a step depends on recipe and batch alone, not on the number of threads."""

    def __init__(self, recipe: Recipe, *, device: str = "cpu", threads: int = 1) -> None:
        torch.manual_seed(recipe.seed)
        torch.set_num_threads(1)
        self.recipe, self.device, self.step = recipe, torch.device(device), 0
        self.model = build_model(build_tokenizer())
        torch.nn.Module.to(self.model, self.device)
        self.model.set_attn_implementation("eager")  # the fused one is slow backwards in bfloat16 on a CPU
        named = list(self.model.named_parameters())
        self._params, vectors = [p for _, p in named], [p for _, p in named if p.ndim < 2]
        matrices = [p for name, p in named if ".layers." in name and p.ndim == 2]
        tables = [p for name, p in named if ".layers." not in name and p.ndim >= 2]
        groups = [{"params": tables}, {"params": vectors, "weight_decay": 0.0}]
        self._optimizers = (
            torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=DECAY, fused=True),
            torch.optim.Muon(matrices, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw"),  # needs fast bfloat16
        )
        self._threads = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))

    def save(self, file: Path) -> None:
        """Write the state, whole or not at all."""
        state = {"model": self.model.state_dict(), "optimizers": [x.state_dict() for x in self._optimizers]}
        torch.save({"step": self.step, "recipe": asdict(self.recipe), **state}, file.with_suffix(".part"))
        file.with_suffix(".part").replace(file)

    def restore(self, file: Path) -> None:
        """Go on from a state, if there is one; what the recipe leaves open is as it was there. Raises UserError."""
        if file.exists():
            kept = torch.load(file, map_location=self.device, weights_only=True)
            asked = {name: value for name, value in asdict(self.recipe).items() if value is not None}
            if kept["recipe"] | asked != kept["recipe"]:
                raise UserError(f"{file}: trained with {kept['recipe']}, asked for {asked}; give another --workdir")
            self.recipe, self.step = Recipe(**kept["recipe"]), kept["step"]
            self.model.load_state_dict(kept["model"])
            for optimizer, state in zip(self._optimizers, kept["optimizers"], strict=True):
                optimizer.load_state_dict(state)

    def advance(self, batch: dict[str, torch.Tensor]) -> list[float]:
        """One step; returns the losses before it."""
        self.recipe.precision = self.recipe.precision or fast_dtype(self.device)
        self.model.zero_grad(set_to_none=True)
        terms = self.backward({name: value.to(self.device) for name, value in batch.items()})
        torch.nn.utils.clip_grad_norm_(self._params, 1.0)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.rate * pace(self.step, self.recipe.steps)
            optimizer.step()
        self.step += 1
        return [value.item() for value in terms]

    def backward(self, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """The losses; the gradients of their sum are then in the parameters' `grad`.

        Threads embed parts, the losses see all embeddings, threads carry gradients back; these are added in part order.
        """
        parts = [lambda part=part: embed_images(self.model, to_pixels(part)) for part in batch["images"].split(PART)]
        parts += [lambda name=name: (embed_text(self.model, batch[name], batch[f"{name}_mask"]),) for name in TEXTS]
        dtype = DTYPES[self.recipe.precision or "float32"]
        cast = lambda: torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32, cache_enabled=False)
        outputs = list(self._threads.map(lambda part: cast()(part)(), parts))
        leaves = [[x.detach().requires_grad_() for x in some] for some in outputs]
        image, patches = (torch.cat(x) for x in zip(*leaves[: -len(TEXTS)], strict=True))
        text = {name: leaf for name, (leaf,) in zip(TEXTS, leaves[-len(TEXTS) :], strict=True)}
        scale = self.model.logit_scale.exp().clamp(max=100.0)
        terms = losses(batch, {"image": image, "patches": patches, **text}, scale)
        torch.stack(terms).sum().backward()
        back = lambda some, of: torch.autograd.grad(some, self._params, [x.grad for x in of], allow_unused=True)
        for gradients in self._threads.map(back, outputs, leaves):
            for parameter, gradient in zip(self._params, gradients, strict=True):
                if gradient is not None:
                    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        return terms
