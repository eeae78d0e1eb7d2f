"""The rows of a catalogue: an image, who judged, a score, a pair.

Standard library only.
"""

from dataclasses import dataclass

__all__ = ["CatalogImage", "CatalogPair", "CatalogScore", "Scorer"]


@dataclass(frozen=True, kw_only=True)
class CatalogImage:
    """An image made for a prompt.

    Attributes:
        image_id: unique name, `{prompt_id}_{seed}`.
        sha256: of the file.
        prompt_id: of the prompt it was made for.
        prompt: the words.
        category: what the prompt tests, as its file says ("" where it does not).
        seed: the only source of chance.
        path: of the file, relative to the catalogue's folder, with forward slashes.
        generator: what made it; says so where it was drawn.
        settings: canonical JSON of everything else that decides the image.
        drawn: it is a drawn scene, not the work of a generative model.
        broken: whether it truly breaks the prompt; None where nobody knows.
        broken_category: what it truly breaks, one of `CATEGORIES`; "" where it does not or nobody knows.
        kind: the kind of mistake in words, "" likewise.
        boxes: what is wrong, as `unfaithful_patches` of a pairs file has it.
    """

    image_id: str
    sha256: str
    prompt_id: str
    prompt: str
    category: str
    seed: int
    path: str
    generator: str
    settings: str
    drawn: bool
    broken: bool | None = None
    broken_category: str = ""
    kind: str = ""
    boxes: tuple[dict, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """Who judged.

    Attributes:
        name: such as zero_shot.
        digest: of the weights.
        model: in words.
        rule: behind its numbers, in words.
        stops: the patch scores that are drawn red, yellow and green, ascending; None where only their order means
            something.
    """

    name: str
    digest: str
    model: str
    rule: str
    stops: tuple[float, float, float] | None = None

    @property
    def full_name(self) -> str:
        """The name with the first digits of the digest, `NAME@DIGEST`; `Catalog.find_scorer` knows it by this."""
        return f"{self.name}@{self.digest[:8]}"


@dataclass(frozen=True, kw_only=True)
class CatalogScore:
    """How a scorer judged an image against a prompt.

    Attributes:
        sha256: of the image.
        prompt: the words.
        global_score: 0 to 1.
        raw: the number behind it, a cosine or a logit: it orders images as the score does, also where a calibration
            made their scores equal.
        patch_scores: 0 to 1 by patch, row by row from the top left.
    """

    sha256: str
    prompt: str
    global_score: float
    raw: float
    patch_scores: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class CatalogPair:
    """The best and the worst image of a prompt by one scorer; images by `image_id`."""

    pair_id: str
    prompt_id: str
    prompt: str
    chosen_img: str
    rejected_img: str
    c_score: float
    r_score: float
