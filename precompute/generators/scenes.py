"""The generator that needs no download: it draws scenes for prompts of the small world's grammar.

A scene keeps its prompt or, by chance, breaks it; the truth is recorded with the image. Grammar, mistakes and drawing
are those of `precompute.world`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from precompute.generators import DIFFUSION_MODEL, SCENES, Made, Truth
from precompute.prompt_file import Prompt
from precompute.world.breaking import break_claim, breakable
from precompute.world.compose import Made as Composed
from precompute.world.compose import compose
from precompute.world.draw import draw
from precompute.world.grammar import GRAMMAR, OutsideGrammar, parse
from precompute.world.pictograms import ATTRIBUTION
from precompute.world.scene import SIZE, Claim
from precompute.world.vocabulary import held_out_combinations
from tipai_jax.errors import UserError
from tipai_jax.store import CATEGORIES, DIFFICULTIES

__all__ = ["DEFAULT_BROKEN", "SceneGenerator"]

VERSION = 2
"""Version of the drawings; raised whenever the same prompt and seed would draw another scene."""
DEFAULT_BROKEN = 0.5
_ATTEMPTS = 40
_LONG_NAMES = {"object presence": "object", "attribute binding": "attribute", "spatial relations": "spatial"}


class SceneGenerator:
    """Draws; see `Generator`.

    Args:
        broken: probability, by category, that an image breaks its prompt in it; `DEFAULT_BROKEN` where none is given.
    """

    label = f"{SCENES} (drawn, not generated)"
    drawn = True
    notice = ATTRIBUTION

    def __init__(self, broken: Mapping[str, float] | None = None) -> None:
        self._broken = {category: DEFAULT_BROKEN for category in CATEGORIES} | dict(broken or {})
        self.settings: Mapping[str, Any] = {"world": VERSION, "broken": self._broken}

    def check(self, prompts: Sequence[Prompt]) -> None:
        for prompt in prompts:
            self._read(prompt)
            self._compose(prompt, 0)

    def load(self) -> str:
        return f"{self.label}: {SIZE} x {SIZE} pixels"

    def make(self, prompt: Prompt, seed: int) -> Made:
        breaks, category, kind, composed = self._compose(prompt, seed)
        if not breaks:
            return Made(Image.fromarray(draw(composed.scenes[0])), Truth(broken=False))
        boxes = tuple(
            {"bbox": box.as_list(), "category": category, **({"absent": True} if composed.absent[1] else {})}
            for box in composed.wrong[1]
        )
        return Made(Image.fromarray(draw(composed.scenes[1])), Truth(True, category, kind, boxes))

    def _compose(self, prompt: Prompt, seed: int) -> tuple[bool, str, str, Composed]:
        """Whether the prompt is broken, in which category and how, and the scenes that keep and break it."""
        claim, categories = self._read(prompt)
        rng = np.random.default_rng(
            [int.from_bytes(hashlib.sha256(prompt.prompt.encode()).digest()[:8], "big"), seed, VERSION]
        )
        category = str(rng.choice(categories))
        breaks = bool(rng.random() < self._broken[category])
        for _ in range(_ATTEMPTS):
            spec, kind = break_claim(rng, claim, category=category, difficulty=str(rng.choice(DIFFICULTIES[:2])))
            composed = compose(rng, spec, banned=held_out_combinations())
            if composed is not None:
                return breaks, category, kind, composed
        raise UserError(f'prompt {prompt.prompt_id}, "{prompt.prompt}": too much for one scene; ask for fewer things')

    def _read(self, prompt: Prompt) -> tuple[Claim, tuple[str, ...]]:
        """The claim of a prompt, and the categories in which it may be broken: its own, or if it has none any."""
        named = f'prompt {prompt.prompt_id}, "{prompt.prompt}"'
        try:
            claim = parse(prompt.prompt)
        except OutsideGrammar as error:
            raise UserError(
                f"{named}: the small world cannot draw it ({error}). It draws {GRAMMAR}. "
                f"For any other prompt take a diffusers model: --model {DIFFUSION_MODEL}"
            ) from None
        possible = breakable(claim)
        category = prompt.category.lower()
        category = _LONG_NAMES.get(category, category)
        if category in CATEGORIES and category not in possible:
            raise UserError(
                f"{named}: has nothing that could be broken in its category, {category}; it can be in "
                f"{', '.join(possible)}, or leave the category out"
            )
        return claim, (category,) if category in CATEGORIES else possible
