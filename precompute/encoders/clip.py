"""The frozen encoder in PyTorch: prompts and prepared images in, L2-normalised f16 embeddings out.

Every forward pass has the same batch size, the last one padded, because the last bit of an embedding depends on the
size of the batch that it was computed in. Passes may run in several threads at once.
"""

import math
from dataclasses import dataclass
from typing import Any, TypedDict, cast

import numpy as np
import torch
from torch import Tensor

from precompute.compute import check_device
from precompute.encoders.dtypes import DTYPES
from precompute.encoders.folder import GRID, TILE_SPAN, EncoderFolder
from precompute.encoders.images import Preparation, Prepared
from precompute.encoders.patch_recipes import (
    cut_crops,
    cut_tiles,
    dense_tokens,
    merge_tiles,
    project_tokens,
    raw_tokens,
)
from precompute.encoders.prompts import PromptTokens, Tokens
from tipai_jax.errors import UserError, first_line
from tipai_jax.store import Fingerprint

__all__ = ["ClipEncoder", "ImageEmbeddings", "TextEmbeddings", "load_clip"]

FINER = ("crops", "tiles")
"""Patch modes that cut parts out of the image at a higher resolution than the encoder's input."""


@dataclass(frozen=True)
class TextEmbeddings:
    """Encoded prompts: text f16[n, d] with norm 1, and their tokens."""

    text: np.ndarray
    tokens: Tokens


@dataclass(frozen=True)
class ImageEmbeddings:
    """Encoded images: image f16[n, d] and patches f16[n, k, d], all with norm 1."""

    image: np.ndarray
    patches: np.ndarray


class ClipEncoder:
    """A frozen CLIP in evaluation mode.

    Attributes:
        fingerprint: which encoder, patch mode and dtype.
        preparation: how images are prepared for it.
        device: cpu or cuda.
        batch_size: images, or token sequences, of every forward pass.
    """

    def __init__(
        self,
        model: Any,
        prompts: PromptTokens,
        *,
        fingerprint: Fingerprint,
        preparation: Preparation,
        device: str,
        batch_size: int,
    ):
        self._model = model
        self._prompts = prompts
        self.fingerprint = fingerprint
        self.preparation = preparation
        self.device = torch.device(device)
        self.batch_size = batch_size
        per_channel = lambda values: torch.tensor(values).view(1, 3, 1, 1).to(self.device)
        self._scale = per_channel([preparation.rescale / std for std in preparation.std])
        self._shift = per_channel([-mean / std for mean, std in zip(preparation.mean, preparation.std, strict=True)])
        self._dtype = next(model.parameters()).dtype
        self._plain_last_layer = fingerprint.patches == "raw" or (
            fingerprint.patches == "tiles" and fingerprint.small_world_only
        )

    @torch.inference_mode()
    def encode_text(self, prompts: list[str], *, batch_size: int | None = None) -> TextEmbeddings:
        """Encode prompts of any length; chunks of a long one are normalised, averaged and normalised again.

        Args:
            prompts: the texts.
            batch_size: in place of the encoder's own.
        """
        size = batch_size or self.batch_size
        tokens = self._prompts(prompts)
        order = sorted(
            range(len(tokens.sequences)), key=lambda i: len(tokens.sequences[i])
        )  # equal lengths together: less padding
        embedded = torch.empty(len(order), self.fingerprint.d)
        for start in range(0, len(order), size):
            part = order[start : start + size]
            ids = self._prompts.pad_batch([tokens.sequences[i] for i in part], size)
            features = self._model.get_text_features(torch.from_numpy(ids).to(self.device)).pooler_output
            embedded[part] = _unit(features.float())[: len(part)].cpu()
        pooled = torch.zeros(len(prompts), self.fingerprint.d).index_add_(0, torch.from_numpy(tokens.owner), embedded)
        return TextEmbeddings(_to_f16(_unit(pooled)), tokens)

    @torch.inference_mode()
    def encode_images(self, prepared: list[Prepared], *, batch_size: int | None = None) -> ImageEmbeddings:
        """Encode prepared images in batches, the last one padded with its first image.

        Args:
            prepared: as `preparation` makes them.
            batch_size: in place of the encoder's own.
        """
        size, images, patches = batch_size or self.batch_size, [], []
        for start in range(0, len(prepared), size):
            part = prepared[start : start + size]
            filled = part + [part[0]] * (size - len(part))
            detail = None if self.fingerprint.patches not in FINER else np.stack([_detail(item) for item in filled])
            encoded = self.encode_pixels(np.stack([item.pixels for item in filled]), detail)
            images.append(encoded.image[: len(part)])
            patches.append(encoded.patches[: len(part)])
        if not images:
            encoder = self.fingerprint
            return ImageEmbeddings(
                np.zeros((0, encoder.d), np.float16), np.zeros((0, encoder.k, encoder.d), np.float16)
            )
        return ImageEmbeddings(np.concatenate(images), np.concatenate(patches))

    @torch.inference_mode()
    def encode_whole(self, prepared: list[Prepared]) -> np.ndarray:
        """The global embeddings of images, f16[n, d] with norm 1, in one forward pass and without patches."""
        pixels = _channels_first(np.stack([item.pixels for item in prepared]), self.device)
        return _to_f16(_unit(self._global(self._normalise(pixels)).float()))

    @torch.inference_mode()
    def encode_pixels(self, pixels: np.ndarray, detail: np.ndarray | None) -> ImageEmbeddings:
        """One forward pass (and, for crops, 49 more; for tiles, four).

        Args:
            pixels: u8[b, s, s, 3].
            detail: u8[b, c, c, 3], only for the patch modes in FINER.
        """
        pixel_values = self._normalise(_channels_first(pixels, self.device))
        if self.fingerprint.patches == "crops":
            image, tokens = self._global(pixel_values), self._crops(detail)
        else:
            image, tokens = self._pass(pixel_values, GRID)
        if self.fingerprint.patches == "tiles":
            tokens = _unit(tokens.float()) + self._tiles(detail)
        return ImageEmbeddings(_to_f16(_unit(image.float())), _to_f16(_unit(tokens.float())))

    def _pass(self, pixel_values: Tensor, grid: int) -> tuple[Tensor, Tensor]:
        """The global embedding and those of grid x grid patches, out of one pass."""
        vision = self._model.vision_model
        *blocks, last = vision.encoder.layers
        hidden = vision.pre_layrnorm(vision.embeddings(pixel_values))
        for block in blocks:
            hidden = block(hidden, attention_mask=None)
        out = last(hidden, attention_mask=None)
        tokens = raw_tokens(out) if self._plain_last_layer else dense_tokens(last, hidden)
        return self._model.visual_projection(vision.post_layernorm(out[:, 0])), project_tokens(
            self._model, tokens, grid
        )

    def _tiles(self, detail: np.ndarray | None) -> Tensor:
        if detail is None:
            raise ValueError("the patch mode tiles needs the finer view")
        tiles = cut_tiles(self._normalise(_channels_first(detail, self.device)), cells=GRID, span=TILE_SPAN)
        tokens = [_unit(self._pass(part, TILE_SPAN)[1].float()) for part in tiles.split(self.batch_size)]
        return _unit(merge_tiles(torch.cat(tokens), cells=GRID, span=TILE_SPAN))

    def _crops(self, detail: np.ndarray | None) -> Tensor:
        if detail is None:
            raise ValueError("the patch mode crops needs the finer view")
        crops = cut_crops(_channels_first(detail, self.device), cells=GRID, size=self.preparation.image_size)
        embeddings = [self._global(self._normalise(part)) for part in crops.split(self.batch_size)]
        return torch.cat(embeddings).reshape(len(detail), GRID * GRID, -1)

    def _global(self, pixel_values: Tensor) -> Tensor:
        return self._model.visual_projection(self._model.vision_model(pixel_values=pixel_values).pooler_output)

    def _normalise(self, pixels: Tensor) -> Tensor:
        return torch.addcmul(self._shift, pixels, self._scale).to(self._dtype)


