"""Training batches of freshly drawn, unrelated scenes; a batch is a function of (seed, step) alone."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from precompute.encoders.folder import GRID, TILE_SPAN
from precompute.tiny_clip.shape import SIDE, build_tokenizer
from precompute.world.draw import draw
from precompute.world.scene import SIZE, Box, Item, Phrase
from precompute.world.square import DIFFICULTY_SHARES, sample
from precompute.world.vocabulary import held_out_combinations
from tipai_jax.store import CATEGORIES, DIFFICULTIES

TILES = 0.25  # corner tiles, as the patch recipe `tiles` cuts them, for each scene; their patches are trained as well
TILE = SIZE * TILE_SPAN // GRID  # side of a tile in pixels of the scene


@dataclass(frozen=True)
class Example:
    """A drawn scene, u8[224, 224, 3], its caption, and `phrases_of` and the box of each thing, named there or not."""

    image: np.ndarray
    caption: str
    things: list[tuple[str, str, Box]]


def phrases_of(item: Item) -> tuple[str, str]:
    """The phrase of a thing in the singular and without its colour or word: "a red car" and "a car"."""
    full = Phrase(item.name, 1, item.colour or None, item.word)
    return full.text(), f"a {item.name}" if item.word else Phrase(item.name).text()


def draw_examples(rng: np.random.Generator, number: int) -> list[Example]:
    """Scenes of all categories and difficulties with different captions, without the held-out combinations.

    Of each square only one scene is taken: no hard negatives. Nothing else in the training knows how scenes are made.
    """
    made: dict[str, Example] = {}
    while len(made) < number:
        difficulty = DIFFICULTIES[rng.choice(len(DIFFICULTIES), p=DIFFICULTY_SHARES)]
        category = CATEGORIES[rng.integers(len(CATEGORIES))]
        square = sample(rng, category=category, difficulty=difficulty, banned=held_out_combinations())
        scene, claim = list(zip(square.scenes, square.claims, strict=True))[rng.integers(2)]
        if (caption := claim.text()) not in made:
            made[caption] = Example(draw(scene), caption, [(*phrases_of(item), item.box) for item in scene.items])
    return list(made.values())


def cover(box: Box, *, left: int, top: int, side: int) -> np.ndarray:
    """Pixels of a box in each cell of a square view of the scene, f[49] row-major."""
    edges = np.arange(GRID + 1) * (side / GRID)
    across = np.minimum(edges[1:], box.x2 - left) - np.maximum(edges[:-1], box.x1 - left)
    down = np.minimum(edges[1:], box.y2 - top) - np.maximum(edges[:-1], box.y1 - top)
    return np.outer(down.clip(0), across.clip(0)).reshape(-1)


def view_of(image: np.ndarray, left: int, top: int, side: int) -> np.ndarray:
    """A square part of a scene as the encoder sees it, or a tile of it; equal to what `Preparation` makes of them."""
    box = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX, box=box))


class Batches(torch.utils.data.Dataset):
    """The batches of a training by step.

    images: u8[scenes + tiles, side, side, 3], the scenes, then tiles of some of them.
    captions (one a scene), phrases, kinds (the distinct ones, see `phrases_of`): i64[n, length], and NAME_mask.
    region_image, region_phrase, region_kind: i64[m], an image, and the phrases of a thing in it.
    region_cells: f32[m, 49], the share of the thing's box in each cell; rows sum to 1.
    """

    def __init__(self, *, seed: int, size: int) -> None:
        self.seed, self.size, self.tokenizer = seed, size, build_tokenizer()

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([self.seed, step])
        examples = draw_examples(rng, self.size)
        views = [(example, 0, 0, SIZE) for example in examples]
        for index in rng.choice(self.size, round(TILES * self.size), replace=False).tolist():
            views.append((examples[index], *rng.choice((0, SIZE - TILE), 2).tolist(), TILE))
        phrases, kinds, regions, cells = {}, {}, [], []
        for number, (example, left, top, side) in enumerate(views):
            for phrase, kind, box in example.things:
                pixels = cover(box, left=left, top=top, side=side)
                if 2 * pixels.sum() >= (box.x2 - box.x1) * (box.y2 - box.y1):  # a tile may show less than half of it
                    names = phrases.setdefault(phrase, len(phrases)), kinds.setdefault(kind, len(kinds))
                    regions.append((number, *names))
                    cells.append(pixels / pixels.sum())
        image, phrase, kind = torch.tensor(regions).T
        batch = {"region_image": image, "region_phrase": phrase, "region_kind": kind}
        batch["images"] = torch.from_numpy(np.stack([view_of(e.image, *where) for e, *where in views]))
        batch["region_cells"] = torch.from_numpy(np.stack(cells).astype(np.float32))
        for name, texts in {"captions": [e.caption for e in examples], "phrases": phrases, "kinds": kinds}.items():
            tokens = self.tokenizer(list(texts), padding=True, return_tensors="pt")
            batch |= {name: tokens.input_ids, f"{name}_mask": tokens.attention_mask}
        return batch
