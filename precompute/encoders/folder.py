"""Finding an encoder's files and saying exactly which encoder it is, without loading it.

Owns the way from a name (`tiny`, a local folder, a hub id) to a folder, and the fingerprint over what lies there. Runs
without torch, so that a finished store is recognised in an instant. Knows nothing of how the encoder computes.
"""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tipai_jax.errors import UserError
from tipai_jax.hub import hub_folder, is_hub_id, no_such_folder
from tipai_jax.store import Fingerprint
from tipai_jax.store.durable import canonical_json, sha256_bytes, sha256_file

__all__ = ["GRID", "PATCH_MODES", "PHOTO_ENCODER", "TILE_SPAN", "TINY", "EncoderFolder", "find_encoder"]

GRID = 7
TILE_SPAN = 4
"""Cells of a tile along an axis, of GRID: 4/7 of a side, so a tile is enlarged 1.75 times."""
PATCH_MODES = ("dense", "crops", "raw", "tiles")
TINY = "tiny"
PHOTO_ENCODER = "openai/clip-vit-large-patch14"
TINY_FOLDER = Path(__file__).resolve().parent.parent / "assets" / "tiny_clip"
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")
_WANTED = [
    "config.json",
    "preprocessor_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    *_TOKENIZER_FILES,
]
_RECIPE = 2  # raise it when the preparation or a patch recipe changes what comes out


@dataclass(frozen=True)
class EncoderFolder:
    """The files of a CLIP model in Hugging Face form.

    Attributes:
        name: how the store calls it; never a path.
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
                f"{self.path / 'config.json'}: model_type is {config.get('model_type')!r}, expected 'clip'; choose a"
                " CLIP encoder"
            )
        return config

    @cached_property
    def processor(self) -> dict[str, Any]:
        """`preprocessor_config.json`."""
        return self._json("preprocessor_config.json")

    @cached_property
    def weights(self) -> list[Path]:
        """The safetensors files, sorted.

        Raises:
            UserError: there is none (pickled weights are not loaded).
        """
        files = sorted(self.path.glob("model*.safetensors"))
        if not files:
            raise UserError(
                f"{self.path}: no model*.safetensors; pickled weights are not loaded: load it with CLIPModel and call"
                " save_pretrained(FOLDER)"
            )
        return files

    @property
    def small_world_only(self) -> bool:
        """The encoder was trained on drawn scenes only."""
        return bool(self.config.get("tipai_small_world_only", False))

    @property
    def default_patches(self) -> str:
        """The patch mode its makers measured to be best, `raw` for a small-world encoder without a word, else `dense`."""
        mode = self.config.get("tipai_patches") or ("raw" if self.small_world_only else "dense")
        if mode not in PATCH_MODES:
            raise UserError(
                f"{self.path / 'config.json'}: tipai_patches is {mode!r}, expected one of {', '.join(PATCH_MODES)}"
            )
        return mode

    def vision(self, key: str, default: int) -> int:
        """An integer of the vision configuration, which omits what equals the library's default."""
        return int(self.config.get("vision_config", {}).get(key, default))

    def view(self) -> tuple[str, float]:
        """What the preparation shows the encoder: ("centre", share of the shorter side) or ("whole", 1.0)."""
        size, crop = self.processor.get("size", {"shortest_edge": 224}), self.processor.get("crop_size", 224)
        crop = crop if isinstance(crop, dict) else {"height": crop, "width": crop}
        edge = size if isinstance(size, int) else size.get("shortest_edge")
        if not self.processor.get("do_center_crop", True):
            crop = {"height": size.get("height"), "width": size.get("width")} if isinstance(size, dict) else {}
        image_size = self.vision("image_size", 224)
        square = crop.get("height") == crop.get("width") == image_size
        if edge is not None and square and edge >= image_size and self.processor.get("do_resize", True):
            return "centre", image_size / edge
        if edge is None and square and size.get("height") == size.get("width") == image_size:
            return "whole", 1.0
        raise UserError(
            f"{self.path / 'preprocessor_config.json'}: size {size!r} and crop_size {crop!r} do not lead to"
            f" {image_size} x {image_size} pixels; expected a resize of the shortest edge with a centre crop, or a"
            " resize to a square"
        )

    def fingerprint(self, *, patches: str, dtype: str) -> Fingerprint:
        """Which encoder this is, in a patch mode and a dtype; reads and hashes every file that matters.

        Raises:
            UserError: a file does not say what it should, or the encoder's images cannot be cut into tiles.
        """
        view, share = self.view()
        image_size = self.vision("image_size", 224)
        if patches == "tiles" and image_size % TILE_SPAN:
            raise UserError(
                f"{self.path}: its images have {image_size} pixels a side, --patches tiles needs a multiple of"
                f" {TILE_SPAN}; take another --patches"
            )
        identity = {
            "config": self.config,
            "processor": self.processor,
            "tokenizer": {
                name: sha256_file(self.path / name) for name in _TOKENIZER_FILES if (self.path / name).exists()
            },
            "weights": {file.name: sha256_file(file) for file in self.weights},
            "patches": patches,
            "dtype": dtype,
            "backend": "pil",
            "recipe": _RECIPE,
        }
        return Fingerprint(
            name=self.name,
            digest=sha256_bytes(canonical_json(identity)),
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

    What is on disk is found without touching the network; without a network the answer comes within seconds.

    Raises:
        UserError: it is nowhere to be had.
    """
    if name == TINY:
        if not (TINY_FOLDER / "config.json").is_file():
            raise UserError(
                "encoder tiny: precompute/assets/tiny_clip is missing; restore it from the repository or train it:"
                " scripts/train_tiny_clip.py"
            )
        return EncoderFolder(TINY, TINY_FOLDER)
    folder = Path(name)
    if folder.is_dir():
        return EncoderFolder(folder.resolve().name, folder)
    if not is_hub_id(name):
        raise UserError(
            f"encoder {name}: {no_such_folder(name)}; expected `tiny`, the folder of a CLIP model, or a hub id such as"
            f" {PHOTO_ENCODER}"
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
        hint=(
            f"put the model's folder on this machine and name it: --encoder FOLDER, or use --encoder {TINY} for drawn"
            " scenes"
        ),
    )
