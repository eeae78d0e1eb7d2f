"""Which input features a head reads, as a typed choice: the one that configs hold and the one that heads are built
from.

Standard library only, so that a config can be read without jax.
"""

from dataclasses import dataclass

from tipai_jax.errors import UserError

__all__ = ["DEFAULT_INPUTS", "InputFeatures"]


@dataclass(frozen=True)
class InputFeatures:
    """The input features of one head. `InputFeatures()` is the plan's concatenation, text and image (or patch).

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
    scale_inputs: bool = False
    """Multiply the embeddings by sqrt(d), so that their elements are of size one (they are L2-normalised)."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, bool):
                raise UserError(f"config: model.*_inputs.{name} is {value!r}; allowed is true or false")
        if not (self.text or self.image):
            raise UserError(
                "config: model.*_inputs.text and .image are false, but a head needs an input; allowed is at least one"
                " of the two true"
            )
        for name in ("text", "image"):
            if self.products and not getattr(self, name):
                raise UserError(
                    f"config: model.*_inputs.products is true, but .{name} is false; switch {name} on, or products off"
                )


DEFAULT_INPUTS = InputFeatures()
"""The plan: text and image (for the patch head: text and patch), side by side."""
