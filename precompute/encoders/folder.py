"""From the name of an encoder (`tiny`, a local folder, a hub id) to its files, and the fingerprint of these.

Nothing here needs torch, so that a finished store is recognised at once.
"""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tipai_jax.errors import UserError
from tipai_jax.files.atomic import canonical_json, sha256_bytes, sha256_file
from tipai_jax.files.hub import hub_folder, is_hub_id, no_such_folder
from tipai_jax.store import Fingerprint

__all__ = ["GRID", "PATCH_MODES", "PHOTO_ENCODER", "TILE_SPAN", "TINY", "EncoderFolder", "find_encoder"]

GRID = 7
TILE_SPAN = 4
"""Cells of a tile along an axis, of GRID: a tile has 4/7 of a side, so it is enlarged 1.75 times."""
PATCH_MODES = ("dense", "crops", "raw", "tiles")
TINY = "tiny"
PHOTO_ENCODER = "openai/clip-vit-large-patch14"
TINY_FOLDER = Path(__file__).resolve().parent.parent / "assets" / "tiny_clip"
_IMAGE_PROCESSOR, _PROCESSOR = "preprocessor_config.json", "processor_config.json"
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")
_WANTED = [
    "config.json",
    _IMAGE_PROCESSOR,
    _PROCESSOR,
    "model*.safetensors",
    "model.safetensors.index.json",
    *_TOKENIZER_FILES,
]
_RECIPE = 2  # raise it when the preparation or a patch recipe changes what comes out


@dataclass(frozen=True)
class EncoderFolder:
    """The files of a CLIP model in Hugging Face form.

    Attributes:
        name: its name in a store; never a path.
        path: the folder.
    """

    name: str
    path: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """`config.json`.

        Raises:
            UserError: missing, unreadable, or not of a CLIP model.
        """
        config = self._json("config.json")
        if config.get("model_type") != "clip":
            raise UserError(
                f"{self.path / 'config.json'}: model_type is {config.get('model_type')!r}, expected 'clip'; "
                "choose a CLIP encoder"
            )
        return config

    @cached_property
    def processor_file(self) -> Path:
        """Where the image processor's settings are: `preprocessor_config.json`, or without it `processor_config.json`.

        An image processor saved alone writes the former, `CLIPProcessor.save_pretrained` of transformers 5 the latter.

        Raises:
            UserError: there is neither.
        """
        for name in (_IMAGE_PROCESSOR, _PROCESSOR):
            if (self.path / name).is_file():
                return self.path / name
        raise UserError(
            f"{self.path}: neither {_IMAGE_PROCESSOR} nor {_PROCESSOR}; save the processor beside the model: "
            f"{self._save_processor}"
        )

    @cached_property
    def processor(self) -> dict[str, Any]:
        """The image processor's settings.

        Raises:
            UserError: there are none.
        """
        value = self._json(self.processor_file.name)
        if self.processor_file.name == _IMAGE_PROCESSOR:
            return value
        settings = value.get("image_processor")
        if not isinstance(settings, dict):
            raise UserError(
                f"{self.processor_file}: holds no settings of an image processor (image_processor); save the processor "
                f"again: {self._save_processor}"
            )
        return settings

    @cached_property
    def tokenizer_files(self) -> list[Path]:
        """The files of the tokenizer.

        Raises:
            UserError: there is no vocabulary. (transformers would use an empty one, and all prompts would be equal.)
        """
        found = [self.path / name for name in _TOKENIZER_FILES if (self.path / name).exists()]
        names = {file.name for file in found}
        if "tokenizer.json" not in names and not {"vocab.json", "merges.txt"} <= names:
            raise UserError(
                f"{self.path}: no tokenizer (tokenizer.json, or vocab.json and merges.txt); save the processor beside "
                f"the model: {self._save_processor}"
            )
        return found

    @property
    def _save_processor(self) -> str:
        return f"CLIPProcessor.from_pretrained(MODEL).save_pretrained({str(self.path)!r})"

    @cached_property
    def weights(self) -> list[Path]:
        """The safetensors files, sorted.

        Raises:
            UserError: there is none (pickled weights are not loaded).
        """
        files = sorted(self.path.glob("model*.safetensors"))
        if not files:
            raise UserError(
                f"{self.path}: no model*.safetensors; pickled weights are not loaded: load it with CLIPModel and call "
                "save_pretrained(FOLDER)"
            )
        return files

    @property
    def small_world_only(self) -> bool:
        """The encoder was trained on drawn scenes only."""
        return bool(self.config.get("tipai_small_world_only", False))

    @property
    def default_patches(self) -> str:
        """The patch mode that `config.json` names; without one `raw` for a small-world encoder, else `dense`.

        Raises:
            UserError: it names an unknown one.
        """
        mode = self.config.get("tipai_patches") or ("raw" if self.small_world_only else "dense")
        if mode not in PATCH_MODES:
            raise UserError(
                f"{self.path / 'config.json'}: tipai_patches is {mode!r}, expected one of {', '.join(PATCH_MODES)}"
            )
        return mode

    def vision(self, key: str, default: int) -> int:
        """An integer of the vision configuration, which omits values that are the library's default."""
        return int(self.config.get("vision_config", {}).get(key, default))

    def view(self) -> tuple[str, float]:
        """The part of an image that the encoder takes: ("centre", share of the shorter side) or ("whole", 1.0).

        Raises:
            UserError: the processor does not make square images of the encoder's size.
        """
        size, crop = self.processor.get("size", {"shortest_edge": 224}), self.processor.get("crop_size", 224)
        crop = crop if isinstance(crop, dict) else {"height": crop, "width": crop}
        edge = size if isinstance(size, int) else size.get("shortest_edge")
        if not self.processor.get("do_center_crop", True):
            crop = {"height": size.get("height"), "width": size.get("width")} if isinstance(size, dict) else {}
        image_size = self.vision("image_size", 224)
        square = crop.get("height") == crop.get("width") == image_size
        if edge is not None and square and edge >= image_size and self.processor.get("do_resize", True):
            return "centre", image_size / edge
        if edge is None and square and isinstance(size, dict) and size.get("height") == size.get("width") == image_size:
            return "whole", 1.0
        raise UserError(
            f"{self.processor_file}: size {size!r} and crop_size {crop!r} do not lead to {image_size} x {image_size} "
            "pixels; "
            "expected a resize of the shortest edge with a centre crop, or a resize to a square"
        )

    @cached_property
    def _digests(self) -> dict[str, dict[str, str]]:
        """The hashes of the large files, which take seconds; of an encoder on disk no file changes during a command."""
        return {
            kind: {file.name: sha256_file(file) for file in files}
            for kind, files in (("tokenizer", self.tokenizer_files), ("weights", self.weights))
        }

    def fingerprint(self, *, patches: str, dtype: str) -> Fingerprint:
        """The fingerprint of the encoder in a patch mode and a dtype; the first call reads and hashes every file.

        Raises:
            UserError: a file is missing or not as expected, or the encoder's images cannot be cut into tiles.
        """
        view, share = self.view()
        image_size = self.vision("image_size", 224)
        if patches == "tiles" and image_size % TILE_SPAN:
            raise UserError(
                f"{self.path}: its images have {image_size} pixels a side, --patches tiles needs a multiple of "
                f"{TILE_SPAN}; take another --patches"
            )
        files = {
            "config": self.config,
            "processor": self.processor,
            **self._digests,
            "backend": "pil",
            "recipe": _RECIPE,
        }
        return Fingerprint(
            name=self.name,
            digest=sha256_bytes(canonical_json({**files, "patches": patches, "dtype": dtype})),
            files_digest=sha256_bytes(canonical_json(files)),
            d=int(self.config.get("projection_dim", 512)),
            k=GRID * GRID,
            grid=(GRID, GRID),
            image_size=image_size,
            patches=patches,
            dtype=dtype,
            normalised=True,
            small_world_only=self.small_world_only,
            logit_scale=self._logit_scale(),
            processor="pil",
            view=view,
            view_share=share,
        )

    def _logit_scale(self) -> float:
        from safetensors import SafetensorError, safe_open

        for file in self.weights:
            try:
                with safe_open(file, framework="numpy") as tensors:
                    if "logit_scale" in tensors.keys():  # noqa: SIM118 - not a dict
                        half = (
                            tensors.get_slice("logit_scale").get_dtype() == "BF16"
                        )  # numpy has no such type, torch has
                        return math.exp(
                            _bfloat16(file, "logit_scale") if half else float(tensors.get_tensor("logit_scale"))
                        )
            except SafetensorError as error:
                raise UserError(
                    f"{file}: not a readable safetensors file ({error}); fetch or save the encoder again"
                ) from None
        raise UserError(
            f"{self.path}: no logit_scale among the weights, expected a whole CLIP model (CLIPModel.save_pretrained)"
        )

    def _json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            value = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise UserError(
                f"{path}: missing, expected the folder of a CLIP model as save_pretrained writes it"
            ) from None
        except ValueError as error:
            raise UserError(f"{path}: not JSON ({error}); fetch or save the encoder again") from None
        if not isinstance(value, dict):
            raise UserError(f"{path}: expected a JSON object")
        return value


