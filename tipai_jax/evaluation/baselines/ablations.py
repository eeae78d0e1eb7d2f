"""Text-only and image-only ablations: heads that read only the prompt, or only the image. On pairs they stay at chance.

They are trained by the same loop on the same pairs, but shorter. If one of them tells the chosen image from the
rejected one, the data have a shortcut, and every other figure is to be doubted.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tipai_jax.config import (
    AuditorConfig,
    CheckpointConfig,
    DataConfig,
    InputFeatures,
    LogConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
)
from tipai_jax.config.records import for_digest
from tipai_jax.errors import UserError
from tipai_jax.evaluation.inference import load_run, predict
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.store import PairTable, Store
from tipai_jax.tasks.auditor import AuditorTask
from tipai_jax.training.loop import fit

__all__ = ["ABLATIONS", "AblationHeads", "ablation_config", "fit_ablation"]

Ablation = Literal["text_only", "image_only"]
ABLATIONS: Mapping[Ablation, InputFeatures] = {
    "text_only": InputFeatures(image=False, scale_inputs=True),
    "image_only": InputFeatures(text=False, scale_inputs=True),
}

EPOCHS, BATCH, HIDDEN, RATE = 3, 64, 64, 1e-3
MATCHED_STEPS = 200
"""Of the image-only ablation of heads that read phrases, which is as large as they are and trained more shortly: for
as many epochs as hold so many steps, at most those of the heads.
"""


def ablation_config(config: AuditorConfig, *, which: Ablation, store: Path, workdir: Path, pairs: int) -> AuditorConfig:
    """The short run of an ablation.

    Args:
        config: of the run it stands beside. Of heads that read phrases the image-only ablation is the same config with
            the prompt hidden, for `MATCHED_STEPS`; else only the seed and the placement are taken over.
        which: what it reads.
        store: where the embeddings lie.
        workdir: folder of the short run.
        pairs: of the training split.

    Returns:
        That config, or three epochs over all pairs (from the first, no curriculum) of a global, a patch and a reason
        head of width 64 with L_pair, L_patch, L_faithfulness and L_reason in equal parts, inputs scaled to size one,
        1e-3 after a tenth of the steps, cosine. What the patch head reaches without the prompt is what things look
        like, whatever was asked for.
    """
    kept = {"checkpoint": CheckpointConfig(every_epochs=EPOCHS), "log": LogConfig(progress=False)}
    kept |= {"store": str(store), "workdir": str(workdir)}
    if config.model.heads == "phrases" and which == "image_only":
        an_epoch = max(1, pairs // config.data.batch_size)
        epochs = min(config.data.epochs, math.ceil(MATCHED_STEPS / an_epoch))
        steps = epochs * an_epoch
        return replace(
            config,
            model=replace(config.model, reads="image"),
            loss=replace(config.loss, phrase=0.0),
            optim=replace(config.optim, warmup_steps=min(config.optim.warmup_steps, steps // 10)),
            data=replace(config.data, epochs=epochs, start_fraction=1.0, full_at_epoch=0),
            **kept,
        )
    steps = EPOCHS * max(1, pairs // BATCH)
    return AuditorConfig(
        **kept,
        seed=config.seed,
        model=ModelConfig(
            hidden=HIDDEN, global_inputs=ABLATIONS[which], reason_inputs=ABLATIONS[which], patch_inputs=ABLATIONS[which]
        ),
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
    )


class AblationHeads:
    """A trained ablation, to be called on pairs."""

    def __init__(self, workdir: Path) -> None:
        """Load it from the folder of its run."""
        self._run = load_run(workdir)

    def __call__(self, store: Store, pairs: PairTable) -> Predictions:
        """Predictions on pairs."""
        task = self._run.task
        assert isinstance(task, AuditorTask)
        return Predictions.from_heads(predict(task, self._run.model, task.columns_of(store, pairs)))


def fit_ablation(config: AuditorConfig, store: Store, *, which: Ablation, pairs: int, folder: Path) -> AblationHeads:
    """Train an ablation, or load it if this very run was done before.

    Args:
        config: of the run it stands beside.
        store: to train from.
        which: what it reads.
        pairs: of the training split.
        folder: where its run is kept; the name of the run holds a digest of its config and of the store.

    Raises:
        UserError: the run failed or was interrupted.
    """
    short = ablation_config(config, which=which, store=store.path, workdir=folder, pairs=pairs)
    record = {**for_digest(replace(short, store="-", workdir="-")), "digest": store.manifest.digest}
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:8]
    workdir = folder / f"{which}-{digest}"
    for old in folder.glob(f"{which}-*"):
        if old != workdir:
            shutil.rmtree(old, ignore_errors=True)
    result = fit(replace(short, workdir=str(workdir)), quiet=True)
    if result.status == "interrupted":
        raise UserError(f"the {which} baseline was interrupted: run the same command again to go on")
    return AblationHeads(workdir)
