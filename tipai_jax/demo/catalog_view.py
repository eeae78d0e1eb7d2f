"""The catalogue prompt by prompt: each image with the result of every scorer and, where it is known, the truth.

It is read anew for every request, so that scores which another program enters meanwhile are seen. Nothing is written.
"""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from precompute.heatmaps import open_picture
from precompute.pairs import truth_marks
from tipai_jax.errors import UserError
from tipai_jax.render import draw_marks
from tipai_jax.render.images import fit_size
from tipai_jax.store.catalog import CatalogImage, Scorer, open_catalog

__all__ = ["CatalogEntry", "CatalogView", "ScorerResult", "read_catalog"]

SIDE = 360
"""Pixels of the longer side of an image as it is shown."""


@dataclass(frozen=True)
class ScorerResult:
    """What one scorer gave an image.

    Attributes:
        scorer: its name.
        score: None where it did not score the image.
        place: "best" or "worst" of the images of the prompt by the table of pairs, "" for neither.
    """

    scorer: str
    score: float | None
    place: str = ""


@dataclass(frozen=True)
class CatalogEntry:
    """An image of the catalogue and its results, one of each scorer in the order of the catalogue."""

    image: CatalogImage
    results: tuple[ScorerResult, ...]


@dataclass(frozen=True)
class CatalogView:
    """The images by prompt.

    Attributes:
        folder: the folder of the catalogue.
        prompts: pairs (prompt_id, prompt) in the order of the catalogue.
        entries: the entries of each prompt_id.
    """

    folder: Path
    prompts: tuple[tuple[str, str], ...]
    entries: dict[str, tuple[CatalogEntry, ...]]

    def neighbour(self, prompt_id: str | None, step: int = 0) -> str:
        """The prompt_id so many steps after this one, cyclically; the first if this one is not in the catalogue."""
        names = [name for name, _ in self.prompts]
        return names[(names.index(prompt_id) + step) % len(names)] if prompt_id in names else names[0]

    def thumbnail(self, image: CatalogImage) -> tuple[Image.Image, str]:
        """An image as shown, what is truly wrong framed, and ""; or a plain one, and why it cannot be read."""
        try:
            opened = open_picture(self.folder, image)
        except UserError as error:
            return Image.new("RGB", (SIDE, SIDE), (225, 225, 228)), str(error)
        shown = opened.resize(fit_size(opened.size, SIDE), Image.Resampling.LANCZOS)
        return draw_marks(shown, truth_marks(image, opened.size)), ""


def read_catalog(folder: Path) -> CatalogView:
    """Read a catalogue.

    Raises:
        UserError: there is none, it is damaged, or it is empty.
    """
    with open_catalog(folder) as catalog:
        images, scorers = catalog.images(), catalog.scorers()
        scores = [catalog.scores(scorer) for scorer in scorers]
        pairs = [catalog.pairs(scorer) for scorer in scorers]
    if not images:
        raise UserError(
            f"{folder}: the catalogue is empty; make images first: python precompute/generate.py --out {folder}"
        )
    names = [_name(scorer, scorers) for scorer in scorers]
    places = [
        {pair.chosen_img: "best" for pair in each} | {pair.rejected_img: "worst" for pair in each} for each in pairs
    ]
    entries: dict[str, list[CatalogEntry]] = {}
    for image in images:
        results = []
        for name, scored, place in zip(names, scores, places):
            score = scored.get(image.image_id)
            results.append(ScorerResult(name, score.global_score if score else None, place.get(image.image_id, "")))
        entries.setdefault(image.prompt_id, []).append(CatalogEntry(image, tuple(results)))
    prompts = tuple((prompt_id, group[0].image.prompt) for prompt_id, group in entries.items())
    return CatalogView(folder, prompts, {prompt_id: tuple(group) for prompt_id, group in entries.items()})


def _name(scorer: Scorer, scorers: list[Scorer]) -> str:
    """The name of a scorer, with the first digits of its digest where another has the same."""
    alike = [each for each in scorers if each.name == scorer.name]
    return scorer.name if len(alike) == 1 else scorer.full_name
