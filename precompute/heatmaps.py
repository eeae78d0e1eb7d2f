"""The command that draws where pictures fail: python precompute/heatmaps.py [--data FOLDER] [--scorer zero_shot].

Owns `heatmaps/{image_id}_heatmap.png` (of a scorer other than zero_shot: `heatmaps/{scorer}/...`) and the colour scale of patch scores. Cosines of
patches are low wherever the prompt names nothing, so their colours are ranks in the catalogue: red the lowest 2 % of all its patch scores, yellow at
15 %, green from the median up. One scale holds for a catalogue and a scorer, so pictures can be compared. A heatmap whose scores and scale have not
changed is not drawn again.
"""

import argparse
import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):  # run as a file: the repository, not this folder, is what modules are found in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from precompute.generate import FOLDER
from precompute.score import ZERO_SHOT
from tipai_jax.errors import Parser, UserError, run_main

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from tipai_jax.store.catalog import CatalogImage, CatalogScore, Scorer

__all__ = ["SCALE_WORDS", "Scale", "add_catalog_options", "folder_of", "open_picture", "own_scores", "put_picture", "scale_of"]

RANKS = {"red": 0.02, "yellow": 0.15, "green": 0.5}
SCALE_WORDS = ("high patch score (above the median of all pictures)", "low (yellow: the lowest 15 %, red: 2 %)")
_DRAWING = 1
"""Raised whenever the same scores would be drawn differently."""


@dataclass(frozen=True)
class Scale:
    """The patch scores that are drawn red, yellow and green, each with what lies beyond it."""

    red: float
    yellow: float
    green: float

    def risk(self, score: "CatalogScore") -> "np.ndarray":
        """The grid of a picture's patches as risks for the project's colours: 0 green, 1/2 yellow, 1 red."""
        import numpy as np

        side = round(len(score.patch_scores) ** 0.5)
        stops = np.maximum.accumulate(np.array([self.red, self.yellow, self.green]) + 1e-9 * np.arange(3))  # equal scores: green
        return np.interp(np.array(score.patch_scores).reshape(side, side), stops, [1.0, 0.5, 0.0])


def scale_of(scores: "Mapping[str, CatalogScore]") -> Scale:
    """The scale of all scores of a scorer in a catalogue."""
    import numpy as np

    every = np.concatenate([score.patch_scores for score in scores.values()])
    return Scale(**{name: float(np.quantile(every, rank)) for name, rank in RANKS.items()})


def add_catalog_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which catalogue, and whose scores."""
    parser.add_argument("--data", type=Path, default=FOLDER, help=f"the folder of the catalogue, as generate.py writes it (default: {FOLDER})")
    parser.add_argument("--scorer", default=ZERO_SHOT, metavar="NAME[@DIGEST]", help=f"whose scores, with the first digits of its digest where several have that name (default: {ZERO_SHOT})")


def main(arguments: list[str] | None = None) -> int:
    """Draw the heatmaps; returns 0."""
    parser = Parser(
        prog="precompute/heatmaps.py",
        description="Draw every scored picture of a catalogue under the heatmap of its patch scores.",
        epilog="Colours are ranks among all patch scores of the catalogue: red the lowest 2 %%, yellow at 15 %%, green from the median up.",
    )
    add_catalog_options(parser)
    args = parser.parse_args(arguments)

    from tipai_jax.store.catalog import open_catalog

    with open_catalog(args.data) as catalog:
        scorer = catalog.find_scorer(args.scorer)
        images, scores = catalog.images(), catalog.scores(scorer)
    _draw(args.data, scorer, own_scores(images, scores, args.data), scores)
    return 0


def own_scores(images: "list[CatalogImage]", scores: "Mapping[str, CatalogScore]", data: Path) -> "list[CatalogImage]":
    """The pictures that are scored; the others are said.

    Raises:
        UserError: none is.
    """
    scored = [image for image in images if image.image_id in scores]
    if not scored:
        raise UserError(f"{data}: no picture is scored by this scorer any more; score again: python precompute/score.py --data {data}")
    if len(scored) < len(images):
        print(f"{data}: {len(images) - len(scored)} of {len(images)} pictures are not scored and left out; score them: python precompute/score.py --data {data}")
    return scored


def folder_of(data: Path, kind: str, scorer: "Scorer") -> Path:
    """Where the drawings of a kind lie: those of the default scorer in the folder of the kind, those of others one below."""
    return data / kind if scorer.name == ZERO_SHOT else data / kind / scorer.name


def open_picture(data: Path, image: "CatalogImage") -> "Image":
    """The picture of a row.

    Raises:
        UserError: it is gone, changed, or cannot be read.
    """
    from PIL import Image

    from tipai_jax.store.durable import sha256_bytes

    path = data / image.path
    try:
        content = path.read_bytes()
        if sha256_bytes(content) != image.sha256:
            raise OSError("has changed since it was made")
        return Image.open(io.BytesIO(content)).convert("RGB")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; run the same generate.py command again, it makes anew what is missing or changed") from None


def put_picture(path: Path, said: Mapping[str, str], content: object, draw: "Callable[[], Image]") -> bool:
    """Write a drawing unless it is there already.

    Args:
        path: of the PNG.
        said: words it carries in itself.
        content: everything it shows, as JSON; a file that was drawn of the same is left alone.
        draw: draws it.

    Returns:
        Whether it was drawn.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from tipai_jax.store.durable import canonical_json, sha256_bytes, write_file

    shown = sha256_bytes(canonical_json([_DRAWING, dict(said), content]))
    try:
        with Image.open(path) as old:
            if old.info.get("content") == shown:
                old.load()  # a file cut short is drawn again
                return False
    except (OSError, SyntaxError):
        pass
    words = PngInfo()
    for name, value in {**said, "content": shown}.items():
        words.add_itxt(name, value)
    buffer = io.BytesIO()
    draw().save(buffer, "png", pnginfo=words)
    write_file(path, buffer.getvalue())
    return True


def _draw(data: Path, scorer: "Scorer", images: "list[CatalogImage]", scores: "Mapping[str, CatalogScore]") -> None:
    from tqdm import tqdm

    from tipai_jax.render import overlay

    scale, folder = scale_of(scores), folder_of(data, "heatmaps", scorer)
    drawn = 0
    for image in tqdm(images, desc="drawing heatmaps", unit="picture", mininterval=0.5 if sys.stderr.isatty() else 10.0):
        score = scores[image.image_id]
        said = {"prompt": image.prompt, "generator": image.generator, "scorer": f"{scorer.name}@{scorer.digest}", "score": f"{score.global_score:.4f}"}
        content = [image.sha256, list(score.patch_scores), [scale.red, scale.yellow, scale.green]]
        picture = lambda image=image, score=score: overlay(open_picture(data, image), scale.risk(score))
        drawn += put_picture(folder / f"{image.image_id}_heatmap.png", said, content, picture)
    print(f"{folder}: {len(images)} heatmaps by {scorer.name} ({scorer.model}), {drawn} of them drawn now")
    print(f"colours   red up to {scale.red:.2f} (the lowest {RANKS['red']:.0%} of all patch scores), yellow at {scale.yellow:.2f} ({RANKS['yellow']:.0%}), green from {scale.green:.2f} (the median)")


if __name__ == "__main__":
    raise SystemExit(run_main(main))
