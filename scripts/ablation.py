"""From the plan to the best that we have, one change at a time: what each is worth, on shifted splits too.

    python scripts/ablation.py --store store/scenes --workdir runs/ablation --split test

Each row is a run of its own below `--workdir`, trained and evaluated like every other run, only without baselines: its
`eval.json` holds all figures with their intervals. A row that is trained and measured already is only read. The table
is Markdown.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tipai_jax.config.command_line import load_config
from tipai_jax.config.records import replace_field
from tipai_jax.config.schema import RunConfig
from tipai_jax.errors import Parser, run_main

CHANGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("learning rate, batches and epochs of `base.py`", ("optim", "data")),
    ("ranking losses on logits", ("loss.score_space",)),
    ("phrase heads, with the plan's losses", ("model",)),
    (
        "the patches of both images, objects weigh more than background, instead of L_patch and L_sal",
        (
            *("loss.faithfulness", "loss.faithfulness_over", "loss.unfaithful_weight", "loss.object_weight"),
            *("loss.patch", "loss.saliency"),
        ),
    ),
    ("each image by itself (pointwise)", ("loss.pointwise",)),
    ("each phrase", ("loss.phrase",)),
    ("the reasons weigh more: `base.py`", ("loss.reason",)),
)
"""What a row changes in the one before it: the fields that it takes over from `base.py`."""
COLUMNS = {
    "pair AUC": "global_pair_auc",
    "hard": "pair_auc_by_difficulty.hard",
    "object AUC": "objects.auc",
    "phrase AUC": "phrases.auc",
    "ECE": "ece",
}
SHIFTED = {"pair AUC": "global_pair_auc", "object AUC": "objects.auc"}


def rows() -> Iterator[tuple[str, RunConfig]]:
    """The names and configs of the table, in order."""
    config, best = load_config("plan.py"), load_config("base.py")
    yield "the plan (`plan.py`)", config
    for name, fields in CHANGES:
        for field in fields:
            value = best
            for part in field.split("."):
                value = getattr(value, part)
            config = replace_field(config, field, value)
        yield name, config


def seconds_of(workdir: Path) -> float | None:
    """Seconds of training by the run's own log, over all calls that it took; None if it has no line."""
    from tipai_jax.training.metric_log import read_log

    told = [line["seconds"] for line in read_log(workdir) if "seconds" in line]
    ends = [this for this, after in itertools.pairwise([*told, 0.0]) if after < this]  # each call counts from 0
    return sum(ends) if told else None


def line(name: str, record: Mapping[str, Any], seconds: float | None) -> dict[str, str]:
    """The cells of a row by the names of their columns; what was not measured is a dash."""
    text = lambda value, form: "-" if value is None else f"{value:{form}}"
    cells = {title: text(_value(record, key), ".3f") for title, key in COLUMNS.items()}
    for split, shifted in record.get("shifts", {}).items():
        cells |= {f"{split}: {title}": text(_value(shifted, key), ".3f") for title, key in SHIFTED.items()}
    return {"each row on top of the one before": name, **cells, "s": text(seconds, ".0f")}


def _value(record: Mapping[str, Any], key: str) -> float | None:
    found: Any = record
    for part in [*key.split("."), "value"]:
        found = (found or {}).get(part)
    return found


def main(argv: list[str] | None = None) -> int:
    """Run the table."""
    parser = Parser(prog="scripts/ablation.py", description="What each step from plan.py to base.py is worth.")
    add, count = parser.add_argument, len(CHANGES) + 1
    add("--store", default="store/scenes", help="folder of the embeddings (store/scenes)")
    add("--workdir", type=Path, default=Path("runs/ablation"), help="folder of the runs (runs/ablation)")
    splits = "what the rows are measured on (test, and with it every split that is called shift-NAME)"
    add("--split", default="test", choices=("validation", "test"), help=splits)
    add("--rows", type=int, nargs="+", choices=range(count), metavar="ROW", help="only these rows, counted from 0")
    args = parser.parse_args(argv)

    from tipai_jax.evaluation.run import Request, evaluate
    from tipai_jax.training.loop import fit

    titles: list[str] = []
    for number, (name, config) in enumerate(rows()):
        if args.rows and number not in args.rows:
            continue
        workdir = args.workdir / f"{number}"
        result = fit(
            replace(config, store=args.store, workdir=str(workdir), log=replace(config.log, progress=False)), quiet=True
        )
        if result.status == "interrupted":
            return result.exit_code
        request = Request(workdir=workdir, split=args.split, baselines=False, command="python scripts/ablation.py")
        cells = line(name, evaluate(request), seconds_of(workdir))
        if not titles:
            titles = list(cells)
            print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
        print(f"| {' | '.join(cells.values())} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
