"""Training batches of freshly drawn squares: images, captions, and which phrase names which patch and which crop.

Batch `i` of a process is a function of (seed, i, process) alone.
"""

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedTokenizerFast

from precompute.tiny_clip.negatives import directions, negatives, parts, side
from precompute.tiny_clip.shape import GRID, JOINT, SIDE, build_tokenizer, shrink
from precompute.world.backgrounds import VARIANTS
from precompute.world.compose import pick_colour, pick_look, pick_thing
from precompute.world.draw import draw, legible
from precompute.world.layout import Crowded, place
from precompute.world.pictograms import Pose, extent
from precompute.world.scene import SIZE, Box, Item, Phrase, Scene
from precompute.world.square import Square, sample
from precompute.world.styles import sample_styles
from precompute.world.vocabulary import BACKGROUNDS, BOARDS, COLOURS, WORDS, held_out_combinations
from tipai_jax.store import CATEGORIES

CATEGORY_WEIGHTS = (0.13, 0.24, 0.27, 0.3, 0.06)
MEDIUM = 0.7
"""Share of medium squares among those with captions; the others are easy. Hard captions are not trained on."""
LOOSE = 0.2
"""Share of scenes without a caption, all hard: they teach the names of small or half-hidden things and their places."""
PLACES = ("left of", "right of", "above", "below")
NEGATIVES = 2
"""Hard-negative captions per image, besides the caption of the other scene of its square."""
PARTS = 2
"""Largest number of phrases on one kind of thing, each with a wrong one, per scene."""
CROWDED_STEPS = 500
"""So many first steps train on names of things alone, with scenes full of them."""


def phrase_of(item: Item) -> str:
    """The phrase that names a thing in the losses."""
    return Phrase(item.name, 1, item.colour or None, item.word).text()


@functools.cache
def binding(name: str, what: str, value: str) -> np.ndarray:
    """A fixed direction of the joint space for an object with a value of an attribute, f32[JOINT] of norm 1.

    It is the elementwise product of two random vectors of signs (Plate, 1995, "Holographic reduced representations").
    The directions of a red cat and of a red dog are unrelated, so the sum over the things of an image still determines
    which colour belongs to which object; a sum of vectors for "red" and for "cat" would not.

    Args:
        name: of the object.
        what: the attribute, colour or number.
        value: of the attribute.
    """
    signs = lambda *of: np.random.default_rng([ord(x) for x in "|".join(of)]).choice((-1.0, 1.0), JOINT)
    return (signs(what, name) * signs(what, "of", value) / JOINT**0.5).astype(np.float32)


def code(phrase: Phrase) -> np.ndarray:
    """The bindings of a phrase's object with its colour and with its number, f32[JOINT]."""
    return binding(phrase.name, "colour", phrase.colour or "") + binding(phrase.name, "number", str(phrase.count))


def colour_code(rng: np.random.Generator, item: Item) -> np.ndarray:
    """The binding of a thing with its colour minus that with another colour, f32[JOINT]; zeros if it has none."""
    if not item.colour:
        return np.zeros(JOINT, np.float32)
    other = str(rng.choice([colour for colour in COLOURS if colour != item.colour]))
    return binding(item.name, "colour", item.colour) - binding(item.name, "colour", other)


def cells_of(scene: Scene) -> np.ndarray:
    """For each of the 49 cells the index of the front item that covers at least half of it, i[49]; -1 for none."""
    cells = np.full((GRID, GRID), -1)
    edges = np.arange(GRID + 1) * (SIZE / GRID)
    for index, item in enumerate(scene.items):
        across = np.clip(np.minimum(edges[1:], item.box.x2) - np.maximum(edges[:-1], item.box.x1), 0, None)
        down = np.clip(np.minimum(edges[1:], item.box.y2) - np.maximum(edges[:-1], item.box.y1), 0, None)
        share = np.outer(down, across) / (edges[1] ** 2)
        cells[share >= min(0.5, 0.99 * share.max())] = index
    return cells.reshape(-1)


