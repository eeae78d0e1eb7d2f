"""Evaluation of a small CLIP on unseen scenes: does it distinguish captions that differ in one thing?"""

from dataclasses import dataclass

import numpy as np
import torch
from transformers import CLIPModel, PreTrainedTokenizerFast

from precompute.tiny_clip.shape import embed_images, embed_text, shrink, to_pixels
from precompute.world.draw import draw
from precompute.world.square import Square, sample
from precompute.world.vocabulary import held_out_combinations
from tipai_jax.store import CATEGORIES, DIFFICULTIES


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
def examine(
    model: CLIPModel, tokenizer: PreTrainedTokenizerFast, every: list[Trial]
) -> list[dict[str, float | str | int]]:
    """Evaluate a model.

    Returns:
        For each trial its category and difficulty, `n`, `caption_accuracy` (an image prefers its own caption to the
        hard negative) and `pair_auc` (a caption prefers its own image).
    """
    device, results = next(model.parameters()).device, []
    for trial in every:
        images = shrink(np.stack([draw(scene) for square in trial.squares for scene in square.scenes]))
        tokens = tokenizer(
            [claim.text() for square in trial.squares for claim in square.claims], padding=True, return_tensors="pt"
        ).to(device)
        image, _ = embed_images(model, to_pixels(torch.from_numpy(images).to(device)))
        text = embed_text(model, tokens.input_ids, tokens.attention_mask)
        own = (image * text).sum(-1).reshape(-1, 2)
        cross = (image * text.reshape(-1, 2, text.shape[-1]).flip(1).reshape_as(text)).sum(-1).reshape(-1, 2)
        results.append(
            {
                "category": trial.category,
                "difficulty": trial.difficulty,
                "n": own.numel(),
                "caption_accuracy": round((own > cross).float().mean().item(), 4),
                "pair_auc": round((own > cross.flip(1)).float().mean().item(), 4),
            }
        )
    return results


def table(results: list[dict[str, float | str | int]], key: str) -> str:
    """A Markdown table, categories down, difficulties across."""
    cell = {(r["category"], r["difficulty"]): r[key] for r in results}
    lines = ["| category | " + " | ".join(DIFFICULTIES) + " |", "|---|" + "---|" * len(DIFFICULTIES)]
    return "\n".join(
        lines + [f"| {c} | " + " | ".join(f"{cell[c, d]:.3f}" for d in DIFFICULTIES) + " |" for c in CATEGORIES]
    )
