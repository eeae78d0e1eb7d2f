"""The predictions on one image and prompt (`Verdict`), on many (`Verdicts`), and on the candidates of a prompt
(`Ranking`): numbers, boxes, words, overlay and JSON.

Scores of different auditors are never compared.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from tipai_jax.errors import UserError
from tipai_jax.evaluation.conformal import BREAKS, KEEPS
from tipai_jax.render import (
    FOUND,
    Mark,
    Run,
    captioned,
    draw_marks,
    enlarge,
    overlay,
    regions_of_grid,
    runs_of,
    shown_risk,
)
from tipai_jax.render.images import ImageLike, open_image
from tipai_jax.render.phrases import FAILS

__all__ = ["Alternative", "Digests", "FoundBox", "JudgedPhrase", "Ranking", "Verdict", "Verdicts", "percent"]

WRONG = {
    "object": "an object is missing, another one is in its place, or one is there that should not be",
    "attribute": "an object has the wrong colour or another wrong property",
    "counting": "the number of objects is wrong",
    "spatial": "the objects are not arranged as the prompt asks",
    "text": "written words are missing or wrong",
}


def percent(share: float) -> str:
    """A share in words: "90 %", "99.5 %"."""
    return f"{100 * share:g} %"


def _short(prompt: str, most: int = 40) -> str:
    return repr(prompt if len(prompt) <= most else prompt[: most - 3] + "...")


@dataclass(frozen=True)
class Digests:
    """Which auditor made a prediction: sha256 of its encoder (weights, preparation, patch recipe) and of its heads
    (weights and calibration).
    """

    encoder: str
    heads: str

    def check_same(self, other: "Digests") -> None:
        """Refuse to compare the scores of two auditors.

        Raises:
            UserError: another encoder or other heads.
        """
        for part in ("encoder", "heads"):
            mine, theirs = getattr(self, part), getattr(other, part)
            if mine != theirs:
                raise UserError(
                    f"these scores cannot be compared: their {part} digests are {mine[:12]} and {theirs[:12]}; score"
                    " both images with one auditor"
                )


@dataclass(frozen=True)
class FoundBox:
    """A region that stands out: the box around a peak of the risk (`render.regions_of_grid`).

    Attributes:
        x1, y1, x2, y2: corners in whole pixels of the image; x to the right, y downwards, x2 and y2 exclusive.
        risk: the highest risk inside, 0 to 1: how sure the auditor is that this place breaks the prompt. Boxes are
            ordered by it, it is what is printed on them, and it may be compared between images.
    """

    x1: int
    y1: int
    x2: int
    y2: int
    risk: float


@dataclass(frozen=True)
class Alternative:
    """What the image shows instead of a failing phrase.

    Attributes:
        what: does not fit: "colour", "number", "relation", or another name that a list of attributes was given.
        word: what stands in its place, such as "blue", "three" or "right of".
        kept: score that the image keeps the phrase with this word in it, calibrated as that of a phrase of a prompt. It
            is the highest of several, so it promises more than it keeps; how often it is right: docs/metrics.md.
    """

    what: str
    word: str
    kept: float

    def __str__(self) -> str:
        looks = {"number": f"like {self.word}", "relation": f'like "{self.word}"'}.get(self.what, self.word)
        return f"the {self.what} does not fit, it looks {looks} ({self.kept:.2f})"


@dataclass(frozen=True)
class JudgedPhrase:
    """A phrase of the prompt, and whether the image keeps it.

    Attributes:
        text: the words, as the prompt has them.
        start, end: its first character in the prompt and the one behind its last.
        kind: one of `store.PHRASE_KINDS`: object, attribute, count, relation, place, text, other.
        kept: calibrated probability that the image keeps it.
        alternative: of a failing phrase what the image shows instead, where that was asked for and is found.
    """

    text: str
    start: int
    end: int
    kind: str
    kept: float
    alternative: Alternative | None = None

    @property
    def fails(self) -> bool:
        """Whether the image more likely breaks it."""
        return self.kept < FAILS


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Verdict:
    """The predictions on one image for one prompt. Verdicts of one auditor are ordered by their logit.

    The boxes are ordered by their risk, which the overlay prints on them; the sentence points to the first. An image
    whose score says that it keeps its prompt has none, however red its heatmap is. The evaluation measures them as they
    are shown (`boxes.ap25`).

    Attributes:
        prompt: the words.
        score: calibrated probability that the image keeps the prompt, where half of the images do (the chosen and the
            rejected ones of the validation pairs).
        logit: the global head's output before calibration.
        patch_score: calibrated probability that a patch is faithful, row 0 at the top.
        risk: risk of each patch as the heatmap shows it, 0 to 1.
        risk_threshold: from here on a pixel counts as unfaithful, and a peak of the risk has a box; fitted on
            validation.
        box_reach: how far a box goes from its peak, as a fraction of the view; None: the validation pairs had no boxes
            to fit it on, so that no region is marked.
        score_threshold: a score below it breaks the prompt.
        reasons: calibrated probability that the image breaks the prompt in object, attribute, counting, spatial, text.
        level: of the prediction, above 0 and below 1.
        prediction: split-conformal: "keeps", "breaks" or "abstains"; of the images of either kind at least the level's
            share get a set of predictions that holds the right one, and a set of both (or none) abstains.
        worst_patch_score: probability that the image keeps the prompt, judged by its worst patch alone.
        consistent: whether score and worst patch fall on the same side of the run's threshold.
        size: width and height of the image in pixels.
        view: left, top, right, bottom of what the encoder saw of it, in pixels.
        digests: which auditor made the predictions.
        small_world_only: its encoder knows drawn scenes only and nothing of photographs.
        unknown_tokens: tokens of the prompt that its encoder's vocabulary does not hold.
        phrases: of the prompt in its order, each with the probability that the image keeps it; none of heads that read
            no phrases.
    """

    prompt: str
    score: float
    logit: float
    patch_score: Float[np.ndarray, "rows columns"]
    risk: Float[np.ndarray, "rows columns"]
    risk_threshold: float
    reasons: dict[str, float]
    level: float
    prediction: str
    worst_patch_score: float
    consistent: bool
    size: tuple[int, int]
    view: tuple[float, float, float, float]
    digests: Digests
    small_world_only: bool
    box_reach: float | None
    score_threshold: float = 0.5
    unknown_tokens: int = 0
    phrases: tuple[JudgedPhrase, ...] = ()

    def __repr__(self) -> str:
        return f"Verdict({_short(self.prompt)}, score={self.score:.3f}, prediction={self.prediction!r})"

    def __lt__(self, other: "Verdict") -> bool:
        self.digests.check_same(other.digests)
        return self.logit < other.logit

    def __gt__(self, other: "Verdict") -> bool:
        return other < self

    @cached_property
    def _seen(self) -> tuple[int, int, int, int]:
        """The view in whole pixels."""
        left, top, right, bottom = (round(edge) for edge in self.view)
        return left, top, max(right, left + 1), max(bottom, top + 1)

    @property
    def heatmap(self) -> Float[np.ndarray, "height width"]:
        """The risk at the size of the image, 0 to 1; NaN outside the encoder's view."""
        left, top, right, bottom = self._seen
        whole = np.full((self.size[1], self.size[0]), np.nan, np.float32)
        whole[top:bottom, left:right] = self._risk_at(bottom - top, right - left)
        return whole

    def _risk_at(self, height: int, width: int) -> Float[np.ndarray, "height width"]:
        return np.clip(enlarge(self.risk, (height, width)), 0.0, 1.0)

    @cached_property
    def boxes(self) -> tuple[FoundBox, ...]:
        """The regions that stand out, the highest risk first; none in an image that keeps its prompt by its score."""
        if self.score >= self.score_threshold:
            return ()
        left, top, right, bottom = self._seen
        width, height = right - left, bottom - top
        found = []
        for region in regions_of_grid(self.risk, self.risk_threshold, self.box_reach):
            x1, x2 = (round(left + x * width) for x in (region.x1, region.x2))
            y1, y2 = (round(top + y * height) for y in (region.y1, region.y2))
            found.append(FoundBox(x1, y1, x2, y2, region.risk))
        return tuple(found)

    @property
    def sentence(self) -> str:
        """The verdict in words: prediction, the phrase that fails, strongest reason, where the first box lies."""
        name = max(self.reasons, key=lambda each: self.reasons[each])
        head = {KEEPS: "Keeps the prompt", BREAKS: "Breaks the prompt"}.get(
            self.prediction, "Not sure whether it keeps the prompt"
        )
        if (failing := self.failing) is not None and failing.fails:
            mark = "'" if '"' in failing.text else '"'
            head = f"{head}, most likely in {mark}{failing.text}{mark} (kept: {failing.kept:.2f})"
            head += f": {failing.alternative}" if failing.alternative else ""
        if self.reasons[name] < 0.5 and self.prediction == KEEPS:
            words = f"{head}."
        elif self.reasons[name] < 0.5:
            words = f"{head}; no reason stands out (the strongest: {name}, {self.reasons[name]:.2f})."
        elif self.prediction == KEEPS:
            words = f"{head}, though one reason stands out: {name} ({self.reasons[name]:.2f})."
        else:
            words = f"{head}; strongest reason: {name} ({self.reasons[name]:.2f}), {WRONG.get(name, name)}."
        if self.prediction != KEEPS:
            more = " and elsewhere" if len(self.boxes) > 1 else ""
            words += f" Look {self.place(self.boxes[0])}{more}." if self.boxes else " No region is marked."
        if not self.consistent:
            words += " The score and the heatmap disagree: check the image yourself."
        return words

    @property
    def failing(self) -> JudgedPhrase | None:
        """The phrase that the image most likely breaks; None where it is not judged to break its prompt."""
        return min(self.phrases, key=lambda phrase: phrase.kept, default=None) if self.prediction == BREAKS else None

    @property
    def runs(self) -> list[Run]:
        """The prompt in runs, each phrase with the probability that the image keeps it: what is shown in colours."""
        return runs_of(self.prompt, [(phrase.start, phrase.end, phrase.kept) for phrase in self.phrases])

    def place(self, box: FoundBox) -> str:
        """Where a box lies, in words: "at the upper left"."""
        left, top, right, bottom = self._seen
        x, y = (box.x1 + box.x2 - 2 * left) / 2 / (right - left), (box.y1 + box.y2 - 2 * top) / 2 / (bottom - top)
        across = "left" if x < 0.4 else "right" if x > 0.6 else ""
        down = "upper" if y < 0.4 else "lower" if y > 0.6 else ""
        if not across and not down:
            return "at the middle"
        if across and down:
            return f"at the {down} {across}"
        return f"at the {across or ({'upper': 'top', 'lower': 'bottom'}[down])}"

    def at_size(self, size: tuple[int, int]) -> "Verdict":
        """The same verdict for a copy of the image of another width and height, such as one that fits a screen."""
        across, down = size[0] / self.size[0], size[1] / self.size[1]
        left, top, right, bottom = self.view
        return replace(self, size=size, view=(left * across, top * down, right * across, bottom * down))

    def overlay(self, image: ImageLike, *, boxes: bool = True, words: bool = False) -> Image.Image:
        """The image under its heatmap: unchanged where the risk is low, yellow at the threshold, red at twice that; the
        boxes in violet, each labelled with its highest risk.

        Args:
            image: the one that was judged, as it was handed over: a PIL image, an array, a path or the bytes of a file.
            boxes: whether to draw them.
            words: whether to write the prompt below the image, each phrase in the colour of the probability that the
                image keeps it (`render.captioned`); heads that read no phrases add nothing.

        Returns:
            An RGB image, of the same size without words; what the encoder did not see is grey and pale.

        Raises:
            UserError: it cannot be read, or is of another size than the one that was judged.
        """
        plain = open_image(image)
        if plain.size != self.size:
            raise UserError(
                f"overlay: the image is {plain.width} x {plain.height} pixels, the one that was judged {self.size[0]}"
                f" x {self.size[1]}; hand over that one"
            )
        drawn = Image.blend(plain.convert("L").convert("RGB"), Image.new("RGB", plain.size, (255, 255, 255)), 0.5)
        drawn.paste(overlay(plain.crop(self._seen), shown_risk(self.risk, self.risk_threshold)), self._seen[:2])
        drawn = self._with_boxes(drawn) if boxes else drawn
        return captioned(drawn, self.runs) if words and self.phrases else drawn

    def _with_boxes(self, drawn: Image.Image) -> Image.Image:
        width, height = self.size
        marks = [
            Mark(
                box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height, label=f"{box.risk:.2f}", colour=FOUND
            )
            for box in self.boxes
        ]
        return draw_marks(drawn, marks)

    def as_json(self) -> dict[str, Any]:
        """Everything but the heatmap, as plain JSON."""
        return {
            "prompt": self.prompt,
            "score": self.score,
            "logit": self.logit,
            "prediction": self.prediction,
            "level": self.level,
            "sentence": self.sentence,
            "reasons": dict(self.reasons),
            "phrases": [asdict(phrase) for phrase in self.phrases],
            "boxes": [vars(box) for box in self.boxes],
            "consistent": self.consistent,
            "worst_patch_score": self.worst_patch_score,
            "patch_score": np.round(self.patch_score.astype(np.float64), 4).tolist(),
            "risk": np.round(self.risk.astype(np.float64), 4).tolist(),
            "risk_threshold": self.risk_threshold,
            "box_reach": self.box_reach,
            "score_threshold": self.score_threshold,
            "size": list(self.size),
            "view": list(self.view),
            "unknown_tokens": self.unknown_tokens,
            "small_world_only": self.small_world_only,
            "encoder_digest": self.digests.encoder,
            "heads_digest": self.digests.heads,
        }