def cut(rng: np.random.Generator, image: np.ndarray, item: Item) -> np.ndarray:
    """A square crop around (a part of) a thing, 28 to 120 px wide, at 112 x 112."""
    side = int(rng.integers(28, 121))
    x = int(np.clip(rng.integers(item.box.x1, item.box.x2) - side // 2, 0, SIZE - side))
    y = int(np.clip(rng.integers(item.box.y1, item.box.y2) - side // 2, 0, SIZE - side))
    return np.asarray(
        Image.fromarray(image[y : y + side, x : x + side]).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    )


class Stream(torch.utils.data.IterableDataset):
    """Batches of freshly drawn scenes; batch `i` of process `rank` is a function of (seed, i, rank) alone."""

    def __init__(self, *, seed: int, first: int, last: int, squares: int, rank: int = 0) -> None:
        self.seed, self.first, self.last, self.squares, self.rank = seed, first, last, squares, rank

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = torch.utils.data.get_worker_info()
        start, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        tokenizer = build_tokenizer()
        for step in range(self.first + start, self.last, stride):
            yield make_batch(
                np.random.default_rng([self.seed, step, self.rank]),
                tokenizer,
                number=self.squares,
                crowded=step < CROWDED_STEPS,
            )


def crowd(rng: np.random.Generator) -> Scene:
    """A scene full of things in no relation, to train on their names; nearly every patch belongs to one."""
    boxes: list[Box] = []
    items: list[Item] = []
    style, _ = sample_styles(rng, "train", place=False)
    pose = Pose(style.rotate, style.stretch)
    for _ in range(16):
        board = rng.random() < 0.15
        name = str(rng.choice(BOARDS)) if board else pick_thing(rng, without=set())
        size = int(rng.integers(14, 30)) * 4 if board else int(rng.integers(8, 24)) * 4
        look = pick_look(rng, name)
        area = (size, round(size * 0.72)) if board else extent(name, size, look, pose)
        try:
            (box,) = place(rng, [area], taken=boxes, gap=2)
        except Crowded:
            continue
        boxes.append(box)
        colour = "" if board else pick_colour(rng, name, banned=held_out_combinations())
        items.append(
            Item(
                name,
                colour,
                box,
                0,
                flip=bool(rng.random() < 0.5),
                word=str(rng.choice(WORDS)) if board else "",
                look=look,
            )
        )
    background = str(rng.choice(sorted(BACKGROUNDS))) if style.shows_a_place else ""
    return legible(Scene(background, int(rng.integers(VARIANTS)), tuple(items), style))


def make_batch(
    rng: np.random.Generator, tokenizer: PreTrainedTokenizerFast, *, number: int, crowded: bool
) -> dict[str, torch.Tensor]:
    """The data of one training step.

    Args:
        rng: the only source of chance.
        tokenizer: of the encoder.
        number: squares of the batch, of two scenes each; those with captions come first, then the LOOSE ones.
        crowded: scenes of things in no relation, without captions.

    Returns:
        images: u8[scenes + crops, side, side, 3], the scenes, then an eighth as many crops.
        phrases: tokens of "a COLOUR OBJECT" for every thing shown, then of "an OBJECT" for each kind of it.
        targets: [scenes, 49], the phrase of each patch, -1 for none; crop_targets: that of each crop.
        kind_of: for each "a COLOUR OBJECT" the number of its "an OBJECT".
        phrase_codes: for each "a COLOUR OBJECT" its `colour_code`.
        Unless `crowded` also
        captions: of the first scenes, then NEGATIVES wrong ones for each of these.
        directions: short claims, alternately right and wrong, on the scenes `direction_of`.
        sides: half claims, with side_of [m, 3] (scene, right one, wrong one), side_patches [p, 4] (scene, patch, right
            one, wrong one) and side_places, the index of each one's place in PLACES.
        parts: phrases, with part_of [m, 3] (scene, right one, wrong one), part_named [m], whether the scene's caption
            names the right one, and part_codes, the `code` of each phrase.
        Texts NAME come with NAME_mask, their attention mask.
    """
    if crowded:
        scenes, captions, named_in, where = [crowd(rng) for _ in range(2 * number)], [], [], {}
    else:
        loose = round(LOOSE * number)
        scenes, captions, named_in = _captioned(rng, number - loose)
        where = {index: claims for index, scene in enumerate(scenes) if (claims := directions(rng, scene))}
        scenes += [scene for _ in range(loose) for scene in _square(rng, "hard").scenes]
    images = np.stack([draw(scene) for scene in scenes])
    cells = [cells_of(scene) for scene in scenes]
    phrases, kinds, names = _named(rng, scenes, cells)
    crops, crop_targets = [], []
    for index in rng.choice(len(scenes), max(1, len(scenes) // 8), replace=False).tolist():
        item = scenes[index].items[rng.integers(len(scenes[index].items))]
        crops.append(cut(rng, images[index], item))
        crop_targets.append(phrases[phrase_of(item)])
    batch = {
        "images": torch.from_numpy(np.concatenate([shrink(images), np.stack(crops)])),
        "crop_targets": torch.tensor(crop_targets),
        **names,
    }
    if where:
        batch["direction_of"] = torch.tensor(list(where))
    sides = _sides(rng, scenes, cells) if captions else {}
    bound = _parts(rng, scenes, named_in) if captions else {}
    direction_texts = [claim.text() for claims in where.values() for claim in claims]
    batch |= {name: value for name, value in (sides | bound).items() if isinstance(value, torch.Tensor)}
    every = {
        "phrases": [*phrases, *kinds],
        "captions": captions,
        "directions": direction_texts,
        "sides": sides.get("sides"),
        "parts": bound.get("parts"),
    }
    for name, texts in every.items():
        if texts:
            tokens = tokenizer(texts, padding=True, return_tensors="pt")
            batch |= {name: tokens.input_ids, f"{name}_mask": tokens.attention_mask}
    return batch


def _named(
    rng: np.random.Generator, scenes: list[Scene], cells: list[np.ndarray]
) -> tuple[dict[str, int], dict[str, int], dict[str, torch.Tensor]]:
    """Numbers of phrases "a COLOUR OBJECT" and "an OBJECT"; `targets`, `kind_of`, `phrase_codes` of `make_batch`."""
    phrases: dict[str, int] = {}
    kinds: dict[str, int] = {}
    kind_of: list[int] = []
    codes: list[np.ndarray] = []
    targets = np.full((len(scenes), GRID * GRID), -1)
    for number, scene in enumerate(scenes):
        for item in scene.items:
            if phrase_of(item) not in phrases:
                phrases[phrase_of(item)] = len(phrases)
                codes.append(colour_code(rng, item))
                kind_of.append(kinds.setdefault(phrase_of(replace(item, colour="")), len(kinds)))
        named = np.array([phrases[phrase_of(item)] for item in scene.items] + [-1])
        targets[number] = named[cells[number]]
    found = {
        "targets": torch.from_numpy(targets),
        "kind_of": torch.tensor(kind_of),
        "phrase_codes": torch.from_numpy(np.stack(codes)),
    }
    return phrases, kinds, found


def _sides(
    rng: np.random.Generator, scenes: list[Scene], cells: list[np.ndarray]
) -> dict[str, list[str] | torch.Tensor]:
    """The half claims on things that occur once in their scene, see `make_batch`; nothing if there are none.

    Args:
        rng: the only source of chance.
        scenes: of the batch.
        cells: `cells_of` each scene.
    """
    texts: dict[str, int] = {}
    whole: list[tuple[int, int, int]] = []
    patches: list[tuple[int, int, int, int]] = []
    for number, scene in enumerate(scenes):
        names = [item.name for item in scene.items]
        for index, item in enumerate(scene.items):
            claims = side(rng, item) if names.count(item.name) == 1 and not item.word else None
            if claims:
                right, wrong = (texts.setdefault(text, len(texts)) for text in claims)
                whole.append((number, right, wrong))
                patches += [(number, int(cell), right, wrong) for cell in np.flatnonzero(cells[number] == index)]
    if not patches:
        return {}
    places = [next(i for i, place in enumerate(PLACES) if text.endswith(place)) for text in texts]
    return {
        "sides": list(texts),
        "side_places": torch.tensor(places),
        "side_of": torch.tensor(whole),
        "side_patches": torch.tensor(patches),
    }


def _parts(
    rng: np.random.Generator, scenes: list[Scene], named_in: list[set[tuple[str, str | None]]]
) -> dict[str, list[str] | torch.Tensor]:
    """What the things of each scene are and are not, see `make_batch`.

    Args:
        rng: the only source of chance.
        scenes: of the batch.
        named_in: objects and colours that each caption names.
    """
    texts: dict[str, int] = {}
    part_of: list[tuple[int, int, int]] = []
    named: list[bool] = []
    codes: list[np.ndarray] = []
    for number, named_there in enumerate(named_in):
        made = parts(rng, scenes[number])
        for right, wrong in [made[i] for i in rng.permutation(len(made))[:PARTS]]:
            codes += [code(phrase) for phrase in (right, wrong) if phrase.text() not in texts]
            true, false = (texts.setdefault(phrase.text(), len(texts)) for phrase in (right, wrong))
            part_of.append((number, true, false))
            named.append((right.name, right.colour) in named_there)
    return (
        {
            "parts": list(texts),
            "part_of": torch.tensor(part_of),
            "part_named": torch.tensor(named),
            "part_codes": torch.tensor(np.stack(codes)),
        }
        if part_of
        else {}
    )


def _square(rng: np.random.Generator, difficulty: str) -> Square:
    """A square without the combinations that the test split keeps for itself."""
    category = CATEGORIES[rng.choice(len(CATEGORIES), p=CATEGORY_WEIGHTS)]
    return sample(rng, category=category, difficulty=difficulty, banned=held_out_combinations())


def _captioned(
    rng: np.random.Generator, number: int
) -> tuple[list[Scene], list[str], list[set[tuple[str, str | None]]]]:
    """The scenes of some squares, their captions followed by wrong ones, and objects and colours that captions name."""
    squares = [_square(rng, "medium" if rng.random() < MEDIUM else "easy") for _ in range(number)]
    scenes = [scene for square in squares for scene in square.scenes]
    claims = [claim for square in squares for claim in square.claims]
    wrong = [
        claim
        for own, scene in zip(claims, scenes, strict=True)
        for claim in negatives(rng, own, scene, number=NEGATIVES)
    ]
    named_in = [{(phrase.name, phrase.colour) for phrase in claim.phrases} for claim in claims]
    return scenes, [claim.text() for claim in (*claims, *wrong)], named_in
