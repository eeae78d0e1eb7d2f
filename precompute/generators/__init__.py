"""The interface of generators: a diffusers model, or the small world, which draws.

An image is a pure function of prompt, seed and settings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from precompute.prompt_file import Prompt

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["DIFFUSION_MODEL", "SCENES", "Generator", "Made", "Truth"]

SCENES = "scenes"
DIFFUSION_MODEL = "stabilityai/stable-diffusion-xl-base-1.0"


@dataclass(frozen=True)
class Truth:
    """Whether an image breaks its prompt, and how.

    Attributes:
        broken: it breaks the prompt.
        category: of the mistake, one of CATEGORIES; "" where there is none.
        kind: of the mistake, in words; likewise.
        boxes: what is wrong, as `unfaithful_patches` of a pairs file.
    """

    broken: bool
    category: str = ""
    kind: str = ""
    boxes: tuple[dict, ...] = ()


@dataclass(frozen=True)
class Made:
    """An image, and the truth about it where it is known."""

    image: "Image"
    truth: Truth | None = None


class Generator(Protocol):
    """Makes images for prompts.

    Attributes:
        label: its name in the catalogue and in the metadata of every image.
        drawn: its images are drawn scenes, not those of a generative model.
        settings: everything besides prompt and seed that an image depends on.
        notice: licence and origin, for a file beside the images; "" for none.
    """

    label: str
    drawn: bool
    settings: Mapping[str, Any]
    notice: str

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Refuse prompts that no image can be made for.

        Raises:
            UserError: for the first of them.
        """

    def load(self) -> str:
        """Load what is needed; returns a line that describes it."""
        ...

    def make(self, prompt: Prompt, seed: int) -> Made:
        """The image of a prompt and a seed."""
        ...
