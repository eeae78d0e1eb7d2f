"""Training batches of freshly drawn squares: pictures, captions, and which phrase names which patch and which crop.

It owns what a batch holds; batch `i` is a function of (seed, i) alone. It knows nothing of the model.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedTokenizerFast

from precompute.tiny_clip.negatives import negatives
from precompute.tiny_clip.shape import GRID, SIDE, build_tokenizer, shrink
from precompute.world.draw import draw
from precompute.world.scene import SIZE, Item, Phrase, Scene
from precompute.world.square import CATEGORIES, DIFFICULTIES, sample
from precompute.world.vocabulary import held_out_combinations

CATEGORY_WEIGHTS = (0.17, 0.17, 0.2, 0.24, 0.22)
DIFFICULTY_WEIGHTS = (0.35, 0.35, 0.3)
NEGATIVES = 2
"""Hard-negative captions a picture, besides the caption of the other scene of its square."""
GENTLE_STEPS = 500
"""The first steps see easy scenes only."""


def phrase_of(item: Item) -> str:
    """What the region and crop losses call a thing."""
    return Phrase(item.name, 1, item.colour or None, item.word).text()


def cells_of(scene: Scene) -> np.ndarray:
    """For each of the 49 cells the index of the item that covers at least half of it, in front of the others; -1 for none."""
    cells = np.full((GRID, GRID), -1)
    edges = np.arange(GRID + 1) * (SIZE / GRID)
    for index, item in enumerate(scene.items):
        across = np.clip(np.minimum(edges[1:], item.box.x2) - np.maximum(edges[:-1], item.box.x1), 0, None)
        down = np.clip(np.minimum(edges[1:], item.box.y2) - np.maximum(edges[:-1], item.box.y1), 0, None)
        share = np.outer(down, across) / (edges[1] ** 2)
        cells[share >= min(0.5, 0.99 * share.max())] = index
    return cells.reshape(-1)


def cut(rng: np.random.Generator, picture: np.ndarray, item: Item) -> np.ndarray:
    """A square crop around (a part of) a thing, 28 to 120 px wide, at 112 x 112."""
    side = int(rng.integers(28, 121))
    x = int(np.clip(rng.integers(item.box.x1, item.box.x2) - side // 2, 0, SIZE - side))
    y = int(np.clip(rng.integers(item.box.y1, item.box.y2) - side // 2, 0, SIZE - side))
    return np.asarray(Image.fromarray(picture[y : y + side, x : x + side]).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


class Stream(torch.utils.data.IterableDataset):
    """Batches of freshly drawn squares; batch `i` is a function of (seed, i) alone."""

    def __init__(self, *, seed: int, first: int, last: int, squares: int) -> None:
        self.seed, self.first, self.last, self.squares = seed, first, last, squares

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = torch.utils.data.get_worker_info()
        start, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        tokenizer = build_tokenizer()
        for step in range(self.first + start, self.last, stride):
            yield make_batch(np.random.default_rng([self.seed, step]), tokenizer, number=self.squares, gentle=step < GENTLE_STEPS)


def make_batch(rng: np.random.Generator, tokenizer: PreTrainedTokenizerFast, *, number: int, gentle: bool) -> dict[str, torch.Tensor]:
    """Pictures of `number` squares, then an eighth as many crops; their captions, then NEGATIVES wrong ones for each.

    `phrases` holds "a COLOUR OBJECT" for everything shown, then "an OBJECT" for each kind of it; `targets` and `crop_targets` number the former,
    `kind_of` leads from these to the latter.

    `gentle`: easy scenes only.
    """
    squares = []
    for _ in range(number):
        difficulty = "easy" if gentle else str(rng.choice(DIFFICULTIES, p=DIFFICULTY_WEIGHTS))
        squares.append(
            sample(rng, category=CATEGORIES[rng.choice(5, p=CATEGORY_WEIGHTS)], difficulty=difficulty, banned=held_out_combinations())
        )
    scenes = [scene for square in squares for scene in square.scenes]
    claims = [claim for square in squares for claim in square.claims]
    wrong = [[claim.text() for claim in negatives(rng, claims[i], scenes[i], number=NEGATIVES)] for i in range(len(scenes))]
    captions = [claim.text() for claim in claims] + [caption for row in wrong for caption in row]
    pictures = np.stack([draw(scene) for scene in scenes])
    phrases: dict[str, int] = {}
    kinds: dict[str, int] = {}
    kind_of: list[int] = []
    targets = np.full((len(scenes), GRID * GRID), -1)
    for row, scene in enumerate(scenes):
        for item in scene.items:
            if phrase_of(item) not in phrases:
                phrases[phrase_of(item)] = len(phrases)
                kind_of.append(kinds.setdefault(phrase_of(replace(item, colour="")), len(kinds)))
        named = np.array([phrases[phrase_of(item)] for item in scene.items] + [-1])
        targets[row] = named[cells_of(scene)]
    crops, crop_targets = [], []
    for row in rng.choice(len(scenes), max(1, len(scenes) // 8), replace=False).tolist():
        item = scenes[row].items[rng.integers(len(scenes[row].items))]
        crops.append(cut(rng, pictures[row], item))
        crop_targets.append(phrases[phrase_of(item)])
    caption_tokens = tokenizer(captions, padding=True, return_tensors="pt")
    phrase_tokens = tokenizer(list(phrases) + list(kinds), padding=True, return_tensors="pt")
    return {
        "pictures": torch.from_numpy(np.concatenate([shrink(pictures), np.stack(crops)])),
        "captions": caption_tokens.input_ids, "captions_mask": caption_tokens.attention_mask,
        "phrases": phrase_tokens.input_ids, "phrases_mask": phrase_tokens.attention_mask,
        "targets": torch.from_numpy(targets), "crop_targets": torch.tensor(crop_targets), "kind_of": torch.tensor(kind_of),
    }  # fmt: skip
