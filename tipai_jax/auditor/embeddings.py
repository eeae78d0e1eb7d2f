"""Pictures and prompts after the frozen encoder: what can be kept and judged again without it.

Owns the two containers. What judges them is `auditor.py`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["EmbeddedImages", "EmbeddedPrompts"]


@dataclass(frozen=True, eq=False)
class EmbeddedImages:
    """Pictures as the encoder sees them; take them from `Auditor.embed_images`, or from a store.

    Attributes:
        image: embedding of each picture, L2-normalised.
        patches: of its k patches, row-major from the top left.
        encoder: digest of the encoder that made them (of a store: `store.manifest.encoder.digest`).
        sizes: (width, height) of each picture in pixels; the encoder's own size where it is not known.
    """

    image: Float[np.ndarray, "n d"]
    patches: Float[np.ndarray, "n k d"]
    encoder: str
    sizes: Sequence[tuple[int, int]] | None = None

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True, eq=False)
class EmbeddedPrompts:
    """Prompts as the encoder sees them.

    Attributes:
        text: embedding of each prompt, L2-normalised.
        prompts: the words.
        encoder: digest of the encoder that made them.
        unknown: pieces of each that its vocabulary does not hold; None where that is not known.
    """

    text: Float[np.ndarray, "n d"]
    prompts: tuple[str, ...]
    encoder: str
    unknown: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.prompts)
