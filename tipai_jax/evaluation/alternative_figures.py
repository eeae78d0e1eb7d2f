"""Figures of the named alternative ("it looks blue"): how often it is what the image shows, beside what a guess
from the prompt earns.

The rule is the auditor's: a phrase that the image more likely breaks is judged again with each of its alternatives, and
the most probable one is named if it is more likely than not. Definitions: docs/metrics.md.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tipai_jax.data.batches import Columns
from tipai_jax.evaluation.alternatives import ALTERNATIVES, BrokenPhrase, broken_phrases, sampled, usual_truths
from tipai_jax.evaluation.calibration import Calibration
from tipai_jax.evaluation.figure import mean_figure, missing
from tipai_jax.evaluation.inference import Run, predict
from tipai_jax.evaluation.part_figures import NO_OBJECTS, NO_PHRASES
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.metrics.phrases import alternative_right
from tipai_jax.render.phrases import FAILS
from tipai_jax.store import PairTable, Store
from tipai_jax.tasks.auditor import AuditorTask

__all__ = ["NAMES", "alternative_figures", "candidate_columns", "measured_alternatives"]

NAMES = ("alternative_right", "alternative_guessed", "alternative_named")
MOST = 500
"""Broken phrases of each kind that are judged again."""
NO_CALIBRATOR = "of no validation image is it known which phrase it breaks, so no phrase has a probability"
GONE = "the store that the heads were trained from is gone, so no guess can be fitted"
Judge = Callable[[Sequence[BrokenPhrase]], Float[np.ndarray, " m"]]


def alternative_figures(
    run: Run,
    store: Store,
    pairs: PairTable,
    predictions: Predictions,
    *,
    calibration: Calibration,
    training: tuple[Store, PairTable] | None,
    seed: int,
) -> dict[str, Any]:
    """The figures of heads on some pairs of a store, by name and by what the image shows otherwise.

    Args:
        run: whose heads judge the alternatives; nothing is measured of heads that read no phrases.
        store: the embeddings.
        pairs: of the store.
        predictions: of the heads on these pairs.
        calibration: of the heads.
        training: the store and the pairs that the guess is fitted on; None where they are gone.
        seed: of the sample, where there are more than `MOST` broken phrases of a kind.

    Returns:
        `NAMES`, each by the names of `ALTERNATIVES`; {} for heads that read no phrases.
    """
    if predictions.phrase_logit is None:
        return {}
    if not ((pairs.phrase_label == 0) & ~pairs.control[:, None]).any():
        return _missing(NO_PHRASES)
    known = broken_phrases(store, pairs)
    if known is None:
        return _missing(NO_OBJECTS)
    if calibration.phrase is None:
        return _missing(NO_CALIBRATOR)
    judge = lambda phrases: _candidate_logits(run, store, pairs, phrases)
    usual = None if training is None else usual_truths(broken_phrases(*training) or ())
    some = sampled(known, most=MOST, seed=seed)
    return measured_alternatives(
        predictions.phrase_logit, pairs, some, calibration=calibration, judge=judge, usual=usual
    )


def measured_alternatives(
    phrase_logit: Float[np.ndarray, "b 2 p"],
    pairs: PairTable,
    phrases: Sequence[BrokenPhrase],
    *,
    calibration: Calibration,
    judge: Judge,
    usual: Mapping[tuple[str | int, ...], str | int] | None,
) -> dict[str, dict[str, Any]]:
    """The figures over broken phrases whose truth is known.

    Args:
        phrase_logit: of the prompts' own phrases.
        pairs: that the phrases belong to.
        phrases: broken ones.
        calibration: with a calibrator of phrases.
        judge: gives the logits of all candidates of some phrases, one phrase after the other.
        usual: see `usual_truths`; a phrase that is not in it is guessed wrong.
    """
    assert calibration.phrase is not None, "without it no phrase fails"
    own = np.array([phrase_logit[each.pair, 1, each.place] for each in phrases], np.float64)
    failing = [each for each, kept in zip(phrases, calibration.phrase(own).tolist()) if kept < FAILS]
    logit = judge(failing) if failing else np.zeros(0)
    sizes = np.array([len(each.candidates) for each in failing], np.int64)
    best, kept = _best(calibration.phrase(np.asarray(logit, np.float64)), sizes)
    named = kept > FAILS  # and so above the phrase's own
    right = alternative_right(best, np.array([each.truth for each in failing], np.int64), named)
    what = np.array([each.what for each in failing], object)
    group = pairs.group[np.array([each.pair for each in failing], np.int64)]

    def figures(values: Float[np.ndarray, " n"]) -> dict[str, Any]:
        return {
            name: mean_figure(values[which], group[which])
            for name in ALTERNATIVES
            for which in [(what == name) & np.isfinite(values)]
        }

    hits = [usual is not None and usual.get(each.own) == each.candidates[each.truth].word for each in failing]
    guessed = np.where(named, np.array(hits, np.float64), np.nan)
    found: dict[str, dict[str, Any]] = dict(
        zip(NAMES, map(figures, (right, guessed, named.astype(np.float64))), strict=True)
    )
    return found if usual is not None else found | {"alternative_guessed": dict.fromkeys(ALTERNATIVES, missing(GONE))}


def candidate_columns(columns: Columns, phrases: Sequence[BrokenPhrase]) -> tuple[Columns, Int[np.ndarray, " m"]]:
    """The columns of all candidates, one phrase after the other: those of its pair with that phrase changed.

    Args:
        columns: of the pairs, with phrases.
        phrases: whose candidates they are; `pair` is a row of `columns`.

    Returns:
        The columns, and of each candidate the place of its phrase.
    """
    candidates = [each for phrase in phrases for each in phrase.candidates]
    sizes = [len(phrase.candidates) for phrase in phrases]
    pair, place = (np.repeat([getattr(each, name) for each in phrases], sizes) for name in ("pair", "place"))
    index = {name: rows[pair] for name, rows in columns.index.items()}
    values = {name: each[pair] for name, each in columns.values.items()}
    where = np.arange(len(pair)), place
    for name in ("phrase_text", "phrase_bare"):
        index[name][where] = [each.row for each in candidates]
    for name in ("kind", "count"):
        values[f"phrase_{name}"][where] = [getattr(each, name) for each in candidates]
    return dataclasses.replace(columns, index=index, values=values, n=len(pair), host={}), place


def _candidate_logits(
    run: Run, store: Store, pairs: PairTable, phrases: Sequence[BrokenPhrase]
) -> Float[np.ndarray, " m"]:
    """What the heads say of each candidate in its rejected image."""
    assert isinstance(run.task, AuditorTask)
    used, row = np.unique([each.pair for each in phrases], return_inverse=True)
    moved = [dataclasses.replace(each, pair=int(i)) for each, i in zip(phrases, row, strict=True)]
    columns, place = candidate_columns(run.task.columns_of(store, pairs.select(used)), moved)
    return predict(run.task, run.model, columns)["phrase_logit"][np.arange(len(place)), 1, place]


def _best(
    kept: Float[np.ndarray, " m"], sizes: Int[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Of each phrase the candidate of the highest probability (the first of equal ones), and that probability."""
    parts = np.split(kept, np.cumsum(sizes)[:-1]) if len(sizes) else []
    best = np.array([int(part.argmax()) for part in parts], np.int64)
    return best, np.array([part[i] for part, i in zip(parts, best.tolist())], np.float64)


def _missing(reason: str) -> dict[str, dict[str, Any]]:
    return {name: dict.fromkeys(ALTERNATIVES, missing(reason)) for name in NAMES}
