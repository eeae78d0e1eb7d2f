"""The catalogue as the page browses it: prompt by prompt, each picture with what every scorer said and, where it is
known, the truth.

Owns reading; `catalog.db` is `tipai_jax.store.catalog`'s, and nothing is written. It is read anew for every request, so
that scores which another program
enters meanwhile are seen.
"""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from precompute.heatmaps import open_picture
from precompute.pairs import truth_marks
from tipai_jax.errors import UserError
from tipai_jax.render import draw_marks
from tipai_jax.store.catalog import CatalogImage, Scorer, open_catalog

__all__ = ["Exhibit", "Opinion", "Shelf", "read_shelf"]

SIDE = 360
"""Pixels of the longer side of a picture as it is shown."""


@dataclass(frozen=True)
class Opinion:
    """What a scorer said of a picture: its score, and whether it was the best or the worst of its prompt by the table
    of pairs ("" for neither).
    """

    scorer: str
    score: float | None
    place: str = ""


@dataclass(frozen=True)
class Exhibit:
    """A picture of the catalogue and the opinions on it, one of each scorer in the order of the catalogue."""

    image: CatalogImage
    opinions: tuple[Opinion, ...]


@dataclass(frozen=True)
class Shelf:
    """The pictures by prompt.

    Attributes:
        folder: of the catalogue.
        prompts: (prompt_id, prompt) in the order of the catalogue.
        exhibits: of each prompt_id.
    """

    folder: Path
    prompts: tuple[tuple[str, str], ...]
    exhibits: dict[str, tuple[Exhibit, ...]]

    def near(self, wanted: str | None, step: int = 0) -> str:
        """The prompt_id so many steps from the wanted one, round and round; the first where that is not here."""
        names = [prompt_id for prompt_id, _ in self.prompts]
        return names[(names.index(wanted) + step) % len(names)] if wanted in names else names[0]

    def picture(self, image: CatalogImage) -> tuple[Image.Image, str]:
        """A picture as it is shown, what is truly wrong framed; or a plain one, with a line on why it cannot be read."""
        try:
            found = open_picture(self.folder, image)
        except UserError as error:
            return Image.new("RGB", (SIDE, SIDE), (225, 225, 228)), str(error)
        share = SIDE / max(found.size)
        large = found.resize(
            (max(1, round(found.width * share)), max(1, round(found.height * share))), Image.Resampling.LANCZOS
        )
        return draw_marks(large, truth_marks(image, found.size)), ""


def read_shelf(folder: Path) -> Shelf:
    """Read a catalogue.

    Raises:
        UserError: there is none, it is damaged, or it is empty.
    """
    with open_catalog(folder) as catalog:
        images, scorers = catalog.images(), catalog.scorers()
        scores = [catalog.scores(scorer) for scorer in scorers]
        places = [
            {
                image: place
                for pair in catalog.pairs(scorer)
                for image, place in ((pair.chosen_img, "best"), (pair.rejected_img, "worst"))
            }
            for scorer in scorers
        ]
    if not images:
        raise UserError(
            f"{folder}: the catalogue is empty; make pictures first: python precompute/generate.py --out {folder}"
        )
    names = [_name(scorer, scorers) for scorer in scorers]
    exhibits: dict[str, list[Exhibit]] = {}
    for image in images:
        said = [(scored.get(image.image_id), place.get(image.image_id, "")) for scored, place in zip(scores, places)]
        opinions = tuple(
            Opinion(name, score.global_score if score else None, place) for name, (score, place) in zip(names, said)
        )
        exhibits.setdefault(image.prompt_id, []).append(Exhibit(image, opinions))
    prompts = tuple((prompt_id, group[0].image.prompt) for prompt_id, group in exhibits.items())
    return Shelf(folder, prompts, {prompt_id: tuple(group) for prompt_id, group in exhibits.items()})


def _name(scorer: Scorer, scorers: list[Scorer]) -> str:
    """The name of a scorer, with the first digits of its digest where another has the same."""
    alike = [each for each in scorers if each.name == scorer.name]
    return scorer.name if len(alike) == 1 else f"{scorer.name}@{scorer.digest[:8]}"
