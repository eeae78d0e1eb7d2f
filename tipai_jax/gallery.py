"""Heatmap sheets of pairs: which pairs are shown, and what stands on a sheet.

It owns the choice of pairs, the reading of their pictures and the words on a sheet. How a sheet is drawn is `render`'s;
what the numbers are is the evaluation's.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps, UnidentifiedImageError

from tipai_jax.calibrate import Calibration
from tipai_jax.errors import UserError
from tipai_jax.predictions import Predictions
from tipai_jax.render import (
    Mark,
    Panel,
    contact_sheet,
    draw_marks,
    enlarge,
    find_boxes,
    overlay,
    panel_sheet,
    shown_risk,
    to_rgb,
)
from tipai_jax.store import CATEGORIES, PairTable, Store

__all__ = ["Opinion", "draw_gallery", "draw_pair", "opinion_of", "pick_pairs", "read_pictures"]

SIDE = 300
TRUE, FOUND = (20, 20, 24), (150, 0, 130)


@dataclass(frozen=True)
class Opinion:
    """What is said of one pair, calibrated: index 0 chosen, 1 rejected. `reason`: probability of each category."""

    score: Float[np.ndarray, " 2"]
    risk: Float[np.ndarray, "2 k"]
    reason: Float[np.ndarray, "2 c"]
    risk_threshold: float


def opinion_of(ours: Predictions, calibration: Calibration, row: int) -> Opinion:
    """The calibrated opinion on one pair of heads that have one on everything."""
    assert ours.risk is not None and ours.reason is not None
    reason = np.stack([calibration.reason[name](ours.reason[row][:, c]) for c, name in enumerate(CATEGORIES)], axis=-1)
    return Opinion(calibration.global_score(ours.score[row]), ours.risk[row], reason, calibration.risk_threshold)


def pick_pairs(pairs: PairTable, count: int) -> list[int]:
    """Rows to show: one of each kind in turn, where a kind is a category (or a control) at a difficulty.

    The kinds are walked diagonally, so that the first six already hold every category and every difficulty.

    Args:
        pairs: the evaluated pairs.
        count: how many to pick, at most.

    Returns:
        Row numbers, the same for the same table; within a kind the pairs of the smallest hash of their name come first,
        so that the order of the file has no say.
    """
    levels = {"easy": 0, "medium": 1, "hard": 2}
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


def read_pictures(store: Store, pairs: PairTable, row: int, data: Path) -> list[Image.Image]:
    """What the encoder saw of the chosen and of the rejected image of a pair.

    Raises:
        UserError: a picture is missing or cannot be read.
    """
    return [_picture(store, int(image), data) for image in (pairs.chosen[row], pairs.rejected[row])]


def _picture(store: Store, row: int, data: Path) -> Image.Image:
    """What the encoder saw of an image: turned as its file says, cut to the encoder's view."""
    path = data / str(store.images.path[row])
    try:
        with Image.open(path) as picture:
            return to_rgb(ImageOps.exif_transpose(picture)).crop(tuple(round(edge) for edge in store.view_box(row)))
    except FileNotFoundError:
        raise UserError(
            f"heatmaps: no picture at {path}: name the folder of the pictures with --data, or ask for none"
        ) from None
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"heatmaps: {path} cannot be read as a picture ({error})") from None


