"""Whatever makes a picture for a prompt, behind one interface: a diffusers model, or the small world, which draws.

Owns the interface and the way from a name to a generator. A picture is a pure function of prompt, seed and settings.
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
    """Whether a picture breaks its prompt: `category` and `kind` of the mistake ("" where it keeps it), `boxes` as in a
    pairs file.
    """

    broken: bool
    category: str = ""
    kind: str = ""
    boxes: tuple[dict, ...] = ()


@dataclass(frozen=True)
class Made:
    """A picture, and the truth about it where it is known."""

    picture: "Image"
    truth: Truth | None = None


class Generator(Protocol):
    """What makes pictures.

    Attributes:
        label: what made them, in the catalogue and in every picture; says so where they are drawn.
        drawn: they are drawn scenes, not the work of a generative model.
        settings: everything besides prompt and seed that decides a picture.
        notice: licence and origin, for a file beside the pictures; "" for none.
    """

    label: str
    drawn: bool
    settings: Mapping[str, Any]
    notice: str

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Refuse prompts that no picture can be made for, before any is made.

        Raises:
            UserError: the first of them, and how to go on.
        """

    def load(self) -> str:
        """Make ready whatever takes long; a line on what computes."""

    def make(self, prompt: Prompt, seed: int) -> Made:
        """The picture of a prompt and a seed."""
