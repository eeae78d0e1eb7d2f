"""Images and prompts after the frozen encoder: what can be kept and judged again without it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["EmbeddedImages", "EmbeddedPhrases", "EmbeddedPrompts"]


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


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class EmbeddedPhrases:
    """The phrases of prompts, p places each, for heads that read them.

    Attributes:
        text: embedding of each phrase in the singular with its attributes, L2-normalised; 0 where there is none.
        bare: the same without attributes.
        kind: its number in `store.PHRASE_KINDS`.
        count: how many.
        subject, object: of a relation, the places of what it connects; -1 for none.
        present: whether there is a phrase at this place.
        span: first character in the prompt and the one behind the last; -1 where the words do not occur there.
    """

    text: Float[np.ndarray, "n p d"]
    bare: Float[np.ndarray, "n p d"]
    kind: Int[np.ndarray, "n p"]
    count: Int[np.ndarray, "n p"]
    subject: Int[np.ndarray, "n p"]
    object: Int[np.ndarray, "n p"]
    present: Bool[np.ndarray, "n p"]
    span: Int[np.ndarray, "n p 2"]

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What the heads and an exported program take, in their order: everything but the spans."""
        return self.text, self.bare, self.kind, self.count, self.subject, self.object, self.present


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddedPrompts:
    """Embeddings of prompts; take them from `Auditor.embed_prompts`, or from a store.

    Attributes:
        text: embedding of each prompt, L2-normalised.
        prompts: the words.
        encoder: digest of the encoder that made them.
        unknown: tokens of each that its vocabulary does not hold; None where that is not known.
        phrases: of each; None where the heads read none.
    """

    text: Float[np.ndarray, "n d"]
    prompts: tuple[str, ...]
    encoder: str
    unknown: tuple[int, ...] | None = None
    phrases: EmbeddedPhrases | None = None

    def __repr__(self) -> str:
        return f"EmbeddedPrompts({len(self)} prompts, width {self.text.shape[-1]}, encoder {self.encoder[:12]})"

    def __len__(self) -> int:
        return len(self.prompts)
