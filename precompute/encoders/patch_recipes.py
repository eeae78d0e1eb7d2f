"""The four ways to 7x7 patch embeddings from a CLIP vision tower: dense, raw, crops and tiles.

raw     the tokens of the last block
dense   those of a changed last block, as in ClearCLIP (Lan et al. 2024, "Decomposing Vision-Language Representations
        for Dense Vision-Language Inference"): attention of q with q, no residual and no MLP; written from the paper
crops   the global embedding of each of 7x7 crops, cut from a view of the image of about twice the encoder's size and
        enlarged to that size
tiles   tokens of four overlapping tiles, one in each corner, enlarged 1.75 times, added to those of the whole image

Any token grid is reduced to 7x7 by area. The functions here do not normalise.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from tipai_jax.grids import grid_side

if TYPE_CHECKING:
    from transformers import CLIPModel
    from transformers.models.clip.modeling_clip import CLIPEncoderLayer

__all__ = [
    "area_matrix",
    "cut_crops",
    "cut_tiles",
    "dense_tokens",
    "merge_tiles",
    "project_tokens",
    "raw_tokens",
    "reduce_grid",
]


def area_matrix(source: int, target: int) -> Tensor:
    """f32[target, source]: each target cell is the mean of the source cells it overlaps, weighted by the overlap.

    Rows sum to 1; 16 to 7 gives the first row 7/16 * (1, 1, 2/7, 0, ...).
    """
    edges = torch.arange(target + 1, dtype=torch.float64) * source / target
    cells = torch.arange(source, dtype=torch.float64)
    shared = torch.minimum(edges[1:, None], cells + 1) - torch.maximum(edges[:-1, None], cells)
    return (shared.clamp(min=0) * target / source).float()


def reduce_grid(tokens: Tensor, target: int) -> Tensor:
    """Area-weighted mean of a square token grid, row-major: [b, g * g, d] to [b, target * target, d].

    Raises:
        ValueError: the tokens fill no square.
    """
    batch, count, width = tokens.shape
    side = grid_side(count)
    if side == target:
        return tokens
    weight = area_matrix(side, target).to(tokens)
    grid = tokens.reshape(batch, side, side, width)
    return torch.einsum("iy,jx,byxd->bijd", weight, weight, grid).reshape(batch, target * target, width)


def project_tokens(model: "CLIPModel", tokens: Tensor, target: int) -> Tensor:
    """Patch tokens of the last block in the joint space: `post_layernorm`, `visual_projection`, then `reduce_grid`."""
    return reduce_grid(model.visual_projection(model.vision_model.post_layernorm(tokens)), target)


def raw_tokens(last_hidden: Tensor) -> Tensor:
    """The plain output of the last block without CLS: [b, 1 + g * g, w] to [b, g * g, w]."""
    return last_hidden[:, 1:]


def dense_tokens(block: "CLIPEncoderLayer", block_input: Tensor) -> Tensor:
    """The changed last block: attention of q with q over the input of the block, no residual, no MLP.

    Args:
        block: the last `CLIPEncoderLayer`.
        block_input: [b, 1 + g * g, w], the input of the block.

    Returns:
        [b, g * g, w]; CLS takes part in the attention and is left out of the result.
    """
    attention = block.self_attn
    hidden = block.layer_norm1(block_input)
    batch, count, width = hidden.shape

    def heads(x: Tensor) -> Tensor:
        return x.reshape(batch, count, attention.num_heads, -1).transpose(1, 2)

    queries, values = heads(attention.q_proj(hidden)), heads(attention.v_proj(hidden))
    mixed = functional.scaled_dot_product_attention(queries, queries, values, scale=attention.scale)
    return attention.out_proj(mixed.transpose(1, 2).reshape(batch, count, width))[:, 1:]


def cut_crops(detail: Tensor, *, cells: int, size: int) -> Tensor:
    """Cut every image of a batch into cells x cells crops and resize all of them at once.

    Args:
        detail: f32[b, 3, s, s] on 0..255, s a multiple of `cells`: a finer view of the image than the encoder takes
            (`clip._crop_source`: the least multiple of 7 that is at least twice its size, 448 for 224), so that a crop
            is enlarged from 64 pixels and not from 32. An image smaller than that view is enlarged to it first.
        cells: crops along an axis.
        size: pixels of a resized crop.

    Returns:
        f32[b * cells * cells, 3, size, size] on 0..255, images in order, crops row-major.
    """
    batch, channels, side, _ = detail.shape
    step = _cell(side, cells)
    crops = (
        detail.reshape(batch, channels, cells, step, cells, step)
        .permute(0, 2, 4, 1, 3, 5)
        .reshape(batch * cells * cells, channels, step, step)
    )
    return functional.interpolate(crops, size=(size, size), mode="bicubic", antialias=True, align_corners=False).clamp(
        0, 255
    )


def cut_tiles(detail: Tensor, *, cells: int, span: int) -> Tensor:
    """Cut every image of a batch into four overlapping tiles, one in each corner.

    Args:
        detail: [b, 3, s, s], s a multiple of `cells`.
        cells: cells of the image along an axis.
        span: cells of a tile along an axis; more than half of `cells`, so that what is smaller than the overlap is
            whole in one tile.

    Returns:
        [b * 4, 3, s / cells * span, s / cells * span], images in order, tiles row-major.
    """
    batch, channels, side, _ = detail.shape
    step = _cell(side, cells)
    first, length = (cells - span) * step, span * step
    corners = [detail[:, :, y : y + length, x : x + length] for y in (0, first) for x in (0, first)]
    return torch.stack(corners, dim=1).reshape(batch * 4, channels, length, length)


def _cell(side: int, cells: int) -> int:
    """Pixels of a cell along an axis."""
    if side % cells:
        raise ValueError(f"{side} pixels cannot be cut into {cells} equal parts")
    return side // cells


def merge_tiles(tokens: Tensor, *, cells: int, span: int) -> Tensor:
    """Join the tokens of tiles as `cut_tiles` orders them; where tiles overlap, their mean.

    Args:
        tokens: [b * 4, span * span, d].
        cells: cells of the image along an axis.
        span: cells of a tile along an axis.

    Returns:
        [b, cells * cells, d], row-major.
    """
    width, first = tokens.shape[-1], cells - span
    grids = tokens.reshape(-1, 4, span, span, width)
    total, count = grids.new_zeros(len(grids), cells, cells, width), grids.new_zeros(cells, cells, 1)
    for tile, (y, x) in enumerate((y, x) for y in (0, first) for x in (0, first)):
        total[:, y : y + span, x : x + span] += grids[:, tile]
        count[y : y + span, x : x + span] += 1
    return (total / count).reshape(-1, cells * cells, width)
