"""The public API: a trained auditor that scores, ranks and explains images.

    from tipai_jax import Auditor

    auditor = Auditor.from_pretrained("runs/quickstart")
    auditor.score("a.png", "a red car on the beach").score
    auditor.rank("a red car on the beach", ["a.png", "b.png"]).best
    print(auditor.explain("a.png", "a red car on the beach").sentence)

The frozen encoder (PyTorch) is loaded once, and only when an image or a prompt has to be embedded; the heads are JAX.
"""

import functools
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from tipai_jax.auditor.alternatives import Asked, asked_lists, name_alternatives
from tipai_jax.auditor.bundle import Bundle, find_bundle
from tipai_jax.auditor.embeddings import EmbeddedImages, EmbeddedPhrases, EmbeddedPrompts
from tipai_jax.auditor.encoder import load_encoder
from tipai_jax.auditor.heads import CompiledHeads, bucket
from tipai_jax.auditor.phrases import embed_phrases
from tipai_jax.auditor.verdict import Digests, JudgedPhrase, Ranking, Verdict, Verdicts
from tipai_jax.errors import UserError
from tipai_jax.evaluation.alternatives import Lists
from tipai_jax.render.images import ImageLike, image_list, read_image, type_name
from tipai_jax.store import CATEGORIES, PHRASE_KINDS, view_box

if TYPE_CHECKING:
    from precompute.encoders.clip import ClipEncoder
    from precompute.encoders.images import Prepared

__all__ = ["Auditor", "EmbeddedImages", "EmbeddedPrompts"]


