"""What an evaluation did not measure, found in its record: the part of the report that keeps the rest honest."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tipai_jax.render.markup import Markup, element
from tipai_jax.report.figures import shown

__all__ = ["gaps", "unmeasured"]

Record = Mapping[str, Any]
NOTHING = "the split holds nothing to measure it on"


def gaps(record: Record, *, log: Sequence[Record], sheets: Mapping[str, bytes]) -> list[Markup]:
    """Figures that have no value, and why; baselines, curves and sheets that are missing; what is never measured."""
    layout, ours = record["layout"], dict(unmeasured(record, record["layout"]))
    remarks = [
        f"{why}: {'; '.join(name for name in ours if ours[name] == why)}" for why in dict.fromkeys(ours.values())
    ]
    for name, entry in record["baselines"].items():
        theirs = [label for label, _ in unmeasured(entry, layout, baseline=name) if label not in ours]
        label = layout["baselines"].get(name, name)
        remarks += [f"{label}, {', '.join(theirs)}: this baseline has no such figure"] if theirs else []
    remarks += [str(reason) for reason in (*record["not_measured"], *record.get("notes", []))]
    if not log:
        remarks.append(
            "training curves, and the targets that ask for them: there is no log.jsonl in the folder of the run"
        )
    entries = [entry for side in record["best_and_worst"].values() for entry in side]
    missing = sum(entry["sheet"] not in sheets for entry in entries)
    if missing:
        remarks.append(f"sheets: {missing} of {len(entries)} have none; their section says why")
    if record["small_world_only"]:
        drawn = "the encoder or the images belong to a small world of drawn scenes"
        remarks.append(f"photographs: {drawn}, and no figure here says anything of photographs")
    remarks.append("speed and memory, on a CPU or on a GPU: an evaluation times nothing; python scripts/bench.py does")
    return [element("ul", *(element("li", remark) for remark in remarks), class_="plain")]


def unmeasured(scorer: Record, layout: Record, *, baseline: str = "") -> Iterator[tuple[str, str]]:
    """The figures of a scorer that have no value, by their labels, with the reason."""
    for spec in layout["figures"]:
        if baseline and baseline not in spec["baselines"]:
            continue
        for label, figure in shown(scorer, spec, layout):
            if figure is None:
                yield label, "the heads do not predict it" if not baseline else "this baseline does not predict it"
            elif figure["n"] == 0:
                yield label, NOTHING
            elif figure["value"] is None:
                yield label, figure.get("reason", "it came out as no finite number")
