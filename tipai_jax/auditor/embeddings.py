"""Images and prompts after the frozen encoder: what can be kept and judged again without it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["EmbeddedImages", "EmbeddedPrompts"]


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddedImages:
    """Embeddings of images; take them from `Auditor.embed_images`, or from a store.

    Attributes:
        image: embedding of each image, L2-normalised.
        patches: of its k patches, row-major from the top left.
        encoder: digest of the encoder that made them (of a store: `store.manifest.encoder.digest`).
        sizes: (width, height) of each image in pixels; the encoder's own size where it is not known.
    """

    image: Float[np.ndarray, "n d"]
    patches: Float[np.ndarray, "n k d"]
    encoder: str
    sizes: Sequence[tuple[int, int]] | None = None

    def __repr__(self) -> str:
        return f"EmbeddedImages({len(self)} images, patches {self.patches.shape[1:]}, encoder {self.encoder[:12]})"

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddedPrompts:
    """Embeddings of prompts; take them from `Auditor.embed_prompts`, or from a store.

    Attributes:
        text: embedding of each prompt, L2-normalised.
        prompts: the words.
        encoder: digest of the encoder that made them.
        unknown: tokens of each that its vocabulary does not hold; None where that is not known.
    """

    text: Float[np.ndarray, "n d"]
    prompts: tuple[str, ...]
    encoder: str
    unknown: tuple[int, ...] | None = None

    def __repr__(self) -> str:
        return f"EmbeddedPrompts({len(self)} prompts, width {self.text.shape[-1]}, encoder {self.encoder[:12]})"

    def __len__(self) -> int:
        return len(self.prompts)
