"""What the page asks for: pictures made for a prompt and judged, or one picture of the user's own judged.

Owns the auditor and the generator of a running demo and lets one request at a time use them. A picture that is shown is
a copy that fits a screen, with the
verdict at that size; the judgement is of the picture itself. Knows nothing of markup or of the page.
"""

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from precompute.encoders.images import BadImage
from precompute.generators import Truth
from precompute.prompt_file import Prompt
from tipai_jax.errors import UserError
from tipai_jax.render import to_rgb
from tipai_jax.verdict import Verdict

if TYPE_CHECKING:
    from precompute.generators import Generator
    from tipai_jax.auditor import Auditor

__all__ = ["LEVELS", "LONGEST", "PICTURES", "Desk", "Round", "Shown", "at_threshold"]

PICTURES = 4
LONGEST = 300
"""Letters of a prompt, at most."""
LEVELS = (0.8, 0.9, 0.95)
SIDE = 480
"""Pixels of the longer side of a picture as it is shown."""
Tell = Callable[[float, str], object]
"""Told how far the work is, 0 to 1, and what is done."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A judged picture.

    Attributes:
        picture: the copy to show, RGB.
        verdict: at the size of that copy.
        seed: that it was made from, or None for one of the user's own.
        truth: where it is known.
    """

    picture: Image.Image
    verdict: Verdict
    seed: int | None = None
    truth: Truth | None = None


@dataclass(frozen=True, eq=False)
class Round:
    """The pictures of one prompt, in the order of their seeds, which follow each other.

    Attributes:
        prompt: the words.
        shown: the pictures.
        order: their numbers, best first.
        made_by: the generator in words.
    """

    prompt: str
    shown: tuple[Shown, ...]
    order: tuple[int, ...]
    made_by: str

    @property
    def best(self) -> Shown:
        """The picture that keeps the prompt best."""
        return self.shown[self.order[0]]

    @property
    def worst(self) -> Shown:
        """The one that keeps it least."""
        return self.shown[self.order[-1]]

    @property
    def next_seed(self) -> int:
        """The first seed that is not among these."""
        return 1 + max(each.seed or 0 for each in self.shown)


class Desk:
    """Makes and judges.

    Args:
        auditor: who judges.
        generator: who makes pictures; loaded already.
    """

    def __init__(self, auditor: "Auditor", generator: "Generator") -> None:
        self.auditor, self.generator = auditor, generator
        self._alone = threading.Lock()

    @property
    def fitted_threshold(self) -> float:
        """The risk from which a pixel counts as unfaithful, as fitted on the validation split."""
        return float(self.auditor.bundle.calibration.risk_threshold)

    def warm_up(self) -> None:
        """Load the encoder and compile the heads for one picture and for a round of them."""
        plain = Image.new("RGB", (224, 224), (200, 200, 200))
        with self._alone:
            for n in (1, PICTURES):
                self.auditor.score([plain] * n, "a red car")

    def make_round(self, prompt: str, *, first: int = 0, tell: Tell = lambda share, words: None) -> Round:
        """Make pictures for a prompt and judge them.

        Args:
            prompt: what they are to show.
            first: their first seed.
            tell: is told of the progress.

        Raises:
            UserError: no words, too many, or a prompt that the generator cannot take.
        """
        wanted = Prompt("yours", _words(prompt))
        self.generator.check([wanted])
        with self._alone:
            made = []
            for n, seed in enumerate(range(first, first + PICTURES)):
                tell(
                    n / (PICTURES + 1),
                    f"{'drawing' if self.generator.drawn else 'generating'} picture {n + 1} of {PICTURES}",
                )
                made.append(self.generator.make(wanted, seed))
            tell(PICTURES / (PICTURES + 1), "judging")
            ranking = self.auditor.rank(wanted.prompt, [each.picture for each in made])
        seeds = range(first, first + PICTURES)
        shown = tuple(
            _shown(each.picture, verdict, seed, each.truth)
            for each, verdict, seed in zip(made, ranking.verdicts, seeds)
        )
        return Round(wanted.prompt, shown, ranking.order, self.generator.label)

    def judge(self, data: bytes | None, prompt: str) -> Shown:
        """Judge a picture of the user's own.

        Args:
            data: the bytes of its file; None if there is none yet.
            prompt: what it was to show.

        Raises:
            UserError: no picture, one that cannot be read, or no words.
        """
        if not data:
            raise UserError("no picture yet: choose a JPEG, PNG or WEBP file")
        with self._alone:
            try:
                prepared = self.auditor.encoder.preparation.prepare(data)
            except BadImage as error:
                raise UserError(
                    f"this file cannot be judged: {error}; choose a whole JPEG, PNG or WEBP picture"
                ) from None
            said = self.auditor.score(self.auditor.embed_prepared([prepared]), _words(prompt))[0]
        with Image.open(io.BytesIO(data)) as opened:
            opened.draft("RGB", (2 * SIDE, 2 * SIDE))  # a large JPEG is decoded no larger than it is shown
            return _shown(to_rgb(ImageOps.exif_transpose(opened)), said)

    def at_level(self, shown: Shown, level: float) -> Shown:
        """The same opinion with its prediction at another level; nothing is judged again."""
        said = self.auditor.bundle.calibration.conformal.predict(np.asarray(shown.verdict.logit), level)
        return replace(shown, verdict=replace(shown.verdict, level=level, prediction=str(said)))


def at_threshold(shown: Shown, threshold: float) -> Shown:
    """The same opinion where a region counts from another risk on; nothing is judged again."""
    return replace(shown, verdict=replace(shown.verdict, risk_threshold=threshold))


def _words(prompt: str) -> str:
    """A prompt on one line.

    Raises:
        UserError: it is empty, or too long.
    """
    words = " ".join(prompt.split())
    if not words:
        raise UserError('no prompt yet: type what the picture is to show, such as "a red car on the beach"')
    if len(words) > LONGEST:
        raise UserError(f"a prompt of {len(words)} letters; at most {LONGEST} are taken")
    return words


def _shown(picture: Image.Image, verdict: Verdict, seed: int | None = None, truth: Truth | None = None) -> Shown:
    """A picture and its verdict, both at the size in which they are shown."""
    share = SIDE / max(picture.size)
    size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
    return Shown(
        picture.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0),
        verdict.at_size(size),
        seed,
        truth,
    )