def _channels_first(pixels: np.ndarray, device: torch.device) -> Tensor:
    """u8[b, s, s, 3] to f32[b, 3, s, s] on 0..255."""
    return (
        torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    )


def _detail(prepared: Prepared) -> np.ndarray:
    if prepared.detail is None:
        raise ValueError("the patch modes crops and tiles need the finer view")
    return prepared.detail


def _unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def _to_f16(x: Tensor) -> np.ndarray:
    return x.to(torch.float16).cpu().numpy()


def _crop_source(patches: str, image_size: int) -> int:
    """Side of the finer view in pixels, a multiple of GRID; 0 for none.

    For crops about twice the encoder's input; for tiles such that a tile has the size of the encoder's input.
    """
    return {"crops": GRID * math.ceil(2 * image_size / GRID), "tiles": GRID * image_size // TILE_SPAN}.get(patches, 0)


class _LoadingReport(TypedDict):
    """What is used of the dictionary that `from_pretrained` returns with `output_loading_info`."""

    missing_keys: set[str]


def load_clip(
    folder: EncoderFolder,
    *,
    patches: str | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    batch_size: int = 64,
) -> ClipEncoder:
    """Load a frozen CLIP from local files only.

    Args:
        folder: from `find_encoder`.
        patches: `dense`, `crops`, `raw` or `tiles`; None for the encoder's own default.
        dtype: float32, float16 or bfloat16; on a CPU the last two are fast only where the processor supports them.
        device: `cpu` or `cuda`.
        batch_size: images, or token sequences, of every forward pass.

    Raises:
        UserError: the files do not make up a CLIP model, or there is no such device.
    """
    check_device(device)
    from transformers import AutoTokenizer, CLIPModel
    from transformers.utils import logging

    patches = patches or folder.default_patches
    fingerprint = folder.fingerprint(patches=patches, dtype=dtype)
    preparation = Preparation.from_config(
        folder.processor, image_size=fingerprint.image_size, crop_source=_crop_source(patches, fingerprint.image_size)
    )
    logging.disable_progress_bar()
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        loaded = CLIPModel.from_pretrained(
            folder.path, local_files_only=True, use_safetensors=True, dtype=DTYPES[dtype], output_loading_info=True
        )
        # The library's annotations are wrong twice: with output_loading_info a tuple is returned, and
        # PreTrainedModel.to takes the arguments of Module.to.
        model, report = cast("tuple[torch.nn.Module, _LoadingReport]", loaded)
        tokenizer = AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"{folder.path}: the encoder cannot be loaded ({first_line(error)})") from None
    finally:
        logging.set_verbosity(before)
    if missing := sorted(report["missing_keys"]):
        raise UserError(
            f"{folder.path}: {len(missing)} weights are missing, such as {missing[0]}; expected a whole CLIP model"
        )
    length = int(folder.config.get("text_config", {}).get("max_position_embeddings", 77))
    model = model.to(device).eval().requires_grad_(False)
    return ClipEncoder(
        model,
        PromptTokens(tokenizer, length),
        fingerprint=fingerprint,
        preparation=preparation,
        device=device,
        batch_size=batch_size,
    )
