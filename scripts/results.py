"""Write docs/results.json and docs/results.md, the figures of the documentation.

    python scripts/results.py runs/plan runs/quickstart runs/again     # after tipai_jax.evaluate has measured them
    python scripts/results.py                                          # write results.md again, from results.json

The page and the table of the README are made of `results.json` alone, so a test can compare them.
"""

import json
import re
import shlex
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: modules are found in the repository, not in this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from tipai_jax.errors import Parser, UserError, run_main
from tipai_jax.report.figures import figure_text, value_text
from tipai_jax.report.tables import compare
from tipai_jax.report.write import RECORD, read_record

__all__ = ["RUNS", "main", "page", "portable", "small", "summary"]

DOCS = Path(__file__).resolve().parents[1] / "docs"
RUNS = ("plan", "quickstart", "again")
"""The records that the documentation is about, by the names of their folders; `again` is the quickstart's auditor on a
world that was drawn after it was chosen.
"""
LEFT_OUT = ("best_and_worst", "reliability")
WIDTH = 120
Record = Mapping[str, Any]

SUMMARY = (
    ("pair AUC", "global_pair_auc"),
    ("pair AUC, held-out styles", "shifts.shift-style.global_pair_auc"),
    ("pair AUC, drawn by other code", "shifts.shift-renderer.global_pair_auc"),
    ("object AUC: wrong objects redder than others", "objects.auc"),
    ("object AUC, drawn by other code", "shifts.shift-renderer.objects.auc"),
    ("faithful images in which something is marked (lower is better)", "boxes.marked_in_chosen"),
)
"""The rows of the README's table: label, and key in a record; a star takes the lowest of the values there."""

