"""The model card of a saved auditor, written from its record: it claims what `eval.json` holds, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from tipai_jax.report.figures import figure_text, shown

__all__ = ["model_card"]


def model_card(record: Mapping[str, Any], *, limits: Sequence[str] = ()) -> str:
    """The card as Markdown with the head that a model hub reads.

    Args:
        record: what `config.json` of a saved auditor holds.
        limits: what the calibration was fitted on too few data for (`Calibration.notes`).
    """
    encoder, trained, evaluation = record["encoder"], record["trained"], record["evaluation"]
    lines = [
        "---",
        "library_name: tipai_jax",
        "tags: [text-to-image, evaluation, faithfulness, clip]",
        "---",
        "",
        "# An auditor of text-to-image faithfulness",
        "",
        (
            "Given a prompt and an image: how well the image keeps the prompt, where it fails, and why (object,"
            " attribute, counting, spatial, text)."
        ),
        "",
        "```python",
        "from tipai_jax import Auditor",
        "",
        'auditor = Auditor.from_pretrained("THIS_FOLDER")',
        'print(auditor.explain("image.png", "a red car on the beach").sentence)',
        "```",
        "",
        "## What it is made of",
        "",
        (
            f"- Frozen encoder: `{encoder['name']}`, {encoder['patches']} patches, {encoder['dtype']}, digest"
            f" `{encoder['digest'][:12]}`. Its weights are not in this folder."
        ),
        (
            f"- Heads: {trained['step']} steps, store digest `{trained['store_digest'][:12]}`, heads digest"
            f" `{record['heads_digest'][:12]}`."
        ),
        "- Calibrated on validation pairs, so that a score is a probability where half of the images keep their prompt"
        + (f"; but {'; '.join(limits)}." if limits else "."),
    ]
    if trained["small_world_only"] or encoder["small_world_only"]:
        lines += [
            "- **Drawn scenes only.** Encoder or training pairs come from a drawn small world; nothing is known of what"
            " it is worth on photographs."
        ]
    lines += ["", "## What was measured", ""]
    if evaluation is None:
        lines += ["Nothing yet: there was no `eval.json` when this card was written."]
    else:
        lines += _measured(evaluation)
    return "\n".join(lines) + "\n"


def _measured(evaluation: Mapping[str, Any]) -> list[str]:
    """The figures that have a value, each with its interval, and the names of the others."""
    layout = evaluation["layout"]
    figures = [
        (label, figure, spec["format"])
        for spec in layout["figures"]
        for label, figure in shown(evaluation, spec, layout)
    ]
    rows = [
        f"| {label} | {figure_text(figure, form)} | {figure['n']:,} |"
        for label, figure, form in figures
        if figure and figure["value"] is not None
    ]
    missing = [label for label, figure, _ in figures if not figure or figure["value"] is None]
    where = f"{evaluation['n_examples']:,} {evaluation['unit']} of the store {evaluation.get('store_digest', '')[:12]}"
    lines = [
        f"On the {evaluation['split']} split, {where}; in brackets {evaluation['intervals']}.",
        "",
        "| figure | value | n |",
        "|---|---|---|",
        *rows,
        "",
        f"Command: `{evaluation['command']}`",
    ]
    if missing := [*missing, *evaluation.get("not_measured", [])]:
        lines += ["", f"Not measured: {', '.join(missing)}."]
    return lines
