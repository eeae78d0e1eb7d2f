"""What the auditor says: of one picture and prompt (`Verdict`), of many (`Verdicts`), and of the candidates of a prompt
(`Ranking`).

Owns how opinions are read: boxes, words, overlay, JSON, and the rule that scores of different auditors are never
    compared. The numbers come
from `auditor.py`; nothing is computed here that a calibration would have to know of.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from tipai_jax.conformal import BREAKS, KEEPS
from tipai_jax.errors import UserError
from tipai_jax.pictures import Picture, open_picture
from tipai_jax.render import Mark, draw_marks, enlarge, find_regions, overlay, shown_risk

__all__ = ["Digests", "FoundBox", "Ranking", "Verdict", "Verdicts"]

FOUND = (150, 0, 130)
SIZE = 224
"""Pixels of the longer side of the map in which boxes are looked for."""
WRONG = {
    "object": "a thing is missing, another stands in its place, or one is there that should not be",
    "attribute": "a thing has the wrong colour or another wrong property",
    "counting": "the number of things is wrong",
    "spatial": "things do not stand to each other as asked",
    "text": "written words are missing or wrong",
}


@dataclass(frozen=True)
class Digests:
    """Which auditor spoke: sha256 of its encoder (weights, preparation, patch recipe) and of its heads (weights and
    calibration).
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
                    " both pictures with one auditor"
                )