TEXT = """\
# Results

<!-- Written by scripts/results.py; change that file, not this one. -->

The figures of the two configs that the project ships, on the test split of the small world
([small-world.md](small-world.md)). `base.py` was chosen with its figures on these splits in view
([plan.md](plan.md#what-was-tried-and-what-became-of-it)). So the same auditor, with its calibration, is measured once
more on a *new world* (`runs/again`), drawn with another seed when everything was decided. [metrics.md](metrics.md)
defines every figure. Brackets hold 95 % intervals with prompt groups as the unit. The same figures, as they stand in
each run's `eval.json`, are in [results.json](results.json).

## In short

{summary}

The cosine is that of the frozen encoder between prompt and image, or prompt and patch, with nothing trained; that *of
phrases* takes for each phrase the patch that is most like it; the ridge probe is a linear regression on the embeddings
of prompt and image; *image only* is the quickstart's heads, as wide and as deep, without the prompt, trained for one
epoch. All are measured as the heads are. Some targets are passed by what ignores the question, and say nothing by
themselves: a constant score of one half has no calibration error and no gap over groups of prompts, no box marks no
faithful image, and a text-only head gives both images of a pair the same score. A guess from the prompt has a phrase
AUC of {quickstart/baselines.phrase_rates.phrases.auc:.3f} and names a right phrase in
{quickstart/baselines.phrase_rates.phrases.named_right:.3f}; an object at random is a wrong one in
{quickstart/objects.hottest_by_chance:.3f}; the boxes of the ridge probe have an average precision of
{quickstart/baselines.ridge_probe.boxes.ap25:.3f}.

## How to make them again

```bash
python precompute/scenes.py --out data/scenes --pairs 40000 --seed 0
python precompute/embed.py --data data/scenes --encoder tiny --dtype auto --out store/scenes
python -m tipai_jax.train --config plan.py --store store/scenes --workdir runs/plan
python -m tipai_jax.evaluate --workdir runs/plan
python -m tipai_jax.train --config base.py --store store/scenes --workdir runs/quickstart
python -m tipai_jax.evaluate --workdir runs/quickstart --heatmaps 12
python precompute/scenes.py --out data/again --pairs 20000 --seed 1
python precompute/embed.py --data data/again --encoder tiny --dtype auto --out store/again
python -m tipai_jax.evaluate --workdir runs/quickstart --store store/again --out runs/again/eval.json
python scripts/results.py runs/plan runs/quickstart runs/again
```

The quickstart's commands are those of `scripts/quickstart.sh`. There are 28,000 pairs to train on (the plan speaks of
20,000), 4,000 for validation, 8,000 for the test and 2,000 in each shifted split; the figures of heatmaps are over
2,000 images. `plan.py` took 3 to 5 minutes to train on two cores, the quickstart six and a half.

{made}

**Another processor gives other figures in the second digit.** The same machine and the same versions repeat a record
to the last byte. Between machines the order of sums differs, and so does the number format of the encoder, which
`--dtype auto` chooses.

## What the figures say

- **As a ranking, the quickstart is above the frozen cosine** by
  {quickstart/baselines.zero_shot_cosine.global_pair_auc_difference:+.4f}, above the cosine of the phrases by
  {quickstart/baselines.zero_shot_phrases.global_pair_auc_difference:+.4f}, and above the ridge probe by
  {quickstart/baselines.ridge_probe.global_pair_auc_difference:+.4f}. On the new world it has
  {again/global_pair_auc:.3f} where it has {quickstart/global_pair_auc:.3f} here. What it gains is more on hard pairs:
  {quickstart/pair_auc_by_difficulty.hard:.3f} against
  {quickstart/baselines.zero_shot_cosine.pair_auc_by_difficulty.hard:.3f}.
- **Relations are the heads' own work:** {quickstart/pair_auc_by_category.spatial:.3f} of these pairs are ranked right,
  where the cosine has {quickstart/baselines.zero_shot_cosine.pair_auc_by_category.spatial:.3f}: no caption that the
  encoder was trained on differed from another in its relation alone, so it knows none, and the heads learn them from
  where the similarity maps of the two phrases lie. Its weakest kinds are words on signs,
  {quickstart/pair_auc_by_category.text:.3f} against
  {quickstart/baselines.zero_shot_cosine.pair_auc_by_category.text:.3f}, and numbers,
  {quickstart/pair_auc_by_category.counting:.3f} against
  {quickstart/baselines.zero_shot_cosine.pair_auc_by_category.counting:.3f}.
- **Away from home** it is worse, but above the cosine on each shifted split: by
  {quickstart/baselines.zero_shot_cosine.shifts.shift-style.global_pair_auc_difference:+.4f} in held-out styles, by
  {quickstart/baselines.zero_shot_cosine.shifts.shift-background.global_pair_auc_difference:+.4f} before photographs,
  by {quickstart/baselines.zero_shot_cosine.shifts.shift-renderer.global_pair_auc_difference:+.4f} on drawings of other
  code.
- **Its calibration does not travel.** The calibration error is {quickstart/ece:.3f} at home,
  {quickstart/shifts.shift-style.ece:.3f} in held-out styles, {quickstart/shifts.shift-background.ece:.3f} before
  photographs and {quickstart/shifts.shift-renderer.ece:.3f} on drawings of other code, and nothing warns of it yet.
- **The plan's own heads rank worse than the cosine:** the difference is
  {plan/baselines.zero_shot_cosine.global_pair_auc_difference:+.4f}. They read prompt and image side by side and learn
  no product of the two; of the plan's targets `plan.py` misses the pair AUC.
- **Which object is wrong.** Among the objects of a rejected image a wrong one is redder than another with a chance of
  {quickstart/objects.auc:.3f}; the plan's heads reach {plan/objects.auc:.3f}, the cosine
  {quickstart/baselines.zero_shot_cosine.objects.auc:.3f}, that of the phrases
  {quickstart/baselines.zero_shot_phrases.objects.auc:.3f}, and the same heads without the prompt
  {quickstart/baselines.image_only.objects.auc:.3f}, as they should. An object that is there instead of another one is
  found least: {quickstart/objects.auc_by_category.object:.3f}.
- **Boxes.** Their average precision at an overlap of 0.25 is {quickstart/boxes.ap25:.3f} over chosen and rejected
  images together, and something is marked in {quickstart/boxes.marked_in_chosen:.3f} of the chosen images, in which
  nothing is wrong; on drawings of other code in {quickstart/shifts.shift-renderer.boxes.marked_in_chosen:.3f}. AUC-Judd
  and patch AUC look better than that because to tell objects from background goes most of the way there: a mask of all
  objects has {quickstart/baselines.object_mask.heatmap.auc_judd:.3f} and
  {quickstart/baselines.object_mask.patch_pair_auc:.3f}, the quickstart {quickstart/heatmap.auc_judd:.3f} and
  {quickstart/patch_pair_auc:.3f}.
- **Which phrase fails.** Where the verdict is that an image breaks its prompt, the phrase that it names is one that
  fails in {quickstart/phrases.named_right:.3f} of the images. A guess from the prompt alone, for some kinds of phrases
  fail more often than others, has {quickstart/baselines.phrase_rates.phrases.named_right:.3f}, and a phrase AUC of
  {quickstart/baselines.phrase_rates.phrases.auc:.3f} against {quickstart/phrases.auc:.3f}. What no prompt can earn is
  to tell the two images apart by one and the same phrase: the image that keeps it gets the higher score in
  {quickstart/phrases.auc_same_phrase:.3f}, where a guess earns 0.5.
- **What it looks like instead.** Where a failing phrase is said to look like another colour, number or relation, that
  is what the image shows in {quickstart/phrases.alternative_right.colour:.3f},
  {quickstart/phrases.alternative_right.number:.3f} and {quickstart/phrases.alternative_right.relation:.3f}; a guess
  that names what usually stands there in {quickstart/phrases.alternative_guessed.colour:.3f},
  {quickstart/phrases.alternative_guessed.number:.3f} and {quickstart/phrases.alternative_guessed.relation:.3f}.
  Phrases of which nothing on the lists is true are not counted ([metrics.md](metrics.md)).
- **A score does not mean quite the same for every prompt.** Over the categories and the numbers of phrases, the largest
  gap between the mean score and the share of images that keep their prompt is {quickstart/calibration_gap:.3f}.
- **The prompt gives the category away.** A head that reads only the prompt reaches a category ROC-AUC of
  {quickstart/baselines.text_only.category_roc_auc.object:.3f} (object) to
  {quickstart/baselines.text_only.category_roc_auc.text:.3f} (text), for the words of a caption say which mistake it
  invites. Within pairs, where such a guess earns nothing, the quickstart reaches
  {quickstart/category_roc_auc_within_pairs.object:.3f} and
  {quickstart/category_roc_auc_within_pairs.text:.3f} for the same two.
- **The score alarms on images that are fine.** It is below 0.5 for {quickstart/control.alarm_rate_faithful:.3f} of the
  chosen images and for {quickstart/control.alarm_rate:.3f} of the controls, against
  {quickstart/control.alarm_rate_broken:.3f} of the rejected images.
- **The difficulty of a pair** is that of its scenes; easy, medium and hard are defined in
  [small-world.md](small-world.md). Nothing here says anything about photographs.

## Targets

What each config asks of its run. A target whose figure has no value is "not measured".

{targets}

## All figures

{figures}
"""


