"""The definitions of every figure of the auditor's `eval.json`.

Each figure is `{"value", "ci95", "n"}`: the 95 % interval has prompt groups (`pairs.group`) as its unit, because two
pairs of one group share prompts and images (`metrics.intervals`, `metrics.calibration_intervals`). `n` counts what the
name of the figure counts. A figure that nothing could be measured for has value None and n 0; one that came out as NaN
has value None and n above 0, and misses its target. What is not given because there are too few data is None, and the
figure has a "reason": every figure needs `figure.MIN_GROUPS` prompt groups, one of the conformal prediction at a level
as many validation images as that level needs too (`conformal.examples_needed`).
"""

from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from tipai_jax.evaluation import localise
from tipai_jax.evaluation.calibration import Calibration, reason_examples, score_examples, worst_patch
from tipai_jax.evaluation.calibrators import sigmoid
from tipai_jax.evaluation.figure import NOTHING, Figure, auc_figure, figure_of, mean_figure
from tipai_jax.evaluation.part_figures import PairObjects, part_figures
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.metrics import difference_by_group, ece, ece_by_group, pair_wins
from tipai_jax.store import CATEGORIES, DIFFICULTIES, PairTable

__all__ = [
    "ECE_BINS",
    "LEVELS",
    "difference",
    "figures",
    "heatmap_figures",
    "patch_figures",
    "reliability",
    "wins",
]

ECE_BINS = 15
MARGIN_BINS = 4
LEVELS = (0.8, 0.9, 0.95)
"""At which conformal coverage is measured."""


def wins(predictions: Predictions) -> Float[np.ndarray, " b"]:
    """1 where the chosen image scores higher, 0 where the rejected one does, 0.5 where they tie;
    NaN scores never win."""
    return np.asarray(pair_wins(predictions.global_logit[:, 0], predictions.global_logit[:, 1]), np.float64)


def difference(ours: Predictions, theirs: Predictions, pairs: PairTable) -> Figure:
    """Global pair AUC of one scorer minus another's on the same pairs, with the paired interval."""
    counted = ~pairs.control
    mine, other, group = wins(ours)[counted], wins(theirs)[counted], pairs.group[counted]
    value = float((mine - other).mean()) if counted.any() else float("nan")
    return figure_of(value, difference_by_group(mine, other, group), len(group), group)


def _pair_figures(predictions: Predictions, pairs: PairTable) -> dict[str, Any]:
    won = wins(predictions)
    scored = lambda which: mean_figure(won[which & ~pairs.control], pairs.group[which & ~pairs.control])
    everyone = np.ones(len(won), bool)
    return {
        "global_pair_auc": scored(everyone),
        "pair_auc_by_category": {name: scored(pairs.category[:, c] == 1) for c, name in enumerate(CATEGORIES)},
        "pair_auc_by_difficulty": {name: scored(pairs.difficulty == name) for name in DIFFICULTIES},
        "pair_auc_by_margin": {name: scored(which) for name, which in _margin_bins(pairs).items()},
        "unseen_combination_pair_auc": scored(pairs.unseen),
    }


def _margin_bins(pairs: PairTable) -> dict[str, Bool[np.ndarray, " b"]]:
    """Masks of the pairs of similar margin, smallest first, four of about equal size; equal margins share a bin, so
    there may be fewer.

    A bin's name is its least and its greatest margin, with as many digits as tell the bins apart.
    """
    counted = ~pairs.control
    if not counted.any():
        return {}
    edges = np.unique(
        np.quantile(pairs.margin[counted], np.arange(1, MARGIN_BINS) / MARGIN_BINS, method="inverted_cdf")
    )
    index = np.searchsorted(edges, pairs.margin, side="left")  # a bin is closed above: its edge is a margin that occurs
    bins = [counted & (index == i) for i in np.unique(index[counted])]
    ends = [(float(pairs.margin[each].min()), float(pairs.margin[each].max())) for each in bins]
    names: list[str] = []
    for digits in range(2, 10):  # nine tell any two float32 apart
        names = [f"{low:.{digits}g}" if low == high else f"{low:.{digits}g} to {high:.{digits}g}" for low, high in ends]
        if len({f"{end:.{digits}g}" for each in ends for end in each}) == len({end for each in ends for end in each}):
            break
    return dict(zip(names, bins))


def patch_figures(predictions: Predictions, pairs: PairTable) -> dict[str, Any]:
    """Chance that a random faithful patch outranks a random unfaithful one, unknown patches left out."""
    if predictions.patch_logit is None:
        return {"patch_pair_auc": None, "patch_pair_auc_within_rejected": None}
    logit, group = predictions.patch_logit, np.broadcast_to(pairs.group[:, None, None], pairs.patch_label.shape)

    def over(known: Bool[np.ndarray, "b 2 k"]) -> Figure:
        return auc_figure(logit[known], pairs.patch_label[known] == 1, group[known])

    known = pairs.patch_label >= 0
    rejected = known & (np.arange(2) == 1)[None, :, None] & ~pairs.control[:, None, None]
    return {"patch_pair_auc": over(known), "patch_pair_auc_within_rejected": over(rejected)}


