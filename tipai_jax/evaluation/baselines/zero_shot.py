"""The zero-shot baseline: the frozen encoder's own cosine, with nothing trained.

What is stored is L2-normalised, so a dot product is a cosine.
"""

import numpy as np

from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.store import PairTable, Store

__all__ = ["CHUNK", "zero_shot_cosine"]

#: Pairs read from the store at a time.
CHUNK = 256


def zero_shot_cosine(store: Store, pairs: PairTable) -> Predictions:
    """Cosine of prompt and image, times the encoder's logit scale; of prompt and patch likewise.

    Args:
        store: holds the embeddings.
        pairs: the pairs to judge.

    Returns:
        `score` and `patch` as scaled cosines, `risk` as (1 - cosine) / 2, and `reason` as the negative score for every
        category: an encoder that names no category can still say that something is wrong.
    """
    scale = float(store.manifest.encoder.logit_scale)
    whole, parts = [], []
    for start in range(0, len(pairs.pair_id), CHUNK):
        rows = slice(start, start + CHUNK)
        text = store.text.take(pairs.prompt[rows]).astype(np.float32)
        both = np.stack([pairs.chosen[rows], pairs.rejected[rows]], axis=1)
        whole.append(np.einsum("bd,bnd->bn", text, store.image.take(both).astype(np.float32)))
        parts.append((store.patches.take(both).astype(np.float32) @ text[:, None, :, None])[..., 0])
    cosine, patch = np.concatenate(whole), np.concatenate(parts)
    reason = np.repeat(-scale * cosine[..., None], pairs.category.shape[1], axis=-1)
    return Predictions(
        global_logit=scale * cosine, patch_logit=scale * patch, risk=(1.0 - patch) / 2.0, reason_logit=reason
    )
