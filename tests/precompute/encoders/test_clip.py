import io
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, CLIPModel

from precompute.encoders.clip import load_clip
from precompute.encoders.folder import find_encoder
from precompute.encoders.patch_recipes import area_matrix
from tipai_jax.errors import UserError


def drawn(preparation, n: int, side: int = 90):
    rng = np.random.default_rng(0)
    prepared = []
    for _ in range(n):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(buffer, "PNG")
        prepared.append(preparation.prepare(buffer.getvalue()))
    return prepared


def pixel_values(encoder, prepared) -> torch.Tensor:
    preparation = encoder.preparation
    stacked = np.stack([item.pixels for item in prepared]) * preparation.rescale
    return torch.from_numpy(((stacked - preparation.mean) / preparation.std).transpose(0, 3, 1, 2)).float()


def unit(x: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(x, dim=-1).numpy()


@pytest.mark.parametrize("patches", ["dense", "raw", "crops", "tiles"])
@pytest.mark.parametrize("which", ["clip", "fine_clip"])
@torch.inference_mode()
def test_global_embedding_is_that_of_the_model(which, patches, request):
    folder = request.getfixturevalue(which)
    encoder = load_clip(find_encoder(str(folder)), patches=patches, batch_size=3)
    prepared = drawn(encoder.preparation, 4)
    embedded = encoder.encode_images(prepared)
    model = CLIPModel.from_pretrained(folder).eval()
    ids = torch.tensor([[2, 3, len(AutoTokenizer.from_pretrained(folder)) - 1]])
    expected = model(input_ids=ids, pixel_values=pixel_values(encoder, prepared)).image_embeds.numpy()
    assert embedded.image.dtype == embedded.patches.dtype == np.float16
    assert embedded.image.shape == (4, 24) and embedded.patches.shape == (4, 49, 24)
    np.testing.assert_allclose(embedded.image, expected, atol=1e-3)
    np.testing.assert_allclose(encoder.encode_whole(prepared), expected, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(embedded.patches.astype(np.float32), axis=-1), 1, atol=2e-3)


@torch.inference_mode()
def test_raw_patches_are_the_projected_last_layer(fine_clip):
    encoder = load_clip(find_encoder(str(fine_clip)), patches="raw", batch_size=2)
    prepared = drawn(encoder.preparation, 2)
    model = CLIPModel.from_pretrained(fine_clip).eval()
    last = model.vision_model(pixel_values=pixel_values(encoder, prepared)).last_hidden_state[:, 1:]
    grid = model.visual_projection(model.vision_model.post_layernorm(last)).reshape(2, 16, 16, -1)
    weight = area_matrix(16, 7)
    expected = unit(torch.einsum("iy,jx,byxd->bijd", weight, weight, grid).reshape(2, 49, -1))
    np.testing.assert_allclose(encoder.encode_images(prepared).patches, expected, atol=1e-3)


@torch.inference_mode()
def test_dense_patches_by_hand(clip):
    """The changed last block spelled out: softmax(q q^T / sqrt(h)) v through out_proj; no residual, no MLP."""
    encoder = load_clip(find_encoder(str(clip)), patches="dense", batch_size=2)
    prepared = drawn(encoder.preparation, 2)
    model = CLIPModel.from_pretrained(clip, attn_implementation="eager").eval()
    vision = model.vision_model
    states = vision(pixel_values=pixel_values(encoder, prepared), output_hidden_states=True).hidden_states
    block = vision.encoder.layers[-1]
    hidden = block.layer_norm1(states[-2])
    q, v = (
        projection(hidden).reshape(2, 50, 4, 8).transpose(1, 2)
        for projection in (block.self_attn.q_proj, block.self_attn.v_proj)
    )
    mixed = (torch.softmax(q @ q.transpose(-1, -2) / 8**0.5, dim=-1) @ v).transpose(1, 2).reshape(2, 50, 32)
    tokens = block.self_attn.out_proj(mixed)[:, 1:]
    expected = unit(model.visual_projection(vision.post_layernorm(tokens)))
    ours = encoder.encode_images(prepared).patches
    np.testing.assert_allclose(ours, expected, atol=1e-3)
    raw = load_clip(find_encoder(str(clip)), patches="raw", batch_size=2).encode_images(prepared).patches
    assert np.abs(ours - raw).max() > 0.1


@torch.inference_mode()
def test_a_crop_is_embedded_like_an_image_of_its_own(clip):
    encoder = load_clip(find_encoder(str(clip)), patches="crops", batch_size=2)
    side = encoder.preparation.crop_source
    assert side == 112  # 7 crops of 16 px, twice the encoder's resolution
    prepared = drawn(encoder.preparation, 2, side=side)
    crop = torch.from_numpy(prepared[1].detail[32:48, 80:96].copy()).permute(2, 0, 1)[None].float()
    enlarged = (
        torch.nn.functional.interpolate(crop, size=(56, 56), mode="bicubic", antialias=True).clamp(0, 255)
        * encoder.preparation.rescale
    )
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (encoder.preparation.mean, encoder.preparation.std))
    model = CLIPModel.from_pretrained(clip).eval()
    expected = unit(model.get_image_features((enlarged - mean) / std).pooler_output)[0]
    np.testing.assert_allclose(encoder.encode_images(prepared).patches[1, 2 * 7 + 5], expected, atol=1e-3)