def _category_figures(predictions: Predictions, pairs: PairTable) -> dict[str, Any]:
    """ROC-AUC of each category's reason: images that break the prompt in it, against all other images or their own
    chosen ones.
    """
    if predictions.reason_logit is None:
        return {"category_roc_auc": None, "category_roc_auc_within_pairs": None}
    known, broken, group = reason_examples(pairs)
    logit = np.concatenate([predictions.reason_logit[:, 0], predictions.reason_logit[:, 1]])
    return {
        "category_roc_auc": {
            name: auc_figure(logit[known[:, c], c], broken[known[:, c], c], group[known[:, c]])
            for c, name in enumerate(CATEGORIES)
        },
        "category_roc_auc_within_pairs": {
            name: auc_figure(logit[both, c], broken[both, c], group[both])
            for c, name in enumerate(CATEGORIES)
            for both in [np.tile((pairs.category[:, c] == 1) & ~pairs.control, 2)]
        },
    }


def _ece(
    probability: np.ndarray, label: np.ndarray, group: np.ndarray, *, kind: Literal["width", "mass"], seed: int
) -> Figure:
    """Expected calibration error over 15 bins of equal width, or of equal mass, without the bias of its plug-in."""
    if not len(label) or not np.isfinite(probability).all():
        return figure_of(float("nan"), NOTHING, len(label), group)
    found = ece_by_group(probability, label, group, bins=ECE_BINS, kind=kind, seed=seed)
    return figure_of(found.value, found.interval, len(label), group, plug_in=found.plug_in)


def _control_figures(predictions: Predictions, pairs: PairTable, calibration: Calibration) -> dict[str, Any]:
    probability = calibration.global_score(predictions.global_logit)
    flagged = calibration.breaks(predictions.global_logit)
    controls, others = pairs.control, ~pairs.control
    return {
        "control": {
            "threshold": calibration.score_threshold,
            "alarm_rate": mean_figure(flagged[controls, 1], pairs.group[controls]),
            "score_gap": mean_figure(
                probability[controls, 0] - probability[controls, 1], pairs.group[controls], (-1.0, 1.0)
            ),
            "alarm_rate_faithful": mean_figure(flagged[others, 0], pairs.group[others]),
            "alarm_rate_broken": mean_figure(flagged[others, 1], pairs.group[others]),
        }
    }


def _conformal_figures(predictions: Predictions, pairs: PairTable, calibration: Calibration) -> dict[str, Any]:
    logit, label, group = score_examples(predictions, pairs)
    if calibration.conformal is None or not np.isfinite(logit).all():
        return {"conformal": None}
    controls = np.asarray(predictions.global_logit, np.float64)[pairs.control].reshape(
        -1
    )  # both images of a control keep the prompt
    owners_of_controls = np.repeat(pairs.group[pairs.control], 2)
    found = {}
    for level in LEVELS:
        keeps, breaks = calibration.conformal.sets(logit, level)
        right = np.where(label == 1, keeps, breaks)
        shares = {
            "coverage": right,
            "coverage_keeps": right[label == 1],
            "coverage_breaks": right[label == 0],
            "abstains": keeps == breaks,
        }
        owners = {"coverage_keeps": group[label == 1], "coverage_breaks": group[label == 0]}
        figures_at = {
            name: mean_figure(values.astype(np.float64), owners.get(name, group)) for name, values in shares.items()
        }
        held = calibration.conformal.sets(controls, level)[0].astype(np.float64)
        figures_at["coverage_controls"] = mean_figure(held, owners_of_controls)
        if reason := calibration.conformal.too_few(level):  # every set holds both answers, whatever the scorer is worth
            missing = {"value": None, "ci95": None, "reason": reason}
            figures_at = {name: each | missing if each["n"] else each for name, each in figures_at.items()}
        found[f"{level:g}"] = figures_at
    return {"conformal": found}


def _consistency_figures(predictions: Predictions, pairs: PairTable, calibration: Calibration) -> dict[str, Any]:
    if calibration.worst_patch is None or predictions.patch_logit is None:
        return {"consistency": None}
    logit, label, group = score_examples(predictions, pairs)
    score = calibration.global_score(logit)
    agree = calibration.consistent(score, calibration.worst_patch(worst_patch(predictions, pairs)))
    right = ((score >= calibration.score_threshold) == (label == 1)).astype(np.float64)
    return {
        "consistency": {
            "inconsistent_rate": mean_figure((~agree).astype(np.float64), group),
            "accuracy_consistent": mean_figure(right[agree], group[agree]),
            "accuracy_inconsistent": mean_figure(right[~agree], group[~agree]),
        }
    }


