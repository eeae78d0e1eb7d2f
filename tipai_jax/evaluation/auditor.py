"""The evaluation of the auditor: predictions on pairs, calibration, figures, baselines, targets and sheets."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tipai_jax.config.auditor import TargetsConfig
from tipai_jax.errors import UserError
from tipai_jax.evaluation.auditor_figures import LEVELS, difference, figures, reliability
from tipai_jax.evaluation.baselines import ABLATIONS, fit_ablation, ridge_probe, zero_shot_cosine
from tipai_jax.evaluation.best_and_worst import draw_best_and_worst
from tipai_jax.evaluation.calibration import Calibration, fit_calibration, load_calibration, save_calibration
from tipai_jax.evaluation.evaluator import Inputs
from tipai_jax.evaluation.inference import Run, predict
from tipai_jax.evaluation.pair_sheets import PairPrediction, draw_sheets, pick_pairs
from tipai_jax.evaluation.part_figures import objects_of_pairs
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.evaluation.record import made_for
from tipai_jax.evaluation.targets import Target, at_chance, enough, of_figure, target
from tipai_jax.store import PairTable, Store
from tipai_jax.tasks.auditor import AuditorTask, pairs_of_split

__all__ = ["AuditorEvaluator", "pair_prediction", "pick_best_and_worst", "predict_pairs"]

MOST_SHOWN = 10


def predict_pairs(run: Run, store: Store, pairs: PairTable) -> Predictions:
    """The heads' predictions on pairs of a store, uncalibrated.

    Raises:
        UserError: something that is not a finite number.
    """
    task = run.task
    assert isinstance(task, AuditorTask)
    predictions = Predictions.from_heads(predict(task, run.model, task.columns_of(store, pairs)))
    bad = ~predictions.finite()
    if bad.any():
        first = pairs.pair_id[int(np.flatnonzero(bad)[0])]
        raise UserError(
            f"{run.workdir}: the heads give no finite number for {int(bad.sum())} pairs (first: {first}); "
            f"check the store: python -m tipai_jax.store.verify {store.path}"
        )
    return predictions


def pair_prediction(ours: Predictions, calibration: Calibration, row: int) -> PairPrediction:
    """The calibrated prediction on one pair, of heads that predict everything."""
    assert ours.risk is not None and ours.reason_logit is not None
    reason = calibration.reasons(ours.reason_logit[row])
    score = calibration.global_score(ours.global_logit[row])
    kept = None
    if ours.phrase_logit is not None and calibration.phrase is not None:
        kept = calibration.phrase(ours.phrase_logit[row])
    threshold = calibration.risk_threshold
    return PairPrediction(score=score, risk=ours.risk[row], reason=reason, risk_threshold=threshold, kept=kept)


def pick_best_and_worst(
    ours: Predictions, pairs: PairTable, calibration: Calibration, *, count: int = MOST_SHOWN
) -> tuple[list[int], list[int]]:
    """The pairs told apart best, and those told apart worst or the wrong way round.

    They go by the calibrated score of the chosen image minus that of the rejected one; where a calibrator of few steps
    makes that equal, by the same difference of the logits, and then by name. Controls are left out.

    Args:
        ours: the predictions.
        pairs: the evaluated pairs.
        calibration: of the predictions.
        count: how many of each, at most; of few pairs each is shown once.

    Returns:
        Which pairs, the best first and the worst first.
    """
    counted = np.flatnonzero(~pairs.control)
    calibrated = calibration.global_score(ours.global_logit[counted])
    gap, logits = calibrated[:, 0] - calibrated[:, 1], ours.global_logit[counted, 0] - ours.global_logit[counted, 1]
    order = counted[np.lexsort((pairs.pair_id[counted].astype(str), -logits, -gap))].tolist()
    best = order[: min(count, (len(order) + 1) // 2)]
    return best, order[len(best) :][-count:][::-1]


class AuditorEvaluator:
    """See `tipai_jax.evaluation.evaluator.Evaluator`."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs, self._pairs = inputs, pairs_of_split(inputs.store, inputs.split)
        phrase = inputs.store.prompts.phrase[self._pairs.prompt]
        self._parts: dict[str, Any] = {
            "objects": objects_of_pairs(inputs.store, self._pairs),
            "present": phrase >= 0 if (phrase >= 0).any() else None,
        }

    def evaluate(self) -> dict[str, Any]:
        """Figures of the heads and of each baseline, and the bins of the reliability diagram."""
        inputs, pairs = self._inputs, self._pairs
        self._ours = predict_pairs(inputs.run, inputs.store, pairs)
        inputs.progress(f"predictions on {len(pairs)} pairs")
        self._calibration = self._calibrate()
        inputs.progress("calibration")
        notes = [f"calibration, {note}" for note in self._calibration.notes(LEVELS)]
        for note in notes:
            print(f"note: {note}", file=sys.stderr)
        found = {
            **figures(self._ours, pairs, **self._parts, calibration=self._calibration, seed=inputs.seed),
            "reliability": reliability(self._ours, pairs, self._calibration),
            **({"notes": notes} if notes else {}),
        }
        inputs.progress("figures")
        return found | {"baselines": {} if inputs.training_store is None else self._baselines(inputs.training_store)}

    def _calibrate(self) -> Calibration:
        """Fitted on the validation split of the training store and saved; the saved one, where that store is gone."""
        run, training_store, workdir = self._inputs.run, self._inputs.training_store, self._inputs.workdir
        if training_store is None:
            calibration = load_calibration(workdir)
            if calibration.record.get("made_for") != made_for(run):
                path = run.store["path"]
                raise UserError(
                    f"{workdir}/calibration.json belongs to another checkpoint; bring back {path} and evaluate again"
                )
            return calibration
        pairs = pairs_of_split(training_store, "validation")
        calibration = fit_calibration(predict_pairs(run, training_store, pairs), pairs)
        about = {"made_for": made_for(run), "split": "validation", "n_pairs": len(pairs)}
        calibration = replace(calibration, record={**about, **calibration.record})
        save_calibration(calibration, workdir)
        return calibration

    def _baselines(self, training_store: Store) -> dict[str, Any]:
        """Figures of each baseline, fitted and calibrated on the training store, and how far ours are above it."""
        inputs, pairs = self._inputs, self._pairs
        train, validation = pairs_of_split(training_store, "train"), pairs_of_split(training_store, "validation")
        folder = inputs.workdir / "baselines"
        fit = lambda which: fit_ablation(
            inputs.run.config, training_store, which=which, pairs=len(train), folder=folder
        )
        makers: dict[str, Any] = {
            "zero_shot_cosine": lambda: zero_shot_cosine,
            "ridge_probe": lambda: ridge_probe(training_store, train=train, validation=validation, seed=inputs.seed),
            **{which: lambda which=which: fit(which) for which in ABLATIONS},
        }
        measured = {}
        for name, make in makers.items():
            scorer = make()
            calibration = fit_calibration(scorer(training_store, validation), validation, everything=False)
            theirs, probable = scorer(inputs.store, pairs), name in ABLATIONS
            shared = {
                **self._parts,
                "calibration": calibration,
                "uncalibrated": probable,
                "seed": inputs.seed,
            }
            gap = difference(self._ours, theirs, pairs)
            measured[name] = {**figures(theirs, pairs, **shared), "global_pair_auc_difference": gap}
            inputs.progress(f"baseline {name}")
        return measured

    def draw(self, *, count: int, data: Path | None, sheets: Path, best_and_worst: Path) -> dict[str, Any]:
        """Sheets of some pairs of every kind, and of the best and the worst; see `Evaluator.draw`."""
        store, pairs = self._inputs.store, self._pairs
        stamp = "small world only: drawn scenes, no photographs" if store.manifest.small_world_only else ""
        prediction = lambda row: pair_prediction(self._ours, self._calibration, row)
        drawn = []
        if count:
            assert data is not None
            shown = pick_pairs(pairs, count)
            drawn = draw_sheets(store, pairs, shown, prediction=prediction, data=data, out=sheets, stamp=stamp)
        best, worst = pick_best_and_worst(self._ours, pairs, self._calibration)
        sides = {"best": best, "worst": worst}
        shown = draw_best_and_worst(
            store, pairs, sides, prediction=prediction, data=data, folder=best_and_worst, stamp=stamp
        )
        return {"sheets": [path.name for path in drawn], "best_and_worst": shown}

    @staticmethod
    def targets(record: Mapping[str, Any], asked: TargetsConfig) -> Sequence[Target]:
        """The plan's targets, and those of the config beyond it."""
        reasons = record["category_roc_auc"] or {}
        found = [
            of_figure("global pair AUC", record["global_pair_auc"], ">", asked.pair_auc),
            of_figure("patch pair AUC", record["patch_pair_auc"], ">", asked.patch_pair_auc),
            *(
                of_figure(f"category ROC-AUC, {name}", each, ">", asked.category_roc_auc)
                for name, each in reasons.items()
            ),
            of_figure("ECE", record["ece"], "<", asked.ece),
        ]
        if asked.auc_judd is not None:
            found.append(of_figure("heatmap AUC-Judd", (record["heatmap"] or {}).get("auc_judd"), ">", asked.auc_judd))
        if asked.conformal is not None:
            found.append(_coverage(record.get("conformal") or {}, asked.conformal))
        for name, baseline in record["baselines"].items():
            if name in ABLATIONS:
                if asked.ablations_at_chance:
                    found.append(at_chance(name, baseline.get("global_pair_auc")))
            elif asked.beats_baselines:
                gap: Mapping[str, Any] = baseline.get("global_pair_auc_difference") or {"n": 0}
                low = gap["ci95"][0] if gap.get("ci95") else None
                title = f"pair AUC above {name}, lower end of the difference"
                found.append(target(title, low, ">", 0.0, measured=enough(gap), ci95=gap.get("ci95")))
        return found

    @staticmethod
    def calibrated(run: Run, workdir: Path) -> bool:
        """Whether `calibration.json` is there and was fitted for this checkpoint."""
        try:
            return load_calibration(workdir).record.get("made_for") == made_for(run)
        except UserError:
            return False


def _coverage(levels: Mapping[str, Any], within: float) -> Target:
    """How far the coverage of either kind of image is from its level at most: the promise is made to each kind."""
    kinds = ("coverage_keeps", "coverage_breaks")
    covered = [(float(level), each[name]) for level, each in levels.items() for name in kinds if enough(each[name])]
    away = [abs(figure["value"] - level) for level, figure in covered if figure["value"] is not None]
    worst = max(away) if len(away) == len(covered) and away else None
    title = "conformal coverage of either kind, furthest from its level"
    return target(title, worst, "<", within, measured=bool(covered))
