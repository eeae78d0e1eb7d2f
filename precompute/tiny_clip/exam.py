"""Evaluation of a small CLIP on unseen scenes: does it distinguish captions that differ in one thing?"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from transformers import CLIPModel, PreTrainedTokenizerFast

from precompute.tiny_clip.shape import embed_images, embed_text, shrink, to_pixels
from precompute.world.draw import draw
from precompute.world.square import Square, sample
from precompute.world.vocabulary import held_out_combinations
from tipai_jax.store import CATEGORIES, DIFFICULTIES

Row = dict[str, float | str | int]


@dataclass(frozen=True)
class Trial:
    """Squares of one category and difficulty, from a seed that training never uses."""

    category: str
    difficulty: str
    squares: list[Square]


def trials(number: int) -> list[Trial]:
    """`number` unseen squares for every category and difficulty."""
    rng = np.random.default_rng([2**31, 7])
    draw_one = lambda c, d: sample(rng, category=c, difficulty=d, banned=held_out_combinations())
    return [Trial(c, d, [draw_one(c, d) for _ in range(number)]) for c in CATEGORIES for d in DIFFICULTIES]


@torch.no_grad()
def answers(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, squares: list[Square]) -> np.ndarray:
    """bool[2, squares, 2]: whether each image prefers its own caption to the other one of its square, and whether each
    caption prefers its own image.
    """
    device = next(model.parameters()).device
    images = shrink(np.stack([draw(scene) for square in squares for scene in square.scenes]))
    texts = [claim.text() for square in squares for claim in square.claims]
    tokens = tokenizer(texts, padding=True, return_tensors="pt").to(device)
    image, _ = embed_images(model, to_pixels(torch.from_numpy(images).to(device)))
    text = embed_text(model, tokens.input_ids, tokens.attention_mask)
    cosine = image.reshape(-1, 2, image.shape[-1]) @ text.reshape(-1, 2, text.shape[-1]).mT  # [square, image, caption]
    own, cross = cosine.diagonal(dim1=1, dim2=2), torch.stack([cosine[:, 0, 1], cosine[:, 1, 0]], 1)
    return torch.stack([own > cross, own > cross.flip(1)]).cpu().numpy()


def styles_of(square: Square) -> list[list[str]]:
    """The words that describe the style of each scene ("outline=thin"), without its rotation in degrees."""
    return [[word for word in scene.style.line().split() if "rotate" not in word] for scene in square.scenes]


def examine(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, every: list[Trial]) -> list[Row]:
    """Evaluate a model.

    Returns:
        For each trial its category and difficulty, then for each word of the styles its `style`; with `n`,
        `caption_accuracy` (an image prefers its own caption to the hard negative) and `pair_auc` (a caption prefers its
        own image; the image is the one that the style is of).
    """
    rows: list[Row] = []
    by_style: dict[str, list[np.ndarray]] = defaultdict(list)
    for trial in every:
        right = answers(model, tokenizer, trial.squares)
        where: Row = {"category": trial.category, "difficulty": trial.difficulty}
        rows.append(where | _shares(right.reshape(2, -1)))
        for square, found in zip(trial.squares, right.swapaxes(0, 1), strict=True):
            for words, one in zip(styles_of(square), found.T, strict=True):
                for word in words:
                    by_style[word].append(one)
    named: list[Row] = [{"style": word} | _shares(np.stack(by_style[word], 1)) for word in sorted(by_style)]
    return rows + named


def _shares(right: np.ndarray) -> Row:
    """`n` and the two shares of bool[2, n]."""
    caption, pair = right.mean(1).tolist()
    return {"n": right.shape[1], "caption_accuracy": round(caption, 4), "pair_auc": round(pair, 4)}


def table(rows: list[Row], key: str) -> str:
    """A Markdown table, categories down, difficulties across."""
    cell = {(r["category"], r["difficulty"]): r[key] for r in rows if "category" in r}
    lines = ["| category | " + " | ".join(DIFFICULTIES) + " |", "|---|" + "---|" * len(DIFFICULTIES)]
    return "\n".join(
        lines + [f"| {c} | " + " | ".join(f"{cell[c, d]:.3f}" for d in DIFFICULTIES) + " |" for c in CATEGORIES]
    )


def style_table(rows: list[Row]) -> str:
    """A Markdown table, styles down, both figures across; "" where no style is recorded."""
    styled = [r for r in rows if "style" in r]
    head = ["| style | images | image prefers its caption | caption prefers its image |", "|---|---|---|---|"]
    lines = [f"| {r['style']} | {r['n']} | {r['caption_accuracy']:.3f} | {r['pair_auc']:.3f} |" for r in styled]
    return "\n".join(head + lines) if styled else ""
