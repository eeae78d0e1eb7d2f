"""The zero-shot baseline: the frozen encoder's own cosine, with nothing trained.

What is stored is L2-normalised, so a dot product is a cosine.
"""

import numpy as np

from tipai_jax.evaluation.baselines.embeddings import pair_embeddings
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.store import PairTable, Store

__all__ = ["zero_shot_cosine"]


def zero_shot_cosine(store: Store, pairs: PairTable) -> Predictions:
    """Cosine of prompt and image, times the encoder's logit scale; of prompt and patch likewise.

    Args:
        store: holds the embeddings.
        pairs: the pairs to judge.

    Returns:
        Both logits as scaled cosines, the risk as (1 - cosine) / 2, and as the logit of every reason the negative
        cosine of the whole: an encoder that names no category can still say that something is wrong.
    """
    scale = float(store.manifest.encoder.logit_scale)
    whole, parts = [], []
    for text, images, patches in pair_embeddings(store, pairs):
        whole.append(np.einsum("bd,bnd->bn", text, images))
        parts.append((patches @ text[:, None, :, None])[..., 0])
    cosine, patch = np.concatenate(whole), np.concatenate(parts)
    reason = np.repeat(-scale * cosine[..., None], pairs.category.shape[1], axis=-1)
    return Predictions(
        global_logit=scale * cosine, patch_logit=scale * patch, risk=(1.0 - patch) / 2.0, reason_logit=reason
    )
