"""Calibration of a scorer: fitted on the validation split, kept as `calibration.json`, measured on another split."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from tipai_jax.errors import UserError
from tipai_jax.evaluation import localise
from tipai_jax.evaluation.calibrators import Beta, Calibrator, Chosen, Isotonic, Platt, choose_calibrator
from tipai_jax.evaluation.conformal import Conformal, fit_conformal
from tipai_jax.evaluation.found_boxes import NO_BOXES, fit_boxes
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.files.atomic import write_file
from tipai_jax.store import CATEGORIES, PairTable

__all__ = [
    "Calibration",
    "calibration_from_json",
    "calibration_to_json",
    "fit_calibration",
    "load_calibration",
    "phrase_examples",
    "reason_examples",
    "save_calibration",
    "score_examples",
    "worst_patch",
]

FILE = "calibration.json"
SCHEMA = 3
_KINDS: Mapping[str, type] = {"platt": Platt, "beta": Beta, "isotonic": Isotonic}


@dataclass(frozen=True)
class Calibration:
    """Everything fitted on validation for one trained run.

    Attributes:
        global_score: turns the global logit into the probability that the image keeps the prompt.
        patch: turns a patch's logit into the probability that the patch is faithful.
        reason: turns a category's logit into the probability that the image breaks the prompt in it.
        phrase: turns a phrase's logit into the probability that the image keeps the phrase; None where it is not
            known of any image which phrase it breaks.
        worst_patch: turns the lowest patch logit of an image into the probability that the image keeps the prompt, a
            second judgement beside the first; None for a baseline.
        conformal: predicts at a level that is named later; None for a baseline.
        risk_threshold: the risk from which a pixel counts as unfaithful and a peak of the risk gets a box.
        box_reach: how far a box goes from its peak, as a fraction of what the encoder sees. Both are those of the
            largest F1 of the boxes (`found_boxes.fit_boxes`); None where there were no boxes to fit it on: then no
            region is marked in any image.
        score_threshold: the probability below which an image is flagged.
        record: how each came about; a part that was fitted on few data has a "note".
    """

    global_score: Calibrator
    patch: Calibrator
    reason: dict[str, Calibrator]
    worst_patch: Calibrator | None
    conformal: Conformal | None
    risk_threshold: float
    box_reach: float | None = None
    score_threshold: float = 0.5
    phrase: Calibrator | None = None
    record: dict[str, Any] = field(default_factory=dict)

    def reasons(self, logit: Float[np.ndarray, "*shape c"]) -> Float[np.ndarray, "*shape c"]:
        """The calibrated probabilities of the five categories, in their order."""
        return np.stack([self.reason[name](logit[..., c]) for c, name in enumerate(CATEGORIES)], axis=-1)

    def breaks(self, logit: Float[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
        """Whether the verdict on a global logit is that the image breaks its prompt; the others get no box."""
        return np.asarray(self.global_score(logit) < self.score_threshold)

    def consistent(self, score: np.ndarray, worst: np.ndarray) -> Bool[np.ndarray, "*shape"]:
        """Whether a calibrated score and the one by the worst patch fall on the same side of the threshold."""
        return (score >= self.score_threshold) == (worst >= self.score_threshold)

    def notes(self, levels: Sequence[float]) -> list[str]:
        """What was fitted on too few data, a line each.

        Args:
            levels: of the conformal prediction, each of which needs a number of validation images.
        """
        parts = {name: part["note"] for name, part in self.record.items() if isinstance(part, dict) and "note" in part}
        short = [self.conformal.too_few(level) for level in levels] if self.conformal else []
        return [f"{name}: {note}" for name, note in parts.items()] + [f"conformal: {why}" for why in short if why]


def _to_json(calibrator: Calibrator) -> dict[str, Any]:
    kind = next(name for name, of in _KINDS.items() if isinstance(calibrator, of))
    return {"kind": kind, **asdict(calibrator)}


def _from_json(entry: Mapping[str, Any]) -> Calibrator:
    values = {
        name: tuple(value) if isinstance(value, list) else float(value)
        for name, value in entry.items()
        if name != "kind"
    }
    return _KINDS[entry["kind"]](**values)


def calibration_to_json(calibration: Calibration) -> dict[str, Any]:
    """The calibration as plain JSON, with the number of its form."""
    return {
        "schema": SCHEMA,
        "global_score": _to_json(calibration.global_score),
        "patch": _to_json(calibration.patch),
        "reason": {name: _to_json(entry) for name, entry in calibration.reason.items()},
        "worst_patch": None if calibration.worst_patch is None else _to_json(calibration.worst_patch),
        **({} if calibration.phrase is None else {"phrase": _to_json(calibration.phrase)}),
        "conformal": None if calibration.conformal is None else asdict(calibration.conformal),
        "risk_threshold": calibration.risk_threshold,
        "box_reach": calibration.box_reach,
        "score_threshold": calibration.score_threshold,
        "record": calibration.record,
    }


def calibration_from_json(content: Mapping[str, Any]) -> Calibration:
    """What `calibration_to_json` made; ValueError, KeyError or TypeError for anything else."""
    if content["schema"] != SCHEMA:
        raise ValueError(f"schema {content['schema']}, this version reads {SCHEMA}")
    return Calibration(
        global_score=_from_json(content["global_score"]),
        patch=_from_json(content["patch"]),
        reason={name: _from_json(entry) for name, entry in content["reason"].items()},
        worst_patch=None if (worst := content["worst_patch"]) is None else _from_json(worst),
        phrase=None if (phrase := content.get("phrase")) is None else _from_json(phrase),
        conformal=None
        if (examples := content["conformal"]) is None
        else Conformal(**{name: tuple(values) for name, values in examples.items()}),
        risk_threshold=float(content["risk_threshold"]),
        box_reach=None if (reach := content["box_reach"]) is None else float(reach),
        score_threshold=float(content["score_threshold"]),
        record=content["record"],
    )


def save_calibration(calibration: Calibration, workdir: Path) -> Path:
    """Write `calibration.json` into a run, whole or not at all.

    Args:
        calibration: what was fitted.
        workdir: the folder of the run.

    Returns:
        The path of the file.
    """
    path = Path(workdir) / FILE
    write_file(path, (json.dumps(calibration_to_json(calibration)) + "\n").encode())
    return path


def load_calibration(workdir: Path) -> Calibration:
    """Read what `save_calibration` wrote.

    Args:
        workdir: the folder of the run.

    Returns:
        The calibration.

    Raises:
        UserError: the file is missing or cannot be read.
    """
    path = Path(workdir) / FILE
    try:
        return calibration_from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(
            f"no calibration at {path}: run `python -m tipai_jax.evaluate --workdir {workdir}` first"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"calibration at {path} cannot be read ({type(error).__name__}: {error}): "
            f"delete it and run `python -m tipai_jax.evaluate --workdir {workdir}` again"
        ) from None


def reason_examples(
    pairs: PairTable,
) -> tuple[Bool[np.ndarray, "i c"], Bool[np.ndarray, "i c"], Shaped[np.ndarray, " i"]]:
    """For chosen then rejected images: whether the category is known, whether it is broken, and the group."""
    broken = np.concatenate([np.zeros(pairs.category.shape, bool), (pairs.category == 1) & ~pairs.control[:, None]])
    known = np.concatenate([np.ones(pairs.category.shape, bool), (pairs.category >= 0) | pairs.control[:, None]])
    return known, broken, np.concatenate([pairs.group, pairs.group])


def score_examples(predictions: Predictions, pairs: PairTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logit, label (chosen 1, rejected 0) and group of every image that is not of a control pair."""
    counted = ~pairs.control
    logit = np.concatenate([predictions.global_logit[counted, 0], predictions.global_logit[counted, 1]]).astype(
        np.float64
    )
    label = np.repeat(np.array([1, 0], np.int8), int(counted.sum()))
    return logit, label, np.concatenate([pairs.group[counted], pairs.group[counted]])