@pytest.mark.parametrize("plain", ["dense", "raw"])
@torch.inference_mode()
def test_a_tile_is_embedded_like_an_image_of_its_own_and_added_to_the_whole(plain, clip, tmp_path):
    """The top left cell lies in one tile alone: the first 56 of 98 pixels each way, just the encoder's size.

    7x7 tokens of a tile make 4x4 cells.

    They are those of the changed last block, for a small-world encoder those of the plain one.
    """
    shutil.copytree(clip, tmp_path / "clip")
    config = json.loads((clip / "config.json").read_text())
    (tmp_path / "clip" / "config.json").write_text(json.dumps(config | {"tipai_small_world_only": plain == "raw"}))
    load = lambda patches, size: load_clip(find_encoder(str(tmp_path / "clip")), patches=patches, batch_size=size)
    encoder, alone = load("tiles", 2), load(plain, 1)
    assert encoder.preparation.crop_source == 98
    prepared = drawn(encoder.preparation, 3, side=98)
    corner = torch.from_numpy(prepared[2].detail[:56, :56].copy()).permute(2, 0, 1)[None].float()
    whole = alone.encode_images(prepared[2:]).patches[0, 0].astype(np.float32)
    vision = CLIPModel.from_pretrained(clip).eval()
    if plain == "raw":  # spelled out: the plain last layer, projected, 7x7 to 4x4 by area
        last = vision.vision_model(pixel_values=alone._normalise(corner)).last_hidden_state[:, 1:]
        grid = vision.visual_projection(vision.vision_model.post_layernorm(last)).reshape(7, 7, -1)
        token = torch.einsum("y,x,yxd->d", area_matrix(7, 4)[0], area_matrix(7, 4)[0], grid)
    else:
        token = alone._pass(alone._normalise(corner), 4)[1][0, 0]
    expected = whole + unit(token)
    np.testing.assert_allclose(
        encoder.encode_images(prepared).patches[2, 0], expected / np.linalg.norm(expected), atol=2e-3
    )
    with pytest.raises(ValueError, match="finer view"):
        encoder.encode_pixels(np.zeros((2, 56, 56, 3), np.uint8), None)


@torch.inference_mode()
def test_text_is_that_of_the_model_and_long_prompts_are_averaged(clip):
    encoder = load_clip(find_encoder(str(clip)), batch_size=4)
    model, tokenizer = CLIPModel.from_pretrained(clip).eval(), AutoTokenizer.from_pretrained(clip)

    def alone(prompt: str) -> np.ndarray:
        return unit(model.get_text_features(**tokenizer(prompt, return_tensors="pt")).pooler_output)[0]

    short = ["a red cat", "dog", "a blue boat left of the green dog"]
    long = "a red cat left of the blue dog a sign says stop"  # twelve words, six a chunk
    embedded = encoder.encode_text([*short, long])
    np.testing.assert_allclose(embedded.text[:3], [alone(prompt) for prompt in short], atol=1e-3)
    mean = alone("a red cat left of the") + alone("blue dog a sign says stop")
    np.testing.assert_allclose(embedded.text[3], mean / np.linalg.norm(mean), atol=1e-3)
    assert embedded.tokens.chunked.tolist() == [False, False, False, True]


def test_embeddings_do_not_depend_on_their_neighbours(clip):
    """Fixed batches: the bits of an embedding are the same wherever in the data its image stands."""
    encoder = load_clip(find_encoder(str(clip)), batch_size=4)
    prepared = drawn(encoder.preparation, 6)
    whole = encoder.encode_images(prepared)
    np.testing.assert_array_equal(encoder.encode_images(prepared[4:]).patches, whole.patches[4:])
    np.testing.assert_array_equal(encoder.encode_images(prepared[:1]).image, whole.image[:1])
    assert encoder.encode_images([]).patches.shape == (0, 49, 24)


def test_missing_weights_are_noticed(clip, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(clip, tmp_path / "hollow")
    weights = load_file(tmp_path / "hollow/model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, tmp_path / "hollow/model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"1 weights are missing, such as visual_projection\.weight"):
        load_clip(find_encoder(str(tmp_path / "hollow")))


def test_an_encoder_that_cannot_be_loaded_is_one_line_even_without_words(clip, monkeypatch):
    monkeypatch.setattr(CLIPModel, "from_pretrained", lambda *_, **__: (_ for _ in ()).throw(RuntimeError()))
    with pytest.raises(UserError, match=r"the encoder cannot be loaded \(RuntimeError\)$"):
        load_clip(find_encoder(str(clip)))


def test_a_device_that_is_not_there_is_refused(clip, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="--device cuda: torch finds no CUDA device on this machine; take --device cpu"):
        load_clip(find_encoder(str(clip)), device="cuda")
