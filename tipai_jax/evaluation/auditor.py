"""The evaluation of the auditor: predictions on pairs, calibration, figures, baselines, targets and sheets."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from tipai_jax.config.auditor import TargetsConfig
from tipai_jax.data.splits import shift_splits
from tipai_jax.errors import UserError
from tipai_jax.evaluation import localise
from tipai_jax.evaluation.alternative_figures import alternative_figures
from tipai_jax.evaluation.auditor_figures import (
    LEVELS,
    difference,
    figures,
    heatmap_figures,
    patch_figures,
    reliability,
)
from tipai_jax.evaluation.baselines import (
    ABLATIONS,
    PhraseRates,
    fit_ablation,
    object_mask,
    phrase_rates,
    ridge_probe,
    zero_shot_cosine,
    zero_shot_phrases,
)
from tipai_jax.evaluation.best_and_worst import draw_best_and_worst
from tipai_jax.evaluation.calibration import Calibration, fit_calibration, load_calibration, save_calibration
from tipai_jax.evaluation.evaluator import Inputs
from tipai_jax.evaluation.figure import missing
from tipai_jax.evaluation.inference import Run, predict
from tipai_jax.evaluation.pair_sheets import PairPrediction, draw_sheets, pick_pairs
from tipai_jax.evaluation.part_figures import NO_OBJECTS, PairObjects, objects_of_pairs, phrase_figures
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.evaluation.record import made_for
from tipai_jax.evaluation.targets import Target, at_chance, enough, of_figure, target
from tipai_jax.grids import grid_side
from tipai_jax.render import regions_of_grid
from tipai_jax.store import PairTable, Store
from tipai_jax.tasks.auditor import AuditorTask, pairs_of_split

__all__ = ["AuditorEvaluator", "pair_prediction", "pick_best_and_worst", "predict_pairs"]

MOST_SHOWN = 10
MOST_MASKS = 2000
MASK_CELLS = 4
"""The mask of all objects is drawn with so many times the cells of the encoder along a side, so that its edges are as
sharp as the true boxes'.
"""


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
    score, side = calibration.global_score(ours.global_logit[row]), grid_side(ours.risk.shape[-1])
    threshold, breaks = calibration.risk_threshold, calibration.breaks(ours.global_logit[row])
    grids = ours.risk[row].reshape(2, side, side)
    chosen, rejected = (
        regions_of_grid(grid, threshold, calibration.box_reach) if bad else [] for grid, bad in zip(grids, breaks)
    )
    kept = None
    if ours.phrase_logit is not None and calibration.phrase is not None:
        kept = calibration.phrase(ours.phrase_logit[row])
    return PairPrediction(
        score=score,
        risk=ours.risk[row],
        reason=reason,
        risk_threshold=threshold,
        regions=(chosen, rejected),
        kept=kept,
    )


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


class _Examples(NamedTuple):
    """The pairs of a split, the objects in their rejected images, and which places of the phrases hold one."""

    pairs: PairTable
    objects: PairObjects | None
    present: Bool[np.ndarray, "b p"] | None

    @classmethod
    def of(cls, store: Store, split: str) -> "_Examples":
        pairs = pairs_of_split(store, split)
        phrase = store.prompts.phrase[pairs.prompt]
        return cls(pairs, objects_of_pairs(store, pairs), phrase >= 0 if (phrase >= 0).any() else None)


class AuditorEvaluator:
    """See `tipai_jax.evaluation.evaluator.Evaluator`."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        shifts = shift_splits(inputs.store) if inputs.split == "test" else []
        self._examples = {split: _Examples.of(inputs.store, split) for split in (inputs.split, *shifts)}
        self._pairs = self._examples[inputs.split].pairs

    def evaluate(self) -> dict[str, Any]:
        """Figures of the heads and of each baseline, and the bins of the reliability diagram.

        Beside the figures on the test split stand those on the shifted ones, under "shifts"; the calibration is the
        same.
        """
        inputs = self._inputs
        predictions = {
            split: predict_pairs(inputs.run, inputs.store, each.pairs) for split, each in self._examples.items()
        }
        self._predictions, self._ours = predictions, predictions[inputs.split]
        inputs.progress(f"predictions on {sum(len(each.pairs) for each in self._examples.values())} pairs")
        self._calibration = self._calibrate()
        inputs.progress("calibration")
        notes = [f"calibration, {note}" for note in self._calibration.notes(LEVELS)]
        for note in notes:
            print(f"note: {note}", file=sys.stderr)
        found = {
            **self._figures(predictions, self._calibration),
            "reliability": reliability(self._ours, self._pairs, self._calibration),
            **({"notes": notes} if notes else {}),
        }
        inputs.progress("figures")
        if found["phrases"] is not None:
            found["phrases"] |= self._alternatives()
            inputs.progress("alternatives of failing phrases")
        wanted = inputs.training_store if inputs.baselines else None
        return found | {"baselines": {} if wanted is None else self._baselines(wanted)}

    def _figures(
        self, predictions: Mapping[str, Predictions], calibration: Calibration, *, uncalibrated: bool = True
    ) -> dict[str, Any]:
        """The figures of a scorer on the evaluated split, and under "shifts" those on the shifted ones.

        Of a baseline also how far ours are above it.
        """
        found = {}
        for split, each in self._examples.items():
            theirs = predictions[split]
            shared = {"calibration": calibration, "uncalibrated": uncalibrated, "seed": self._inputs.seed}
            found[split] = figures(theirs, each.pairs, objects=each.objects, present=each.present, **shared)
            if predictions is not self._predictions:
                gap = difference(self._predictions[split], theirs, each.pairs)
                found[split] |= {"global_pair_auc_difference": gap}
        return self._with_shifts(found)

    def _alternatives(self) -> dict[str, Any]:
        """The figures of the named alternatives, on the evaluated split alone: each is one more pass of the heads."""
        inputs = self._inputs
        training = inputs.training_store
        known = None if training is None else (training, pairs_of_split(training, "train"))
        about = {"calibration": self._calibration, "training": known, "seed": inputs.seed}
        return alternative_figures(inputs.run, inputs.store, self._pairs, self._ours, **about)

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
        inputs = self._inputs
        train, validation = pairs_of_split(training_store, "train"), pairs_of_split(training_store, "validation")
        folder = inputs.workdir / "baselines"
        fit = lambda which: fit_ablation(
            inputs.run.config, training_store, which=which, pairs=len(train), folder=folder
        )
        makers: dict[str, Any] = {
            "zero_shot_cosine": lambda: zero_shot_cosine,
            **({"zero_shot_phrases": lambda: zero_shot_phrases} if self._have_phrases(training_store) else {}),
            "ridge_probe": lambda: ridge_probe(training_store, train=train, validation=validation, seed=inputs.seed),
            **{which: lambda which=which: fit(which) for which in ABLATIONS},
        }
        measured = {}
        for name, make in makers.items():
            scorer = make()
            calibration = fit_calibration(scorer(training_store, validation), validation, everything=False)
            theirs = {split: scorer(inputs.store, each.pairs) for split, each in self._examples.items()}
            measured[name] = self._figures(theirs, calibration, uncalibrated=name in ABLATIONS)
            inputs.progress(f"baseline {name}")
        return measured | self._simplest(training_store, train)

    def _have_phrases(self, training_store: Store) -> bool:
        """Whether both stores hold phrases."""
        return all((store.prompts.phrase >= 0).any() for store in (training_store, self._inputs.store))

    def _simplest(self, training_store: Store, train: PairTable) -> dict[str, Any]:
        """The figures that the two simplest baselines pass, by our own verdicts, thresholds and boxes."""
        rates = phrase_rates(training_store, train)
        guess = {
            split: None if rates is None or each.present is None else {"phrases": self._guessed(split, rates)}
            for split, each in self._examples.items()
        }
        masks = {split: self._object_mask(split) for split in self._examples}
        found = {"object_mask": self._with_shifts(masks)}
        return found | ({} if None in guess.values() else {"phrase_rates": self._with_shifts(guess)})

    def _with_shifts(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The figures on the evaluated split, and under "shifts" those on the others."""
        home = self._inputs.split
        return found[home] | {"shifts": {split: each for split, each in found.items() if split != home}}

    def _guessed(self, split: str, rates: PhraseRates) -> dict[str, Any] | None:
        each = self._examples[split]
        guess = replace(self._predictions[split], phrase_logit=rates(self._inputs.store, each.pairs))
        return phrase_figures(guess, each.pairs, each.present, self._calibration)

    def _object_mask(self, split: str) -> dict[str, Any]:
        """The mask of all objects: patches at the cells of the encoder, heatmaps at finer ones."""
        store, pairs, nothing = self._inputs.store, self._examples[split].pairs, missing(NO_OBJECTS)
        ours, cells = self._predictions[split], grid_side(pairs.patch_label.shape[-1])
        found: dict[str, Any] = dict.fromkeys(("patch_pair_auc", "patch_pair_auc_within_rejected"), nothing)
        found["heatmap"] = dict.fromkeys(("auc_judd", "box_overlap"), nothing)
        if mask := object_mask(store, pairs, cells=cells):
            known, logit = pairs.select(mask[0]), ours.global_logit[mask[0]]
            found |= patch_figures(Predictions(logit, patch_logit=-mask[1]), known)
        shown = localise.spread(localise.pairs_with_pixels(pairs), MOST_MASKS)
        if fine := object_mask(store, pairs.select(shown), cells=MASK_CELLS * cells):
            rows = shown[fine[0]]
            masked = Predictions(ours.global_logit[rows], risk=fine[1])
            found |= heatmap_figures(masked, pairs.select(rows), self._calibration)
        return found

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
            elif asked.beats_baselines and "global_pair_auc" in baseline:
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