def worst_patch(predictions: Predictions, pairs: PairTable) -> Float[np.ndarray, " i"]:
    """The lowest patch logit of every image that `score_examples` gives, in its order."""
    counted = ~pairs.control
    lowest = np.asarray(predictions.patch_logit, np.float64)[counted].min(axis=-1)
    return np.concatenate([lowest[:, 0], lowest[:, 1]])


def phrase_examples(predictions: Predictions, pairs: PairTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logit, label (kept 1, broken 0) and group of every known phrase of both images, controls left out."""
    assert predictions.phrase_logit is not None
    known = (pairs.phrase_label >= 0) & ~pairs.control[:, None]
    group = np.broadcast_to(pairs.group[:, None], known.shape)[known]
    logit = np.concatenate([predictions.phrase_logit[:, side][known] for side in (0, 1)]).astype(np.float64)
    rejected = pairs.phrase_label[known]
    return logit, np.concatenate([np.ones_like(rejected), rejected]), np.concatenate([group, group])


def _patch_examples(
    predictions: Predictions, pairs: PairTable, most: int = 40_000
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logit, label and group of patches whose label is known, thinned to a number that a fit can use."""
    known = localise.spread(np.flatnonzero(pairs.patch_label.reshape(-1) >= 0), most)
    group = np.broadcast_to(pairs.group[:, None, None], pairs.patch_label.shape).reshape(-1)
    return np.asarray(predictions.patch_logit).reshape(-1)[known], pairs.patch_label.reshape(-1)[known], group[known]


def fit_calibration(predictions: Predictions, pairs: PairTable, *, everything: bool = True) -> Calibration:
    """Fit all calibrators of a scorer on the validation split.

    Args:
        predictions: of the validation pairs.
        pairs: the validation pairs.
        everything: patches and reasons too; the score and the thresholds alone if False.

    Returns:
        The calibration; its record names for each part the calibrator chosen and the held-out log loss of all three,
        or why there was no choice.
    """
    logit, label, group = score_examples(predictions, pairs)
    chosen = {"global_score": choose_calibrator(logit, label, group=group)}
    if everything and predictions.patch_logit is not None:
        patch_logit, patch_label, patch_group = _patch_examples(predictions, pairs)
        chosen["patch"] = choose_calibrator(patch_logit, patch_label, group=patch_group)
        chosen["worst_patch"] = choose_calibrator(worst_patch(predictions, pairs), label, group=group)
    if everything and predictions.reason_logit is not None:
        known, broken, owner = reason_examples(pairs)
        reasons = np.concatenate([predictions.reason_logit[:, 0], predictions.reason_logit[:, 1]])
        for c, name in enumerate(CATEGORIES):
            which = known[:, c]
            chosen[f"reason.{name}"] = choose_calibrator(
                reasons[which, c], broken[which, c].astype(np.int8), group=owner[which]
            )
    if everything and predictions.phrase_logit is not None and (pairs.phrase_label == 0).any():
        phrase_logit, kept, owners = phrase_examples(predictions, pairs)
        chosen["phrase"] = choose_calibrator(phrase_logit, kept, group=owners)
    nothing = Chosen(Platt(), {}, 0)
    calibration = Calibration(
        global_score=chosen["global_score"].calibrator,
        patch=chosen.get("patch", nothing).calibrator,
        reason={name: chosen.get(f"reason.{name}", nothing).calibrator for name in CATEGORIES},
        worst_patch=chosen["worst_patch"].calibrator if "worst_patch" in chosen else None,
        phrase=chosen["phrase"].calibrator if "phrase" in chosen else None,
        conformal=fit_conformal(logit, label) if everything else None,
        risk_threshold=0.5,
        record={
            name: {"kind": type(part.calibrator).__name__.lower(), "held_out_nll": part.nll, "n": part.n}
            | ({"note": part.note} if part.note else {})
            for name, part in chosen.items()
        },
    )
    return calibration if predictions.risk is None else _with_boxes(calibration, predictions, pairs)


def _with_boxes(calibration: Calibration, predictions: Predictions, pairs: PairTable) -> Calibration:
    """The calibration with the threshold and the reach of its boxes."""
    assert predictions.risk is not None
    rule = fit_boxes(predictions.risk, calibration.breaks(predictions.global_logit), pairs)
    about = {"note": NO_BOXES} if rule is None else {"f1": rule.f1}
    calibration = replace(calibration, record={**calibration.record, "boxes": about})
    return calibration if rule is None else replace(calibration, risk_threshold=rule.threshold, box_reach=rule.reach)
