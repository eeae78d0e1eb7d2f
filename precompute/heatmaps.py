"""The command that draws where pictures fail: python precompute/heatmaps.py [--data FOLDER] [--scorer zero_shot].

Owns `heatmaps/{image_id}_heatmap.png` (of another scorer than the first zero-shot one:
`heatmaps/{scorer}@{digest}/...`) and the colour scale of patch
scores. Cosines of patches are low wherever the prompt names nothing, so their colours are ranks in the catalogue: red
the lowest 2 % of all its patch
scores, yellow at 15 %, green from the median up. A trained auditor knows from which risk on a patch is broken: yellow
there, red at twice that. One scale
holds for a catalogue and a scorer, so pictures can be compared. A heatmap whose scores and scale have not changed is
not drawn again.
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

    from tipai_jax.store.catalog import Catalog, CatalogImage, CatalogScore, Scorer

__all__ = ["Scale", "add_catalog_options", "folder_of", "open_picture", "own_scores", "put_picture", "scale_of"]

RANKS = {"red": 0.02, "yellow": 0.15, "green": 0.5}
_DRAWING = 2
"""Raised whenever the same scores would be drawn differently."""


@dataclass(frozen=True)
class Scale:
    """The patch scores that are drawn red, yellow and green, each with what lies beyond it; ranks in a catalogue, or
    the scorer's own.
    """

    red: float
    yellow: float
    green: float
    ranks: bool = True

    @property
    def ends(self) -> tuple[str, str]:
        """What stands at the green and at the red end of the scale."""
        if self.ranks:
            return "high patch score (above the median of all pictures)", "low (yellow: the lowest 15 %, red: 2 %)"
        return "no risk", "at risk (yellow: from here on it counts, red: twice that)"

    @property
    def words(self) -> str:
        """The scale in a line."""
        red, yellow, green = (f"{value:.2f}" for value in (self.red, self.yellow, self.green))
        if self.ranks:
            return (
                f"red up to {red} (the lowest {RANKS['red']:.0%} of all patch scores), yellow at {yellow}"
                f" ({RANKS['yellow']:.0%}), green from {green} (the median)"
            )
        return f"red up to {red}, yellow at {yellow} (from there on down a patch counts as broken), green at {green}"

    def risk(self, score: "CatalogScore") -> "np.ndarray":
        """The grid of a picture's patches as risks for the project's colours: 0 green, 1/2 yellow, 1 red."""
        import numpy as np

        side = round(len(score.patch_scores) ** 0.5)
        stops = np.array([self.red, self.yellow, self.green]) - 1e-9 * np.array(
            [2, 1, 0]
        )  # ascending also where they are equal, and equal scores are green
        return np.interp(np.array(score.patch_scores).reshape(side, side), stops, [1.0, 0.5, 0.0])


def scale_of(scorer: "Scorer", scores: "Mapping[str, CatalogScore]") -> Scale:
    """The scale of a scorer: its own, or the ranks among all its scores in a catalogue."""
    import numpy as np

    if scorer.stops is not None:
        return Scale(*scorer.stops, ranks=False)
    every = np.concatenate([score.patch_scores for score in scores.values()])
    return Scale(**{name: float(np.quantile(every, rank)) for name, rank in RANKS.items()})


def add_catalog_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which catalogue, and whose scores."""
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
        help=f"whose scores, with the first digits of its digest where several have that name (default: {ZERO_SHOT})",
    )


def main(arguments: list[str] | None = None) -> int:
    """Draw the heatmaps; returns 0."""
    parser = Parser(
        prog="precompute/heatmaps.py",
        description="Draw every scored picture of a catalogue under the heatmap of its patch scores.",
        epilog=(
            "Zero-shot colours are ranks among all patch scores of the catalogue: red the lowest 2 %%, yellow at 15 %%,"
            " green from the median up. An auditor's are its own: yellow from where a patch counts as broken, red at"
            " twice that risk."
        ),
    )
    add_catalog_options(parser)
    args = parser.parse_args(arguments)

    from tipai_jax.store.catalog import open_catalog

    with open_catalog(args.data) as catalog:
        scorer = catalog.find_scorer(args.scorer)
        images, scores, folder = catalog.images(), catalog.scores(scorer), folder_of(catalog, "heatmaps", scorer)
    _draw(args.data, scorer, own_scores(images, scores, args.data), scores, folder)
    return 0


def own_scores(images: "list[CatalogImage]", scores: "Mapping[str, CatalogScore]", data: Path) -> "list[CatalogImage]":
    """The pictures that are scored; the others are said.

    Raises:
        UserError: none is.
    """
    scored = [image for image in images if image.image_id in scores]
    if not scored:
        raise UserError(
            f"{data}: no picture is scored by this scorer any more; score again: python precompute/score.py --data"
            f" {data}"
        )
    if len(scored) < len(images):
        print(
            f"{data}: {len(images) - len(scored)} of {len(images)} pictures are not scored and left out; score them:"
            f" python precompute/score.py --data {data}"
        )
    return scored


def folder_of(catalog: "Catalog", kind: str, scorer: "Scorer") -> Path:
    """Where the drawings of a kind lie: those of the catalogue's first zero-shot scorer in the folder of the kind,
    those of any other one below.
    """
    folder, first = catalog.folder / kind, next((each for each in catalog.scorers() if each.name == ZERO_SHOT), None)
    return (
        folder
        if first is not None and (scorer.name, scorer.digest) == (first.name, first.digest)
        else folder / f"{scorer.name}@{scorer.digest[:8]}"
    )


def open_picture(data: Path, image: "CatalogImage") -> "Image":
    """The picture of a row.

    Raises:
        UserError: it is gone or has changed.
    """
    from PIL import Image

    from tipai_jax.store.catalog import read_image

    return Image.open(io.BytesIO(read_image(data, image))).convert("RGB")


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


def _draw(
    data: Path, scorer: "Scorer", images: "list[CatalogImage]", scores: "Mapping[str, CatalogScore]", folder: Path
) -> None:
    from tqdm import tqdm

    from tipai_jax.render import overlay

    scale, drawn = scale_of(scorer, scores), 0
    for image in tqdm(
        images, desc="drawing heatmaps", unit="picture", mininterval=0.5 if sys.stderr.isatty() else 10.0
    ):
        score = scores[image.image_id]
        said = {
            "prompt": image.prompt,
            "generator": image.generator,
            "scorer": f"{scorer.name}@{scorer.digest}",
            "score": f"{score.global_score:.4f}",
        }
        content = [image.sha256, list(score.patch_scores), [scale.red, scale.yellow, scale.green]]
        picture = lambda image=image, score=score: overlay(open_picture(data, image), scale.risk(score))
        drawn += put_picture(folder / f"{image.image_id}_heatmap.png", said, content, picture)
    print(f"{folder}: {len(images)} heatmaps by {scorer.name} ({scorer.model}), {drawn} of them drawn now")
    print(f"colours   {scale.words}")


if __name__ == "__main__":
    raise SystemExit(run_main(main))
