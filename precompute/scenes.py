"""The command that draws the small world.

    python precompute/scenes.py --out data/scenes --pairs 40000 --seed 0

It draws that many pairs of train, validation and test, and besides a twentieth of that number of each shifted split
(`shift-style`, `shift-background`, `shift-renderer`), which is drawn as no training image is. `--renderer b` draws all
pairs as those of `shift-renderer`. It writes `pairs.jsonl`, `images/*.png`, `world.json` and `ATTRIBUTION.md`. The same
seed gives the same bytes, whatever the number of processes. Images that are already there are not drawn again;
`pairs.jsonl` is written last, so the same command finishes an interrupted run. What is in a scene is decided in
`precompute.world`.
"""

import functools
import json
import multiprocessing
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if __package__ in (None, ""):  # run as a file: modules are found from the repository on, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from precompute.world.control import vary
from precompute.world.draw import draw as draw_scene
from precompute.world.pictograms import ATTRIBUTION
from precompute.world.scene import SIZE, Claim, Scene
from precompute.world.square import CHOSEN_SCORE, DIFFICULTY_SHARES, Square, sample
from precompute.world.styles import RENDERINGS, Rendering
from precompute.world.surfaces import PHOTO_ATTRIBUTION
from precompute.world.truth import failing_phrases, objects
from precompute.world.vocabulary import held_out_combinations
from tipai_jax.errors import Parser, UserError, run_main, whole_number
from tipai_jax.files.atomic import write_file
from tipai_jax.store import CATEGORIES, DIFFICULTIES

if TYPE_CHECKING:
    from multiprocessing.pool import Pool

VERSION = 3
"""Version of the world; raised whenever the same seed would draw other scenes."""
CONTROL_SHARE = 0.05
SPLIT_SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
SHIFT_SHARE = 0.05
"""Pairs of each shifted split, as a share of the pairs of the other three together."""
PNG_END = b"IEND\xaeB`\x82"
"""The last bytes of every PNG file."""
RUNS = 3
"""zlib's Z_RLE, which compresses drawings as well as its default and faster."""
UNSEEN_SHARE = 0.3
"""Share of the test squares that show a combination of object and colour that no other split shows."""


@dataclass(frozen=True)
class Group:
    """Two scenes and the pairs made of them, as lines of `pairs.jsonl`."""

    name: str
    scenes: tuple[Scene, Scene]
    rows: tuple[dict, ...]


def split_of(index: int, total: int) -> str:
    """The split of group `index` of `total`: the first seven tenths train, then validation, then test."""
    edge, share = 0.0, (index + 0.5) / total
    for name, part in SPLIT_SHARES.items():
        edge += part
        if share < edge:
            return name
    return "test"


def _square_pairs(square: Square, name: str, split: str) -> tuple[dict, ...]:
    pairs = []
    for chosen, rejected in ((0, 1), (1, 0)):
        patches = [{"bbox": box.as_list(), "category": square.category} for box in square.wrong[rejected]]
        if square.absent[rejected]:
            patches = [{**patch, "absent": True} for patch in patches]
        scenes, claim = (square.scenes[chosen], square.scenes[rejected]), square.claims[chosen]
        pairs.append(
            _pair(square, name, split, claim=claim, letters="ab"[chosen] + "ab"[rejected], scenes=scenes)
            | {
                "rejected_score": round(CHOSEN_SCORE - square.margin, 4),
                "unfaithful_patches": patches,
                "failing_phrases": failing_phrases(square, chosen),
                "objects": {
                    "chosen": objects(scenes[0], claim, wrong=()),
                    "rejected": objects(
                        scenes[1], claim, wrong=() if square.absent[rejected] else square.wrong[rejected]
                    ),
                },
                "category": square.category,
                "control": False,
                "kind": ("missing object" if square.absent[rejected] else "extra object")
                if "missing" in square.kind
                else square.kind,
            }
        )
    return tuple(pairs)