class Auditor:
    """Heads, calibration and encoder of a trained run; make one with `from_pretrained`.

    Args:
        bundle: heads, calibration and what they were made with.
        encoder: name or folder of the frozen encoder; if None, the one the heads were trained on: its folder as the
            run's store has noted it, if that is still there, else by its name.
        device: of the encoder, "cpu" or "cuda"; CUDA where there is one if None.
        level: of the conformal predictions, above 0 and below 1.
        batch_size: images per forward pass of the encoder, at most.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        encoder: str | os.PathLike[str] | None = None,
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
        if device not in (None, "cpu", "cuda"):
            raise UserError(f"device is {device!r}; expected 'cpu', 'cuda' or None")
        self.bundle, self.level, self.batch_size = bundle, level, batch_size
        self.digests = Digests(encoder=bundle.encoder.digest, heads=bundle.digest())
        self._encoder_name, self._device = str(encoder or bundle.encoder_folder or bundle.encoder.name), device
        self._heads = CompiledHeads(bundle)

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str], **options: Any) -> "Auditor":
        """The auditor of a trained and evaluated run, or of a folder that `save_pretrained` wrote (or a hub id of one).

        Args:
            folder: the folder; a name that is no folder but looks like `owner/name` is searched for at the model hub,
                unless there is a folder `owner` here.
            options: as the class takes them.

        Raises:
            UserError: no auditor there, or not evaluated yet.
        """
        return cls(find_bundle(str(folder)), **options)

    @cached_property
    def encoder(self) -> "ClipEncoder":
        """The frozen encoder, loaded when it is first needed.

        Raises:
            UserError: it is not found, it is not the one the heads were trained on, or there is no such device.
        """
        encoder, batch_size = self.bundle.encoder, self.batch_size
        return load_encoder(self._encoder_name, wanted=encoder, device=self._device, batch_size=batch_size)

    @property
    def notes(self) -> list[str]:
        """What limits the predictions of this auditor, a line each: its data and what was calibrated on too few."""
        drawn = ["this auditor knows drawn scenes only; its scores of photographs mean nothing"]
        calibration = [f"calibration, {note}" for note in self.bundle.calibration.notes([self.level])]
        return (drawn if self.bundle.small_world_only else []) + calibration

    def embed_prompts(self, prompts: str | Sequence[str]) -> EmbeddedPrompts:
        """Embed prompts, each different one once.

        Raises:
            UserError: one is empty or not a string.
        """
        prompts = _prompt_list(prompts)
        for place, prompt in enumerate(prompts):
            if not isinstance(prompt, str) or not prompt.strip():
                raise UserError(f"prompt {place} is {prompt!r}; expected words")
        if not prompts:
            nothing = np.zeros((0, self.bundle.encoder.d), np.float16)
            return EmbeddedPrompts(nothing, (), self.digests.encoder, (), self._phrases_of(()))
        unique = list(dict.fromkeys(prompts))
        encoded = self.encoder.encode_text(unique, batch_size=bucket(len(unique), self.batch_size))
        place_of = {prompt: place for place, prompt in enumerate(unique)}
        where = [place_of[prompt] for prompt in prompts]
        unknown = tuple(int(encoded.tokens.unknown[place]) for place in where)
        phrases = self._phrases_of(prompts)
        return EmbeddedPrompts(encoded.text[where], tuple(prompts), self.digests.encoder, unknown, phrases)

    def _phrases_of(self, prompts: Sequence[str]) -> EmbeddedPhrases | None:
        if not self._heads.reads_phrases:
            return None
        return embed_phrases(prompts, self.encoder, batch_size=self.batch_size)

    def embed_images(self, images: ImageLike | Sequence[ImageLike]) -> EmbeddedImages:
        """Embed images in batches.

        Args:
            images: PIL images, arrays u8[h, w] or u8[h, w, 3 or 4], paths of JPEG, PNG or WEBP files, or their bytes.

        Raises:
            UserError: one cannot be read, or is something else.
        """
        return self.embed_prepared([self.prepare(image, place) for place, image in enumerate(image_list(images))])

    def prepare(self, image: ImageLike, place: int = 0) -> "Prepared":
        """One image, read and prepared for `embed_prepared`.

        Args:
            image: as `embed_images` takes them.
            place: its number, for a message.

        Raises:
            UserError: it cannot be read.
        """
        from precompute.encoders.images import BadImage

        found, name = read_image(image, place)
        preparation = self.encoder.preparation
        try:
            return preparation.prepare(found) if isinstance(found, bytes) else preparation.prepare_image(found)
        except BadImage as error:
            raise UserError(f"{name}: {error}; expected a whole JPEG, PNG or WEBP image") from None

    def embed_prepared(self, prepared: "Sequence[Prepared]") -> EmbeddedImages:
        """Embed images that `prepare` gave, in batches; on a CPU each core takes batches of its own, for several on
        one batch wait for each other.
        """
        if not prepared:
            d, k = self.bundle.encoder.d, self.bundle.encoder.k
            none = np.zeros((0, d), np.float16), np.zeros((0, k, d), np.float16)
            return EmbeddedImages(*none, self.digests.encoder, ())
        import torch

        encode = functools.partial(self.encoder.encode_images, batch_size=bucket(len(prepared), self.batch_size))
        parts = [list(prepared[start : start + self.batch_size]) for start in range(0, len(prepared), self.batch_size)]
        if len(parts) > 1 and self.encoder.device.type == "cpu":
            with ThreadPoolExecutor(
                min(16, os.cpu_count() or 1), initializer=torch.set_num_threads, initargs=(1,)
            ) as pool:
                encoded = list(pool.map(encode, parts))
        else:
            encoded = [encode(part) for part in parts]
        image, patches = (
            np.concatenate([each.image for each in encoded]),
            np.concatenate([each.patches for each in encoded]),
        )
        sizes = tuple((each.width, each.height) for each in prepared)
        return EmbeddedImages(image, patches, self.digests.encoder, sizes)

    def score(
        self,
        images: ImageLike | Sequence[ImageLike] | EmbeddedImages,
        prompts: str | Sequence[str] | EmbeddedPrompts,
        *,
        pairwise: bool = False,
        alternatives: Asked = False,
    ) -> Verdicts:
        """Judge images for prompts.

        Args:
            images: one image or several (PIL images, arrays u8[h, w] or u8[h, w, 3 or 4], paths or bytes of files), or
                embedded ones.
            prompts: one prompt or several; one goes with every image.
            pairwise: every image against every prompt, instead of the first with the first and so on.
            alternatives: whether to look for what each failing phrase looks like instead (`JudgedPhrase.alternative`);
                True tries `evaluation.alternatives.ALTERNATIVES`, a mapping what it lists, such as {"colour": ["red",
                "blue"], "number": [1, 2, 3], "relation": ["on", "under"]}. Needs the encoder, and about ten passes of
                the heads for each failing phrase.

        Returns:
            n verdicts, or M x N with `pairwise`; `.score` and `.logit` are arrays of that shape. n may be 0.

        Raises:
            UserError: the numbers do not fit, an image cannot be read, or the embeddings are of another width.
        """
        images = images if isinstance(images, EmbeddedImages) else self.embed_images(images)
        prompts = prompts if isinstance(prompts, EmbeddedPrompts) else self.embed_prompts(prompts)
        self._check(images, prompts)
        lists = asked_lists(alternatives)
        if pairwise:
            image, prompt = (each.reshape(-1) for each in np.indices((len(images), len(prompts))))
            return Verdicts(self._verdicts(images, prompts, image, prompt, lists), (len(images), len(prompts)))
        if len(prompts) not in (1, len(images)):
            raise UserError(
                f"{len(images)} images and {len(prompts)} prompts; expected as many of both, one prompt, or"
                " pairwise=True"
            )
        image = np.arange(len(images))
        prompt = image if len(prompts) > 1 else 0 * image
        return Verdicts(self._verdicts(images, prompts, image, prompt, lists))

    def __call__(self, images: Sequence[ImageLike], texts: Sequence[str]) -> Float[np.ndarray, "m n"]:
        """Calibrated scores of every image against every text, in the call shape of t2v_metrics."""
        return self.score(images, texts, pairwise=True).score

    def rank(
        self,
        prompt: str | EmbeddedPrompts,
        images: Sequence[ImageLike] | EmbeddedImages,
        *,
        alternatives: Asked = False,
    ) -> Ranking:
        """The images of a prompt, best first; by logit, so that no calibration can make a tie. `alternatives` as
        `score` takes them.
        """
        verdicts = self.score(images, prompt, alternatives=alternatives)
        return Ranking(tuple(int(i) for i in np.argsort(-verdicts.logit, kind="stable")), verdicts)

    def explain(self, image: ImageLike, prompt: str, *, alternatives: Asked = True) -> Verdict:
        """The verdict on one image, with everything that is predicted of it; `alternatives` as `score` takes them."""
        return self.score([image], [prompt], alternatives=alternatives)[0]

    def _check(self, images: EmbeddedImages, prompts: EmbeddedPrompts) -> None:
        """Refuse embeddings of another encoder, or of numbers and widths that do not fit.

        Raises:
            UserError: see above.
        """
        wanted = self.bundle.encoder
        for each in (images, prompts):
            if each.encoder != wanted.digest:
                raise UserError(
                    f"embeddings of the encoder with digest {each.encoder[:12]}, but the heads were trained on"
                    f" {wanted.name} with digest {wanted.digest[:12]}"
                )
        n, patches = len(images.image), len(images.patches)
        sizes = n if images.sizes is None else len(images.sizes)
        if len({n, patches, sizes}) > 1 or len(prompts.text) != len(prompts.prompts):
            raise UserError(
                f"embeddings of {n} images (patches of {patches}, sizes of {sizes}) and of {len(prompts.text)} texts"
                f" for {len(prompts.prompts)} prompts; expected one each"
            )
        shapes = images.image.shape[1:], images.patches.shape[1:], prompts.text.shape[1:]
        if shapes != ((wanted.d,), (wanted.k, wanted.d), (wanted.d,)):
            raise UserError(
                f"embeddings of shapes {images.image.shape}, {images.patches.shape} and {prompts.text.shape}; expected"
                f" [n, {wanted.d}], [n, {wanted.k}, {wanted.d}] and [n, {wanted.d}], as {wanted.name} makes them"
            )

    def _verdicts(
        self, images: EmbeddedImages, prompts: EmbeddedPrompts, image: np.ndarray, prompt: np.ndarray, lists: Lists
    ) -> tuple[Verdict, ...]:
        """The verdicts on the images `image` for the prompts `prompt`, by their numbers, and what `lists` has for their
        failing phrases.
        """
        output = self._heads.predict(images, prompts, image, prompt)
        calibration, encoder, size = self.bundle.calibration, self.bundle.encoder, self.bundle.encoder.image_size
        assert calibration.conformal is not None and calibration.worst_patch is not None, "refused in __init__"
        score = calibration.global_score(output["global_logit"])
        patch = calibration.patch(output["patch_logit"]).reshape(-1, *encoder.grid)
        worst = calibration.worst_patch(output["patch_logit"].min(axis=-1))
        reasons, consistent = calibration.reasons(output["reason_logit"]), calibration.consistent(score, worst)
        prediction = calibration.conformal.predict(output["global_logit"], self.level)
        verdicts = []
        for i, (row, column) in enumerate(zip(image.tolist(), prompt.tolist())):
            width, height = images.sizes[row] if images.sizes is not None else (size, size)
            verdict = Verdict(
                prompt=prompts.prompts[column],
                score=float(score[i]),
                logit=float(output["global_logit"][i]),
                patch_score=patch[i],
                risk=np.asarray(output["risk"][i]).reshape(encoder.grid),
                risk_threshold=calibration.risk_threshold,
                box_reach=calibration.box_reach,
                score_threshold=calibration.score_threshold,
                reasons={name: float(reasons[i, c]) for c, name in enumerate(CATEGORIES)},
                level=self.level,
                prediction=str(prediction[i]),
                worst_patch_score=float(worst[i]),
                consistent=bool(consistent[i]),
                size=(width, height),
                view=view_box(width, height, view=encoder.view, share=encoder.view_share),
                digests=self.digests,
                small_world_only=self.bundle.small_world_only,
                unknown_tokens=0 if prompts.unknown is None else prompts.unknown[column],
                phrases=self._phrases(prompts, column, output["phrase_logit"][i]) if self._heads.reads_phrases else (),
            )
            verdicts.append(verdict)
        if not lists or calibration.phrase is None or not any(each.fails for v in verdicts for each in v.phrases):
            return tuple(verdicts)
        about = {"images": images, "prompts": prompts, "lists": lists}
        how = {"heads": self._heads, "encoder": self.encoder, "calibrator": calibration.phrase}
        return name_alternatives(verdicts, image, prompt, **about, **how)

    def _phrases(
        self, prompts: EmbeddedPrompts, column: int, logit: Float[np.ndarray, " p"]
    ) -> tuple[JudgedPhrase, ...]:
        """The phrases of a prompt with the probability that an image keeps each; none where nothing was known of the
        phrases that the heads were trained on.
        """
        phrases, calibrator = prompts.phrases, self.bundle.calibration.phrase
        assert phrases is not None, "refused in predict"
        if calibrator is None:
            return ()
        kept = calibrator(np.asarray(logit, np.float64))
        found = []
        for place in np.flatnonzero(phrases.present[column]).tolist():
            start, end = (int(each) for each in phrases.span[column, place])
            kind = PHRASE_KINDS[int(phrases.kind[column, place])]
            text = prompts.prompts[column][start:end]
            found.append(JudgedPhrase(text=text, start=start, end=end, kind=kind, kept=float(kept[place])))
        return tuple(found)

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
        """The heads as a program that `jax.export.deserialize` loads, for any number of images.

        Its arguments are text f16[b, d], image f16[b, d] and patches f16[b, k, d], and of heads that read phrases the
        `arrays` of `EmbeddedPhrases`; it returns logits and risks before calibration:
        global_logit f32[b], patch_logit f32[b, k], risk f32[b, k], reason_logit f32[b, 5], phrase_logit f32[b, 8].

        What it writes expires: jax promises to read it for six months. `save_pretrained` is the durable form.
        """
        if form != "stablehlo":
            raise UserError(f"export: {form!r} is not known; expected 'stablehlo'")
        return self._heads.export()


def _prompt_list(prompts: object) -> list[Any]:
    """The prompts one by one.

    Raises:
        UserError: neither a string nor a sequence.
    """
    if isinstance(prompts, str):
        return [prompts]
    if isinstance(prompts, bytes) or not isinstance(prompts, Iterable):
        raise UserError(f"prompts is of type {type_name(prompts)}; expected a string or a sequence of strings")
    return list(prompts)
