"""The command that scores the images of a catalogue without training.

    python precompute/score.py [--data FOLDER] [--encoder ...]

A frozen CLIP gives the cosine of prompt and image, and of prompt and each of 49 patches. Both become scores by

    score = 1 / (1 + exp(-(s * cosine - c) / 6)),    s: the encoder's logit scale (its inverse temperature)

which lie between 0 and 1 in the order of the cosines. c is 15: the score 1/2 is a cosine of .15 for ViT-L/14 (s =
100), about the highest of unrelated prompts and images. For the small encoder, whose captions fit its drawings far
better (s = 55), c is 37, about the cosine of a drawing that breaks one thing. The score is not a probability.
Scored images are not scored again; the scores of every batch are written at once.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):  # run as a file: modules are found from the repository on, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from precompute.compute import add_encoder_options, bar_seconds, best_device, check_device, choose_dtype
from precompute.generate import FOLDER
from tipai_jax.errors import Parser, UserError, run_main

if TYPE_CHECKING:
    import numpy as np

    from precompute.encoders.clip import ClipEncoder
    from precompute.encoders.folder import EncoderFolder
    from precompute.encoders.images import Prepared
    from tipai_jax.store import Fingerprint
    from tipai_jax.store.catalog import Catalog, CatalogImage, CatalogScore, Scorer

__all__ = ["CENTRE", "WIDTH", "ZERO_SHOT", "score", "to_scores"]

ZERO_SHOT = "zero_shot"
CENTRE, SMALL_WORLD_CENTRE, WIDTH = 15.0, 37.0, 6.0
FEW = {"cpu": 16, "cuda": 64}
"""Images per forward pass: a catalogue holds few, and a batch that is not full is padded."""
RULE = (
    "1 / (1 + exp(-(s * cosine - {centre:g}) / {width:g})), s = {scale:.4g}, the encoder's logit scale; "
    "the same for the image and its patches"
)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; no argument is required.

    Raises:
        UserError: an unknown option, or a value that does not fit.
    """
    parser = Parser(
        prog="precompute/score.py",
        description="Score every image of a catalogue, and each of its 7 x 7 patches, against its prompt with a "
        "frozen CLIP.",
        epilog=f"score = 1 / (1 + exp(-(s * cosine - c) / {WIDTH:g})) with the encoder's logit scale s and "
        f"c = {CENTRE:g}, for the small encoder {SMALL_WORLD_CENTRE:g}: "
        "between 0 and 1, in the order of the cosines, not a probability.",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=FOLDER,
        help=f"the folder of the catalogue, as generate.py writes it (default: {FOLDER})",
    )
    add_encoder_options(parser, batch=FEW)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Score the images; returns 0."""
    args = parse_arguments(arguments)
    score(
        args.data,
        encoder=args.encoder,
        patches=args.patches,
        dtype=args.dtype,
        device=args.device,
        batch_size=args.batch_size,
    )
    return 0


def centre_of(encoder: "Fingerprint") -> float:
    """Where the score of an encoder is 1/2: c of the rule above."""
    return SMALL_WORLD_CENTRE if encoder.small_world_only else CENTRE


def to_scores(cosines: "np.ndarray", *, logit_scale: float, centre: float = CENTRE) -> "np.ndarray":
    """The scores of cosines by the rule above, elementwise, f64 of the same shape."""
    import numpy as np

    logits = (logit_scale * np.asarray(cosines, np.float64) - centre) / WIDTH
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def score(
    data: Path,
    *,
    encoder: str | None = None,
    patches: str | None = None,
    dtype: str | None = None,
    device: str | None = None,
    batch_size: int | None = None,
) -> "Scorer":
    """Score the images that are not scored yet; arguments as on the command line.

    Returns:
        The scorer as it is recorded in the catalogue.

    Raises:
        UserError: no catalogue or no image, an image that changed, or an encoder or device that is not available.
    """
    from precompute.encoders.folder import PHOTO_ENCODER, TINY, find_encoder
    from tipai_jax.store.catalog import open_catalog

    with open_catalog(data) as catalog:
        images = catalog.images()
        if not images:
            raise UserError(
                f"{data}: its catalogue holds no image; generate some first: python precompute/generate.py --out {data}"
            )
        drawn = all(image.drawn for image in images)
        folder = find_encoder(encoder or (TINY if drawn else PHOTO_ENCODER))
        device = device or best_device()
        check_device(device)
        patches = patches or folder.default_patches
        known_dtype = _known_dtype(catalog, folder, patches) if dtype == "auto" else None
        fingerprint = folder.fingerprint(patches=patches, dtype=known_dtype or choose_dtype(dtype, device))
        scorer = _scorer(fingerprint)
        known = catalog.scores(scorer)
        todo = [image for image in images if image.image_id not in known]
        if not todo:
            print(f"{data}: scored already, {len(images)} images by {scorer.model} (digest {scorer.digest[:12]})")
            return scorer
        if known:
            print(f"resuming: {len(known)} images are scored, {len(todo)} to do")
        _score(catalog, todo, scorer, _load(folder, fingerprint, device=device, batch_size=batch_size or FEW[device]))
        _print_summary(catalog, scorer, fingerprint, drawn=drawn)
    return scorer


def _known_dtype(catalog: "Catalog", folder: "EncoderFolder", patches: str) -> str | None:
    """The dtype in which this encoder has scored this catalogue before, so that --dtype auto adds no second scorer."""
    digests = {scorer.digest for scorer in catalog.scorers() if scorer.name == ZERO_SHOT}
    if not digests:
        return None  # saves hashing all weights
    return next(
        (
            dtype
            for dtype in ("float32", "float16", "bfloat16")
            if folder.fingerprint(patches=patches, dtype=dtype).digest in digests
        ),
        None,
    )


def _scorer(encoder: "Fingerprint") -> "Scorer":
    from tipai_jax.store.catalog import Scorer

    rule = RULE.format(centre=centre_of(encoder), width=WIDTH, scale=encoder.logit_scale)
    return Scorer(
        name=ZERO_SHOT,
        digest=encoder.digest,
        model=f"{encoder.name}, {encoder.patches} patches, {encoder.dtype}",
        rule=rule,
    )


def _load(folder: "EncoderFolder", fingerprint: "Fingerprint", *, device: str, batch_size: int) -> "ClipEncoder":
    from precompute.encoders.clip import load_clip

    return load_clip(folder, patches=fingerprint.patches, dtype=fingerprint.dtype, device=device, batch_size=batch_size)


def _score(catalog: "Catalog", todo: "list[CatalogImage]", scorer: "Scorer", encoder: "ClipEncoder") -> None:
    from tqdm import tqdm

    with tqdm(total=len(todo), desc="scoring", unit="image", mininterval=bar_seconds()) as bar:
        for start in range(0, len(todo), encoder.batch_size):
            part = todo[start : start + encoder.batch_size]
            catalog.put_scores(
                scorer, _score_batch(part, [_read(catalog.folder, image, encoder) for image in part], encoder)
            )
            bar.update(len(part))


def _read(folder: Path, image: "CatalogImage", encoder: "ClipEncoder") -> "Prepared":
    """An image, prepared for the encoder.

    Raises:
        UserError: it cannot be read, or is not the one of the catalogue any more.
    """
    from precompute.encoders.images import BadImage
    from tipai_jax.store.catalog import read_image

    try:
        return encoder.preparation.prepare(read_image(folder, image))
    except BadImage as error:
        raise UserError(f"{folder / image.path}: {error}; generate it with other settings, in another folder") from None


def _score_batch(
    images: "list[CatalogImage]", prepared: "list[Prepared]", encoder: "ClipEncoder"
) -> "list[CatalogScore]":
    """The scores of a batch of images, each against its own prompt."""
    import numpy as np

    from tipai_jax.store.catalog import CatalogScore

    text = encoder.encode_text([image.prompt for image in images]).text.astype(np.float64)
    embeddings = encoder.encode_images(prepared)
    scale = encoder.fingerprint.logit_scale
    cosines = np.einsum("nd,nd->n", embeddings.image.astype(np.float64), text)
    rule = {"logit_scale": scale, "centre": centre_of(encoder.fingerprint)}
    whole = to_scores(cosines, **rule)
    parts = to_scores(np.einsum("nkd,nd->nk", embeddings.patches.astype(np.float64), text), **rule)
    return [
        CatalogScore(
            sha256=image.sha256,
            prompt=image.prompt,
            global_score=float(one),
            raw=float(cosine),
            patch_scores=tuple(each.tolist()),
        )
        for image, one, cosine, each in zip(images, whole, cosines, parts, strict=True)
    ]


def _print_summary(catalog: "Catalog", scorer: "Scorer", encoder: "Fingerprint", *, drawn: bool) -> None:
    values = sorted(score.global_score for score in catalog.scores(scorer).values())
    middle = values[len(values) // 2]
    print(
        f"{catalog.folder}: {len(values)} images scored by {scorer.model}: {values[0]:.2f} to {values[-1]:.2f}, "
        f"half of them below {middle:.2f}"
    )
    print(f"rule      {scorer.rule}")
    if encoder.small_world_only != drawn:
        photos = "drawn scenes, scored by an encoder of photographs"
        drawn_only = "the encoder was trained on drawn scenes only, its scores of these images mean nothing"
        print(f"note      {drawn_only if encoder.small_world_only else photos}")
    print(f"digest    {scorer.digest}")


if __name__ == "__main__":
    raise SystemExit(run_main(main))