def small(record: Record) -> dict[str, Any]:
    """A record without the best and worst pairs, the bins of the reliability diagram and the notes of its layout, and
    without paths of the machine that it was made on.
    """
    kept = {name: value for name, value in record.items() if name not in LEFT_OUT}
    kept["layout"] = {
        name: value for name, value in record["layout"].items() if name not in ("sections", "best_and_worst")
    }
    return portable(kept)


def portable(value: Any) -> Any:
    """A JSON value whose texts name absolute paths by their last two parts, such as `store/scenes`."""
    if isinstance(value, str):
        return re.sub(r"(^|[\s='\"])/(?:[^\s/'\"]+/)*([^\s/'\"]+/[^\s/'\"]+)", r"\1\2", value)
    if isinstance(value, dict):
        return {name: portable(each) for name, each in value.items()}
    return [portable(each) for each in value] if isinstance(value, list) else value


def summary(records: Mapping[str, Record]) -> str:
    """The table of the README: a row for each of `SUMMARY`; the runs, then the baselines of the quickstart."""
    baselines = records["quickstart"]["baselines"]
    scorers = {
        "`plan.py`": records["plan"],
        "quickstart": records["quickstart"],
        "the same, new world": records["again"],
        "cosine": baselines["zero_shot_cosine"],
        "cosine of phrases": baselines["zero_shot_phrases"],
        "ridge probe": baselines["ridge_probe"],
        "image only": baselines["image_only"],
    }
    rows = [(label, *(_lowest(scorer, key) for scorer in scorers.values())) for label, key in SUMMARY]
    return _table(("test split", *scorers), rows)


def _lowest(record: Record, key: str) -> str:
    """The value of a figure, or the lowest of those that a star stands for."""
    if not key.endswith(".*"):
        return value_text(_at(record, key)["value"], ".3f")
    values = [figure["value"] for figure in _at(record, key.removesuffix(".*")).values()]
    return value_text(None if None in values else min(values), ".3f")


