"""Heatmap sheets of pairs: which pairs are shown, and what stands on a sheet. How it is drawn is `render`'s."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError

from tipai_jax.errors import UserError
from tipai_jax.grids import grid_side
from tipai_jax.render import (
    FOUND,
    Mark,
    Panel,
    Region,
    Run,
    contact_sheet,
    draw_marks,
    overlay,
    panel_sheet,
    runs_of,
    shown_risk,
)
from tipai_jax.render.images import upright_rgb
from tipai_jax.store import CATEGORIES, DIFFICULTIES, PairTable, Store

__all__ = ["PairPrediction", "draw_pair", "draw_sheets", "pair_words", "pick_pairs", "read_images"]

SIDE = 300
TRUE = (20, 20, 24)


@dataclass(frozen=True, kw_only=True)
class PairPrediction:
    """The calibrated prediction on one pair; index 0 is the chosen image, 1 the rejected one.

    Attributes:
        score: probability that the image keeps the prompt.
        risk: of each patch, 0 to 1.
        reason: probability that the image breaks the prompt in each category.
        risk_threshold: the risk from which a pixel counts as unfaithful.
        regions: found in the chosen and in the rejected image, as their verdicts show them.
        kept: probability that the image keeps each phrase of the prompt, in the places of `PairTable.phrase_label`;
            None of heads that read none.
    """

    score: Float[np.ndarray, " 2"]
    risk: Float[np.ndarray, "2 k"]
    reason: Float[np.ndarray, "2 c"]
    risk_threshold: float
    regions: tuple[Sequence[Region], Sequence[Region]]
    kept: Float[np.ndarray, "2 p"] | None = None


def pick_pairs(pairs: PairTable, count: int) -> list[int]:
    """Pairs to show: one of each kind in turn, where a kind is a category (or a control) at a difficulty.

    The kinds are walked diagonally, so that the first six already hold every category and every difficulty.

    Args:
        pairs: the evaluated pairs.
        count: how many to pick, at most.

    Returns:
        Row numbers, the same for the same table; within a kind the pairs of the smallest hash of their name come first,
        so that the order of the file has no say.
    """
    levels = {name: place for place, name in enumerate(DIFFICULTIES)}
    kinds: dict[tuple[int, int], list[int]] = {}
    for row in range(len(pairs.pair_id)):
        broken = np.flatnonzero(pairs.category[row] == 1)
        first = len(CATEGORIES) if pairs.control[row] or not len(broken) else int(broken[0])
        kinds.setdefault((levels.get(str(pairs.difficulty[row]), 3), first), []).append(row)
    names = [str(name) for name in pairs.pair_id]
    diagonal = sorted(kinds, key=lambda kind: ((kind[0] - kind[1]) % len(levels), kind[1], kind[0]))
    queues = [sorted(kinds[kind], key=lambda row: (_hash(names[row]), names[row])) for kind in diagonal]
    picked: list[int] = []
    depth = 0
    while len(picked) < min(count, len(names)):
        picked += [queue[depth] for queue in queues if depth < len(queue)]
        depth += 1
    return picked[:count]


def _hash(name: str) -> bytes:
    from hashlib import sha256

    return sha256(name.encode()).digest()


def read_images(store: Store, pairs: PairTable, row: int, data: Path) -> list[Image.Image]:
    """What the encoder saw of the chosen and of the rejected image of a pair.

    Raises:
        UserError: an image is missing or cannot be read.
    """
    return [_picture(store, int(image), data) for image in (pairs.chosen[row], pairs.rejected[row])]


def _picture(store: Store, row: int, data: Path) -> Image.Image:
    """What the encoder saw of an image: turned as its file says, cut to the encoder's view."""
    path = data / str(store.images.path[row])
    try:
        left, top, right, bottom = (round(edge) for edge in store.view_box(row))
        with Image.open(path) as image:
            return upright_rgb(image).crop((left, top, right, bottom))
    except FileNotFoundError:
        raise UserError(
            f"heatmaps: no image at {path}: name the folder of the images with --data, or ask for none"
        ) from None
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"heatmaps: {path} cannot be read as an image ({error})") from None


def pair_words(store: Store, pairs: PairTable, row: int, prediction: PairPrediction) -> list[list[Run]]:
    """The prompt of a pair in runs, as the chosen and as the rejected image keep its phrases; of heads that read none,
    nothing.
    """
    if prediction.kept is None:
        return []
    table, place = store.prompts, int(pairs.prompt[row])
    there = np.flatnonzero(table.phrase[place] >= 0)
    spans = [(int(table.phrase_start[place, i]), int(table.phrase_end[place, i])) for i in there]
    prompt = str(table.prompt[place])
    return [runs_of(prompt, [(*span, float(p)) for span, p in zip(spans, kept[there])]) for kept in prediction.kept]


