"""Scores of a trained auditor for the images of a catalogue, entered beside those of other scorers.

The auditor is a scorer there like any other, so `precompute/` draws its heatmaps and sheets. Its digest is that of the
heads, and the stops of its colours are those of `render.shown_risk`.
"""

import functools
import io
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tipai_jax.errors import UserError
from tipai_jax.store.catalog import Catalog, CatalogImage, CatalogScore, Scorer, read_image

if TYPE_CHECKING:
    from precompute.encoders.images import Prepared
    from tipai_jax.auditor.api import Auditor

__all__ = ["AUDITOR", "audit_catalog"]

AUDITOR = "auditor"
PART = 32


def audit_catalog(auditor: "Auditor", catalog: Catalog) -> int:
    """Judge every image for the prompt it was made for; what this auditor has judged already is left alone.

    Args:
        auditor: whose scores are entered.
        catalog: open, and written to after every batch.

    Returns:
        How many images were judged now.

    Raises:
        UserError: there is no image, or one is missing or not the one of the catalogue.
    """
    from tqdm import tqdm

    encoder, threshold = auditor.bundle.encoder, auditor.bundle.calibration.risk_threshold
    scorer = Scorer(
        name=AUDITOR,
        digest=auditor.digests.heads,
        model=(
            f"heads of {auditor.bundle.trained['step']} steps on {encoder.name}, {encoder.patches} patches,"
            f" {encoder.dtype}"
        ),
        rule="calibrated probability that the image keeps the prompt; of a patch, 1 minus its risk in the heatmap",
        stops=(1.0 - min(1.0, 2.0 * threshold), 1.0 - threshold, 1.0),
    )
    images = catalog.images()
    if not images:
        raise UserError(
            f"{catalog.folder}: its catalogue holds no image; make some first: python precompute/generate.py --out"
            f" {catalog.folder}"
        )
    known = catalog.scores(scorer)
    todo = [image for image in images if image.image_id not in known]
    for start in tqdm(range(0, len(todo), PART), unit="batch", file=sys.stderr, disable=not sys.stderr.isatty()):
        part = todo[start : start + PART]
        _ = auditor.encoder  # loaded once, before threads ask for it
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
            prepared = list(pool.map(functools.partial(_prepared, auditor, catalog.folder), part))
        verdicts = auditor.score(auditor.embed_prepared(prepared), [image.prompt for image in part])
        scores = [
            CatalogScore(
                sha256=image.sha256,
                prompt=image.prompt,
                global_score=verdict.score,
                raw=verdict.logit,
                patch_scores=tuple((1.0 - verdict.risk.reshape(-1).astype(float)).tolist()),
            )
            for image, verdict in zip(part, verdicts, strict=True)
        ]
        catalog.put_scores(scorer, scores)
    return len(todo)


def _prepared(auditor: "Auditor", folder: Path, image: CatalogImage) -> "Prepared":
    """An image of the catalogue as the encoder takes it.

    Raises:
        UserError: it is missing, or not the one of the catalogue.
    """
    from PIL import Image

    return auditor.prepare(Image.open(io.BytesIO(read_image(folder, image))))
