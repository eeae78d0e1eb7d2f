"""A trained auditor's opinion on the pictures of a catalogue, entered beside those of other scorers.

Owns how the auditor appears there: its name, its digest (that of the heads), its rule, and the stops of its colours
    (`render.shown_risk`). The pictures, the best and worst and the sheets are the
business of `precompute/`; whatever can be made of a scorer there can be made of this one.
"""

import io
import sys
from typing import TYPE_CHECKING

from tipai_jax.errors import UserError
from tipai_jax.store.catalog import Catalog, CatalogScore, Scorer, read_image

if TYPE_CHECKING:
    from tipai_jax.auditor import Auditor

__all__ = ["AUDITOR", "audit_catalog"]

AUDITOR = "auditor"
PART = 32


def audit_catalog(auditor: "Auditor", catalog: Catalog) -> int:
    """Judge every picture for the prompt it was made for; what this auditor has judged already is left alone.

    Args:
        auditor: who judges.
        catalog: open, and written to after every batch.

    Returns:
        How many pictures were judged now.

    Raises:
        UserError: there is no picture, or one is missing or not the one of the catalogue.
    """
    from PIL import Image
    from tqdm import tqdm

    encoder, threshold = auditor.bundle.encoder, auditor.bundle.calibration.risk_threshold
    scorer = Scorer(
        name=AUDITOR,
        digest=auditor.digests.heads,
        model=(
            f"heads of {auditor.bundle.trained['step']} steps on {encoder.name}, {encoder.patches} patches,"
            f" {encoder.dtype}"
        ),
        rule="calibrated probability that the picture keeps the prompt; of a patch, 1 minus its risk in the heatmap",
        stops=(1.0 - min(1.0, 2.0 * threshold), 1.0 - threshold, 1.0),
    )
    images = catalog.images()
    if not images:
        raise UserError(
            f"{catalog.folder}: its catalogue holds no picture; make some first: python precompute/generate.py --out"
            f" {catalog.folder}"
        )
    known = catalog.scores(scorer)
    todo = [image for image in images if image.image_id not in known]
    for start in tqdm(range(0, len(todo), PART), unit="batch", file=sys.stderr, disable=not sys.stderr.isatty()):
        part = todo[start : start + PART]
        pictures = [auditor.prepare(Image.open(io.BytesIO(read_image(catalog.folder, image)))) for image in part]
        verdicts = auditor.score(auditor.embed_prepared(pictures), [image.prompt for image in part])
        scores = [
            CatalogScore(
                sha256=image.sha256,
                prompt=image.prompt,
                global_score=said.score,
                raw=said.logit,
                patch_scores=tuple((1.0 - said.risk.reshape(-1).astype(float)).tolist()),
            )
            for image, said in zip(part, verdicts, strict=True)
        ]
        catalog.put_scores(scorer, scores)
    return len(todo)
