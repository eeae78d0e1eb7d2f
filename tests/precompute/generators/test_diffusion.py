"""A diffusers pipeline with random weights, saved to disk and loaded from there: seeds, number formats, refusals."""

import json
import shutil
from unittest import mock

import fake_hub
import numpy as np
import pytest
from random_pipeline import write_pipeline

from precompute.generators.diffusion import DiffusionGenerator, _has_weights, _variant
from precompute.prompt_file import Prompt
from tipai_jax.errors import UserError

CAR = Prompt("p", "a red car")
QUICK = {"steps": 2, "size": 32, "device": "cpu"}

pytestmark = pytest.mark.slow  # diffusers alone takes ten seconds to import


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_pipeline(tmp_path_factory.mktemp("sd") / "tiny-sd")


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def pixels(generator, prompt=CAR, seed=0):
    return np.asarray(generator.make(prompt, seed).image)


def test_prompt_seed_and_settings_decide_the_image(folder):
    generator = DiffusionGenerator(str(folder), **QUICK)
    assert generator.load() == "tiny-sd: StableDiffusionPipeline on cpu in float32"
    first = pixels(generator)
    assert first.shape == (32, 32, 3) and first.std() > 0
    others = [pixels(generator, seed=1), pixels(generator, Prompt("p", "two blue dogs"))]
    assert all((first != other).any() for other in others)
    again = DiffusionGenerator(str(folder), **QUICK)
    again.load()
    assert (pixels(again) == first).all() and again.settings == generator.settings
    assert generator.make(CAR, 0).truth is None and not generator.drawn
    more = DiffusionGenerator(str(folder), **{**QUICK, "steps": 3, "guidance": 1.5})
    more.load()
    assert (pixels(more) != first).any() and more.settings != generator.settings


def test_other_weights_of_the_same_size_are_another_model(folder, tmp_path):
    other = write_pipeline(tmp_path / "tiny-sd", seed=1)
    assert (
        DiffusionGenerator(str(other), **QUICK).settings["weights"]
        != DiffusionGenerator(str(folder), **QUICK).settings["weights"]
    )


def test_weights_in_half_precision_are_taken_where_they_serve(tmp_path):
    for name in ("unet/a.safetensors", "unet/a.fp16.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert _variant(tmp_path, half=True) == "fp16" and _variant(tmp_path, half=False) is None
    (tmp_path / "unet/a.safetensors").unlink()
    assert _variant(tmp_path, half=False) == "fp16"


def test_weights_in_several_files_are_there_when_all_are(tmp_path):
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict(zip("ab", names))}))
    (tmp_path / names[0]).touch()
    assert not _has_weights(tmp_path)
    (tmp_path / names[1]).touch()
    assert _has_weights(tmp_path)


@pytest.mark.parametrize(("dtype", "variant"), [("float16", "fp16"), ("float32", None)])
def test_a_model_of_the_hub_is_fetched_as_safetensors_in_half_precision_where_that_serves(
    folder, monkeypatch, tmp_path, dtype, variant
):

    import diffusers
    from huggingface_hub import ModelInfo, constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    offered = [{"rfilename": f"unet/model{half}.safetensors"} for half in ("", ".fp16")]
    fake_hub.replaced(monkeypatch, "model_info", return_value=ModelInfo(id="some/model", siblings=offered))
    download = mock.create_autospec(diffusers.DiffusionPipeline.download, return_value=str(folder))
    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", download)
    generator = DiffusionGenerator("some/model", device="cpu", dtype=dtype)
    download.assert_called_once_with("some/model", use_safetensors=True, variant=variant)
    assert generator.label == "some/model" and generator.settings["dtype"] == dtype


def test_what_a_pipeline_refuses_is_said_in_a_line(folder):
    generator = DiffusionGenerator(str(folder), **{**QUICK, "size": 33})
    generator.load()
    with pytest.raises(UserError, match=r"model tiny-sd: .*divisible by 8"):
        generator.make(CAR, 0)


def test_pickled_weights_are_not_loaded(copy):
    (copy / "unet/diffusion_pytorch_model.safetensors").rename(copy / "unet/diffusion_pytorch_model.bin")
    with pytest.raises(UserError, match=r"unet: no safetensors here; pickled weights are not loaded"):
        DiffusionGenerator(str(copy), **QUICK)


def test_what_is_no_pipeline_is_said_in_a_line(copy, tmp_path):
    with pytest.raises(
        UserError,
        match=r"--model nowhere: no such folder; expected scenes, the folder of a diffusers pipeline, or a hub id",
    ):
        DiffusionGenerator("nowhere")
    with pytest.raises(UserError, match=r"no model_index\.json"):
        DiffusionGenerator(str(tmp_path))
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps(index | {"_class_name": "DDPMPipeline"}))
    with pytest.raises(UserError, match="model copy: cannot be loaded as a text-to-image pipeline"):
        DiffusionGenerator(str(copy), **QUICK).load()
    (copy / "model_index.json").write_text("{")
    with pytest.raises(UserError, match="is no pipeline's index"):
        DiffusionGenerator(str(copy), **QUICK)


def test_damaged_weights_are_said_in_a_line(copy):
    file = copy / "vae/diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(UserError, match="model copy: cannot be loaded"):
        DiffusionGenerator(str(copy), **QUICK).load()


def test_a_model_out_of_reach_is_said_at_once(monkeypatch, tmp_path):
    from huggingface_hub import constants

    asked = fake_hub.out_of_reach(monkeypatch, tmp_path)
    with pytest.raises(
        UserError,
        match=r"model some/model: not on this machine and not to be fetched \(Network is unreachable\); put .* --model "
        r"FOLDER",
    ):
        DiffusionGenerator("some/model", device="cpu")
    assert asked.call_args.kwargs["timeout"] <= 5
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE forbids"):
        DiffusionGenerator("some/model", device="cpu")


def test_a_gpu_that_is_not_there_is_said(folder, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="--device cuda: torch finds no CUDA device on this machine; take --device cpu"):
        DiffusionGenerator(str(folder), device="cuda")
