"""What a head is allowed to see, as a typed choice: the one that configs hold and the one that heads are built from.

Owns the choice and the combinations that make no sense for any head. Every room may import this file, so it imports
nothing but the standard library and `errors`; it knows nothing of arrays, of modules or of the rest of a config.
"""

from dataclasses import dataclass

from tipai_jax.errors import UserError

__all__ = ["Sees"]


@dataclass(frozen=True)
class Sees:
    """What one head is given to look at. `Sees()` is the plan's concatenation to the letter, text and image (or patch).

    Raises:
        UserError: if the combination makes no sense.
    """

    text: bool = True
    """The prompt. Without it the head is the image-only baseline."""
    image: bool = True
    """The image (patch head: the patch). Without it the head is the text-only baseline."""
    products: bool = False
    """The elementwise products of text and image as well. A cosine is the sum of one, so zero-shot CLIP is a special
    case.
    """
    global_image: bool = False
    """Patch head: the embedding of the whole image as well, and with products its product with the text."""
    position: bool = False
    """Patch head: a learnt vector for each place in the grid; with attention also a learnt bias for each offset on it
    ("left of").
    """
    attention: bool = False
    """Patch head: one attention layer across the patches. Other heads: patches pooled by attention that knows the text."""
    scale_inputs: bool = False
    """Multiply the embeddings by sqrt(d), so that their elements are of size one (they are L2-normalised)."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, bool):
                raise UserError(f"config: model.*_sees.{name} is {value!r}; allowed is true or false")
        if not (self.text or self.image):
            raise UserError(
                "config: model.*_sees.text and .image are false, but a head must see something; allowed is at least one"
                " of the two true"
            )
        for name in ("products", "global_image", "attention"):
            if getattr(self, name) and not self.image:
                raise UserError(
                    f"config: model.*_sees.{name} is true, but .image is false; switch image on, or {name} off"
                )
        if self.products and not self.text:
            raise UserError(
                "config: model.*_sees.products is true, but .text is false; switch text on, or products off"
            )
