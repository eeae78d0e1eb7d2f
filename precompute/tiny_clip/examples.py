"""Training batches of freshly drawn, unrelated scenes: images, captions, and what phrase names what part of which image.

A batch is a function of (seed, step) alone. `draw_examples` is the only place that knows how the world makes scenes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from precompute.encoders.folder import TILE_SPAN
from precompute.tiny_clip.shape import GRID, SIDE, build_tokenizer, shrink
from precompute.world.draw import draw
from precompute.world.scene import SIZE, Box, Item, Phrase
from precompute.world.square import DIFFICULTY_SHARES, sample
from precompute.world.vocabulary import held_out_combinations
from tipai_jax.store import CATEGORIES, DIFFICULTIES

TILES = 0.25
"""Corner tiles of a batch, as the patch recipe `tiles` cuts them, for each scene; their patches are trained as well."""
TILE = SIZE * TILE_SPAN // GRID
"""Side of a tile in pixels of the scene."""


@dataclass(frozen=True)
class Named:
    """One thing of a scene: its phrase in the singular with and without its colour, and its box."""

    phrase: str
    bare: str
    box: Box


@dataclass(frozen=True)
class Example:
    """A drawn scene, u8[224, 224, 3], its caption, and all its things, those included that the caption does not name."""

    image: np.ndarray
    caption: str
    things: tuple[Named, ...]


def _named(item: Item) -> Named:
    phrase = Phrase(item.name, 1, item.colour or None, item.word)
    return Named(phrase.text(), f"a {item.name}" if item.word else Phrase(item.name).text(), item.box)


def draw_examples(rng: np.random.Generator, number: int) -> list[Example]:
    """Scenes of all categories and difficulties with different captions, without the held-out combinations.

    Only one scene of each square is taken, so the batch holds no hard negatives.
    """
    made: dict[str, Example] = {}
    while len(made) < number:
        difficulty = DIFFICULTIES[rng.choice(len(DIFFICULTIES), p=DIFFICULTY_SHARES)]
        category = CATEGORIES[rng.integers(len(CATEGORIES))]
        square = sample(rng, category=category, difficulty=difficulty, banned=held_out_combinations())
        which = int(rng.integers(2))
        scene, caption = square.scenes[which], square.claims[which].text()
        if caption not in made:
            made[caption] = Example(draw(scene), caption, tuple(_named(item) for item in scene.items))
    return list(made.values())


def cover(box: Box, *, left: int, top: int, side: int) -> np.ndarray:
    """Pixels of a box in each cell of a square view of the scene, f[49] row-major."""
    edges = np.arange(GRID + 1) * (side / GRID)
    across = np.clip(np.minimum(edges[1:], box.x2 - left) - np.maximum(edges[:-1], box.x1 - left), 0, None)
    down = np.clip(np.minimum(edges[1:], box.y2 - top) - np.maximum(edges[:-1], box.y1 - top), 0, None)
    return np.outer(down, across).reshape(-1)


class Batches(torch.utils.data.Dataset):
    """Batch `step` of a training; worker processes draw them ahead."""

    def __init__(self, *, seed: int, size: int) -> None:
        self.seed, self.size, self.tokenizer = seed, size, build_tokenizer()

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        """The data of a step.

        Returns:
            images: u8[scenes + tiles, side, side, 3], the scenes, then tiles of some of them.
            captions, phrases, kinds: tokens i64[n, length], one caption a scene, and the distinct phrases with and
                without their colour; `captions_mask` and so on are their attention masks.
            region_image, region_phrase, region_kind: i64[m], the view that shows a thing, and the things's phrases.
            region_cells: f32[m, 49], the share of the thing's box in each cell; rows sum to 1.
        """
        rng = np.random.default_rng([self.seed, step])
        examples = draw_examples(rng, self.size)
        views = [(example, 0, 0, SIZE) for example in examples]
        for index in rng.choice(self.size, round(TILES * self.size), replace=False).tolist():
            left, top = (int(x) for x in rng.choice((0, SIZE - TILE), 2))
            views.append((examples[index], left, top, TILE))
        phrases: dict[str, int] = {}
        kinds: dict[str, int] = {}
        regions, cells = [], []
        for number, (example, left, top, side) in enumerate(views):
            for thing in example.things:
                pixels = cover(thing.box, left=left, top=top, side=side)
                if 2 * pixels.sum() < (thing.box.x2 - thing.box.x1) * (thing.box.y2 - thing.box.y1):
                    continue  # a tile that shows less than half of it
                names = phrases.setdefault(thing.phrase, len(phrases)), kinds.setdefault(thing.bare, len(kinds))
                regions.append((number, *names))
                cells.append(pixels / pixels.sum())
        tiles = [_tile(example.image, left, top) for example, left, top, _ in views[self.size :]]
        whole = shrink(np.stack([example.image for example in examples]))
        where = torch.tensor(regions).T
        batch = {"region_image": where[0], "region_phrase": where[1], "region_kind": where[2]}
        batch["images"] = torch.from_numpy(np.stack([*whole, *tiles]))
        batch["region_cells"] = torch.from_numpy(np.stack(cells).astype(np.float32))
        for name, texts in (("captions", [e.caption for e in examples]), ("phrases", phrases), ("kinds", kinds)):
            tokens = self.tokenizer(list(texts), padding=True, return_tensors="pt")
            batch |= {name: tokens.input_ids, f"{name}_mask": tokens.attention_mask}
        return batch


def _tile(image: np.ndarray, left: int, top: int) -> np.ndarray:
    """A tile at the encoder's size; resized by itself it has the pixels that it has in the finer view of the scene."""
    box = (left, top, left + TILE, top + TILE)
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX, box=box))