@dataclass(frozen=True)
class FoundBox:
    """A region that stands out: corners in pixels of the picture, its share of all risk found, and its highest risk.

    Attributes:
        x1, y1, x2, y2: corners; x to the right, y downwards, whole pixels, x2 and y2 exclusive.
        importance: share of the risk above the threshold that lies in this region, 0 to 1; those of all boxes add up to
            at most 1.
        risk: the highest risk inside, 0 to 1.
    """

    x1: int
    y1: int
    x2: int
    y2: int
    importance: float
    risk: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdict:
    """What is said of one picture for one prompt. Verdicts of one auditor are ordered by their logit, as their scores
    are where they differ.

    Attributes:
        prompt: the words.
        score: calibrated probability that the picture keeps the prompt, where half of the pictures do (the chosen and
            the rejected ones of
            the validation pairs).
        logit: the global head's output before calibration.
        patch_score: calibrated probability that a patch is faithful, row 0 at the top.
        risk: risk of each patch as the heatmap shows it, 0 to 1.
        risk_threshold: from here on a pixel counts as unfaithful; fitted on validation.
        reasons: calibrated probability that the picture breaks the prompt in object, attribute, counting, spatial,
            text.
        level: of the prediction.
        prediction: split-conformal: "keeps", "breaks" or "abstains"; of the pictures of either kind at least the
            level's share get a set of
            answers that holds the right one, and a set of both (or none) abstains.
        worst_patch_score: probability that the picture keeps the prompt, judged by its worst patch alone.
        consistent: whether score and worst patch fall on the same side of the run's threshold.
        size: width and height of the picture in pixels.
        view: left, top, right, bottom of what the encoder saw of it, in pixels.
        digests: which auditor spoke.
        small_world_only: its encoder knows drawn scenes only and nothing of photographs.
        unknown_tokens: pieces of the prompt that its encoder's vocabulary does not hold.
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
    unknown_tokens: int = 0

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
        """The risk at the size of the picture, 0 to 1; NaN where the encoder did not look."""
        left, top, right, bottom = self._seen
        whole = np.full((self.size[1], self.size[0]), np.nan, np.float32)
        whole[top:bottom, left:right] = self._risk_at(bottom - top, right - left)
        return whole

    def _risk_at(self, height: int, width: int) -> Float[np.ndarray, "height width"]:
        return np.clip(enlarge(self.risk, (height, width)), 0.0, 1.0)

    @cached_property
    def boxes(self) -> tuple[FoundBox, ...]:
        """The regions at or above the threshold, that of the highest risk first; none where nothing stands out."""
        left, top, right, bottom = self._seen
        width, height = right - left, bottom - top
        share = min(1.0, SIZE / max(width, height))  # a map of seven cells has no finer edges than this shows
        risk = self._risk_at(max(1, round(share * height)), max(1, round(share * width)))
        total = float(risk[risk >= self.risk_threshold].sum(dtype=np.float64))
        found = []
        for region in find_regions(risk, self.risk_threshold):
            across, down = (
                (round(left + x * width) for x in (region.x1, region.x2)),
                (round(top + y * height) for y in (region.y1, region.y2)),
            )
            (x1, x2), (y1, y2) = across, down
            found.append(FoundBox(x1, y1, x2, y2, region.mass / total, region.peak))
        return tuple(found)

    @property
    def sentence(self) -> str:
        """The verdict in words: which reason is the strongest, and where to look."""
        name = max(self.reasons, key=lambda each: self.reasons[each])
        head = {KEEPS: "Keeps the prompt", BREAKS: "Breaks the prompt"}.get(
            self.prediction, "Not sure whether it keeps the prompt"
        )
        if self.reasons[name] < 0.5:
            said = f"{head}; no reason stands out (the strongest: {name}, {self.reasons[name]:.2f})."
        elif self.prediction == KEEPS:
            said = f"{head}, though one reason stands out: {name} ({self.reasons[name]:.2f})."
        else:
            said = f"{head}; strongest reason: {name} ({self.reasons[name]:.2f}), {WRONG.get(name, name)}."
        if self.prediction != KEEPS:
            said += f" Look {self.place(self.boxes[0])}." if self.boxes else " No region stands out."
        if not self.consistent:
            said += " Score and patches disagree: have a look yourself."
        return said

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
        """The same verdict for a copy of the picture of another width and height, such as one that fits a screen."""
        across, down = size[0] / self.size[0], size[1] / self.size[1]
        left, top, right, bottom = self.view
        return replace(self, size=size, view=(left * across, top * down, right * across, bottom * down))

    def overlay(self, picture: Picture, *, boxes: bool = True) -> Image.Image:
        """The picture under its heatmap (green: keeps, yellow: at the threshold, red: twice that), with the boxes found
        in violet.

        Args:
            picture: the one that was judged, as it was handed over: a PIL picture, an array or a path.
            boxes: whether to draw them.

        Returns:
            An RGB picture of the same size; what the encoder did not see is left plain.

        Raises:
            UserError: it cannot be read, or is of another size than the one that was judged.
        """
        drawn = open_picture(picture)
        if drawn.size != self.size:
            raise UserError(
                f"overlay: the picture is {drawn.width} x {drawn.height} pixels, the one that was judged {self.size[0]}"
                f" x {self.size[1]}; hand over that one"
            )
        drawn.paste(overlay(drawn.crop(self._seen), shown_risk(self.risk, self.risk_threshold)), self._seen[:2])
        if not boxes:
            return drawn
        width, height = self.size
        marks = [
            Mark(b.x1 / width, b.y1 / height, b.x2 / width, b.y2 / height, label=f"{b.importance:.0%}", colour=FOUND)
            for b in self.boxes
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
            "boxes": [vars(box) for box in self.boxes],
            "consistent": self.consistent,
            "worst_patch_score": self.worst_patch_score,
            "patch_score": np.round(self.patch_score.astype(np.float64), 4).tolist(),
            "risk": np.round(self.risk.astype(np.float64), 4).tolist(),
            "risk_threshold": self.risk_threshold,
            "size": list(self.size),
            "view": list(self.view),
            "unknown_tokens": self.unknown_tokens,
            "small_world_only": self.small_world_only,
            "encoder_digest": self.digests.encoder,
            "heads_digest": self.digests.heads,
        }


@dataclass(frozen=True, eq=False)
class Verdicts(Sequence[Verdict]):
    """Verdicts in order: one for each picture and prompt (n), or every picture against every prompt (M, N), row-major.

    Attributes:
        each: the verdicts.
        shape: (n,) or (pictures, prompts).
    """

    each: tuple[Verdict, ...]
    shape: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", self.shape or (len(self.each),))
        assert math.prod(self.shape) == len(self.each), (self.shape, len(self.each))

    def __len__(self) -> int:
        return len(self.each)

    def __getitem__(self, place: Any) -> Any:
        """By number, by slice, or by (picture, prompt)."""
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


@dataclass(frozen=True, eq=False)
class Ranking:
    """The candidates of a prompt, best first.

    Attributes:
        order: numbers of the pictures as they were given, best first; equal logits keep their order.
        verdicts: of the pictures as they were given.
    """

    order: tuple[int, ...]
    verdicts: Verdicts

    @property
    def best(self) -> int:
        """Number of the best picture."""
        return self.order[0]

    @property
    def scores(self) -> Float[np.ndarray, " n"]:
        """Calibrated scores, best first."""
        return self.verdicts.score[list(self.order)]