def heatmap_figures(predictions: Predictions, pairs: PairTable, calibration: Calibration) -> dict[str, Any]:
    """Means over the rejected images with pixels to blame, by name under "heatmap"."""
    if predictions.risk is None:
        return {"heatmap": None}
    rule = {"threshold": calibration.risk_threshold, "reach": calibration.box_reach}
    which, measured = localise.localisation_figures(predictions.risk[:, 1], pairs, **rule)
    kept = {
        name: np.isfinite(values) for name, values in measured.items()
    }  # a box that fills the image has no AUC-Judd
    return {
        "heatmap": {
            name: mean_figure(
                values[kept[name]], pairs.group[which][kept[name]], (-1.0, 1.0) if name == "cc" else (0.0, 1.0)
            )
            for name, values in measured.items()
        }
    }


def figures(
    predictions: Predictions,
    pairs: PairTable,
    *,
    objects: PairObjects | None = None,
    present: Bool[np.ndarray, "b p"] | None = None,
    calibration: Calibration,
    uncalibrated: bool = True,
    seed: int,
) -> dict[str, Any]:
    """Every figure of one scorer on some pairs.

    - `global_pair_auc`: P(S_chosen > S_rejected), ties half, controls left out; likewise by category, by difficulty,
      by margin (chosen score minus rejected score as the data give them, four bins of about equal size) and on the
      combinations that training never saw.
    - `patch_pair_auc`: the chance that a random faithful patch of the split outranks a random unfaithful one, pooled
      over all images, ties half; `..._within_rejected`: over the patches of the rejected images alone.
    - `category_roc_auc`: ROC-AUC of the reason head's output, images broken in the category against all others, so
      that a guess from the prompt's kind alone earns something; `..._within_pairs`: against the chosen images of the
      same pairs, where it earns nothing.
    - `ece`: of the calibrated score as the probability that the image keeps the prompt (chosen 1, rejected 0, controls
      left out), 15 bins of equal width; `ece_equal_mass` of equal mass; `ece_before` of sigmoid(logit), equal width.
    - `heatmap`: means over the rejected images with pixels to blame (at most 2,000, spread evenly), at 224x224.
    - `control`: how often a control's rejected image, which keeps the prompt, is flagged, beside the same share among
      the chosen and the broken images of the other pairs; and the mean difference of the two calibrated scores of a
      control.
    - `conformal`: at each of three levels, how often the prediction set holds the truth (over all images but those of
      controls, over those that keep and that break their prompt, and over both images of the controls), and how often
      it does not decide.
    - `consistency`: how often the global score and the worst patch fall on different sides of the threshold, and how
      often the global score is right where they agree and where they do not.

    Args:
        predictions: of the scorer.
        pairs: the truth.
        objects: in the rejected images, where the data name them.
        present: which places of `PairTable.phrase_label` hold a phrase, where the store knows phrases.
        calibration: fitted elsewhere, on validation.
        uncalibrated: whether the raw logits claim to be logits of a probability, so that `ece_before` means something.
        seed: of the draws of noise of the calibration errors.

    Returns:
        Figures by name; None for what the scorer does not predict.
    """
    logit, label, group = score_examples(predictions, pairs)
    probability = calibration.global_score(logit)
    return {
        "n_examples": len(pairs.pair_id),
        **_pair_figures(predictions, pairs),
        **patch_figures(predictions, pairs),
        **_category_figures(predictions, pairs),
        "ece": _ece(probability, label, group, kind="width", seed=seed),
        "ece_equal_mass": _ece(probability, label, group, kind="mass", seed=seed),
        "ece_before": _ece(sigmoid(logit), label, group, kind="width", seed=seed) if uncalibrated else None,
        **heatmap_figures(predictions, pairs, calibration),
        **_control_figures(predictions, pairs, calibration),
        **_conformal_figures(predictions, pairs, calibration),
        **_consistency_figures(predictions, pairs, calibration),
        **part_figures(predictions, pairs, objects, present=present, calibration=calibration),
    }


def reliability(ours: Predictions, pairs: PairTable, calibration: Calibration) -> dict[str, Any]:
    """The bins of the reliability diagram, before and after calibration; an empty bin holds None."""
    logit, label, _ = score_examples(ours, pairs)
    plain = lambda values: [None if value != value else float(value) for value in values]
    bins = {}
    for name, probability in (("before", sigmoid(logit)), ("after", calibration.global_score(logit))):
        found = ece(probability, label, bins=ECE_BINS, kind="width")
        bins[name] = {
            "confidence": plain(found.confidence),
            "frequency": plain(found.frequency),
            "count": [int(count) for count in found.count],
        }
    return bins
