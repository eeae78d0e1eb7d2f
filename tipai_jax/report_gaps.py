"""What an evaluation did not measure, found in its record: the part of the report that keeps the rest honest.

It owns the search for figures without a value and the remarks on what no evaluation measures.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tipai_jax.render.markup import Markup, element

__all__ = ["gaps"]

Record = Mapping[str, Any]
FIGURES = (
    "global_pair_auc",
    "pair_auc_by_category",
    "pair_auc_by_difficulty",
    "pair_auc_by_margin",
    "unseen_combination_pair_auc",
    "patch_pair_auc",
    "patch_pair_auc_within_rejected",
    "category_roc_auc",
    "category_roc_auc_within_pairs",
    "ece",
    "ece_equal_mass",
    "ece_before",
    "heatmap",
    "control",
    "conformal",
    "consistency",
)
NOTHING = "the split holds nothing to measure it on"
_SPELT = {"auc": "AUC", "roc": "ROC", "ece": "ECE", "iou": "IoU", "cc": "correlation", "judd": "Judd"}


def gaps(record: Record, *, log: Sequence[Record], sheets: Mapping[str, bytes]) -> list[Markup]:
    """The remarks: figures that have no value, and why; baselines, curves and sheets that are missing; what an
    evaluation never measures.
    """
    ours = dict(unmeasured(record))
    remarks = [
        f"{why}: {'; '.join(name for name in ours if ours[name] == why)}" for why in dict.fromkeys(ours.values())
    ]
    for baseline, entry in record["baselines"].items():
        theirs = [name for name, _ in unmeasured(entry) if name not in ours]
        remarks += [f"{_spell(baseline)}, {', '.join(theirs)}: this baseline has no such figure"] if theirs else []
    remarks += [str(reason) for reason in record["not_measured"]]
    if not log:
        remarks.append(
            "training curves, and the targets that ask for them: there is no log.jsonl in the folder of the run"
        )
    shown = [entry for side in record["extremes"].values() for entry in side]
    missing = sum(entry["sheet"] not in sheets for entry in shown)
    if missing:
        remarks.append(f"sheets: {missing} of {len(shown)} pairs have none; the section on the pairs says why")
    if record["small_world_only"]:
        drawn = "the encoder or the pictures belong to a small world of drawn scenes"
        remarks.append(f"photographs: {drawn}, and no number here says anything of photographs")
    remarks.append("speed and memory, on a CPU or on a GPU: an evaluation times nothing; python scripts/bench.py does")
    return [element("ul", *(element("li", remark) for remark in remarks), class_="plain")]


def unmeasured(scorer: Record) -> Iterator[tuple[str, str]]:
    """The figures of a scorer that have no value, with the reason."""
    for name in FIGURES:
        yield from _look(_spell(name), scorer[name])


def _look(name: str, entry: Record | None) -> Iterator[tuple[str, str]]:
    if entry is None:
        yield name, "the heads have no opinion on it"
    elif "value" in entry and "n" in entry:
        if entry["n"] == 0:
            yield name, NOTHING
        elif entry["value"] is None:
            yield name, "it came out as no finite number"
    elif not entry:
        yield name, NOTHING
    else:
        for part, inner in entry.items():
            if inner is None or isinstance(inner, Mapping):
                yield from _look(f"{name}, {_spell(part)}", inner)


def _spell(name: str) -> str:
    words = " ".join(_SPELT.get(word, word) for word in name.replace("zero_shot", "zero-shot").split("_"))
    return words.replace("ROC AUC", "ROC-AUC").replace("AUC Judd", "AUC-Judd")
