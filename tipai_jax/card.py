"""The model card of a saved auditor, written from its record: it claims what `eval.json` holds, and nothing else.

Owns the words. Knows nothing of files or of how a figure came about.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["model_card"]


def model_card(record: Mapping[str, Any]) -> str:
    """The card as Markdown with the head that a model hub reads.

    Args:
        record: what `config.json` of a saved auditor holds.
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
            "Given a prompt and a picture: how well the picture keeps the prompt, where it fails, and why (object,"
            " attribute, counting, spatial, text)."
        ),
        "",
        "```python",
        "from tipai_jax import Auditor",
        "",
        'auditor = Auditor.from_pretrained("THIS_FOLDER")',
        'print(auditor.explain("picture.png", "a red car on the beach").sentence)',
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
            f" `{record['heads_digest'][:12]}`. Calibrated on validation pairs."
        ),
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
    """The figures that are there, each with its interval."""
    figures = {
        "global pair AUC (chosen above rejected)": evaluation.get("global_pair_auc"),
        "patch pair AUC": evaluation.get("patch_pair_auc"),
        **{f"reason ROC-AUC, {name}": figure for name, figure in (evaluation.get("category_roc_auc") or {}).items()},
        "expected calibration error": evaluation.get("ece"),
        **{f"heatmap, {name.replace('_', ' ')}": figure for name, figure in (evaluation.get("heatmap") or {}).items()},
        **{
            f"conformal coverage at {level}": each["coverage"]
            for level, each in (evaluation.get("conformal") or {}).items()
        },
        **{f"abstains at {level}": each.get("abstains") for level, each in (evaluation.get("conformal") or {}).items()},
    }
    for name, each in (evaluation.get("baselines") or {}).items():
        figures[f"global pair AUC above {name.replace('_', ' ')}"] = each.get("global_pair_auc_difference")
    rows = [
        f"| {name} | {_cell(figure)} |" for name, figure in figures.items() if figure and figure["value"] is not None
    ]
    missing = [name for name, figure in figures.items() if not figure or figure["value"] is None]
    lines = [
        (
            f"On the {evaluation['split']} split, {evaluation['n_pairs']:,} pairs of the store"
            f" {evaluation.get('store_digest', '')[:12]}; in brackets {evaluation['intervals']}. Scores are calibrated"
            " where half of the pictures keep their prompt."
        ),
        "",
        "| figure | value |",
        "|---|---|",
        *rows,
        "",
        f"Command: `{evaluation['command']}`",
    ]
    if missing := [*missing, *evaluation.get("not_measured", [])]:
        lines += ["", f"Not measured: {', '.join(missing)}."]
    return lines


def _cell(figure: Mapping[str, Any]) -> str:
    ends = figure.get("ci95")
    return f"{figure['value']:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")