def page(records: Mapping[str, Record]) -> str:
    """`results.md`: `TEXT` with the tables and the figures of the records."""
    filled = {
        "summary": summary(records),
        "made": "\n".join(_made(name, records[name]) for name in RUNS),
        "targets": _targets({name: records[name] for name in RUNS}),
        "figures": compare({f"`runs/{name}`": records[name] for name in RUNS}),
    }

    def fill(field: re.Match[str]) -> str:
        name, _, form = field[1].partition(":")
        if name in filled:
            return filled[name]
        run, _, key = name.partition("/")
        figure = _at(records[run], key)
        return figure_text(figure, form) if form.startswith("+") else value_text(figure["value"], form)

    return _wrapped(re.sub(r"\{([^{}]+)\}", fill, TEXT).rstrip()) + "\n"


def _at(record: Record, key: str) -> Any:
    """The entry of a record at names joined by dots, of which some (levels such as 0.9) hold a dot themselves."""
    found: Any = record
    for name in re.split(r"\.(?!\d)", key):
        found = (found or {}).get(name)  # data without shifted splits have no figures of them
    return found or {"value": None, "n": 0}


def _made(name: str, record: Record) -> str:
    """What a run was made with, as an entry of a list."""
    versions = ", ".join(f"{library} {version}" for library, version in record["versions"].items())
    encoder, seeds, targets = record["encoder"], record["seeds"], record["targets"]
    met = sum(target["pass"] is True for target in targets)
    return (
        f"- `runs/{name}`: {met} of {len(targets)} targets met. {versions}; encoder {encoder['name']},"
        f" {encoder['patches']} patches, digest `{encoder['digest'][:12]}`; store `{record['store_digest'][:12]}`;"
        f" {record['checkpoint']['step']} steps; seeds {seeds['training']} (training) and {seeds['bootstrap']}"
        f" (bootstrap). Embedded by `{record['commands']['embed']}`."
    )


def _targets(records: Mapping[str, Record]) -> str:
    """A row for each target: what each run asks and what was measured."""
    names = dict.fromkeys(target["name"] for record in records.values() for target in record["targets"])
    found = {run: {target["name"]: target for target in record["targets"]} for run, record in records.items()}
    rows = [(name, *(_target(found[run].get(name)) for run in records)) for name in names]
    return _table(("target", *(f"`runs/{run}`" for run in records)), rows)


def _target(target: Record | None) -> str:
    if target is None:
        return "not asked"
    verdict = {True: "met", False: "missed", None: "not measured"}[target["pass"]]
    value = value_text(target["value"], target["format"])
    return f"{value}, asked {target['direction']} {target['threshold']:.4g}: {verdict}"


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = list(head)
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---|" + "---|" * (len(head) - 1), *lines[1:]])


def _wrapped(text: str) -> str:
    """Paragraphs and entries of lists in lines of at most `WIDTH`; tables, headings, comments and code as they are."""
    return "\n\n".join(block if block[0] in "|#<`" else _filled(block) for block in text.split("\n\n"))


def _filled(block: str) -> str:
    items = (" ".join(item.split()) for item in re.split(r"\n(?=- )", block))
    options = {"width": WIDTH, "break_long_words": False, "break_on_hyphens": False}
    return "\n".join(
        textwrap.fill(item, subsequent_indent="  " if item.startswith("- ") else "", **options) for item in items
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Write both files; returns 0."""
    parser = Parser(
        prog="scripts/results.py",
        description="Write docs/results.json and docs/results.md from the records of evaluated runs.",
    )
    names = f"{', '.join(RUNS[:-1])} and {RUNS[-1]}"
    parser.add_argument(
        "runs",
        type=Path,
        nargs="*",
        metavar="RUN",
        help=f"folders of evaluated runs, named {names}; those that are not given stay as they are in results.json",
    )
    parser.add_argument("--out", type=Path, default=DOCS, metavar="FOLDER", help="where both files are (default: docs)")
    args = parser.parse_args(sys.argv[1:] if argv is None else list(argv))
    from tipai_jax.files.atomic import write_file

    known = args.out / "results.json"
    records = json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}
    for run in args.runs:
        name = run.absolute().name
        if name not in RUNS:
            raise UserError(
                f"{run}: the page is about runs whose folders are called {names}; rename it, or leave it out"
            )
        records[name] = small(read_record(run / RECORD, run))
    if missing := [name for name in RUNS if name not in records]:
        command = shlex.join(["python", "scripts/results.py", *(f"runs/{name}" for name in RUNS)])
        raise UserError(f"{known}: holds no run {missing[0]!r}; evaluate it, then give all: {command}")
    write_file(known, (json.dumps({name: records[name] for name in RUNS}, indent=1) + "\n").encode())
    write_file(args.out / "results.md", page(records).encode())
    print(f"written: {known} and {args.out / 'results.md'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
