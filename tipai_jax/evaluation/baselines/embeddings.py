"""The embeddings of pairs as the baselines read them: a few hundred pairs at a time, in float32."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from tipai_jax.store import PairTable, Store

__all__ = ["pair_embeddings"]

CHUNK = 256


def pair_embeddings(
    store: Store, pairs: PairTable
) -> Iterator[tuple[Float[np.ndarray, "b d"], Float[np.ndarray, "b 2 d"], Float[np.ndarray, "b 2 k d"]]]:
    """Prompts, images and patches of the pairs in order, the chosen image first; at most 256 pairs at a time."""
    for start in range(0, len(pairs.pair_id), CHUNK):
        part = slice(start, start + CHUNK)
        images = np.stack([pairs.chosen[part], pairs.rejected[part]], axis=1)
        yield (
            store.text.take(pairs.prompt[part]).astype(np.float32),
            store.image.take(images).astype(np.float32),
            store.patches.take(images).astype(np.float32),
        )
