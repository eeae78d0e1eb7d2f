"""The zero-shot baselines: the frozen encoder's own cosines, with nothing trained, of the prompt or of its phrases.

What is stored is L2-normalised, so a dot product is a cosine.
"""

import numpy as np

from tipai_jax.evaluation.baselines.embeddings import CHUNK, pair_embeddings
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.store import PairTable, Store

__all__ = ["zero_shot_cosine", "zero_shot_phrases"]


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


def zero_shot_phrases(store: Store, pairs: PairTable) -> Predictions:
    """The cosines of the phrases of a prompt with the patches, without heads: what the phrase heads start from.

    Args:
        store: holds the embeddings, those of phrases among them.
        pairs: the pairs to judge.

    Returns:
        As the logit of a phrase its highest cosine with a patch, of the image their mean, of a patch its highest cosine
        with a phrase, all times the encoder's logit scale; the risk as (1 - that cosine) / 2; as the logit of every
        reason the negative of the image's. Words of relation name nothing that a patch could show and count nowhere; a
        prompt without any other phrase is its own phrase.
    """
    scale, nothing = float(store.manifest.encoder.logit_scale), np.float32(-1.0)
    names = np.array([kind != "relation" for kind in store.phrases.kind.tolist()])
    whole, parts, said = [], [], []
    for start, (text, _, patches) in zip(range(0, len(pairs), CHUNK), pair_embeddings(store, pairs), strict=True):
        row = store.prompts.phrase[pairs.prompt[start : start + CHUNK]]
        phrase = store.phrase_text.take(np.maximum(row, 0)).astype(np.float32)
        used = (row >= 0) & names[np.maximum(row, 0)]
        alone = ~used.any(axis=1)
        phrase[alone, 0], used[alone, 0] = text[alone], True
        cosine = patches @ phrase[:, None].swapaxes(2, 3)  # [b, 2, k, p]
        highest = cosine.max(axis=2)
        said.append(highest)
        whole.append(np.where(used[:, None], highest, 0.0).sum(axis=2) / used.sum(axis=1)[:, None])
        parts.append(np.where(used[:, None, None], cosine, nothing).max(axis=3))
    image, patch = scale * np.concatenate(whole), np.concatenate(parts)
    return Predictions(
        global_logit=image,
        patch_logit=scale * patch,
        risk=(1.0 - patch) / 2.0,
        reason_logit=np.repeat(-image[..., None], pairs.category.shape[1], axis=-1),
        phrase_logit=scale * np.concatenate(said),
    )
