"""The best and the worst pairs of an evaluation: which they are, what is said of them, and their sheets for the report.

It owns the order of the pairs, their entries in `eval.json` and the files of their sheets. What stands on a sheet is
`gallery.py`'s, what becomes of the entries is the report's.

    eval.json: "extremes": {"best": [entry, ...], "worst": [entry, ...]}
    FOLDER/best-01.webp ... worst-10.webp
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tipai_jax.calibrate import Calibration
from tipai_jax.errors import UserError
from tipai_jax.gallery import Opinion, draw_pair, opinion_of, read_pictures
from tipai_jax.predictions import Predictions
from tipai_jax.store import CATEGORIES, PairTable, Store
from tipai_jax.store.durable import write_file

__all__ = ["extremes", "pick_extremes"]

SIDES = ("best", "worst")
COUNT = 10
QUALITY = 80
NO_FOLDER = "the folder of the pictures is not there any more; name it with --data and evaluate again"


def pick_extremes(
    ours: Predictions, pairs: PairTable, calibration: Calibration, *, count: int = COUNT
) -> tuple[list[int], list[int]]:
    """The pairs told apart best, and those told apart worst or the wrong way round.

    They go by the calibrated score of the chosen image minus that of the rejected one; where a calibrator of few steps
    makes
    that equal, by the same difference of the logits, and then by name. Controls are left out.

    Args:
        ours: the opinions.
        pairs: the evaluated pairs.
        calibration: of the opinions.
        count: how many of each, at most; of few pairs each is shown once.

    Returns:
        Row numbers, the best first and the worst first.
    """
    rows = np.flatnonzero(~pairs.control)
    calibrated = calibration.global_score(ours.score[rows])
    gap, logits = calibrated[:, 0] - calibrated[:, 1], ours.score[rows, 0] - ours.score[rows, 1]
    order = rows[np.lexsort((pairs.pair_id[rows].astype(str), -logits, -gap))].tolist()
    best = order[: min(count, (len(order) + 1) // 2)]
    return best, order[len(best) :][-count:][::-1]


def extremes(
    store: Store, pairs: PairTable, ours: Predictions, calibration: Calibration, *, data: Path | None, folder: Path
) -> dict[str, list[dict[str, Any]]]:
    """Choose the pairs, draw their sheets and say what is on them.

    Args:
        store: names the prompts and the pictures.
        pairs: the evaluated pairs.
        ours: what the heads say of them.
        calibration: of the opinions.
        data: the folder of the pictures; None where it is not known.
        folder: of the sheets; those of an earlier evaluation in it are replaced.

    Returns:
        For each side its entries: `pair_id`, `prompt`, `broken` (names of categories), `difficulty`, `score`
            (calibrated, chosen
        and rejected), `reason` (the strongest of the rejected image, and its probability), `sheet` (a file in the
        folder, or None)
        and `no_sheet` (why there is none, or "").

    Raises:
        UserError: the folder cannot be written.
    """
    rows = dict(zip(SIDES, pick_extremes(ours, pairs, calibration)))
    try:
        for old in (old for side in SIDES for old in folder.glob(f"{side}-*.webp")):
            old.unlink()
        return {
            side: [
                _entry(
                    store,
                    pairs,
                    row,
                    opinion_of(ours, calibration, row),
                    data=data,
                    sheet=folder / f"{side}-{place:02d}.webp",
                )
                for place, row in enumerate(rows[side], start=1)
            ]
            for side in SIDES
        }
    except OSError as error:
        raise UserError(
            f"{folder}: the sheets of the report cannot be written ({error.strerror}); name another place with --out"
        ) from None


def _entry(
    store: Store, pairs: PairTable, row: int, opinion: Opinion, *, data: Path | None, sheet: Path
) -> dict[str, Any]:
    """What is said of a pair; its sheet is drawn where its pictures can be read."""
    prompt = str(store.prompts.prompt[pairs.prompt[row]])
    strongest = int(np.argmax(opinion.reason[1]))
    entry = {
        "pair_id": str(pairs.pair_id[row]),
        "prompt": prompt,
        "broken": [CATEGORIES[c] for c in np.flatnonzero(pairs.category[row] == 1)],
        "difficulty": str(pairs.difficulty[row]),
        "score": [float(score) for score in opinion.score],
        "reason": [CATEGORIES[strongest], float(opinion.reason[1, strongest])],
    }
    if data is None:
        return entry | {"sheet": None, "no_sheet": NO_FOLDER}
    try:
        pictures = read_pictures(store, pairs, row, data)
    except UserError:
        names = " or ".join(str(store.images.path[image]) for image in (pairs.chosen[row], pairs.rejected[row]))
        return entry | {
            "sheet": None,
            "no_sheet": f"{names} is missing from the folder of the pictures or cannot be read",
        }
    stamp = "small world only: drawn scenes, no photographs" if store.manifest.small_world_only else ""
    write_file(sheet, _webp(draw_pair(pairs, row, opinion, prompt=prompt, pictures=pictures, stamp=stamp)))
    return entry | {"sheet": sheet.name, "no_sheet": ""}


def _webp(sheet: Image.Image) -> bytes:
    data = io.BytesIO()
    sheet.save(data, "WEBP", quality=QUALITY, method=4)
    return data.getvalue()
