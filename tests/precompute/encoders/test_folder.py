import json
import shutil

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
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

    def unreachable(*_, **options):
        assert options["timeout"] <= 5
        raise ConnectionError("Network is unreachable")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(
        UserError,
        match=(
            r"encoder openai/clip-vit-large-patch14: not on this machine and not to be fetched \(Network is"
            r" unreachable\)"
        ),
    ):
        find_encoder(module.PHOTO_ENCODER)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE forbids"):
        find_encoder(module.PHOTO_ENCODER)


def test_a_missing_tiny_encoder_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "TINY_FOLDER", tmp_path)
    with pytest.raises(UserError, match=r"assets/tiny_clip is missing"):
        find_encoder("tiny")
