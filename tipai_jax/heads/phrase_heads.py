"""The phrase heads: one small transformer over an image, its patches and the phrases of a prompt, read by all outputs.

A phrase ("a red car") is embedded by the frozen text tower like a prompt of its own, with and without its attributes.
The similarity of each phrase with each patch is a map of where the image shows it; a head that gets these maps need not
learn from pairs what the encoder knows already, only what follows from them: which phrase has no place, whose colour
lies elsewhere, how often a thing occurs, what is left of what.
"""

from dataclasses import dataclass, replace
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from tipai_jax.grids import grid_side
from tipai_jax.heads.output import AuditorOutput
from tipai_jax.heads.product import operand, product
from tipai_jax.heads.transformer import TransformerLayer

__all__ = ["PhraseHeads", "Phrases", "Reads"]

KINDS, MOST_COUNT = 7, 9
"""Kinds of phrases, in the order of `store.PHRASE_KINDS`; greater counts share the last embedding."""
DIRECTIONS = 4
"""Across and down, between the places of the full and of the bare phrases."""
PEAKS = 8
"""Local maxima of a map that a phrase is told of: how many of a thing there are."""
SHARPNESS = 20.0
"""Cosines of a CLIP differ by hundredths; times this they are of size one, as a layer likes its inputs."""
ABSENT = -1e9
Reads = Literal["both", "prompt", "image"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Phrases:
    """The phrases of b prompts, p places each.

    Attributes:
        text: the phrase in the singular with its attributes, "a blue dog"; L2-normalised, f16 or f32.
        bare: without attributes, "a dog".
        kind: its number in `store.PHRASE_KINDS`.
        count: how many, 1 where no number is said.
        subject, object: of a relation, the places of the phrases that it connects; -1 for none.
        present: False for a place that holds no phrase; what the other fields say there counts nowhere.
    """

    text: Float[Array | np.ndarray, "b p d"]
    bare: Float[Array | np.ndarray, "b p d"]
    kind: Int[Array | np.ndarray, "b p"]
    count: Int[Array | np.ndarray, "b p"]
    subject: Int[Array | np.ndarray, "b p"]
    object: Int[Array | np.ndarray, "b p"]
    present: Bool[Array | np.ndarray, "b p"]


class PhraseHeads(nnx.Module):
    """Global, patch, phrase and reason logits from one joint transformer.

    Tokens: one for the image, one a patch, one a phrase, all of `width`.

    - image: Linear(v sqrt(d)) + its kind.
    - patch: Linear(v_k sqrt(d)) + Linear(both maps of all phrases, by their places) + sum over phrases of m_kj V(token
      of phrase j) + its place + its kind, m_kj the map of phrase j.
    - phrase: Linear(t sqrt(d)) + Linear(t_bare sqrt(d)) + embeddings of kind, count, place, and for a relation of the
      places that it connects + Linear(highest peaks of both maps, cosine of both with the whole image) + its kind. For
      a relation also + Linear(W t sqrt(d) * c), c from the centre of its object's map to that of its subject's, the
      centre a mean place weighted by softmax: "left of" points to the left.

    Each patch token gives the logit of "this patch is faithful", each phrase token that of "the image keeps this
    phrase". The global logit is `cosine_scale * cosine(prompt, image)` + the sum over phrases of log sigmoid(logit) -
    log(1/2) + a read-out of the image's token and the maximum over the patches. The layers that end in these outputs
    start at zero, so untrained heads are zero-shot CLIP.

    Args:
        d: width of the embeddings.
        k: patches of an image.
        places: phrases of a prompt, at most.
        width: width of the tokens, a multiple of `heads`.
        layers: transformer layers.
        heads: attention heads.
        reads: "both"; "image" hides the prompt and its phrases, "prompt" the image: the matched ablations.
        dtype: of the operands of the products with the embeddings, float32 or bfloat16; everything else is float32.
        rngs: source of the initial values.
    """

    def __init__(
        self,
        d: int,
        *,
        k: int = 49,
        places: int = 8,
        width: int = 96,
        layers: int = 2,
        heads: int = 4,
        reads: Reads = "both",
        dtype: Literal["float32", "bfloat16"] = "float32",
        rngs: nnx.Rngs,
    ) -> None:
        self.d, self.width, self.reads, self.dtype = d, width, reads, jnp.dtype(dtype)
        lecun, small, zero = nnx.initializers.lecun_normal(), nnx.initializers.normal(0.02), nnx.initializers.zeros
        kernel = lambda: nnx.Param(lecun(rngs.params(), (d, width)))
        table = lambda rows, init=small: nnx.Param(init(rngs.params(), (rows, width)))
        self.image_in, self.patch_in, self.phrase_in, self.bare_in = kernel(), kernel(), kernel(), kernel()
        self.token_kind, self.patch_place, self.phrase_place = table(3), table(k), table(places)
        one = nnx.initializers.normal(
            1.0
        )  # as large as the projected embeddings, or numbers and relations come too late
        self.phrase_kind, self.count = table(KINDS, one), table(MOST_COUNT + 1, one)
        self.subject, self.object = table(places + 1, one), table(places + 1, one)  # the last row: connects nothing
        self.similarity_in = nnx.Linear(2 * (PEAKS + 1), width, rngs=rngs)
        self.direction_in = nnx.Param(lecun(rngs.params(), (d, DIRECTIONS)))
        self.relation_in = nnx.Linear(DIRECTIONS, width, rngs=rngs)
        self.map_value = nnx.Linear(width, width, use_bias=False, rngs=rngs)
        self.map_in = nnx.Linear(2 * places, width, kernel_init=small, rngs=rngs)  # a place seldom trained says little
        self._layers = tuple(f"layer_{i}" for i in range(layers))  # names, for files know no numbers as names
        for name in self._layers:
            setattr(self, name, TransformerLayer(width, heads=heads, rngs=rngs))
        self.norm = nnx.LayerNorm(width, epsilon=1e-5, rngs=rngs)
        self.patch_out = nnx.Linear(width, 1, kernel_init=zero, rngs=rngs)
        self.phrase_out = nnx.Linear(width, 1, kernel_init=zero, rngs=rngs)
        self.global_in = nnx.Linear(2 * width, width, rngs=rngs)
        self.global_out = nnx.Linear(width, 1, kernel_init=zero, rngs=rngs)
        self.reason_in = nnx.Linear(3 * width, width, rngs=rngs)
        self.reason_out = nnx.Linear(width, 5, rngs=rngs)
        self.cosine_scale = nnx.Param(jnp.asarray(SHARPNESS))

    def __call__(
        self,
        text: Float[Array, "b d"],
        image: Float[Array, "b n d"],
        patches: Float[Array, "b n k d"],
        phrases: Phrases,
    ) -> AuditorOutput:
        """Judge n images for each prompt.

        Args:
            text: L2-normalised prompt embeddings, f16 or f32.
            image: L2-normalised global image embeddings.
            patches: L2-normalised patch embeddings.
            phrases: of the prompts.
        """
        text, image, patches, phrases = self._hide(text, image, patches, phrases)
        (b, n, k, _), p = patches.shape, phrases.present.shape[1]
        tokens = self._tokens(image, patches, phrases)
        present = jnp.concatenate([jnp.ones((b, 1 + k), bool), phrases.present], axis=1)
        attended = jnp.repeat(present, n, axis=0)
        for name in self._layers:
            tokens = getattr(self, name)(tokens, attended)
        tokens = self.norm(tokens).reshape(b, n, 1 + k + p, self.width)
        whole, places, said = jnp.split(tokens, (1, 1 + k), axis=2)
        phrase_logit = self.phrase_out(said)[..., 0]
        patch_logit = self.patch_out(places)[..., 0]
        kept = jnp.where(phrases.present[:, None], jax.nn.log_sigmoid(phrase_logit) + jnp.log(2.0), 0.0)
        pooled = jnp.concatenate([whole[:, :, 0], _highest(places)], axis=-1)
        spoken = _highest(jnp.where(phrases.present[:, None, :, None], said, ABSENT))
        spoken = jnp.where(jnp.any(phrases.present, axis=1)[:, None, None], spoken, 0.0)
        reason = self.reason_out(jax.nn.gelu(self.reason_in(jnp.concatenate([pooled, spoken], axis=-1))))
        cosine = jnp.einsum("bd,bnd->bn", text.astype(jnp.float32), image.astype(jnp.float32))
        read = self.global_out(jax.nn.gelu(self.global_in(pooled)))[..., 0]
        return AuditorOutput(
            global_logit=self.cosine_scale[...] * cosine + jnp.sum(kept, axis=-1) + read,
            patch_logit=patch_logit,
            risk=jax.nn.sigmoid(-patch_logit),
            reason_logit=reason,
            phrase_logit=phrase_logit,
        )

    def _hide(self, text: Array, image: Array, patches: Array, phrases: Phrases) -> tuple[Array, Array, Array, Phrases]:
        """The inputs in their number format, without what these heads do not read."""
        text, image, patches = (operand(each.astype(self.dtype)) for each in (text, image, patches))
        seen = phrases.present[..., None]  # a place without a phrase holds whatever row the padding pointed to
        said = lambda each: operand(jnp.where(seen, each, 0).astype(self.dtype))
        phrases = replace(phrases, text=said(phrases.text), bare=said(phrases.bare))
        if self.reads == "image":
            nothing = jax.tree.map(jnp.zeros_like, phrases)
            return jnp.zeros_like(text), image, patches, nothing
        if self.reads == "prompt":
            return text, jnp.zeros_like(image), jnp.zeros_like(patches), phrases
        return text, image, patches, phrases

    def _tokens(
        self, image: Float[Array, "b n d"], patches: Float[Array, "b n k d"], phrases: Phrases
    ) -> Float[Array, "bn t width"]:
        b, n, k, d = patches.shape
        unit = d**0.5  # the embeddings are L2-normalised: so their elements are of size one
        kind_of_token = self.token_kind[...]
        both = jnp.stack([phrases.text, phrases.bare], axis=1)  # [b, 2, p, d]
        similar = lambda a, spec: SHARPNESS * jnp.einsum(spec, a, both, preferred_element_type=jnp.float32)
        maps, cosine = similar(patches, "bnkd,bcpd->bnkpc"), similar(image, "bnd,bcpd->bnpc")
        said = product(phrases.text, self.phrase_in[...] * unit) + product(phrases.bare, self.bare_in[...] * unit)
        said = said + self.phrase_kind[...][phrases.kind] + self.count[...][jnp.clip(phrases.count, 0, MOST_COUNT)]
        said = said + self.subject[...][phrases.subject] + self.object[...][phrases.object]  # -1 is the last row
        said = said + self.phrase_place[...] + kind_of_token[0]
        said = said[:, None] + self.similarity_in(jnp.concatenate([_peaks(maps), cosine], axis=-1))
        direction = product(phrases.text, self.direction_in[...] * unit)
        said = said + self.relation_in(direction[:, None] * _apart(maps, phrases))
        said = jnp.where(phrases.present[:, None, :, None], said, 0.0)
        where = jnp.einsum("bnkp,bnpw->bnkw", maps[..., 0] / SHARPNESS, self.map_value(said))
        here = product(patches, self.patch_in[...] * unit) + where + self.map_in(maps.reshape(b, n, k, -1))
        here = here + self.patch_place[...] + kind_of_token[1]
        whole = product(image, self.image_in[...] * unit) + kind_of_token[2]
        return jnp.concatenate([whole[:, :, None], here, said], axis=2).reshape(b * n, 1 + k + said.shape[2], -1)


def _peaks(maps: Float[Array, "b n k p 2"]) -> Float[Array, "b n p c"]:
    """The `PEAKS` highest local maxima of each map, none lower than a neighbour in its row, column or diagonal, from
    the highest on; where there are fewer, the minimum of the map.
    """
    b, n, k, p, both = maps.shape
    side = grid_side(k)
    grid = maps.reshape(b * n, side, side, p * both)
    around = jax.lax.reduce_window(grid, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    peaks = jnp.where(grid >= around, grid, jnp.min(grid, axis=(1, 2), keepdims=True)).reshape(b, n, k, p, both)
    highest, _ = jax.lax.top_k(jnp.moveaxis(peaks, 2, -1), min(PEAKS, k))
    return jnp.pad(highest, ((0, 0),) * 4 + ((0, PEAKS - highest.shape[-1]),), mode="edge").reshape(b, n, p, -1)


def _apart(maps: Float[Array, "b n k p 2"], phrases: Phrases) -> Float[Array, "b n p 4"]:
    """From the centre of a relation's object to that of its subject, on a grid from -1 to 1; 0 for what is none."""
    side = grid_side(maps.shape[2])
    row, column = np.divmod(np.arange(side * side), side)
    where = np.stack([column, row], axis=-1).astype(np.float32) * (2 / max(1, side - 1)) - 1
    centre = jnp.einsum("bnkpc,kx->bnpcx", jax.nn.softmax(maps, axis=2), where).reshape(*maps.shape[:2], -1, DIRECTIONS)
    ends = (phrases.subject, phrases.object)
    subject, object = (jax.nn.one_hot(each, centre.shape[2]) for each in ends)  # -1 is no row
    both = (phrases.subject >= 0) & (phrases.object >= 0)
    return jnp.einsum("bpq,bnqx->bnpx", jnp.where(both[..., None], subject - object, 0.0), centre)


def _highest(tokens: Float[Array, "b n t w"]) -> Float[Array, "b n w"]:
    """The maximum of each feature over the tokens.

    The gradient of `jnp.max` divides by the number of elements that equal the maximum, which is 0 where a compiler
    computes the elements once more and rounds them otherwise; the place of the maximum knows no such doubt.
    """
    place = jnp.argmax(jax.lax.stop_gradient(tokens), axis=2, keepdims=True)
    return jnp.take_along_axis(tokens, place, axis=2)[:, :, 0]
