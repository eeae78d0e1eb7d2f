"""From the plan to the quickstart, one change at a time: what each is worth.

    python scripts/ablation.py --store store/scenes --workdir runs/ablation --split validation

Each row is a run of its own under `--workdir`, trained by the same loop and measured by the same figures as every
other run; rows that are there are not trained again. The table is Markdown, and `ablation.json` holds the same
figures with their intervals, and those of the rows of earlier calls.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tipai_jax.config import AuditorConfig
from tipai_jax.config.command_line import load_config
from tipai_jax.errors import Parser, run_main

Change = Callable[[AuditorConfig], AuditorConfig]


def read(**what: bool) -> Change:
    """The heads read more input features; what only the patches have (global image, position) is left out for the
    others until attention joins them.
    """

    def change(config: AuditorConfig) -> AuditorConfig:
        model = config.model
        patch = replace(model.patch_inputs, **what)
        others = {name: on for name, on in what.items() if patch.attention or name in ("products", "scale_inputs")}
        rest = patch if patch.attention else replace(model.global_inputs, **others)
        return replace(config, model=replace(model, patch_inputs=patch, global_inputs=rest, reason_inputs=rest))

    return change


CHANGES: tuple[tuple[str, Change], ...] = (
    ("the plan (`plan.py`)", lambda config: config),
    (
        "learning rate 1e-3, batches of 128, 3 epochs",
        lambda c: replace(
            c,
            optim=replace(c.optim, peak_lr=1e-3, warmup_steps=200),
            data=replace(c.data, batch_size=128, epochs=3, full_at_epoch=1),
        ),
    ),
    (
        "L_patch over unfaithful places",
        lambda c: replace(c, loss=replace(c.loss, patch_over="unfaithful")),
    ),
    ("ranking losses on logits", lambda c: replace(c, loss=replace(c.loss, score_space="logit"))),
    ("products and inputs of size one for the other two heads as well", read(products=True, scale_inputs=True)),
    ("the patch head reads the whole image and its place", read(global_image=True, position=True)),
    ("one attention layer across the patches, read by all heads", read(attention=True)),
)


def rows() -> list[tuple[str, AuditorConfig]]:
    """The configs of the table: each change on top of those before it, then the quickstart's own."""
    config, made = load_config("plan.py"), []
    for name, change in CHANGES:
        config = change(config)
        made.append((name, config))
    return [*made, ("the quickstart (`base.py`)", load_config("base.py"))]


def measure(config: AuditorConfig, split: str) -> dict[str, Any]:
    """The figures of a trained run on a split, calibrated on validation."""
    from tipai_jax.evaluation.auditor import predict_pairs
    from tipai_jax.evaluation.auditor_figures import figures
    from tipai_jax.evaluation.calibration import fit_calibration
    from tipai_jax.evaluation.inference import load_run
    from tipai_jax.store import open_store
    from tipai_jax.tasks.auditor import pairs_of_split

    run, store = load_run(config.workdir), open_store(config.store)
    validation, pairs = pairs_of_split(store, "validation"), pairs_of_split(store, split)
    found = figures(
        predict_pairs(run, store, pairs),
        pairs,
        calibration=fit_calibration(predict_pairs(run, store, validation), validation),
        seed=0,
    )
    flat = {name: found[name] for name in ("global_pair_auc", "patch_pair_auc", "ece")}
    flat["hard"] = found["pair_auc_by_difficulty"]["hard"]
    flat["worst_category"] = min(found["category_roc_auc"].values(), key=lambda figure: figure["value"])
    return {**flat, "auc_judd": found["heatmap"]["auc_judd"]}


def line(name: str, found: dict[str, Any], columns: Iterable[str]) -> str:
    """A row of the Markdown table; what nobody timed is a dash."""
    cells = [(found[key]["value"], ".0f" if key == "seconds" else ".3f") for key in columns]
    return f"| {name} | " + " | ".join("-" if value is None else f"{value:{form}}" for value, form in cells) + " |"


def main(argv: list[str] | None = None) -> int:
    """Run the table."""
    parser = Parser(
        prog="scripts/ablation.py", description="What each step from the plan's config to the quickstart's is worth."
    )
    parser.add_argument("--store", default="store/scenes", help="folder of the embeddings (store/scenes)")
    parser.add_argument(
        "--workdir",
        type=Path,
        default=Path("runs/ablation"),
        help="folder of the runs and of ablation.json (runs/ablation)",
    )
    parser.add_argument(
        "--split",
        default="validation",
        choices=("validation", "test"),
        help="what the rows are measured on (validation)",
    )
    parser.add_argument(
        "--rows",
        type=int,
        nargs="+",
        choices=range(len(CHANGES) + 1),
        metavar="ROW",
        help="only these rows, counted from 0",
    )
    args = parser.parse_args(argv)

    from tipai_jax.files.atomic import write_file
    from tipai_jax.training.loop import fit

    columns = {
        "global_pair_auc": "pair AUC",
        "hard": "hard",
        "patch_pair_auc": "patch AUC",
        "worst_category": "worst category",
        "auc_judd": "AUC-Judd",
        "ece": "ECE",
        "seconds": "s",
    }
    print(
        "| config, each row on top of the one before | "
        + " | ".join(columns.values())
        + " |\n|---|"
        + "---|" * len(columns),
        flush=True,
    )
    path = args.workdir / "ablation.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    for number, (name, config) in enumerate(rows()):
        if args.rows and number not in args.rows:
            continue
        workdir = args.workdir / f"{number}"
        config = replace(config, store=args.store, workdir=str(workdir), log=replace(config.log, progress=False))
        begun, began = (workdir / "checkpoints").exists(), time.monotonic()
        result = fit(config)
        if result.status == "interrupted":
            return result.exit_code
        seconds = {"value": round(time.monotonic() - began, 1)}
        if begun:  # then this call trained the rest of it, or nothing: an earlier one may have timed it
            seconds = record.get(name, {}).get("seconds", {"value": None})
        record[name] = {"split": args.split, **measure(config, args.split), "seconds": seconds}
        print(line(name, record[name], columns), flush=True)
        write_file(path, f"{json.dumps(record, indent=1)}\n".encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
