"""Figures of the parts of an image and of a prompt: objects, boxes, phrases, and the reason within a pair.

What is compared lies in one image (its objects, its phrases), or at one place of both images of a pair, so the level of
a whole image earns nothing. What the prompt alone earns stands beside the figures of phrases (`phrase_rates`).
Definitions: docs/metrics.md.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from tipai_jax.evaluation.calibration import Calibration, score_examples
from tipai_jax.evaluation.figure import Figure, figure_of, mean_figure, missing
from tipai_jax.evaluation.found_boxes import box_figures
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.metrics import largest_gap_by_group
from tipai_jax.metrics.phrases import (
    macro_f1,
    macro_f1_by_group,
    named_phrase_right,
    named_reason,
    reasons_within_pairs,
)
from tipai_jax.metrics.within import auc_within, chance_of_top, paired_wins, risk_of_boxes, top_right
from tipai_jax.store import CATEGORIES, DIFFICULTIES, MOST_PHRASES, PairTable, Store, pair_rows_of_objects

__all__ = [
    "NO_OBJECTS",
    "NO_PHRASES",
    "ObjectRows",
    "PairObjects",
    "object_rows",
    "objects_of_pairs",
    "part_figures",
    "phrase_figures",
]

NO_OBJECTS = "the data do not say which objects the images show"
NO_PHRASES = "the data do not say which phrases an image breaks"


class PairObjects(NamedTuple):
    """The objects in the rejected images of b pairs, image after image.

    Attributes:
        xyxy: corners, fractions of what the encoder saw.
        wrong: 1 breaks the prompt, 0 does not, -1 unknown.
        named: 1 a phrase of the prompt names it, 0 none does, -1 unknown.
        offsets: pair i owns offsets[i]:offsets[i + 1].
    """

    xyxy: Float[np.ndarray, "m 4"]
    wrong: Int[np.ndarray, " m"]
    named: Int[np.ndarray, " m"]
    offsets: Int[np.ndarray, " b1"]


class ObjectRows(NamedTuple):
    """The rows of `Store.objects` of the rejected images of b pairs, image after image.

    Attributes:
        which: the rows.
        offsets: pair i owns offsets[i]:offsets[i + 1].
    """

    which: Int[np.ndarray, " m"]
    offsets: Int[np.ndarray, " b1"]


def object_rows(store: Store, pairs: PairTable) -> ObjectRows | None:
    """The rows of the objects of the rejected images; None where the data do not name them."""
    if not store.manifest.of_table("objects"):
        return None
    table, of = store.objects, pair_rows_of_objects(store, pairs)
    which = np.flatnonzero((of >= 0) & (table.side == 1))
    which = which[np.argsort(of[which], kind="stable")]
    return ObjectRows(which, np.concatenate([[0], np.cumsum(np.bincount(of[which], minlength=len(pairs)))]))


def objects_of_pairs(store: Store, pairs: PairTable) -> PairObjects | None:
    """The objects of the rejected images; None where the data do not name them."""
    rows = object_rows(store, pairs)
    if rows is None:
        return None
    table, (which, offsets) = store.objects, rows
    xyxy = np.stack([table.x1, table.y1, table.x2, table.y2], axis=1)[which]
    return PairObjects(xyxy, table.wrong[which], table.named[which], offsets)


def part_figures(
    predictions: Predictions,
    pairs: PairTable,
    objects: PairObjects | None,
    *,
    present: Bool[np.ndarray, "b p"] | None = None,
    calibration: Calibration,
) -> dict[str, Any]:
    """Every figure of this file for one scorer on some pairs.

    Args:
        predictions: of the scorer; what it does not predict gets None.
        pairs: the truth.
        objects: `objects_of_pairs`.
        present: which places of `PairTable.phrase_label` hold a phrase; None where the store has none.
        calibration: fitted elsewhere, on validation.
    """
    return {
        "objects": _object_figures(predictions, pairs, objects),
        "boxes": _box_figures(predictions, pairs, calibration),
        "phrases": phrase_figures(predictions, pairs, present, calibration),
        "reason_macro_f1": _reason_figure(predictions, pairs, calibration),
        "patch_auc_same_place": _same_place(predictions, pairs),
        "calibration_gap": _calibration_gap(predictions, pairs, present, calibration),
    }


def _averaged(values: Float[np.ndarray, " n"], group: np.ndarray, which: Bool[np.ndarray, " n"]) -> Figure:
    counted = which & np.isfinite(values)
    return mean_figure(values[counted], group[counted])


def _object_figures(predictions: Predictions, pairs: PairTable, objects: PairObjects | None) -> dict[str, Any] | None:
    if predictions.risk is None:
        return None
    if objects is None:
        nothing = missing(NO_OBJECTS)
        by = {
            "auc_by_category": dict.fromkeys(CATEGORIES, nothing),
            "auc_by_difficulty": dict.fromkeys(DIFFICULTIES, nothing),
        }
        names = ("auc", "auc_against_named", "auc_against_unnamed", "hottest_right", "hottest_by_chance")
        return dict.fromkeys(names, nothing) | by
    risk = risk_of_boxes(predictions.risk[:, 1], objects.xyxy, objects.offsets)
    broken, group = ~pairs.control, pairs.group

    def auc(others: Bool[np.ndarray, " m"]) -> Float[np.ndarray, " n"]:
        return auc_within(risk, np.where((objects.wrong == 1) | others, objects.wrong, -1), objects.offsets)

    every = auc(np.ones(len(risk), bool))
    known = np.where(objects.wrong < 0, -np.inf, risk)
    return {
        "auc": _averaged(every, group, broken),
        "auc_against_named": _averaged(auc(objects.named == 1), group, broken),
        "auc_against_unnamed": _averaged(auc(objects.named == 0), group, broken),
        "auc_by_category": {
            name: _averaged(every, group, broken & (pairs.category[:, c] == 1)) for c, name in enumerate(CATEGORIES)
        },
        "auc_by_difficulty": {
            name: _averaged(every, group, broken & (pairs.difficulty == name)) for name in DIFFICULTIES
        },
        "hottest_right": _averaged(top_right(known, objects.wrong == 1, objects.offsets), group, broken),
        "hottest_by_chance": _averaged(_chance(objects), group, broken),
    }


def _chance(objects: PairObjects) -> Float[np.ndarray, " n"]:
    chance = chance_of_top(objects.wrong == 1, objects.offsets)
    return np.where((chance > 0) & (chance < 1), chance, np.nan)


def _box_figures(predictions: Predictions, pairs: PairTable, calibration: Calibration) -> dict[str, Any] | None:
    if predictions.risk is None:
        return None
    breaks = calibration.breaks(predictions.global_logit)
    rule = {"threshold": calibration.risk_threshold, "reach": calibration.box_reach}
    return box_figures(predictions.risk, breaks, pairs, **rule)


def phrase_figures(
    predictions: Predictions, pairs: PairTable, present: Bool[np.ndarray, "b p"] | None, calibration: Calibration
) -> dict[str, Any] | None:
    """AUC over the known phrases; the named one is out of all, and counts where all are known."""
    if predictions.phrase_logit is None or present is None:
        return None
    known = (pairs.phrase_label >= 0) & ~pairs.control[:, None]
    if not (pairs.phrase_label[known] == 0).any():
        return dict.fromkeys(("auc", "auc_same_phrase", "named_right", "named_by_chance"), missing(NO_PHRASES))
    offsets = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
    kept, label = predictions.phrase_logit[:, 1][known].astype(np.float64), pairs.phrase_label[known]
    every_phrase = present & ~pairs.control[:, None]
    parts = np.concatenate([[0], np.cumsum(every_phrase.sum(axis=1))])
    truth = pairs.phrase_label[every_phrase]
    named = named_phrase_right(
        predictions.phrase_logit[:, 1][every_phrase].astype(np.float64),
        truth,
        parts,
        calibration.breaks(predictions.global_logit[:, 1]),
    )
    same = paired_wins(
        predictions.phrase_logit[:, 0], predictions.phrase_logit[:, 1], known & (pairs.phrase_label == 0)
    )
    every = np.ones(len(pairs), bool)
    return {
        "auc": _averaged(auc_within(kept, label, offsets), pairs.group, every),
        "auc_same_phrase": _averaged(same, pairs.group, every),
        "named_right": _averaged(named, pairs.group, every),
        "named_by_chance": _averaged(
            np.where(np.isfinite(named), chance_of_top(truth == 0, parts), np.nan), pairs.group, every
        ),
    }


def _reason_figure(predictions: Predictions, pairs: PairTable, calibration: Calibration) -> Figure | None:
    if predictions.reason_logit is None:
        return None
    probability, counted = calibration.reasons(predictions.reason_logit), ~pairs.control
    chosen, rejected = (named_reason(probability[counted, side], 0.5) for side in (0, 1))
    counts, group = reasons_within_pairs(chosen, rejected, pairs.category[counted]), pairs.group[counted]
    return figure_of(macro_f1(counts), macro_f1_by_group(counts, group), int(counted.sum()), group)


def _same_place(predictions: Predictions, pairs: PairTable) -> Figure | None:
    if predictions.patch_logit is None:
        return None
    compared = (pairs.patch_label[:, 1] == 0) & (pairs.patch_label[:, 0] == 1)
    wins = paired_wins(predictions.patch_logit[:, 0], predictions.patch_logit[:, 1], compared)
    return _averaged(wins, pairs.group, ~pairs.control)


def _calibration_gap(
    predictions: Predictions, pairs: PairTable, present: Bool[np.ndarray, "b p"] | None, calibration: Calibration
) -> Figure:
    """The largest difference between mean score and share of images that keep their prompt, over the categories and,
    where they are known, the numbers of phrases of a prompt.
    """
    logit, label, group = score_examples(predictions, pairs)
    counted = ~pairs.control
    sets = [pairs.category[counted] == 1]
    if present is not None:
        sets.append(present[counted].sum(axis=1, keepdims=True) == np.arange(1, MOST_PHRASES + 1))
    member = np.tile(np.concatenate(sets, axis=1), (2, 1))
    found = largest_gap_by_group(calibration.global_score(logit), label, member, group)
    return figure_of(found.value, found.interval, len(label), group, plug_in=found.plug_in)
