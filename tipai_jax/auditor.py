"""The public API: a trained auditor that scores, ranks and explains pictures.

    from tipai_jax import Auditor

    auditor = Auditor.from_pretrained("runs/quickstart")
    auditor.score("a.png", "a red car on the beach").score
    auditor.rank("a red car on the beach", ["a.png", "b.png"]).best
    print(auditor.explain("a.png", "a red car on the beach").sentence)

This is the one file where the frozen encoder (PyTorch, loaded once and only when a picture or a prompt has to be
embedded) and the heads (JAX)
meet. Owns reading pictures, batching and the compiled forward; what is said of a picture is `verdict.py`'s, the files
are `bundle.py`'s.
"""

import functools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from tipai_jax.bundle import Bundle, find_bundle, nested
from tipai_jax.embedded import EmbeddedImages, EmbeddedPrompts
from tipai_jax.errors import UserError
from tipai_jax.pictures import Picture, is_one, read_picture
from tipai_jax.store import CATEGORIES, view_box
from tipai_jax.tasks.auditor import build_heads
from tipai_jax.train_step import split_heads
from tipai_jax.verdict import Digests, Ranking, Verdict, Verdicts

if TYPE_CHECKING:
    from precompute.encoders.clip import ClipEncoder
    from precompute.encoders.images import Prepared

__all__ = ["Auditor", "EmbeddedImages", "EmbeddedPrompts"]

MOST = 256
"""Pictures and prompts that the heads judge at a time."""
NAME_IT = "name that encoder's folder with --encoder, in Python Auditor.from_pretrained(..., encoder=FOLDER)"


