"""An auditor without training: heads of random weights on the small encoder, with calibrations made up."""

from pathlib import Path

import jax
import numpy as np
from flax import nnx

from precompute.encoders.folder import find_encoder
from tipai_jax.auditor.bundle import Bundle
from tipai_jax.config import InputFeatures, ModelConfig
from tipai_jax.evaluation.calibration import Calibration
from tipai_jax.evaluation.calibrators import Beta, Isotonic, Platt
from tipai_jax.evaluation.conformal import Conformal
from tipai_jax.files.nested import flatten
from tipai_jax.store import CATEGORIES, Fingerprint
from tipai_jax.tasks.auditor import build_heads

CALIBRATION = Calibration(
    global_score=Platt(1.5, 0.1),
    patch=Beta(0.8, 1.1, 0.0),
    reason={name: Platt(1.0, -0.2 * i) for i, name in enumerate(CATEGORIES)},
    worst_patch=Isotonic((-1.0, 1.0), (0.2, 0.8)),
    conformal=Conformal(tuple(np.linspace(-0.5, 1.0, 40).tolist()), tuple(np.linspace(-1.0, 0.5, 40).tolist())),
    risk_threshold=0.5,
    box_reach=0.15,
)


def tiny_fingerprint(patches: str = "raw") -> Fingerprint:
    return find_encoder("tiny").fingerprint(patches=patches, dtype="float32")


def make_bundle(
    encoder: Fingerprint, *, model: ModelConfig | None = None, seed: int = 0, evaluation: dict | None = None
) -> Bundle:
    """Heads whose every parameter is moved off zero, so that none of them could be left out unseen."""
    model = model or ModelConfig(
        hidden=16,
        global_inputs=InputFeatures(products=True, scale_inputs=True),
        patch_inputs=InputFeatures(products=True, scale_inputs=True),
    )
    params = nnx.to_pure_dict(nnx.state(build_heads(model, d=encoder.d, k=encoder.k, seed=seed), nnx.Param))
    rng = np.random.default_rng(seed)
    moved = jax.tree.map(lambda leaf: np.asarray(leaf) + rng.normal(0, 0.1, leaf.shape).astype(np.float32), params)
    trained = {"store_digest": "0" * 64, "step": 7, "validation_pair_auc": 0.5, "small_world_only": True}
    return Bundle(
        model=model,
        weights=flatten(moved),
        calibration=CALIBRATION,
        encoder=encoder,
        trained=trained,
        evaluation=evaluation,
    )


def draw_image(seed: int, *, size: tuple[int, int] = (160, 160)) -> np.ndarray:
    """u8[height, width, 3]: coloured rectangles."""
    rng = np.random.default_rng(seed)
    made = np.full((size[1], size[0], 3), 230, np.uint8)
    for _ in range(4):
        x, y = rng.integers(0, size[0] // 2), rng.integers(0, size[1] // 2)
        made[y : y + size[1] // 3, x : x + size[0] // 3] = rng.integers(0, 255, 3)
    return made


def write_image(folder: Path, seed: int, **how) -> Path:
    from PIL import Image

    path = folder / f"{seed}.png"
    Image.fromarray(draw_image(seed, **how)).save(path)
    return path
