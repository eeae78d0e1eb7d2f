"""The heads of an auditor as a compiled program, applied to embeddings in batches of a few fixed sizes."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tipai_jax.auditor.bundle import Bundle
from tipai_jax.auditor.embeddings import EmbeddedImages, EmbeddedPrompts
from tipai_jax.errors import UserError
from tipai_jax.files.nested import nest
from tipai_jax.heads.phrase_heads import Phrases
from tipai_jax.store import CATEGORIES, MOST_PHRASES
from tipai_jax.tasks.auditor import build_heads
from tipai_jax.training.step import split_heads

__all__ = ["CompiledHeads", "bucket"]

PHRASE_FIELDS = tuple(field.name for field in dataclasses.fields(Phrases))
MOST = 256
"""Pairs of an image and a prompt per forward pass, at most."""


class CompiledHeads:
    """The heads of a bundle.

    Attributes:
        forward: the compiled program; takes parameters, text [b, d], image [b, d], patches [b, k, d] and, of heads that
            read phrases, the arrays of `heads.phrase_heads.Phrases`.

    Raises:
        UserError: a weight is missing, too many or of another shape.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._d, self._k = bundle.encoder.d, bundle.encoder.k
        model = nnx.eval_shape(lambda: build_heads(bundle.model, d=self._d, k=self._k, seed=0))
        _, graph, like = split_heads(model)
        self._params = _filled(like, nest(bundle.weights))
        self.reads_phrases = bundle.model.heads == "phrases"
        self.forward = jax.jit(
            lambda params, text, image, patches, *phrases: nnx.merge(graph, params)(
                text, image[:, None], patches[:, None], *(Phrases(*each) for each in [phrases] if each)
            )
        )

    def predict(
        self, images: EmbeddedImages, prompts: EmbeddedPrompts, image: np.ndarray, prompt: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The outputs for the images `image` and the prompts `prompt`, by their numbers, before calibration.

        Returns:
            global_logit f32[n], patch_logit f32[n, k], risk f32[n, k], reason_logit f32[n, 5] and, of heads that read
            phrases, phrase_logit f32[n, 8].

        Raises:
            UserError: the heads read phrases, and the prompts come without.
        """
        if self.reads_phrases and prompts.phrases is None:
            raise UserError("these heads read the phrases of a prompt; take prompts from Auditor.embed_prompts")
        pending = []
        for start in range(0, len(image), MOST):
            part = np.arange(start, min(start + MOST, len(image)))
            filled = np.concatenate([part, np.full(bucket(len(part), MOST) - len(part), part[0])])
            row, column = image[filled], prompt[filled]
            said = [each[column] for each in prompts.phrases.arrays] if self.reads_phrases and prompts.phrases else []
            output = self.forward(self._params, prompts.text[column], images.image[row], images.patches[row], *said)
            pending.append((output, len(part)))  # not waited for: the next is gathered meanwhile
        found = {}
        for name, shape in self._shapes().items():
            parts = [np.asarray(getattr(output, name))[:n, 0] for output, n in pending]
            found[name] = np.concatenate([np.zeros((0, *shape), np.float32), *parts])
        return found

    def export(self) -> bytes:
        """The program as `jax.export` serialises it, for any number of images, see `Auditor.export`."""
        from jax import export

        (b,) = export.symbolic_shape("b")
        row = lambda *shape, dtype=jnp.float16: jax.ShapeDtypeStruct((b, *shape), dtype)
        of_phrase = {"text": row(MOST_PHRASES, self._d), "bare": row(MOST_PHRASES, self._d)}
        of_phrase["present"] = row(MOST_PHRASES, dtype=jnp.bool_)
        number = row(MOST_PHRASES, dtype=jnp.int8)
        more = [of_phrase.get(name, number) for name in PHRASE_FIELDS] if self.reads_phrases else []

        def heads(text: Any, image: Any, patches: Any, *phrases: Any) -> dict[str, Any]:
            output = self.forward(self._params, text, image, patches, *phrases)
            return {name: getattr(output, name)[:, 0] for name in self._shapes()}

        exported = export.export(jax.jit(heads), platforms=("cpu", "cuda", "tpu"))
        return bytes(exported(row(self._d), row(self._d), row(self._k, self._d), *more).serialize())

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {"global_logit": (), "patch_logit": (self._k,), "risk": (self._k,), "reason_logit": (len(CATEGORIES),)}
        return shapes | ({"phrase_logit": (MOST_PHRASES,)} if self.reads_phrases else {})


def bucket(n: int, most: int) -> int:
    """The least power of two from n on, at most `most`: batches of few sizes need few compiled programs."""
    return min(1 << max(n - 1, 0).bit_length(), most)


def _filled(like: Any, tree: dict[str, Any]) -> Any:
    """The parameters in the shape of the heads.

    Raises:
        UserError: a weight is missing, too many or of another shape.
    """
    wanted = {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(like)}
    found = {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
    if wrong := sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)):
        raise UserError(
            f"weights {wrong[0]}: {found.get(wrong[0])}, expected {wanted.get(wrong[0])}; save the auditor again with"
            " this tipai_jax"
        )
    return jax.tree.map(jnp.asarray, tree)
