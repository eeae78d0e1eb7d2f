import json
import shutil

import fake_hub
import pytest

from precompute.encoders import folder as module
from precompute.encoders.folder import find_encoder
from tipai_jax.errors import UserError


@pytest.fixture
def copy(clip, tmp_path):
    shutil.copytree(clip, tmp_path / "copy")
    return tmp_path / "copy"


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_fingerprint_says_what_it_is(clip):
    found = find_encoder(str(clip)).fingerprint(patches="dense", dtype="float32")
    assert (found.name, found.d, found.k, found.grid, found.image_size) == ("clip", 24, 49, (7, 7), 56)
    assert (found.processor, found.view, found.view_share) == ("pil", "centre", 1.0)
    assert found.normalised and not found.small_world_only
    assert found.logit_scale == pytest.approx(14.2857, rel=1e-3)  # exp(2.6592), CLIP's start


def test_fingerprint_follows_every_part(copy):
    def digest(patches="dense", dtype="float32"):
        return find_encoder(str(copy)).fingerprint(patches=patches, dtype=dtype).digest

    first = digest()
    assert digest() == first
    digests = {first, digest(patches="raw"), digest(dtype="float16")}
    change(copy / "preprocessor_config.json", resample=2)
    digests.add(digest())
    change(copy / "config.json", projection_dim=25)
    digests.add(digest())
    (copy / "tokenizer.json").write_text((copy / "tokenizer.json").read_text() + " ")
    digests.add(digest())
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    digests.add(digest())
    assert len(digests) == 7


def test_the_files_digest_follows_the_files_alone(copy):
    def files(patches="dense", dtype="float32"):
        return find_encoder(str(copy)).fingerprint(patches=patches, dtype=dtype).files_digest

    first = files()
    assert len(first) == 64 and files(patches="raw") == files(dtype="bfloat16") == first
    change(copy / "preprocessor_config.json", resample=2)
    assert files() != first


def test_each_file_is_hashed_once_however_often_the_fingerprint_is_asked_for(copy, monkeypatch):
    hashed, sha256_file = [], module.sha256_file
    monkeypatch.setattr(module, "sha256_file", lambda file: hashed.append(file) or sha256_file(file))
    found = find_encoder(str(copy))
    digests = {found.fingerprint(patches=patches, dtype="float32").digest for patches in ("raw", "dense", "raw")}
    assert len(digests) == 2 and sorted(hashed) == sorted([*found.tokenizer_files, *found.weights])
    again = find_encoder(str(copy))
    assert again.fingerprint(patches="raw", dtype="float32").digest in digests


def test_moving_the_folder_changes_nothing(clip, copy):
    assert (
        find_encoder(str(copy)).fingerprint(patches="raw", dtype="float32").digest
        == find_encoder(str(clip)).fingerprint(patches="raw", dtype="float32").digest
    )


def test_default_patches(copy):
    assert find_encoder(str(copy)).default_patches == "dense"
    change(copy / "config.json", tipai_small_world_only=True)
    assert find_encoder(str(copy)).default_patches == "raw" and find_encoder(str(copy)).small_world_only
    change(copy / "config.json", tipai_patches="crops")
    assert find_encoder(str(copy)).default_patches == "crops"
    change(copy / "config.json", tipai_patches="fancy")
    with pytest.raises(UserError, match="tipai_patches is 'fancy', expected one of dense, crops, raw, tiles"):
        _ = find_encoder(str(copy)).default_patches


def test_views(copy):
    change(copy / "preprocessor_config.json", size={"shortest_edge": 112})
    assert find_encoder(str(copy)).view() == ("centre", 0.5)
    change(copy / "preprocessor_config.json", size={"height": 56, "width": 56}, do_center_crop=False)
    assert find_encoder(str(copy)).view() == ("whole", 1.0)
    change(copy / "preprocessor_config.json", size={"height": 60, "width": 56})
    with pytest.raises(UserError, match="do not lead to 56 x 56 pixels"):
        find_encoder(str(copy)).view()


