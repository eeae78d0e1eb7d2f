"""Heads that are shown half of the question: only the prompt, or only the image. On pairs they must stay at chance.

It owns how such a head is trained: by the same loop, on the same pairs, but shorter. If one of them tells the chosen
image from the rejected one, the data have a shortcut, and every other figure is to be doubted.
"""

import contextlib
import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tipai_jax.config import (
    CheckpointConfig,
    Config,
    DataConfig,
    LogConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    SeesConfig,
    to_json,
)
from tipai_jax.errors import UserError
from tipai_jax.predictions import Predictions
from tipai_jax.store import PairTable, Store

__all__ = ["BLIND", "BlindHead", "blind_config", "fit_blind"]

Blind = Literal["text_only", "image_only"]
BLIND: Mapping[Blind, SeesConfig] = {
    "text_only": SeesConfig(image=False, scale_inputs=True),
    "image_only": SeesConfig(text=False, scale_inputs=True),
}

EPOCHS, BATCH, HIDDEN, RATE = 3, 64, 64, 1e-3


def blind_config(config: Config, *, which: Blind, store: Path, workdir: Path, pairs: int) -> Config:
    """The short run of a blind head.

    Args:
        config: of the run it stands beside; only the seed and the placement are taken over.
        which: what it is shown.
        store: where the embeddings lie.
        workdir: folder of the short run.
        pairs: of the training split.

    Returns:
        Three epochs over all pairs (from the first, no curriculum) of a global, a patch and a reason head of width 64
        with
        L_pair, L_patch, L_faithfulness and L_reason in equal parts, inputs scaled to size one, 1e-3 after a tenth of
        the
        steps, cosine. What the patch head reaches without the prompt is what things look like, whatever was asked for.
    """
    steps = EPOCHS * max(1, pairs // BATCH)
    return Config(
        store=str(store),
        workdir=str(workdir),
        seed=config.seed,
        model=ModelConfig(hidden=HIDDEN, global_sees=BLIND[which], reason_sees=BLIND[which], patch_sees=BLIND[which]),
        loss=LossConfig(
            pair=1.0,
            patch=1.0,
            faithfulness=1.0,
            saliency=0.0,
            reason=1.0,
            score_space="logit",
            patch_over="unfaithful",
            faithfulness_over="both",
        ),
        optim=OptimConfig(peak_lr=RATE, warmup_steps=steps // 10),
        data=DataConfig(
            batch_size=BATCH, epochs=EPOCHS, start_fraction=1.0, full_at_epoch=0, placement=config.data.placement
        ),
        checkpoint=CheckpointConfig(every_epochs=EPOCHS),
        log=LogConfig(progress=False),
    )


class BlindHead:
    """A trained blind head, to be called on pairs."""

    def __init__(self, workdir: Path) -> None:
        """Load it from the folder of its run."""
        from tipai_jax.train import load_run

        self._run = load_run(workdir)

    def __call__(self, store: Store, pairs: PairTable) -> Predictions:
        """Opinions on pairs."""
        from tipai_jax.predict import predict

        return Predictions.from_mapping(predict(self._run.model, store, pairs))


def fit_blind(config: Config, store: Store, *, which: Blind, pairs: int, folder: Path) -> BlindHead:
    """Train a blind head, or load it if this very run was done before.

    Args:
        config: of the run it stands beside.
        store: to train from.
        which: what it is shown.
        pairs: of the training split.
        folder: where its run is kept; the name of the run holds a digest of its config and of the store.

    Raises:
        UserError: the run failed or was interrupted.
    """
    from tipai_jax.train import fit

    short = blind_config(config, which=which, store=store.path, workdir=folder, pairs=pairs)
    record = {**to_json(replace(short, store="-", workdir="-")), "digest": store.manifest.digest}
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:8]
    workdir = folder / f"{which}-{digest}"
    for old in folder.glob(f"{which}-*"):
        if old != workdir:
            shutil.rmtree(old, ignore_errors=True)
    with contextlib.redirect_stdout(io.StringIO()):  # that a cached run has nothing to do is no news here
        result = fit(replace(short, workdir=str(workdir)))
    if result.status == "interrupted":
        raise UserError(f"the {which} baseline was interrupted: run the same command again to go on")
    return BlindHead(workdir)
