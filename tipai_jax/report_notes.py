"""The footnotes of the report: what its figures mean, in a sentence or two each.

It owns the wording and the numbers of the notes. The definitions that these sentences abridge are `measure.py`'s.
"""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["NOTES", "number_of"]

#: By name, in the order of their numbers, which is that of their first mention.
NOTES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "interval": lambda record: (
        f"Intervals: {record['intervals']}. The row of a baseline at chance shows the interval of its pair AUC, the row"
        " of a difference that of the difference."
    ),
    "pair": lambda _: (
        "Pair AUC: the share of pairs whose chosen image scores higher than the rejected one; a tie counts half,"
        " controls are left out. Guessing earns 0.5."
    ),
    "baselines": lambda _: (
        "Zero-shot cosine: of the frozen encoder's embeddings, no head. Ridge probe: ridge regression on them. Text"
        " only, image only: heads that see the prompt alone or the image alone; in data without a shortcut their pair"
        " AUC is 0.5."
    ),
    "margin": lambda _: (
        "Margin: the score of the chosen image minus that of the rejected one as the data give them; four bins of about"
        " equal size, equal margins in one bin. By what is broken: a pair that breaks two categories counts in both."
    ),
    "calibration": lambda _: (
        "The calibrator was fitted on the validation split. ECE, expected calibration error: over 15 bins of equal"
        " width (or of about as many images each), the distance between the mean score and the share of images that"
        " keep the prompt, weighted by the images in a bin. Chosen images count as keeping it, rejected ones as not,"
        " controls are left out."
    ),
    "control": lambda _: (
        "Control: a pair whose two images both keep the prompt and differ in what it does not name. Its second image"
        " should not be flagged more often than a chosen one."
    ),
    "patch": lambda _: (
        "Patch pair AUC: the chance that a random faithful patch scores higher than a random unfaithful one, over all"
        " images, or over the rejected images alone."
    ),
    "heatmap": lambda _: (
        "Heatmaps: means over the rejected images with pixels to blame (at most 2,000), at 224 by 224, against the true"
        " boxes. IoU and Dice at the threshold that was best on validation; correlation of the map with the mask;"
        " AUC-Judd: how well the risk tells the pixels inside from those outside (0.5 is chance). Box overlap: the"
        " found box of the highest risk shares a pixel with the true one; pointing game: the pixel of the highest risk"
        " lies in it. Box found in chosen and in rejected images: how often any region stands out in the two images of"
        " these pairs; in a chosen one nothing is wrong."
    ),
    "reason": lambda _: (
        "ROC-AUC of each reason: images broken in that category against all others, or against the chosen images of the"
        " same pairs, where a guess from the prompt's kind earns nothing. From the prompt alone: the same against all"
        " others for a head that never sees the image."
    ),
    "extremes": lambda _: (
        "Ordered by the calibrated score of the chosen image minus that of the rejected one; where a calibrator of few"
        " steps makes that equal, by the same difference of the logits. Controls are left out; of fewer than twenty"
        " pairs each is shown once. The pairs at the two ends are no sample: they show what the auditor does at its"
        " best and at its worst."
    ),
}


def number_of(name: str) -> int:
    """The number of a note, from 1."""
    return list(NOTES).index(name) + 1
