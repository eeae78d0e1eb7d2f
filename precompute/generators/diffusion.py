"""Any text-to-image pipeline of diffusers, from a hub id or a folder; only safetensors are loaded.

Images are generated one at a time, each from its own seed on the CPU, so an image does not depend on earlier ones.
"""

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from precompute.compute import DTYPE, best_device, check_device
from precompute.generators import DIFFUSION_MODEL, SCENES, Made
from precompute.prompt_file import Prompt
from tipai_jax.errors import UserError, first_line
from tipai_jax.files.atomic import canonical_json, sha256_bytes, sha256_file
from tipai_jax.files.hub import hub_folder, is_hub_id, no_such_folder

__all__ = ["DiffusionGenerator"]

_INDEX = "model_index.json"
_HALF = "fp16"
"""The variant in half precision that many models offer beside their full weights."""


class DiffusionGenerator:
    """Generates with diffusers; see `Generator`.

    Args:
        model: a hub id, or a folder as `save_pretrained` of a pipeline writes it.
        steps: denoising steps; None for the pipeline's own default.
        guidance: guidance scale, likewise.
        size: side of an image in pixels, likewise.
        device: cpu or cuda; None for cuda if there is one.
        dtype: float32, float16 or bfloat16; None for float16 on cuda, float32 on cpu.

    Raises:
        UserError: the model is not found, has no safetensors, or there is no such device.
    """

    drawn = False
    notice = ""

    def __init__(
        self,
        model: str,
        *,
        steps: int | None = None,
        guidance: float | None = None,
        size: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
    ) -> None:
        self._device = device or best_device()
        check_device(self._device)
        self._dtype = dtype or DTYPE[self._device]
        self._folder = _find(model, half=self._dtype == "float16")
        self._call = {"num_inference_steps": steps, "guidance_scale": guidance, "height": size, "width": size}
        self._call = {name: value for name, value in self._call.items() if value is not None}
        self._pipeline: Any = None
        self.label = model if is_hub_id(model) and not Path(model).is_dir() else self._folder.resolve().name
        self.settings: Mapping[str, Any] = {
            "weights": _digest(self._folder),
            "dtype": self._dtype,
            "steps": steps,
            "guidance": guidance,
            "size": size,
        }

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Any prompt will do."""

    def load(self) -> str:
        import torch

        _silence()
        from diffusers.pipelines.auto_pipeline import AutoPipelineForText2Image

        try:
            pipeline = AutoPipelineForText2Image.from_pretrained(
                self._folder,
                use_safetensors=True,
                local_files_only=True,
                dtype=getattr(torch, self._dtype),
                variant=_variant(self._folder, half=self._dtype == "float16"),
            )
        except Exception as error:  # whatever the library raises, the folder cannot be used
            raise UserError(
                f"model {self.label}: cannot be loaded as a text-to-image pipeline ({first_line(error)}); choose "
                "another --model"
            ) from None
        pipeline.set_progress_bar_config(disable=True)
        taken = inspect.signature(pipeline.__call__).parameters
        if unknown := [name for name in self._call if name not in taken]:
            raise UserError(
                f"model {self.label}: {type(pipeline).__name__} takes no {unknown[0]}; leave that option out"
            )
        self._pipeline = pipeline.to(self._device)
        return f"{self.label}: {type(pipeline).__name__} on {self._device} in {self._dtype}"

    def make(self, prompt: Prompt, seed: int) -> Made:
        import torch

        try:
            with torch.inference_mode():
                result = self._pipeline(prompt.prompt, generator=torch.Generator("cpu").manual_seed(seed), **self._call)
        except torch.OutOfMemoryError:
            raise UserError(
                f"model {self.label}: {self._device} has not enough memory; take a smaller --size or --dtype float16, "
                "then run the same command again"
            ) from None
        except ValueError as error:  # such as a size that is no multiple of eight
            raise UserError(f"model {self.label}: {first_line(error)}") from None
        return Made(result.images[0])


def _find(model: str, *, half: bool) -> Path:
    folder = Path(model)
    if folder.is_dir():
        if not (folder / _INDEX).is_file():
            raise UserError(
                f"{folder}: no {_INDEX}; expected the folder of a diffusers pipeline as save_pretrained writes it"
            )
        _check_safetensors(folder)
        return folder
    if not is_hub_id(model):
        raise UserError(
            f"--model {model}: {no_such_folder(model)}; expected {SCENES}, the folder of a diffusers pipeline, or a "
            f"hub id such as {DIFFUSION_MODEL}"
        )
    from huggingface_hub import snapshot_download

    def download() -> Path:
        from diffusers.pipelines.pipeline_utils import DiffusionPipeline
        from huggingface_hub import HfApi

        offered = [entry.rfilename for entry in HfApi().model_info(model).siblings or []]
        variant = _HALF if half and any(name.endswith(f".{_HALF}.safetensors") for name in offered) else None
        return Path(DiffusionPipeline.download(model, use_safetensors=True, variant=variant))

    found = hub_folder(
        model,
        kind="model",
        find=lambda: Path(snapshot_download(model, local_files_only=True)),
        whole=lambda folder: (folder / _INDEX).is_file() and not _without_safetensors(folder),
        fetch=download,
        hint="put the pipeline's folder on this machine and name it: --model FOLDER, or draw instead: --model "
        f"{SCENES}",
    )
    _check_safetensors(found)
    return found


def _check_safetensors(folder: Path) -> None:
    if lacking := _without_safetensors(folder):
        raise UserError(
            f"{folder / lacking[0]}: no safetensors here; pickled weights are not loaded: load the pipeline and save "
            "it with save_pretrained(FOLDER, safe_serialization=True)"
        )


def _without_safetensors(folder: Path) -> list[str]:
    """The parts of a pipeline that should have weights and have no safetensors.

    Raises:
        UserError: `model_index.json` is not JSON, or no object.
    """
    try:
        index = json.loads((folder / _INDEX).read_bytes())
        parts = [name for name, value in index.items() if isinstance(value, list) and len(value) == 2 and value[0]]
    except (ValueError, AttributeError) as error:
        raise UserError(
            f"{folder / _INDEX}: is no pipeline's index ({first_line(error)}); fetch or save the model again"
        ) from None
    weighty = [name for name in parts if name.startswith(("unet", "transformer", "vae", "text_encoder", "prior"))]
    return [name for name in weighty if not _has_weights(folder / name)]


def _has_weights(part: Path) -> bool:
    """Whether a part has safetensors; where they are sharded, all files that the index lists."""
    files = {path.name for path in part.glob("*.safetensors")}
    lists = [json.loads(path.read_bytes()) for path in part.glob("*.safetensors.index*.json")]
    return any("-of-" not in name for name in files) or any(set(each["weight_map"].values()) <= files for each in lists)


def _variant(folder: Path, *, half: bool) -> str | None:
    """The variant to load: that in half precision where it is asked for or the only one."""
    files = [path.name for path in folder.glob("*/*.safetensors")]
    halves = [name for name in files if f".{_HALF}." in name]
    return _HALF if halves and (half or len(halves) == len(files)) else None


def _silence() -> None:
    """Switch off the libraries' own progress bars and remarks on what is not installed."""
    from transformers.utils import logging as of_transformers

    of_transformers.set_verbosity_error()
    of_transformers.disable_progress_bar()
    from diffusers.utils import logging as of_diffusers

    of_diffusers.set_verbosity_error()
    of_diffusers.disable_progress_bar()


def _digest(folder: Path) -> str:
    """A hash of all files that the model is loaded from."""
    files = sorted(
        path
        for pattern in ("*.json", "*.safetensors", "*.txt", "*.model")
        for path in folder.rglob(pattern)
        if path.is_file()
    )
    return sha256_bytes(canonical_json([[path.relative_to(folder).as_posix(), sha256_file(path)] for path in files]))
