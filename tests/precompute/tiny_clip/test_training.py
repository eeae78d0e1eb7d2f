"""The encoder's training: its two losses, the gradients of a step in parts, and resuming."""

import math

import numpy as np
import pytest
import torch
from torch import tensor

from precompute.encoders.patch_recipes import project_tokens, raw_tokens
from precompute.tiny_clip.examples import Batches
from precompute.tiny_clip.shape import build_model, build_tokenizer, embed_images, embed_text, to_pixels
from precompute.tiny_clip.training import WARM_UP, Recipe, Training, losses, pace
from tipai_jax.errors import UserError


@pytest.fixture(scope="module")
def batch():
    return Batches(seed=0, size=6)[0]


@pytest.fixture(autouse=True)
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def recipe(**changes):
    return Recipe(**({"seed": 0, "batch": 6, "rate": 1e-3, "steps": 4, "precision": "float32"} | changes))


def losses_of(*, image, captions, patches=((1.0,),), phrases=((1.0, 0.0),), cells=(1.0,)):
    """The losses, at a scale of log 3, of images and captions and of one thing of the first phrase in patches."""
    embeddings = {"image": tensor(image), "captions": tensor(captions), "phrases": tensor(phrases)}
    embeddings |= {"kinds": tensor(phrases), "patches": tensor(patches)[None]}
    zero = tensor([0])
    batch = {"region_image": zero, "region_phrase": zero, "region_kind": zero, "region_cells": tensor(cells)[None]}
    return [value.item() for value in losses(batch, embeddings, tensor(math.log(3)))]


def test_contrast_by_hand():
    """Cosines 1 and 0 times log 3 are odds of three to one; without a difference the loss is log n."""
    things = {"patches": [[1.0, 0.0]]}
    own = [[1.0, 0.0], [0.0, 1.0]]
    assert losses_of(image=own, captions=own, **things)[0] == pytest.approx(math.log(4 / 3))
    assert losses_of(image=[[1.0]] * 5, captions=[[1.0]] * 5, **things)[0] == pytest.approx(math.log(5))
    alike = losses_of(image=[own[0], own[0]], captions=own, **things)[0]  # captions toss up, images choose three to one
    assert alike == pytest.approx((math.log(2) + (math.log(4 / 3) + math.log(4)) / 2) / 2)


def test_phrases_by_hand():
    """Patches of .8 and .6 of a box have cosines .8 and .6 with the two phrases, so the odds are 3 ** .2."""
    one = {"image": [[1.0]], "captions": [[1.0]], "phrases": [[1.0, 0.0], [0.0, 1.0]]}
    found = losses_of(patches=[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], cells=[0.8, 0.6, 0.0], **one)[1]
    assert found == pytest.approx(math.log(1 + 3**-0.2))


def test_losses_are_those_of_the_formulas():
    """Against sums written out in numpy: a tile without a caption, a phrase named twice, two phrases of one kind."""
    rng = np.random.default_rng(0)
    unit = lambda *shape: (lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True))(rng.normal(size=shape))
    image, patches, captions, phrases, kinds = unit(4, 5), unit(4, 49, 5), unit(3, 5), unit(3, 5), unit(2, 5)
    region_image, region_phrase, region_kind = [0, 0, 2, 3], [0, 1, 2, 0], [0, 0, 1, 0]
    cells = rng.dirichlet(np.ones(49), 4)
    scale = 5.0
    log_share = lambda logits, own: logits[own] - np.log(np.exp(logits).sum())
    cosines = scale * image[:3] @ captions.T
    first = -sum(log_share(cosines[i], i) + log_share(cosines[:, i], i) for i in range(3)) / 6
    second = 0.0
    for region in range(4):
        seen = sum(cells[region, k] * patches[region_image[region], k] for k in range(49))
        seen /= np.sqrt((seen**2).sum())
        for texts, own in ((phrases, region_phrase[region]), (kinds, region_kind[region])):
            second -= log_share(scale * texts @ seen, own) / 8
    made = {"image": image, "patches": patches, "captions": captions, "phrases": phrases, "kinds": kinds}
    batch = {"region_image": region_image, "region_phrase": region_phrase, "region_kind": region_kind}
    found = losses(
        {name: tensor(value) for name, value in batch.items()} | {"region_cells": tensor(cells)},
        {name: tensor(value) for name, value in made.items()},
        tensor(scale),
    )
    assert [value.item() for value in found] == pytest.approx([first, second])


