"""The command that draws the patch scores of a catalogue as heatmaps.

    python precompute/heatmaps.py [--data FOLDER] [--scorer zero_shot]

It writes `heatmaps/{image_id}_heatmap.png`, or `heatmaps/{scorer}@{digest}/...` for any scorer but the first zero-shot
one. Cosines of patches are low wherever the prompt names nothing, so zero-shot colours are ranks in the catalogue: red
for the lowest 2 % of all its patch scores, yellow at 15 %, none from the median up. A trained auditor has a threshold
of the risk from which a patch counts as broken: yellow there, red at twice that. A catalogue and a scorer have one
scale, so images can be compared. A heatmap whose scores and scale have not changed is not drawn again.
"""

import argparse
import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):  # run as a file: modules are found from the repository on, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from precompute.compute import bar_seconds
from precompute.generate import FOLDER
from precompute.score import ZERO_SHOT
from tipai_jax.errors import Parser, UserError, run_main

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from tipai_jax.store.catalog import Catalog, CatalogImage, CatalogScore, Scorer

__all__ = ["Scale", "add_catalog_options", "folder_of", "open_picture", "put_drawing", "scale_of", "scored_images"]

RANKS = {"red": 0.02, "yellow": 0.15, "green": 0.5}
_DRAWING = 4
"""Version of the drawings; raised whenever the same scores would be drawn differently."""


@dataclass(frozen=True)
class Scale:
    """The colour scale of patch scores.

    Attributes:
        red: the score from which downwards patches are red.
        yellow: the score of yellow patches.
        green: the score from which upwards nothing is drawn over an image.
        ranks: the three are quantiles of a catalogue's scores, not values of the scorer's own.
    """

    red: float
    yellow: float
    green: float
    ranks: bool = True

    @property
    def ends(self) -> tuple[str, str]:
        """The labels of the end of the scale without colour and of the red end."""
        if self.ranks:
            high = "high patch score (no colour: above the median of all images)"
            return high, "low (yellow: the lowest 15 %, red: 2 %)"
        return "no risk (no colour)", "at risk (yellow: the threshold, red: twice the threshold)"

    @property
    def words(self) -> str:
        """The scale in one line."""
        red, yellow, green = (f"{value:.2f}" for value in (self.red, self.yellow, self.green))
        if self.ranks:
            return (
                f"red up to {red} (the lowest {RANKS['red']:.0%} of all patch scores), "
                f"yellow at {yellow} ({RANKS['yellow']:.0%}), no colour from {green} (the median)"
            )
        return f"red up to {red}, yellow at {yellow} (a patch counts as broken up to there), no colour at {green}"

    def risk(self, score: "CatalogScore") -> "np.ndarray":
        """The patch scores of an image as risks, f64[side, side]: at 0 nothing is drawn, 1/2 is yellow, 1 red."""
        import numpy as np

        from tipai_jax.grids import grid_side

        side = grid_side(len(score.patch_scores))
        # ascending also where they are equal, and equal scores are no risk
        stops = np.array([self.red, self.yellow, self.green]) - 1e-9 * np.array([2, 1, 0])
        return np.interp(np.array(score.patch_scores).reshape(side, side), stops, [1.0, 0.5, 0.0])


def scale_of(scorer: "Scorer", scores: "Mapping[str, CatalogScore]") -> Scale:
    """The scale of a scorer: its own, or quantiles of all its scores in a catalogue."""
    import numpy as np

    if scorer.stops is not None:
        return Scale(*scorer.stops, ranks=False)
    every = np.concatenate([score.patch_scores for score in scores.values()])
    stops = {name: float(np.quantile(every, rank)) for name, rank in RANKS.items()}
    return Scale(red=stops["red"], yellow=stops["yellow"], green=stops["green"])


