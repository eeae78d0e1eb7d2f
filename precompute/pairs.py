"""The command that makes pairs of the best and the worst image of every prompt.

    python precompute/pairs.py [--data FOLDER] [--scorer zero_shot] [--jsonl FILE]

It writes the table `pairs` of the catalogue, comparison sheets `pairs/{prompt_id}_comparison.png` (or
`pairs/{scorer}@{digest}/...` for any scorer but the first zero-shot one) and the pairs file for `embed.py --data`.
Where the truth about the images is known, it prints how often the scorer was right.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__ in (None, ""):  # run as a file: modules are found from the repository on, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from precompute.compute import bar_seconds
from precompute.heatmaps import (
    Scale,
    add_catalog_options,
    folder_of,
    open_picture,
    put_drawing,
    scale_of,
    scored_images,
)
from precompute.score import ZERO_SHOT
from tipai_jax.errors import Parser, UserError, run_main

if TYPE_CHECKING:
    from PIL.Image import Image

    from tipai_jax.store.catalog import CatalogImage, CatalogPair, CatalogScore, Scorer

__all__ = ["PAIRS_FILE", "Accuracy", "choose_pairs", "count_correct", "make_pairs", "pair_row", "truth_marks"]

PAIRS_FILE = "pairs.jsonl"
SIDE = 300
AROUND = 3
"""Pixels between what is wrong and the frame round it, which would hide letters otherwise."""


@dataclass(frozen=True)
class Accuracy:
    """How often a scorer was right where the truth is known, as (number right, number of cases).

    Attributes:
        worst: the worst image of a prompt truly breaks it; of all pairs.
        best: the best image truly keeps it; of all pairs.
        worst_mixed: as `worst`, among prompts that have both images that keep and images that break them.
        best_mixed: as `best`, among those prompts.
        order: an image that keeps its prompt scores above one that breaks it, ties count half; of all combinations.
    """

    worst: tuple[int, int]
    best: tuple[int, int]
    worst_mixed: tuple[int, int]
    best_mixed: tuple[int, int]
    order: tuple[float, int]


def main(arguments: list[str] | None = None) -> int:
    """Make the pairs; returns 0."""
    parser = Parser(
        prog="precompute/pairs.py",
        description="Make a pair of the best and the worst image of every prompt, by a scorer, and draw both with "
        "their heatmaps.",
    )
    add_catalog_options(parser)
    parser.add_argument(
        "--jsonl",
        type=Path,
        metavar="FILE",
        help="also write the pairs as embed.py --data reads them, to a file in the folder of the catalogue such as "
        f"{PAIRS_FILE}",
    )
    args = parser.parse_args(arguments)
    make_pairs(args.data, scorer=args.scorer, jsonl=args.jsonl)
    if args.jsonl is not None:
        data = args.data if args.jsonl.name == PAIRS_FILE else args.jsonl
        print(f"embed     python precompute/embed.py --data {data} --out store/{args.data.absolute().name}")
    return 0


def make_pairs(
    data: Path, *, scorer: str = ZERO_SHOT, jsonl: Path | None = None, sheets: bool = True
) -> "list[CatalogPair]":
    """Choose, record and draw the pairs.

    Args:
        data: the folder of the catalogue.
        scorer: whose scores decide.
        jsonl: a file of pairs to write; None for none.
        sheets: draw the comparison sheets.

    Returns:
        The pairs, by prompt.

    Raises:
        UserError: nothing is scored, no prompt has two images, or the file would lie outside the folder.
    """
    from tipai_jax.store.catalog import open_catalog

    if jsonl is not None and jsonl.absolute().parent.resolve() != data.resolve():
        raise UserError(
            f"--jsonl {jsonl}: paths of images start from the folder of this file; write it to {data / jsonl.name}"
        )
    with open_catalog(data) as catalog:
        found = catalog.find_scorer(scorer)
        scores = catalog.scores(found)
        images = {image.image_id: image for image in scored_images(catalog.images(), scores, data)}
        pairs = choose_pairs(list(images.values()), scores, found)
        if not pairs:
            raise UserError(
                f"{data}: no prompt has two scored images; "
                f"generate more: python precompute/generate.py --out {data} --per-prompt 4"
            )
        catalog.put_pairs(found, pairs)
        folder = folder_of(catalog, "pairs", found)
    if sheets:
        _draw_sheets(data, found, pairs, images, scores, folder)
    if jsonl is not None:
        _write_jsonl(jsonl, pairs, images)
    _print_summary(data, found, pairs, list(images.values()), scores)
    return pairs


def choose_pairs(
    images: "list[CatalogImage]", scores: "Mapping[str, CatalogScore]", scorer: "Scorer"
) -> "list[CatalogPair]":
    """The best and the worst image of every prompt that has two, by raw score; of equals the smaller seed is better."""
    from tipai_jax.store.catalog import CatalogPair

    by_prompt: dict[str, list[CatalogImage]] = {}
    for image in images:
        by_prompt.setdefault(image.prompt_id, []).append(image)
    pairs = []
    for prompt_id, group in by_prompt.items():
        ranked = sorted(group, key=lambda image: (-scores[image.image_id].raw, image.seed))
        best, worst = ranked[0], ranked[-1]
        if best is not worst:
            pairs.append(
                CatalogPair(
                    pair_id=f"{prompt_id}-{scorer.name}-{scorer.digest[:8]}",
                    prompt_id=prompt_id,
                    prompt=best.prompt,
                    chosen_img=best.image_id,
                    rejected_img=worst.image_id,
                    c_score=scores[best.image_id].global_score,
                    r_score=scores[worst.image_id].global_score,
                )
            )
    return pairs


def pair_row(pair: "CatalogPair", chosen: "CatalogImage", rejected: "CatalogImage") -> dict[str, Any] | None:
    """A pair as a line of a pairs file; None where the chosen image is known to break the prompt.

    It holds what is known of the truth: boxes where only the rejected image breaks the prompt, a control where
    both keep it.
    """
    if chosen.broken:
        return None
    line = {
        "pair_id": pair.pair_id,
        "prompt": pair.prompt,
        "chosen_image": chosen.path,
        "rejected_image": rejected.path,
        "chosen_score": pair.c_score,
        "rejected_score": pair.r_score,
        "sha256": {"chosen": chosen.sha256, "rejected": rejected.sha256},
    }
    match chosen.broken, rejected.broken:
        case False, True:
            return line | {
                "unfaithful_patches": list(rejected.boxes),
                "category": rejected.broken_category,
                "kind": rejected.kind,
            }
        case False, False:
            return line | {"unfaithful_patches": [], "control": True}
    return line


def count_correct(
    pairs: "list[CatalogPair]", images: "list[CatalogImage]", scores: "Mapping[str, CatalogScore]"
) -> Accuracy | None:
    """How often the scorer was right; None where the truth about an image of a pair is not known."""
    truth = {image.image_id: image.broken for image in images}
    if any(truth[name] is None for pair in pairs for name in (pair.chosen_img, pair.rejected_img)):
        return None
    seen: dict[str, set[bool | None]] = {}
    for image in images:
        seen.setdefault(image.prompt_id, set()).add(image.broken)
    worst = [truth[pair.rejected_img] is True for pair in pairs]
    best = [truth[pair.chosen_img] is False for pair in pairs]
    mixed = [seen[pair.prompt_id] >= {True, False} for pair in pairs]
    among = lambda right: (sum(r for r, choice in zip(right, mixed) if choice), sum(mixed))
    groups: dict[str, dict[bool | None, list[float]]] = {}
    for image in images:
        groups.setdefault(image.prompt_id, {}).setdefault(image.broken, []).append(scores[image.image_id].raw)
    both = [
        (kept, broken) for group in groups.values() for kept in group.get(False, []) for broken in group.get(True, [])
    ]
    above = sum((kept > broken) + 0.5 * (kept == broken) for kept, broken in both)
    return Accuracy((sum(worst), len(pairs)), (sum(best), len(pairs)), among(worst), among(best), (above, len(both)))


def _draw_sheets(
    data: Path,
    scorer: "Scorer",
    pairs: "list[CatalogPair]",
    images: "Mapping[str, CatalogImage]",
    scores: "Mapping[str, CatalogScore]",
    folder: Path,
) -> None:
    from tqdm import tqdm

    scale, drawn = scale_of(scorer, scores), 0
    for pair in tqdm(pairs, desc="drawing pairs", unit="pair", mininterval=bar_seconds()):
        both = [images[pair.chosen_img], images[pair.rejected_img]]
        metadata = {"prompt": pair.prompt, "generator": both[0].generator, "scorer": f"{scorer.name}@{scorer.digest}"}
        content = [
            [scale.red, scale.yellow, scale.green],
            *(
                [
                    image.sha256,
                    image.broken,
                    list(image.boxes),
                    scores[image.image_id].global_score,
                    list(scores[image.image_id].patch_scores),
                ]
                for image in both
            ),
        ]
        sheet = lambda both=both: _sheet(data, scorer, both, [scores[image.image_id] for image in both], scale)
        drawn += put_drawing(folder / f"{pair.prompt_id}_comparison.png", metadata, content, sheet)
    print(f"{folder}: {len(pairs)} comparison sheets, {drawn} of them drawn now")


def _sheet(
    data: Path, scorer: "Scorer", both: "list[CatalogImage]", scores: "list[CatalogScore]", scale: Scale
) -> "Image":
    """The chosen and the rejected image, each plain and under its heatmap; frames show what is truly wrong."""
    from PIL import Image

    from tipai_jax.render import Panel, draw_marks, overlay, panel_sheet
    from tipai_jax.render.images import fit_size

    panels = []
    for name, image, score in zip(("CHOSEN", "REJECTED"), both, scores, strict=True):
        small = open_picture(data, image)
        large = small.resize(fit_size(small.size, SIDE), Image.Resampling.LANCZOS)
        marks = truth_marks(image, small.size)
        panels.append(Panel(draw_marks(large, marks), f"{name} (score: {score.global_score:.2f})", _truth_words(image)))
        panels.append(Panel(overlay(large, scale.risk(score)), f"{name.lower()}, heatmap", f"seed {image.seed}"))
    remark = "; a patch scores low also where the prompt names nothing" if scorer.name == ZERO_SHOT else ""
    lines = [f"scored by {scorer.name}: {scorer.model}{remark}", f"images: {both[0].generator}"]
    return panel_sheet(f"Prompt: {both[0].prompt}", lines, panels, side=SIDE, ends=scale.ends)


def truth_marks(image: "CatalogImage", size: tuple[int, int]) -> list[Any]:
    """Frames round what is truly wrong in an image, for `draw_marks`; none where nothing is wrong or known.

    Args:
        image: of the catalogue.
        size: width and height of the image in pixels.
    """
    from tipai_jax.render import Mark

    (width, height), marks = size, []
    for box in image.boxes:
        x1, y1, x2, y2 = box["bbox"]
        corners = (x1 - AROUND) / width, (y1 - AROUND) / height, (x2 + AROUND) / width, (y2 + AROUND) / height
        marks.append(Mark(*corners, dashed=bool(box.get("absent")), label="missing here" if box.get("absent") else ""))
    return marks


def _truth_words(image: "CatalogImage") -> str:
    if image.broken is None:
        return ""
    return f"truth: breaks it, {image.broken_category} ({image.kind})" if image.broken else "truth: keeps the prompt"


def _write_jsonl(path: Path, pairs: "list[CatalogPair]", images: "Mapping[str, CatalogImage]") -> None:
    from tipai_jax.files.atomic import write_file

    made = [pair_row(pair, images[pair.chosen_img], images[pair.rejected_img]) for pair in pairs]
    lines = [line for line in made if line is not None]
    write_file(path, "".join(json.dumps(line) + "\n" for line in lines).encode())
    missing = len(made) - len(lines)
    left_out = f"; {missing} left out, whose best image truly breaks the prompt" if missing else ""
    print(f"{path}: {len(lines)} pairs{left_out}")


def _print_summary(
    data: Path,
    scorer: "Scorer",
    pairs: "list[CatalogPair]",
    images: "list[CatalogImage]",
    scores: "Mapping[str, CatalogScore]",
) -> None:
    print(f"{data}: {len(pairs)} pairs by {scorer.name} ({scorer.model})")
    alone = len({image.prompt_id for image in images}) - len(pairs)
    if alone:
        print(f"note      {alone} prompts have one image only and make no pair")
    accuracy = count_correct(pairs, images, scores)
    if accuracy is None:
        return
    share = lambda counts: f"{counts[0]} of {counts[1]}"
    print(
        f"truth     the worst truly breaks its prompt: {share(accuracy.worst)}; "
        f"the best truly keeps it: {share(accuracy.best)}"
    )
    print(
        "          among prompts with images that keep and images that break them: "
        f"worst {share(accuracy.worst_mixed)}, best {share(accuracy.best_mixed)}"
    )
    if accuracy.order[1]:
        print(
            "          an image that keeps its prompt scores above one that breaks it: "
            f"{accuracy.order[0] / accuracy.order[1]:.3f} of {accuracy.order[1]:,} combinations"
        )


if __name__ == "__main__":
    raise SystemExit(run_main(main))