@dataclass(frozen=True, eq=False, repr=False)
class Verdicts(Sequence[Verdict]):
    """Verdicts in order: one for each image and prompt (n), or every image against every prompt (M, N), row-major.

    Attributes:
        each: the verdicts.
        shape: (n,) or (images, prompts).
    """

    each: tuple[Verdict, ...]
    shape: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", self.shape or (len(self.each),))
        assert math.prod(self.shape) == len(self.each), (self.shape, len(self.each))

    def __repr__(self) -> str:
        scores = f", scores {self.score.min():.3f} to {self.score.max():.3f}" if self.each else ""
        return f"Verdicts(shape={self.shape}{scores})"

    def __len__(self) -> int:
        return len(self.each)

    def __getitem__(self, place: Any) -> Any:
        """By number, by slice, or by (image, prompt)."""
        if isinstance(place, tuple):
            return self.each[int(np.ravel_multi_index(place, self.shape))]
        return self.each[place]

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.each)

    @property
    def score(self) -> Float[np.ndarray, "*shape"]:
        """The calibrated scores."""
        return np.array([verdict.score for verdict in self.each], np.float64).reshape(self.shape)

    @property
    def logit(self) -> Float[np.ndarray, "*shape"]:
        """The raw logits."""
        return np.array([verdict.logit for verdict in self.each], np.float64).reshape(self.shape)


@dataclass(frozen=True, eq=False, repr=False)
class Ranking:
    """The candidates of a prompt, best first.

    Attributes:
        order: numbers of the images as they were given, best first; equal logits keep their order.
        verdicts: of the images as they were given.
    """

    order: tuple[int, ...]
    verdicts: Verdicts

    def __repr__(self) -> str:
        best = f", best {self.best} with score {self.verdicts[self.best].score:.3f}" if self.order else ""
        return f"Ranking({len(self.order)} images{best})"

    @property
    def best(self) -> int:
        """Number of the best image.

        Raises:
            UserError: no image was ranked.
        """
        if not self.order:
            raise UserError("there is no best image of none: rank at least one image")
        return self.order[0]

    @property
    def scores(self) -> Float[np.ndarray, " n"]:
        """Calibrated scores, best first."""
        return self.verdicts.score[list(self.order)]