def draw_pair(
    pairs: PairTable, row: int, opinion: Opinion, *, prompt: str, pictures: Sequence[Image.Image], stamp: str
) -> Image.Image:
    """The sheet of one pair: both pictures plain and under their heatmap, truth framed in black, findings in violet.

    Args:
        pairs: holds the truth.
        row: which pair.
        opinion: what is said of it.
        prompt: the words.
        pictures: what the encoder saw of the chosen and of the rejected image.
        stamp: a remark for the foot of the title ("" for none).

    Returns:
        An RGB picture.
    """
    grid = round(opinion.risk.shape[1] ** 0.5)
    risks = opinion.risk.reshape(2, grid, grid)
    shown = shown_risk(risks, opinion.risk_threshold)
    large = [picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS) for picture in pictures]
    boxes = pairs.boxes[int(row)]
    bare = [Mark(box.x1, box.y1, box.x2, box.y2, dashed=box.absent, colour=TRUE) for box in boxes]
    names = ["missing here" if box.absent else CATEGORIES[box.category] for box in boxes]
    truth = [replace(mark, label=name) for mark, name in zip(bare, names)]
    found = [
        Mark(x1, y1, x2, y2, label=f"{peak:.2f}", colour=FOUND)
        for x1, y1, x2, y2, peak in find_boxes(enlarge(risks[1], (SIDE, SIDE)), opinion.risk_threshold)
    ]
    said = [
        ", ".join(f"{CATEGORIES[c]} {part[c]:.2f}" for c in np.argsort(-part, kind="stable")[:2])
        for part in opinion.reason
    ]
    other = "the other picture" if pairs.control[row] else "rejected"
    panels = [
        Panel(large[0], "chosen", ""),
        Panel(overlay(large[0], shown[0]), "chosen, heatmap", f"reasons: {said[0]}"),
        Panel(draw_marks(large[1], truth), other if pairs.control[row] else "rejected, what is wrong", ""),
        Panel(
            draw_marks(overlay(large[1], shown[1]), bare + found),
            f"{other}, heatmap (found in violet)",
            f"reasons: {said[1]}",
        ),
    ]
    scores = f"keeps the prompt: chosen {opinion.score[0]:.3f}, {other} {opinion.score[1]:.3f}"
    return panel_sheet(prompt, [scores, _truth_line(pairs, row), *([stamp] if stamp else [])], panels, side=SIDE)


def _truth_line(pairs: PairTable, row: int) -> str:
    broken = [CATEGORIES[c] for c in np.flatnonzero(pairs.category[row] == 1)]
    what = "control: both keep the prompt" if pairs.control[row] else f"broken: {', '.join(broken) or 'not said'}"
    parts = [f"pair {pairs.pair_id[row]}", what, str(pairs.difficulty[row])]
    if not pairs.control[row]:
        parts.append(str(pairs.kind[row]).replace("_", " "))
    return " | ".join(part for part in parts if part)


def draw_gallery(
    store: Store,
    pairs: PairTable,
    rows: Sequence[int],
    *,
    opinion: Callable[[int], Opinion],
    data: Path,
    out: Path,
    stamp: str,
) -> list[Path]:
    """Draw and write the sheets of some pairs, and one contact sheet of the first dozen.

    Args:
        store: names the prompts and the pictures.
        pairs: the evaluated pairs.
        rows: which of them.
        opinion: what is said of a row.
        data: the folder of the pictures.
        out: the folder to write into; sheets of an earlier evaluation in it are replaced.
        stamp: a remark for each sheet ("" for none).

    Returns:
        The paths written, the contact sheet last.

    Raises:
        UserError: a picture is missing or cannot be read.
    """
    pictures = [read_pictures(store, pairs, row, data) for row in rows]
    out.mkdir(parents=True, exist_ok=True)
    for old in [*out.glob("pair-*.png"), *out.glob("contact.png")]:
        old.unlink()
    written, sheets = [], []
    for place, (row, both) in enumerate(zip(rows, pictures)):
        prompt = str(store.prompts.prompt[pairs.prompt[row]])
        sheets.append(draw_pair(pairs, row, opinion(row), prompt=prompt, pictures=both, stamp=stamp))
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", str(pairs.pair_id[row]))[:60]
        written.append(out / f"pair-{place:03d}-{name}.png")
        sheets[-1].save(written[-1])
    if sheets:
        written.append(out / "contact.png")
        contact_sheet(sheets[:12], columns=2, width=900).save(written[-1])
    return written
