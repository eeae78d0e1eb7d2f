"""The entries of the best and the worst pairs of an evaluation, and their sheets for the report.

eval.json: "best_and_worst": {"best": [entry, ...], "worst": [entry, ...]}
FOLDER/best-01.webp ... worst-10.webp
"""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tipai_jax.errors import UserError
from tipai_jax.evaluation.pair_sheets import PairPrediction, draw_pair, pair_words, read_images
from tipai_jax.files.atomic import write_file
from tipai_jax.store import CATEGORIES, PairTable, Store

__all__ = ["draw_best_and_worst"]

QUALITY = 80
NO_FOLDER = "the folder of the images is not there any more; name it with --data and evaluate again"


def draw_best_and_worst(
    store: Store,
    pairs: PairTable,
    sides: Mapping[str, Sequence[int]],
    *,
    prediction: Callable[[int], PairPrediction],
    data: Path | None,
    folder: Path,
    stamp: str,
) -> dict[str, list[dict[str, Any]]]:
    """Draw the sheets of the best and worst pairs and say what is on them.

    Args:
        store: names the prompts and the images.
        pairs: the evaluated pairs.
        sides: "best" and "worst" -> row numbers.
        prediction: the auditor's, of a row.
        data: the folder of the images; None where it is not known.
        folder: of the sheets; those of an earlier evaluation in it are replaced.
        stamp: a remark for each sheet ("" for none).

    Returns:
        For each side its entries: `pair_id`, `title` (the prompt), `facts` (a sentence or two), `broken` (names of
        categories), `difficulty`, `score` (calibrated, chosen and rejected), `reason` (the strongest of the rejected
        image, and its probability), `words` (the prompt in runs, [text, probability that the image keeps it or None],
        for the chosen and for the rejected image; nothing of heads that read no phrases), `sheet` (a file in the
        folder, or None) and `no_sheet` (why there is none, or "").

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        for old in [old for side in sides for old in folder.glob(f"{side}-*.webp")]:
            old.unlink()
        return {
            side: [
                _entry(
                    store,
                    pairs,
                    row,
                    prediction(row),
                    data=data,
                    sheet=folder / f"{side}-{place:02d}.webp",
                    stamp=stamp,
                )
                for place, row in enumerate(rows, start=1)
            ]
            for side, rows in sides.items()
        }
    except OSError as error:
        raise UserError(
            f"{folder}: the sheets of the report cannot be written ({error.strerror}); name another --out"
        ) from None


def _entry(
    store: Store, pairs: PairTable, row: int, prediction: PairPrediction, *, data: Path | None, sheet: Path, stamp: str
) -> dict[str, Any]:
    """What the record holds of a pair; its sheet is drawn where its images can be read."""
    prompt = str(store.prompts.prompt[pairs.prompt[row]])
    strongest = int(np.argmax(prediction.reason[1]))
    broken = [CATEGORIES[c] for c in np.flatnonzero(pairs.category[row] == 1)]
    chosen, rejected = (float(score) for score in prediction.score)
    reason, chance = CATEGORIES[strongest], float(prediction.reason[1, strongest])
    name, difficulty = str(pairs.pair_id[row]), str(pairs.difficulty[row])
    facts = f"Chosen {chosen:.3f}, rejected {rejected:.3f}, difference {chosen - rejected:+.3f}. "
    facts += f"Broken: {', '.join(broken) or 'not known'}; the auditor's first reason: {reason} ({chance:.2f}). "
    words = pair_words(store, pairs, row, prediction)
    entry = {
        "pair_id": name,
        "title": prompt,
        "facts": f"{facts}Pair {name}{f', {difficulty}' if difficulty else ''}.",
        "broken": broken,
        "difficulty": difficulty,
        "score": [chosen, rejected],
        "reason": [reason, chance],
        "words": [[list(run) for run in image] for image in words],
    }
    if data is None:
        return entry | {"sheet": None, "no_sheet": NO_FOLDER}
    try:
        images = read_images(store, pairs, row, data)
    except UserError:
        names = " or ".join(str(store.images.path[image]) for image in (pairs.chosen[row], pairs.rejected[row]))
        return entry | {
            "sheet": None,
            "no_sheet": f"{names} is missing from the folder of the images or cannot be read",
        }
    drawn = draw_pair(pairs, row, prediction, prompt=prompt, images=images, stamp=stamp, words=words)
    write_file(sheet, _webp(drawn))
    return entry | {"sheet": sheet.name, "no_sheet": ""}


def _webp(sheet: Image.Image) -> bytes:
    data = io.BytesIO()
    sheet.save(data, "WEBP", quality=QUALITY, method=4)
    return data.getvalue()