def add_catalog_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a catalogue and a scorer."""
    parser.add_argument(
        "--data",
        type=Path,
        default=FOLDER,
        help=f"the folder of the catalogue, as generate.py writes it (default: {FOLDER})",
    )
    parser.add_argument(
        "--scorer",
        default=ZERO_SHOT,
        metavar="NAME[@DIGEST]",
        help="whose scores to use, with the first digits of its digest where several have that name "
        f"(default: {ZERO_SHOT})",
    )


def main(arguments: list[str] | None = None) -> int:
    """Draw the heatmaps; returns 0."""
    parser = Parser(
        prog="precompute/heatmaps.py",
        description="Draw every scored image of a catalogue under the heatmap of its patch scores.",
        epilog="Zero-shot colours are ranks among all patch scores of the catalogue: red for the lowest 2 %%, yellow "
        "at 15 %%, none from the median up. Those of an auditor are thresholds: yellow where a patch begins to count "
        "as "
        "broken, red at twice that risk.",
    )
    add_catalog_options(parser)
    args = parser.parse_args(arguments)

    from tipai_jax.store.catalog import open_catalog

    with open_catalog(args.data) as catalog:
        scorer = catalog.find_scorer(args.scorer)
        images, scores, folder = catalog.images(), catalog.scores(scorer), folder_of(catalog, "heatmaps", scorer)
    _draw(args.data, scorer, scored_images(images, scores, args.data), scores, folder)
    return 0


def scored_images(
    images: "list[CatalogImage]", scores: "Mapping[str, CatalogScore]", data: Path
) -> "list[CatalogImage]":
    """The images that have scores; the number of others is printed.

    Raises:
        UserError: none has.
    """
    scored = [image for image in images if image.image_id in scores]
    if not scored:
        raise UserError(
            f"{data}: no image has scores of this scorer any more; "
            f"score again: python precompute/score.py --data {data}"
        )
    if len(scored) < len(images):
        print(
            f"{data}: {len(images) - len(scored)} of {len(images)} images are not scored and left out; "
            f"score them: python precompute/score.py --data {data}"
        )
    return scored


def folder_of(catalog: "Catalog", kind: str, scorer: "Scorer") -> Path:
    """The folder of a kind of drawings for a scorer; scorers other than the first zero-shot one have a subfolder."""
    first = next((each for each in catalog.scorers() if each.name == ZERO_SHOT), None)
    if first is not None and (scorer.name, scorer.digest) == (first.name, first.digest):
        return catalog.folder / kind
    return catalog.folder / kind / scorer.full_name


def open_picture(data: Path, image: "CatalogImage") -> "Image":
    """An image of a catalogue, upright and in RGB.

    Raises:
        UserError: the file is missing or has changed.
    """
    from PIL import Image

    from tipai_jax.render.images import upright_rgb
    from tipai_jax.store.catalog import read_image

    return upright_rgb(Image.open(io.BytesIO(read_image(data, image))))


def put_drawing(path: Path, metadata: Mapping[str, str], content: object, draw: "Callable[[], Image]") -> bool:
    """Write a drawing unless it is there already.

    Args:
        path: of the PNG.
        metadata: texts for the metadata of the file.
        content: everything that the drawing shows, as JSON; a file of equal content is left alone.
        draw: makes the drawing.

    Returns:
        Whether it was drawn.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from tipai_jax.files.atomic import canonical_json, sha256_bytes, write_file

    shown = sha256_bytes(canonical_json([_DRAWING, dict(metadata), content]))
    try:
        with Image.open(path) as old:
            if old.info.get("content") == shown:
                old.load()  # an incomplete file is drawn again
                return False
    except (OSError, SyntaxError):
        pass
    texts = PngInfo()
    for name, value in {**metadata, "content": shown}.items():
        texts.add_itxt(name, value)
    buffer = io.BytesIO()
    draw().save(buffer, "png", pnginfo=texts)
    write_file(path, buffer.getvalue())
    return True


def _draw(
    data: Path, scorer: "Scorer", images: "list[CatalogImage]", scores: "Mapping[str, CatalogScore]", folder: Path
) -> None:
    from tqdm import tqdm

    from tipai_jax.render import overlay

    scale, drawn = scale_of(scorer, scores), 0
    for image in tqdm(images, desc="drawing heatmaps", unit="image", mininterval=bar_seconds()):
        score = scores[image.image_id]
        metadata = {
            "prompt": image.prompt,
            "generator": image.generator,
            "scorer": f"{scorer.name}@{scorer.digest}",
            "score": f"{score.global_score:.4f}",
        }
        content = [image.sha256, list(score.patch_scores), [scale.red, scale.yellow, scale.green]]
        drawing = lambda image=image, score=score: overlay(open_picture(data, image), scale.risk(score))
        drawn += put_drawing(folder / f"{image.image_id}_heatmap.png", metadata, content, drawing)
    print(f"{folder}: {len(images)} heatmaps by {scorer.name} ({scorer.model}), {drawn} of them drawn now")
    print(f"colours   {scale.words}")


if __name__ == "__main__":
    raise SystemExit(run_main(main))