def draw_pair(
    pairs: PairTable,
    row: int,
    prediction: PairPrediction,
    *,
    prompt: str,
    images: Sequence[Image.Image],
    stamp: str,
    words: Sequence[Sequence[Run]] = (),
) -> Image.Image:
    """The sheet of one pair: both images plain and under their heatmap, truth framed in black, findings in violet.

    Args:
        pairs: holds the truth.
        row: which pair.
        prediction: the auditor's, of it.
        prompt: the words.
        images: what the encoder saw of the chosen and of the rejected image.
        stamp: a remark for the foot of the title ("" for none).
        words: the prompt in runs for the chosen and for the rejected image, written under the heatmaps; none if empty.

    Returns:
        An RGB image.
    """
    grid = grid_side(prediction.risk.shape[1])
    risks = prediction.risk.reshape(2, grid, grid)
    shown = shown_risk(risks, prediction.risk_threshold)
    large = [image.resize((SIDE, SIDE), Image.Resampling.LANCZOS) for image in images]
    boxes = pairs.boxes[int(row)]
    bare = [Mark(box.x1, box.y1, box.x2, box.y2, dashed=box.absent, colour=TRUE) for box in boxes]
    names = ["missing here" if box.absent else CATEGORIES[box.category] for box in boxes]
    truth = [replace(mark, label=name) for mark, name in zip(bare, names)]
    alarms, found = (
        [Mark(each.x1, each.y1, each.x2, each.y2, label=f"{each.risk:.2f}", colour=FOUND) for each in some]
        for some in prediction.regions
    )
    reasons = [
        ", ".join(f"{CATEGORIES[c]} {part[c]:.2f}" for c in np.argsort(-part, kind="stable")[:2])
        for part in prediction.reason
    ]
    chosen, rejected = words or ((), ())
    other = "the other image" if pairs.control[row] else "rejected"
    panels = [
        Panel(large[0], "chosen", ""),
        Panel(draw_marks(overlay(large[0], shown[0]), alarms), "chosen, heatmap", f"reasons: {reasons[0]}", chosen),
        Panel(draw_marks(large[1], truth), other if pairs.control[row] else "rejected, what is wrong", ""),
        Panel(
            draw_marks(overlay(large[1], shown[1]), bare + found),
            f"{other}, heatmap (found in violet)",
            f"reasons: {reasons[1]}",
            rejected,
        ),
    ]
    scores = f"keeps the prompt: chosen {prediction.score[0]:.3f}, {other} {prediction.score[1]:.3f}"
    return panel_sheet(prompt, [scores, _truth_line(pairs, row), *([stamp] if stamp else [])], panels, side=SIDE)


def _truth_line(pairs: PairTable, row: int) -> str:
    broken = [CATEGORIES[c] for c in np.flatnonzero(pairs.category[row] == 1)]
    what = "control: both keep the prompt" if pairs.control[row] else f"broken: {', '.join(broken) or 'not stated'}"
    parts = [f"pair {pairs.pair_id[row]}", what, str(pairs.difficulty[row])]
    if not pairs.control[row]:
        parts.append(str(pairs.kind[row]).replace("_", " "))
    return " | ".join(part for part in parts if part)


def draw_sheets(
    store: Store,
    pairs: PairTable,
    shown: Sequence[int],
    *,
    prediction: Callable[[int], PairPrediction],
    data: Path,
    out: Path,
    stamp: str,
) -> list[Path]:
    """Draw and write the sheets of some pairs, and one contact sheet of the first dozen.

    Args:
        store: names the prompts and the images.
        pairs: the evaluated pairs.
        shown: which of them.
        prediction: the auditor's, of a pair.
        data: the folder of the images.
        out: the folder to write into; sheets of an earlier evaluation in it are replaced.
        stamp: a remark for each sheet ("" for none).

    Returns:
        The paths written, the contact sheet last.

    Raises:
        UserError: an image is missing or cannot be read.
    """
    images = [read_images(store, pairs, row, data) for row in shown]
    out.mkdir(parents=True, exist_ok=True)
    for old in [*out.glob("pair-*.png"), *out.glob("contact.png")]:
        old.unlink()
    written, sheets = [], []
    for place, (row, both) in enumerate(zip(shown, images)):
        prompt = str(store.prompts.prompt[pairs.prompt[row]])
        found = prediction(row)
        words = pair_words(store, pairs, row, found)
        sheets.append(draw_pair(pairs, row, found, prompt=prompt, images=both, stamp=stamp, words=words))
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", str(pairs.pair_id[row]))[:60]
        written.append(out / f"pair-{place:03d}-{name}.png")
        sheets[-1].save(written[-1])
    if sheets:
        written.append(out / "contact.png")
        contact_sheet(sheets[:12], columns=2, width=900).save(written[-1])
    return written