def _pair(
    square: Square, name: str, split: str, *, claim: Claim, letters: str, scenes: tuple[Scene, Scene]
) -> dict[str, Any]:
    """The line of a control; that of a pair with a mistake says more."""
    return {
        "pair_id": f"{name}-{letters[0]}",
        "prompt": claim.text(),
        "chosen_image": f"images/{name}-{letters[0]}.png",
        "rejected_image": f"images/{name}-{letters[1]}.png",
        "chosen_score": CHOSEN_SCORE,
        "rejected_score": CHOSEN_SCORE,
        "unfaithful_patches": [],
        "failing_phrases": [],
        "objects": {side: objects(scene, claim, wrong=()) for side, scene in zip(("chosen", "rejected"), scenes)},
        "style": {side: scene.style.line() for side, scene in zip(("chosen", "rejected"), scenes)},
        "split": split,
        "group": name,
        "difficulty": square.difficulty,
        "kind": "control",
        "control": True,
        "unseen_combination": square.unseen,
    }


@dataclass(frozen=True)
class _Recipe:
    """What decides the groups of one rendering: the seed, their number and which of them are controls."""

    seed: int
    controls: frozenset[int]
    total: int
    rendering: Rendering = "train"


def _recipe(pairs: int, seed: int, rendering: Rendering = "train") -> _Recipe:
    controls = round(CONTROL_SHARE * pairs)
    controls += (pairs - controls) % 2
    total = (pairs - controls) // 2 + controls
    order = np.random.default_rng([seed, 1]).permutation(total)
    return _Recipe(seed, frozenset(order[:controls].tolist()), total, rendering)


def recipes(pairs: int, seed: int, *, renderer: str = "a") -> tuple[_Recipe, ...]:
    """The recipes of a world: of its three splits and of each shifted one, or of the renderer b alone."""
    if renderer == "b":
        return (_recipe(pairs, seed, "shift-renderer"),)
    shifted = max(2, round(SHIFT_SHARE * pairs))
    return tuple(_recipe(pairs if name == "train" else shifted, seed, name) for name in RENDERINGS)


def _group(recipe: _Recipe, index: int, attempt: int = 0) -> Group:
    """Group `index` of a recipe; another `attempt` is another draw of it."""
    rendering = recipe.rendering
    if rendering == "train":
        split, name = split_of(index, recipe.total), f"{index:06d}"
    else:
        split, name = rendering, f"{rendering.removeprefix('shift-')}-{index:06d}"
    rng = np.random.default_rng(
        [recipe.seed, 2, index, attempt, *([] if rendering == "train" else [RENDERINGS.index(rendering)])]
    )
    held_out = held_out_combinations()
    unseen = split == "test" and rng.random() < UNSEEN_SHARE
    difficulty = str(rng.choice(DIFFICULTIES, p=DIFFICULTY_SHARES))
    square = sample(
        rng,
        category=CATEGORIES[index % len(CATEGORIES)],
        difficulty=difficulty,
        banned=frozenset() if unseen else held_out,
        wanted=held_out if unseen else frozenset(),
        rendering=rendering,
    )
    if index not in recipe.controls:
        return Group(name, square.scenes, _square_pairs(square, name, split))
    other = vary(rng, square.scenes[0], square.claims[0], banned=held_out, rendering=rendering)
    scenes = (square.scenes[0], other)
    return Group(name, scenes, (_pair(square, name, split, claim=square.claims[0], letters="ab", scenes=scenes),))


def groups(pairs: int, seed: int, *, renderer: str = "a", pool: "Pool | None" = None) -> list[Group]:
    """All groups of a world of `pairs` pairs and its shifted splits: squares have two pairs, controls one.

    No prompt is in two groups.

    Args:
        pairs: of the three splits together.
        seed: the only source of chance.
        renderer: a, or b for `shift-renderer` alone.
        pool: processes that draw up the groups; None for this one alone.
    """
    work = [(recipe, index) for recipe in recipes(pairs, seed, renderer=renderer) for index in range(recipe.total)]
    made = pool.starmap(_group, work, chunksize=64) if pool else [_group(*each) for each in work]
    seen: set[str] = set()
    for place, (recipe, index) in enumerate(work):
        attempt = 0
        while seen & (prompts := {pair["prompt"] for pair in made[place].rows}):
            attempt += 1
            made[place] = _group(recipe, index, attempt)
        seen |= prompts
    return made


