"""Makes images for a prompt and scores them, or scores an image of the user's own; without any markup.

An image that is shown is a copy that fits a screen, with the verdict at that size; the verdict is on the image itself.
"""

import io
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from precompute.encoders.images import BadImage
from precompute.generators import Truth
from precompute.prompt_file import Prompt
from tipai_jax.auditor.verdict import Verdict
from tipai_jax.errors import UserError
from tipai_jax.render.images import fit_size, upright_rgb

if TYPE_CHECKING:
    from precompute.encoders.images import Prepared
    from precompute.generators import Generator
    from tipai_jax.auditor.api import Auditor

__all__ = [
    "CANDIDATES",
    "LEVELS",
    "MAX_PROMPT_LENGTH",
    "CandidateSet",
    "DemoService",
    "ScoredImage",
    "Upload",
    "at_threshold",
]

CANDIDATES = 4
"""Images made for a prompt at a time."""
MAX_PROMPT_LENGTH = 300
"""Characters of a prompt, at most."""
LEVELS = (0.8, 0.9, 0.95)
"""Levels of the conformal prediction that can be chosen."""
SIDE = 480
"""Pixels of the longer side of an image as it is shown."""
THUMBNAIL = 160
"""Pixels of the longer side of the thumbnail of an upload, at most."""
Progress = Callable[[float, str], object]
"""Called with the share of the work that is done, 0 to 1, and with what is done next."""


@dataclass(frozen=True, eq=False)
class Upload:
    """An image of the user's own, decoded.

    Attributes:
        prepared: as the encoder takes it.
        image: as it is shown or larger, RGB.
    """

    prepared: "Prepared"
    image: Image.Image

    @property
    def thumbnail(self) -> Image.Image:
        """A small copy."""
        side = min(THUMBNAIL, max(self.image.size))
        return self.image.resize(fit_size(self.image.size, side), reducing_gap=2.0)


@dataclass(frozen=True, eq=False)
class ScoredImage:
    """An image and the auditor's verdict on it.

    Attributes:
        image: the copy to show, RGB.
        verdict: at the size of that copy.
        seed: the seed it was made from, or None for an image of the user's own.
        truth: whether it really keeps its prompt, where that is known.
    """

    image: Image.Image
    verdict: Verdict
    seed: int | None = None
    truth: Truth | None = None


@dataclass(frozen=True, eq=False)
class CandidateSet:
    """The images made for one prompt, in the order of their seeds, which are consecutive.

    Attributes:
        prompt: the prompt.
        images: the images and their verdicts.
        order: positions in `images`, best first.
        made_by: name of the generator.
    """

    prompt: str
    images: tuple[ScoredImage, ...]
    order: tuple[int, ...]
    made_by: str

    @property
    def best(self) -> ScoredImage:
        """The image with the highest score."""
        return self.images[self.order[0]]

    @property
    def worst(self) -> ScoredImage:
        """The image with the lowest score."""
        return self.images[self.order[-1]]

    @property
    def next_seed(self) -> int:
        """The first seed after those of these images."""
        return 1 + max(each.seed or 0 for each in self.images)