def _bfloat16(file: Path, name: str) -> float:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        return float(tensors.get_tensor(name))


def find_encoder(name: str) -> EncoderFolder:
    """The folder of an encoder: `tiny`, a local folder, or a hub id that is on disk or can be fetched.

    What is on disk is found without the network; without a network the answer comes within seconds.

    Raises:
        UserError: it is not found.
    """
    if name == TINY:
        if not (TINY_FOLDER / "config.json").is_file():
            raise UserError(
                "encoder tiny: precompute/assets/tiny_clip is missing; restore it from the repository or train it: "
                "scripts/train_tiny_clip.py"
            )
        return EncoderFolder(TINY, TINY_FOLDER)
    folder = Path(name)
    if folder.is_dir():
        return EncoderFolder(folder.resolve().name, folder)
    if not is_hub_id(name):
        raise UserError(
            f"encoder {name}: {no_such_folder(name)}; expected `tiny`, the folder of a CLIP model, or a hub id such as "
            f"{PHOTO_ENCODER}"
        )
    return EncoderFolder(name, _hub_folder(name))


def _hub_folder(name: str) -> Path:
    from huggingface_hub import snapshot_download

    return hub_folder(
        name,
        kind="encoder",
        find=lambda: Path(snapshot_download(name, allow_patterns=_WANTED, local_files_only=True)),
        whole=lambda folder: (folder / "config.json").exists() and any(folder.glob("model*.safetensors")),
        fetch=lambda: Path(snapshot_download(name, allow_patterns=_WANTED)),
        hint=f"put the model's folder on this machine and name it: --encoder FOLDER, or use --encoder {TINY} for drawn "
        "scenes",
    )