def _is_whole(path: Path) -> bool:
    """Whether a PNG is there to its last byte.

    Checking the end of each file replaces an atomic write: to sync thousands of files one by one would take longer than
    to draw them.
    """
    try:
        with path.open("rb") as file:
            file.seek(-len(PNG_END), os.SEEK_END)
            return file.read() == PNG_END
    except OSError:  # missing, or too short to hold the mark
        return False


def _draw_group(folder: Path, group: Group) -> int:
    """Draw what is missing of a group; returns the number of images drawn."""
    from PIL import Image

    drawn = 0
    for letter, scene in zip("ab", group.scenes):
        path = folder / f"{group.name}-{letter}.png"
        if not _is_whole(path):
            Image.fromarray(draw_scene(scene)).save(path, "png", compress_level=1, compress_type=RUNS)
            drawn += 1
    return drawn


def draw(out: Path, *, pairs: int = 40000, seed: int = 0, processes: int | None = None, renderer: str = "a") -> Path:
    """Draw a world; it does nothing when the same world is already there.

    Args:
        out: the folder.
        pairs: number of pairs of train, validation and test.
        seed: the only source of chance.
        processes: that draw; None for one per core.
        renderer: a, or b to draw all pairs as those of the split `shift-renderer`.

    Returns:
        The path of its `pairs.jsonl`.

    Raises:
        UserError: `out` holds another world or something else, or `pairs` is too small for three splits.
    """
    from tqdm import tqdm

    if pairs < 40:
        raise UserError(f"--pairs {pairs}: a world with three splits needs at least 40")
    world = {
        "small_world_only": True,
        "version": VERSION,
        "pairs": pairs,
        "seed": seed,
        "size": SIZE,
        "renderer": renderer,
        "held_out_combinations": len(held_out_combinations()),
    }
    described, listed = out / "world.json", out / "pairs.jsonl"
    if described.exists() and json.loads(described.read_text()) != world:
        raise UserError(
            f"{described}: holds another world than --pairs {pairs} --seed {seed} (version {VERSION}); "
            "choose another --out or remove the folder"
        )
    if out.exists() and any(out.iterdir()) and not described.exists():
        raise UserError(f"{out}: is not empty and not a drawn world (no world.json); choose another --out")
    if listed.exists():
        print(f"{out}: already drawn, {pairs} pairs")
        return listed
    (out / "images").mkdir(parents=True, exist_ok=True)
    write_file(described, (json.dumps(world, indent=1) + "\n").encode())
    notice = ATTRIBUTION if renderer == "b" else f"{ATTRIBUTION}\n\n{PHOTO_ATTRIBUTION}"
    write_file(out / "ATTRIBUTION.md", (notice + "\n").encode())
    with multiprocessing.get_context("spawn").Pool(processes or os.cpu_count() or 1) as pool:
        every = groups(pairs, seed, renderer=renderer, pool=pool)
        with tqdm(total=2 * len(every), desc="drawing scenes", unit="image", disable=None, file=sys.stderr) as bar:
            for _ in pool.imap_unordered(functools.partial(_draw_group, out / "images"), every, chunksize=32):
                bar.update(2)
    write_file(listed, "".join(json.dumps(pair) + "\n" for group in every for pair in group.rows).encode())
    return listed


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and draw; returns 0."""
    parser = Parser(
        prog="precompute/scenes.py",
        description="Draw the small world: scenes with captions and the exact truth about what breaks them.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("data/scenes"), help="the folder to write (default: data/scenes)"
    )
    parser.add_argument("--pairs", type=whole_number(1), default=40000, help="number of pairs (default: 40000)")
    parser.add_argument(
        "--renderer",
        choices=("a", "b"),
        default="a",
        help="a draws all splits, b draws every pair as those of shift-renderer (default: a)",
    )
    parser.add_argument("--seed", type=whole_number(0), default=0, help="the only source of chance (default: 0)")
    parser.add_argument(
        "--processes", type=whole_number(1), default=None, help="drawing processes (default: one per core)"
    )
    args = parser.parse_args(arguments)
    listed = draw(args.out, pairs=args.pairs, seed=args.seed, processes=args.processes, renderer=args.renderer)
    print(f"{listed}: {len(listed.read_text(encoding='utf-8').splitlines())} pairs")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