class Auditor:
    """Heads, calibration and encoder of a trained run; make one with `from_pretrained`.

    Args:
        bundle: heads, calibration and what they were made with.
        encoder: name or folder of the frozen encoder; the one the heads were trained on if None.
        device: of the encoder, "cpu" or "cuda"; CUDA where there is one if None.
        level: of the conformal predictions, above 0 and below 1.
        batch_size: pictures a forward pass, at most.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        encoder: str | None = None,
        device: str | None = None,
        level: float = 0.9,
        batch_size: int = 32,
    ) -> None:
        if bundle.calibration.conformal is None or bundle.calibration.worst_patch is None:
            raise UserError(
                "the calibration has no conformal part; evaluate the run again: python -m tipai_jax.evaluate --workdir"
                " RUN --again"
            )
        if not 0.0 < level < 1.0:
            raise UserError(f"level is {level}; expected a share above 0 and below 1, such as 0.9")
        self.bundle, self.level, self.batch_size = bundle, level, batch_size
        self.digests = Digests(encoder=bundle.encoder.digest, heads=bundle.digest())
        self._encoder_name, self._device = encoder or bundle.encoder.name, device
        model = nnx.eval_shape(lambda: build_heads(bundle.model, d=bundle.encoder.d, k=bundle.encoder.k, seed=0))
        _, graph, like = split_heads(model)
        self._params = _filled(like, nested(bundle.weights))
        self._judge = jax.jit(
            lambda params, text, image, patches: nnx.merge(graph, params)(text, image[:, None], patches[:, None])
        )

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str], **options: Any) -> "Auditor":
        """The auditor of a trained and evaluated run, or of a folder that `save_pretrained` wrote (or a hub id of one).

        Args:
            folder: the folder; a name that is no folder but looks like `owner/name` is asked for at the model hub,
                unless a folder `owner` stands here.
            options: as the class takes them.

        Raises:
            UserError: no auditor there, or not evaluated yet.
        """
        return cls(find_bundle(str(folder)), **options)

    @cached_property
    def encoder(self) -> "ClipEncoder":
        """The frozen encoder, loaded when it is first needed.

        Raises:
            UserError: it is nowhere to be had, or it is not the one the heads were trained on.
        """
        from precompute.encoders.clip import load_clip
        from precompute.encoders.folder import find_encoder

        wanted = self.bundle.encoder
        try:
            folder = find_encoder(self._encoder_name)
        except UserError as error:
            raise UserError(
                f"{error}; the heads were trained on {wanted.name!r}, digest {wanted.digest[:12]}: {NAME_IT}"
            ) from None
        found = folder.fingerprint(patches=wanted.patches, dtype=wanted.dtype)
        if found.digest != wanted.digest:
            raise UserError(
                f"encoder {self._encoder_name}: digest {found.digest[:12]}, but the heads were trained on {wanted.name}"
                f" with digest {wanted.digest[:12]}; {NAME_IT}"
            )
        import torch

        device = self._device or ("cuda" if torch.cuda.is_available() else "cpu")
        return load_clip(folder, patches=wanted.patches, dtype=wanted.dtype, device=device, batch_size=self.batch_size)

    def embed_prompts(self, prompts: Sequence[str]) -> EmbeddedPrompts:
        """Embed prompts, each different one once.

        Raises:
            UserError: one is empty.
        """
        for place, prompt in enumerate(prompts):
            if not isinstance(prompt, str) or not prompt.strip():
                raise UserError(f"prompt {place} is {prompt!r}; expected words")
        unique = list(dict.fromkeys(prompts))
        rows = self.encoder.encode_text(unique, batch_size=_bucket(len(unique), self.batch_size))
        place = {prompt: i for i, prompt in enumerate(unique)}
        where = [place[prompt] for prompt in prompts]
        return EmbeddedPrompts(
            rows.text[where], tuple(prompts), self.digests.encoder, tuple(int(rows.tokens.unknown[i]) for i in where)
        )

    def embed_images(self, images: Sequence[Picture]) -> EmbeddedImages:
        """Embed pictures in batches.

        Args:
            images: PIL pictures, arrays u8[h, w] or u8[h, w, 3 or 4], or paths of JPEG, PNG or WEBP files.

        Raises:
            UserError: one cannot be read.
        """
        return self.embed_prepared([self.prepare(image, place) for place, image in enumerate(images)])

    def prepare(self, image: Picture, place: int = 0) -> "Prepared":
        """One picture as the encoder's preparation gives it, for `embed_prepared`; reading it is done here.

        Raises:
            UserError: it cannot be read.
        """
        from precompute.encoders.images import BadImage

        found, name = read_picture(image, place)
        preparation = self.encoder.preparation
        try:
            return preparation.prepare(found) if isinstance(found, bytes) else preparation.prepare_picture(found)
        except BadImage as error:
            raise UserError(f"{name}: {error}; expected a whole JPEG, PNG or WEBP picture") from None

    def embed_prepared(self, prepared: "Sequence[Prepared]") -> EmbeddedImages:
        """Embed pictures that `prepare` gave, in batches; on a CPU each core takes batches of its own, for several on
        one batch wait for each other.
        """
        import torch

        encode = functools.partial(self.encoder.encode_images, batch_size=_bucket(len(prepared), self.batch_size))
        parts = [
            list(prepared[start : start + self.batch_size]) for start in range(0, len(prepared), self.batch_size)
        ] or [[]]
        if len(parts) > 1 and self.encoder.device.type == "cpu":
            with ThreadPoolExecutor(
                min(16, os.cpu_count() or 1), initializer=torch.set_num_threads, initargs=(1,)
            ) as pool:
                rows = list(pool.map(encode, parts))
        else:
            rows = [encode(part) for part in parts]
        image, patches = np.concatenate([each.image for each in rows]), np.concatenate([each.patches for each in rows])
        return EmbeddedImages(
            image, patches, self.digests.encoder, tuple((each.width, each.height) for each in prepared)
        )

    def score(
        self,
        images: Picture | Sequence[Picture] | EmbeddedImages,
        prompts: str | Sequence[str] | EmbeddedPrompts,
        *,
        pairwise: bool = False,
    ) -> Verdicts:
        """Judge pictures for prompts.

        Args:
            images: one picture or many, or embedded ones.
            prompts: one prompt or many; one goes with every picture.
            pairwise: every picture against every prompt, instead of the first with the first and so on.

        Returns:
            n verdicts, or M x N with `pairwise`; `.score` and `.logit` are arrays of that shape.

        Raises:
            UserError: the numbers do not fit, a picture cannot be read, or the embeddings are of another width.
        """
        images = (
            images
            if isinstance(images, EmbeddedImages)
            else self.embed_images([images] if is_one(images) else list(images))
        )
        prompts = (
            prompts
            if isinstance(prompts, EmbeddedPrompts)
            else self.embed_prompts([prompts] if isinstance(prompts, str) else list(prompts))
        )
        wanted = self.bundle.encoder
        for each in (images, prompts):
            if each.encoder != wanted.digest:
                raise UserError(
                    f"embeddings of the encoder with digest {each.encoder[:12]}, but the heads were trained on"
                    f" {wanted.name} with digest {wanted.digest[:12]}"
                )
        n, patches, sizes = (
            len(images.image),
            len(images.patches),
            len(images if images.sizes is None else images.sizes),
        )
        if len({n, patches, sizes}) > 1 or len(prompts.text) != len(prompts.prompts):
            raise UserError(
                f"embeddings of {n} pictures (patches of {patches}, sizes of {sizes}) and of {len(prompts.text)} texts"
                f" for {len(prompts.prompts)} prompts; expected one each"
            )
        if (
            images.image.shape[1:] != (wanted.d,)
            or images.patches.shape[1:] != (wanted.k, wanted.d)
            or prompts.text.shape[1:] != (wanted.d,)
        ):
            raise UserError(
                f"embeddings of shapes {images.image.shape}, {images.patches.shape} and {prompts.text.shape}; expected"
                f" [n, {wanted.d}], [n, {wanted.k}, {wanted.d}] and [n, {wanted.d}], as {wanted.name} makes them"
            )
        if pairwise:
            rows, columns = (each.reshape(-1) for each in np.indices((len(images), len(prompts))))
            return Verdicts(self._verdicts(images, prompts, rows, columns), (len(images), len(prompts)))
        if len(prompts) not in (1, len(images)):
            raise UserError(
                f"{len(images)} pictures and {len(prompts)} prompts; expected as many of both, one prompt, or"
                " pairwise=True"
            )
        rows = np.arange(len(images))
        return Verdicts(self._verdicts(images, prompts, rows, rows if len(prompts) > 1 else 0 * rows))

    def __call__(self, images: Sequence[Picture], texts: Sequence[str]) -> Float[np.ndarray, "m n"]:
        """Calibrated scores of every picture against every text, in the call shape of t2v_metrics."""
        return self.score(images, texts, pairwise=True).score

    def rank(self, prompt: str | EmbeddedPrompts, images: Sequence[Picture] | EmbeddedImages) -> Ranking:
        """The pictures of a prompt, best first; by logit, so that no calibration can make a tie."""
        verdicts = self.score(images, prompt)
        return Ranking(tuple(int(i) for i in np.argsort(-verdicts.logit, kind="stable")), verdicts)

    def explain(self, image: Picture, prompt: str) -> Verdict:
        """Everything that can be said of one picture."""
        return self.score(image, prompt)[0]

    def _verdicts(
        self, images: EmbeddedImages, prompts: EmbeddedPrompts, rows: np.ndarray, columns: np.ndarray
    ) -> tuple[Verdict, ...]:
        """The verdicts of pictures `rows` for prompts `columns`."""
        said = self._opinions(images, prompts, rows, columns)
        calibration, encoder, size = self.bundle.calibration, self.bundle.encoder, self.bundle.encoder.image_size
        score = calibration.global_score(said["global_logit"])
        patch = calibration.patch(said["patch_logit"]).reshape(-1, *encoder.grid)
        second = calibration.worst_patch(said["patch_logit"].min(axis=-1))
        reasons = np.stack(
            [calibration.reason[name](said["reason_logit"][:, c]) for c, name in enumerate(CATEGORIES)], axis=-1
        )
        prediction = calibration.conformal.predict(said["global_logit"], self.level)
        threshold, made = calibration.score_threshold, []
        for i, (row, column) in enumerate(zip(rows.tolist(), columns.tolist())):
            width, height = images.sizes[row] if images.sizes is not None else (size, size)
            verdict = Verdict(
                prompt=prompts.prompts[column],
                score=float(score[i]),
                logit=float(said["global_logit"][i]),
                patch_score=patch[i],
                risk=np.asarray(said["risk"][i]).reshape(encoder.grid),
                risk_threshold=calibration.risk_threshold,
                reasons={name: float(reasons[i, c]) for c, name in enumerate(CATEGORIES)},
                level=self.level,
                prediction=str(prediction[i]),
                worst_patch_score=float(second[i]),
                consistent=bool((score[i] >= threshold) == (second[i] >= threshold)),
                size=(width, height),
                view=view_box(width, height, view=encoder.view, share=encoder.view_share),
                digests=self.digests,
                small_world_only=encoder.small_world_only or bool(self.bundle.trained["small_world_only"]),
                unknown_tokens=0 if prompts.unknown is None else prompts.unknown[column],
            )
            made.append(verdict)
        return tuple(made)

    def _opinions(
        self, images: EmbeddedImages, prompts: EmbeddedPrompts, rows: np.ndarray, columns: np.ndarray
    ) -> dict[str, np.ndarray]:
        """What the heads say, one row for each of `rows`, in batches of a few fixed sizes, so that few programs are
        compiled.
        """
        k, pending = self.bundle.encoder.k, []
        for start in range(0, len(rows), MOST):
            part = np.arange(start, min(start + MOST, len(rows)))
            filled = np.concatenate([part, np.full(_bucket(len(part), MOST) - len(part), part[0])])
            row, column = rows[filled], columns[filled]
            said = self._judge(self._params, prompts.text[column], images.image[row], images.patches[row])
            pending.append((said, len(part)))  # not waited for: the next is gathered meanwhile
        shapes = {"global_logit": (), "patch_logit": (k,), "risk": (k,), "reason_logit": (len(CATEGORIES),)}
        gathered = lambda name, shape: [
            np.zeros((0, *shape), np.float32),
            *(np.asarray(getattr(said, name))[:n, 0] for said, n in pending),
        ]
        return {name: np.concatenate(gathered(name, shape)) for name, shape in shapes.items()}

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write `config.json`, `model.safetensors` and a model card; `from_pretrained` reads them, and so can programs
        without jax.
        """
        self.bundle.save(Path(folder))

    def push_to_hub(self, repo_id: str, *, private: bool = True, token: str | None = None) -> str:
        """Upload what `save_pretrained` writes to a repository of the model hub, which is made if need be; its address.

        Nothing is ever uploaded unless this is called.
        """
        import tempfile

        from huggingface_hub import HfApi

        api = HfApi(token=token)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            address = api.create_repo(repo_id, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=repo_id, folder_path=folder, commit_message="An auditor of text-to-image faithfulness"
            )
        return str(address)

    def export(self, form: str = "stablehlo") -> bytes:
        """The heads as a program that `jax.export.deserialize` loads, for any number of pictures.

        Its arguments are text f16[b, d], image f16[b, d] and patches f16[b, k, d]; it returns logits and risks before
        calibration:
        global_logit f32[b], patch_logit f32[b, k], risk f32[b, k], reason_logit f32[b, 5].
        """
        if form != "stablehlo":
            raise UserError(f"export: {form!r} is not known; expected 'stablehlo'")
        from jax import export

        (b,) = export.symbolic_shape("b")
        d, k = self.bundle.encoder.d, self.bundle.encoder.k
        row = lambda *shape: jax.ShapeDtypeStruct((b, *shape), jnp.float16)

        def heads(text: Any, image: Any, patches: Any) -> dict[str, Any]:
            said = self._judge(self._params, text, image, patches)
            return {name: getattr(said, name)[:, 0] for name in ("global_logit", "patch_logit", "risk", "reason_logit")}

        return bytes(
            export.export(jax.jit(heads), platforms=("cpu", "cuda", "tpu"))(row(d), row(d), row(k, d)).serialize()
        )


def _bucket(n: int, most: int) -> int:
    """The least power of two from n on, at most `most`."""
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
