"""Split-conformal prediction: does the image keep its prompt, does it break it, or should the auditor abstain?

Prediction sets over {keeps, breaks} at any level, from the logits of examples that nothing was trained on.
Class-conditional (Vovk 2012; Sadinle, Lei, Wasserman 2019): of images that keep their prompt, on average over the draw
of the examples, at least the level's share get a set that holds "keeps", and likewise "breaks", whatever the scorer is
worth, as long as new images are exchangeable with the examples. This is not a precision: how often a prediction is
right depends on how many images break their prompt.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped

__all__ = ["ABSTAINS", "BREAKS", "KEEPS", "Conformal", "examples_needed", "fit_conformal"]

KEEPS, BREAKS, ABSTAINS = "keeps", "breaks", "abstains"


def examples_needed(level: float) -> int:
    """Examples of a class below which its threshold at a level is infinite, so that every set holds the class: the
    ceil((n + 1) * level)-th of n examples has to exist.
    """
    return math.ceil(level / (1.0 - level) - 1e-9)


@dataclass(frozen=True)
class Conformal:
    """The logits of the examples, each class ascending.

    Attributes:
        keeps: of images that keep their prompt.
        breaks: of images that break it.
    """

    keeps: tuple[float, ...]
    breaks: tuple[float, ...]

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.keeps, np.float64), np.asarray(self.breaks, np.float64)

    def thresholds(self, level: float) -> tuple[float, float]:
        """(lowest logit whose set holds "keeps", highest one whose set holds "breaks"); infinite where the examples are
        too few for the level.

        Args:
            level: wanted share of right sets, above 0 and below 1. The ceil((n + 1) * level)-th of the n examples
                decides.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level is {level}; it must lie above 0 and below 1")
        keeps, breaks = self._arrays
        rank = lambda n: math.ceil((n + 1) * level - 1e-9)
        k, b = rank(len(keeps)), rank(len(breaks))
        low = float(keeps[len(keeps) - k]) if k <= len(keeps) else -math.inf
        high = float(breaks[b - 1]) if b <= len(breaks) else math.inf
        return low, high

    def too_few(self, level: float) -> str:
        """Why there is no informative prediction at a level; "" where there is."""
        needed, fewest = examples_needed(level), min(len(self.keeps), len(self.breaks))
        if fewest >= needed:
            return ""
        return f"fewer than {needed} validation images of each kind: too few for a prediction at {100 * level:g} %"

    def sets(
        self, logit: Num[np.ndarray, "*shape"], level: float
    ) -> tuple[Bool[np.ndarray, "*shape"], Bool[np.ndarray, "*shape"]]:
        """Whether the prediction set of each logit holds "keeps", and whether it holds "breaks"; it may hold both, or
        neither.
        """
        low, high = self.thresholds(level)
        logit = np.asarray(logit, np.float64)
        return np.asarray(logit >= low), np.asarray(logit <= high)

    def predict(self, logit: Num[np.ndarray, "*shape"], level: float) -> Shaped[np.ndarray, "*shape"]:
        """`KEEPS` or `BREAKS` where the set holds that alone, else `ABSTAINS`."""
        keeps, breaks = self.sets(logit, level)
        return np.where(keeps & ~breaks, KEEPS, np.where(breaks & ~keeps, BREAKS, ABSTAINS))


def fit_conformal(logit: Float[np.ndarray, " n"], label: Shaped[np.ndarray, " n"]) -> Conformal:
    """From examples that the scorer was not trained on.

    Args:
        logit: one an example; six digits of it are kept.
        label: 1 for images that keep their prompt, 0 for those that break it.
    """
    ascending = lambda values: tuple(float(f"{value:.6g}") for value in np.sort(values))
    return Conformal(ascending(logit[label == 1]), ascending(logit[label == 0]))