def test_gradients_in_parts_are_those_of_the_whole(batch, monkeypatch):
    """With three parts and any number of threads, against one graph; the threads change no bit."""
    monkeypatch.setattr("precompute.tiny_clip.training.PART", 3)
    found = []
    for threads in (1, 3):
        training = Training(recipe(), threads=threads)
        terms = training.backward(batch)
        found.append([p.grad for p in training.model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    torch.manual_seed(0)
    model = build_model(build_tokenizer())
    image, patches = embed_images(model, to_pixels(batch["images"]))
    text = {name: embed_text(model, batch[name], batch[f"{name}_mask"]) for name in ("captions", "phrases", "kinds")}
    whole = losses(batch, {"image": image, "patches": patches, **text}, model.logit_scale.exp())
    sum(whole).backward()
    assert [x.item() for x in terms] == pytest.approx([x.item() for x in whole], rel=1e-5)
    for (name, parameter), gradient in zip(model.named_parameters(), found[0], strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-3, atol=1e-6, msg=name)
    assert model.logit_scale.grad.abs() > 1e-4


def test_the_patches_that_are_trained_are_those_that_are_read(batch):
    """Up to their length they are what the patch recipes `raw` and `tiles` take from the last block."""
    model = build_model(build_tokenizer()).eval()
    pixels = to_pixels(batch["images"])
    with torch.no_grad():
        read = project_tokens(model, raw_tokens(model.vision_model(pixels).last_hidden_state), 7)
        torch.testing.assert_close(embed_images(model, pixels)[1], torch.nn.functional.normalize(read, dim=-1))


def test_a_batch_is_learnt_by_heart(batch, monkeypatch):
    monkeypatch.setattr("precompute.tiny_clip.training.pace", lambda step, total: 1.0)
    training = Training(recipe())
    each = [training.advance(batch) for _ in range(9)]
    assert all(last < 0.8 * first for first, last in zip(each[0], each[-1], strict=True)), each


def test_bfloat16_is_the_same_step_less_exactly(batch):
    exact, near = (Training(recipe(precision=name)).backward(batch) for name in ("float32", "bfloat16"))
    assert [x.item() for x in near] == pytest.approx([x.item() for x in exact], rel=0.03)
    assert [x.item() for x in near] != [x.item() for x in exact]


def test_resumed_is_uninterrupted_bit_for_bit(tmp_path):
    data, whole = Batches(seed=0, size=6), Training(recipe())
    for step in range(4):
        whole.advance(data[step])
    begun = Training(recipe())
    begun.advance(data[0])
    begun.advance(data[1])
    begun.save(tmp_path / "last.pt")
    resumed = Training(recipe(steps=None, precision=None), threads=2)
    resumed.restore(tmp_path / "last.pt")
    assert resumed.recipe == recipe() and resumed.step == 2
    for step in (2, 3):
        resumed.advance(data[step])
    for (name, one), other in zip(whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_a_state_of_another_recipe_is_refused(tmp_path):
    Training(recipe()).save(tmp_path / "last.pt")
    with pytest.raises(UserError, match=r"last\.pt: trained with .*'seed': 0.*asked for .*'seed': 1.*--workdir"):
        Training(recipe(seed=1)).restore(tmp_path / "last.pt")


def test_the_rate_rises_then_falls_to_zero():
    assert pace(0, 1000) == pytest.approx(1 / WARM_UP) and pace(WARM_UP, 1000) == 1.0
    assert pace(525, 1000) == pytest.approx(0.5) and pace(1000, 1000) == pytest.approx(0.0)