class DemoService:
    """The auditor and the generator of a running demo; one request at a time uses them.

    Args:
        auditor: scores the images.
        generator: makes the images.
    """

    def __init__(self, auditor: "Auditor", generator: "Generator") -> None:
        self.auditor, self.generator = auditor, generator
        self._lock = threading.Lock()
        self._example: CandidateSet | None = None
        self._warm = threading.Event()

    @property
    def fitted_threshold(self) -> float:
        """The risk from which a pixel counts as unfaithful, as fitted on the validation split."""
        return float(self.auditor.bundle.calibration.risk_threshold)

    def load(self) -> str:
        """Load the encoder and the generator; returns a line on the generator and its device.

        Raises:
            UserError: one of them is missing, or the encoder is not the one that the auditor was trained on.
        """
        with self._lock:
            _ = self.auditor.encoder  # a cached property
            return self.generator.load()

    def warm_up(self, example: str) -> None:
        """Compile the heads for one image and for a set of candidates: those of an example, where that is fast.

        Args:
            example: prompt of the worked example. A generator that does not draw takes too long to make one.
        """
        try:
            self._score_plain(1)
            if self.generator.drawn:
                with suppress(UserError):  # a prompt that cannot be drawn
                    self._example = self.make_candidates(example)
            if self._example is None:
                self._score_plain(CANDIDATES)
        finally:
            self._warm.set()

    def worked_example(self) -> CandidateSet | None:
        """The candidates of the example, or None if there are none; waits until the service has warmed up."""
        self._warm.wait()
        return self._example

    def _score_plain(self, n: int) -> None:
        with self._lock:
            self.auditor.score([Image.new("RGB", (224, 224), (200, 200, 200))] * n, "a red car")

    def make_candidates(
        self, prompt: str, *, first: int = 0, progress: Progress = lambda share, step: None
    ) -> CandidateSet:
        """Make images for a prompt and score them.

        Args:
            prompt: what the images are to show.
            first: the seed of the first image.
            progress: is called as the work goes on.

        Raises:
            UserError: the prompt is empty or too long, or the generator cannot make an image for it.
        """
        wanted = Prompt("yours", _checked(prompt))
        self.generator.check([wanted])
        seeds = range(first, first + CANDIDATES)
        with self._lock:
            made = []
            for n, seed in enumerate(seeds):
                step = "drawing" if self.generator.drawn else "generating"
                progress(n / (CANDIDATES + 1), f"{step} image {n + 1} of {CANDIDATES}")
                made.append(self.generator.make(wanted, seed))
            progress(CANDIDATES / (CANDIDATES + 1), "scoring")
            ranking = self.auditor.rank(wanted.prompt, [each.image for each in made], alternatives=True)
        images = tuple(
            _scored(each.image, verdict, seed, each.truth) for each, verdict, seed in zip(made, ranking.verdicts, seeds)
        )
        return CandidateSet(wanted.prompt, images, ranking.order, self.generator.label)

    def make_others(
        self, before: CandidateSet | None, prompt: str, *, progress: Progress = lambda share, step: None
    ) -> CandidateSet:
        """Make images with the seeds that follow those of `before`, or with the first seeds if its prompt is another.

        Raises:
            UserError: as `make_candidates` does.
        """
        first = before.next_seed if before is not None and before.prompt == _checked(prompt) else 0
        return self.make_candidates(prompt, first=first, progress=progress)

    def read(self, data: bytes | None) -> Upload:
        """Decode an image of the user's own.

        Args:
            data: the bytes of its file; None if there is none yet.

        Raises:
            UserError: no image, or one that cannot be read.
        """
        if not data:
            raise UserError("no image yet: choose a JPEG, PNG or WEBP file")
        with self._lock:  # one large image in memory at a time
            try:
                prepared = self.auditor.encoder.preparation.prepare(data)
            except BadImage as error:
                advice = "choose a whole JPEG, PNG or WEBP image"
                raise UserError(f"this file cannot be scored: {error}; {advice}") from None
            with Image.open(io.BytesIO(data)) as opened:
                opened.draft("RGB", (2 * SIDE, 2 * SIDE))  # a large JPEG is decoded no larger than it is shown
                return Upload(prepared, upright_rgb(opened))

    def score(self, upload: Upload, prompt: str) -> ScoredImage:
        """Score an image of the user's own.

        Args:
            upload: as `read` gave it.
            prompt: the prompt that it should keep.

        Raises:
            UserError: no prompt, or one that is too long.
        """
        with self._lock:
            embedded = self.auditor.embed_prepared([upload.prepared])
            verdict = self.auditor.score(embedded, _checked(prompt), alternatives=True)[0]
        return _scored(upload.image, verdict)

    def at_level(self, scored: ScoredImage, level: float) -> ScoredImage:
        """The same verdict with its prediction at another level; nothing is scored again."""
        conformal = self.auditor.bundle.calibration.conformal
        assert conformal is not None, "an auditor without one is refused when it is made"
        prediction = conformal.predict(np.asarray(scored.verdict.logit), level)
        return replace(scored, verdict=replace(scored.verdict, level=level, prediction=str(prediction)))


def at_threshold(scored: ScoredImage, threshold: float) -> ScoredImage:
    """The same verdict where a region counts from another risk on; nothing is scored again."""
    return replace(scored, verdict=replace(scored.verdict, risk_threshold=threshold))


def _checked(prompt: str) -> str:
    """A prompt on one line.

    Raises:
        UserError: it is empty, or too long.
    """
    line = " ".join(prompt.split())
    if not line:
        raise UserError('no prompt yet: type what the image is to show, such as "a red car on the beach"')
    if len(line) > MAX_PROMPT_LENGTH:
        raise UserError(f"a prompt of {len(line)} characters; at most {MAX_PROMPT_LENGTH} are taken")
    return line


def _scored(image: Image.Image, verdict: Verdict, seed: int | None = None, truth: Truth | None = None) -> ScoredImage:
    """An image and its verdict, both at the size in which they are shown."""
    size = fit_size(image.size, SIDE)
    shown = image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return ScoredImage(shown, verdict.at_size(size), seed, truth)