@pytest.fixture
def processed(clip, tmp_path):
    """The same encoder as transformers 5 saves it, with the image processor's settings in `processor_config.json`."""
    from transformers import AutoTokenizer, CLIPProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path / "processed"
    CLIPProcessor(CLIPImageProcessorPil.from_pretrained(clip), AutoTokenizer.from_pretrained(clip)).save_pretrained(
        folder
    )
    for name in ("config.json", "model.safetensors"):
        shutil.copy(clip / name, folder / name)
    return folder


def test_a_folder_of_a_saved_clip_processor_is_the_same_encoder(clip, processed):
    from precompute.encoders.clip import load_clip

    assert not (processed / "preprocessor_config.json").exists()
    plain, found = find_encoder(str(clip)), find_encoder(str(processed))
    assert found.processor == plain.processor and found.view() == plain.view() == ("centre", 1.0)
    prompts = ["a red cat", "a dog on the boat"]
    embedded, expected = (
        load_clip(folder, patches="raw", batch_size=2).encode_text(prompts).text for folder in (found, plain)
    )
    assert embedded.tolist() == expected.tolist()
    change(processed / "processor_config.json", image_processor=plain.processor | {"size": {"shortest_edge": 112}})
    again = find_encoder(str(processed))
    assert again.view() == ("centre", 0.5)
    assert (
        again.fingerprint(patches="raw", dtype="float32").digest
        != found.fingerprint(patches="raw", dtype="float32").digest
    )


def test_the_settings_of_an_image_processor_saved_alone_come_first(copy):
    digest = find_encoder(str(copy)).fingerprint(patches="raw", dtype="float32").digest
    (copy / "processor_config.json").write_text(
        '{"processor_class": "CLIPProcessor"}'
    )  # as transformers 4 wrote it beside the other file
    assert find_encoder(str(copy)).fingerprint(patches="raw", dtype="float32").digest == digest


@pytest.mark.parametrize(
    "lost", [["preprocessor_config.json"], ["tokenizer.json"]], ids=["image processor", "tokenizer"]
)
def test_a_model_saved_without_its_processor_is_refused(copy, lost):
    for name in lost:
        (copy / name).unlink()
    with pytest.raises(
        UserError,
        match=r"copy: (neither preprocessor_config|no "
        rf"tokenizer).*CLIPProcessor\.from_pretrained\(MODEL\)\.save_pretrained\('{copy}'\)",
    ):
        find_encoder(str(copy)).fingerprint(patches="raw", dtype="float32")
    (copy / "processor_config.json").write_text('{"processor_class": "CLIPProcessor"}')
    if "tokenizer.json" not in lost:
        with pytest.raises(UserError, match=r"processor_config\.json: holds no settings of an image processor"):
            find_encoder(str(copy)).fingerprint(patches="raw", dtype="float32")


def test_what_is_no_clip_is_said_so(copy, tmp_path):
    change(copy / "config.json", model_type="siglip")
    with pytest.raises(UserError, match="model_type is 'siglip', expected 'clip'"):
        _ = find_encoder(str(copy)).config
    with pytest.raises(UserError, match=r"config\.json: missing"):
        _ = find_encoder(str(tmp_path)).config
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(
        UserError, match=r"pickled weights are not loaded: load it with CLIPModel and call save_pretrained\(FOLDER\)"
    ):
        _ = find_encoder(str(copy)).weights
    with pytest.raises(UserError, match="no such folder"):
        find_encoder("nowhere")


def test_an_encoder_out_of_reach_is_said_at_once(monkeypatch, tmp_path):
    from huggingface_hub import constants

    asked = fake_hub.out_of_reach(monkeypatch, tmp_path)
    with pytest.raises(
        UserError,
        match=r"encoder openai/clip-vit-large-patch14: not on this machine and not to be fetched \(Network is "
        r"unreachable\)",
    ):
        find_encoder(module.PHOTO_ENCODER)
    assert asked.call_args.kwargs["timeout"] <= 5
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE forbids"):
        find_encoder(module.PHOTO_ENCODER)


def test_a_missing_tiny_encoder_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "TINY_FOLDER", tmp_path)
    with pytest.raises(UserError, match=r"assets/tiny_clip is missing"):
        find_encoder("tiny")
