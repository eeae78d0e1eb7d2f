"""The parts of the default encoder's training: tokenizer, pixels, the phrase of every patch, and the losses."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from precompute.tiny_clip.batches import NEGATIVES, binding, cells_of, code, colour_code, make_batch, phrase_of
from precompute.tiny_clip.exam import examine, trials
from precompute.tiny_clip.losses import SQUARE_WEIGHT, embed_texts, losses
from precompute.tiny_clip.muon import optimizers, orthogonalise
from precompute.tiny_clip.precision import choose, prepare
from precompute.tiny_clip.shape import build_model, build_tokenizer, coordinates, embed_text, shrink
from precompute.world.scene import Box, Item, Phrase, Scene
from precompute.world.square import sample
from precompute.world.vocabulary import THINGS
from tipai_jax.store import CATEGORIES, DIFFICULTIES


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def test_every_caption_of_the_world_is_one_token_a_word(tokenizer):
    rng = np.random.default_rng(0)
    for category in CATEGORIES:
        for difficulty in DIFFICULTIES:
            for claim in sample(rng, category=category, difficulty=difficulty, banned=frozenset()).claims:
                tokens = tokenizer.tokenize(claim.text())
                assert not any(token.startswith("##") or token == "[UNK]" for token in tokens), (claim.text(), tokens)
                assert len(tokens) + 2 <= tokenizer.model_max_length


def test_a_word_outside_the_world_is_spelled_and_the_end_has_the_highest_id(tokenizer):
    assert tokenizer.tokenize("zebra") == ["z", "##e", "##b", "##r", "##a"]
    ids = tokenizer("a red dog").input_ids
    assert ids[-1] == tokenizer.eos_token_id == len(tokenizer) - 1 and tokenizer.eos_token_id != 2


def test_shrinking_is_pillows_box_resampling_to_one_grey_level():
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    pillow = np.stack([np.asarray(Image.fromarray(p).resize((112, 112), Image.Resampling.BOX)) for p in images])
    assert np.abs(shrink(images).astype(int) - pillow).max() <= 1


def test_column_and_row_are_counted_along_two_directions_of_their_own():
    grid = coordinates(10.0).reshape(7, 7, -1)
    across, down = (grid[:, -1] - grid[:, 0]) / 20, (grid[-1] - grid[0]) / 20
    for steps in (across, down):
        torch.testing.assert_close(steps, steps[:1].expand_as(steps), atol=1e-5, rtol=0)
        assert steps[0].norm().item() == pytest.approx(1.0, abs=1e-5)
    assert abs((across[0] @ down[0]).item()) < 1e-5
    assert grid[3, 3].norm().item() < 1e-5


def test_a_patch_belongs_to_the_thing_in_front():
    far = Item("dog", "red", Box(0, 0, 64, 64), 0)
    near = Item("cat", "blue", Box(32, 0, 64, 32), 1)
    cells = cells_of(Scene("room", 0, (far, near))).reshape(7, 7)
    assert cells[:2, :2].tolist() == [[0, 1], [0, 0]] and (cells[2:] == -1).all() and (cells[:, 2:] == -1).all()
    assert phrase_of(near) == "a blue cat"


def test_a_thing_smaller_than_half_a_cell_still_has_its_cell():
    cells = cells_of(Scene("room", 0, (Item("dog", "red", Box(34, 34, 46, 46), 0),)))
    assert (cells >= 0).nonzero()[0].tolist() == [8]


def test_losses_fall_when_a_batch_is_learnt_by_heart(tokenizer):
    torch.manual_seed(0)
    batch = make_batch(np.random.default_rng(0), tokenizer, number=4, crowded=False)
    model = build_model(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    first = None
    for _ in range(12):
        terms = losses(model, batch)
        first = first or {name: value.item() for name, value in terms.items()}
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    assert terms.keys() == {
        "contrastive",
        "square",
        "negative",
        "direction",
        "part",
        "code",
        "side",
        "anchor",
        "phrase",
        "kind",
        "hue",
    }
    assert all(terms[name].item() < 0.8 * first[name] for name in ("contrastive", "phrase")), (first, terms)
    assert abs(first["square"] / (SQUARE_WEIGHT * 2 * np.log(2)) - 1) < 0.5


def test_hard_scenes_come_without_captions_and_their_things_are_named_all_the_same(tokenizer):
    batch = make_batch(np.random.default_rng(0), tokenizer, number=10, crowded=False)
    scenes, captioned = len(batch["targets"]), len(batch["captions"]) // (1 + NEGATIVES)
    assert (scenes, captioned) == (20, 16) and len(batch["captions"]) == 16 * (1 + NEGATIVES)
    assert batch["direction_of"].max() < captioned and batch["part_of"][:, 0].max() < captioned
    assert (batch["targets"][captioned:] >= 0).any(1).all()
    covered = (batch["targets"] >= 0).float().mean(1)
    assert covered[captioned:].mean() < covered[:captioned].mean()  # small things: these are the hard ones


def test_bfloat16_is_the_same_lesson_less_exactly(tokenizer):
    """Losses and gradients of a batch agree with those in float32 up to eight bits, with attention in float32."""
    batch = make_batch(np.random.default_rng(0), tokenizer, number=2, crowded=False)
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        model = build_model(tokenizer)
        prepare(model)
        terms = losses(model, batch, dtype)
        sum(terms.values()).backward()
        found[dtype] = (
            {name: value.item() for name, value in terms.items()},
            torch.cat([p.grad.ravel() for p in model.parameters() if p.grad is not None]),
        )
    (exact, slope), (near, other) = found.values()
    assert near == pytest.approx(exact, rel=0.05)
    assert near != exact
    assert torch.nn.functional.cosine_similarity(slope, other, dim=0) > 0.98
    assert choose("bfloat16", torch.device("cpu")) == torch.bfloat16


def test_a_batch_without_two_things_that_stand_apart_has_no_direction(tokenizer):
    batch = make_batch(np.random.default_rng(0), tokenizer, number=2, crowded=False)
    without = {name: value for name, value in batch.items() if not name.startswith(("direction", "side", "part"))}
    assert losses(build_model(tokenizer), without).keys() == {
        "contrastive",
        "square",
        "negative",
        "phrase",
        "kind",
        "hue",
    }


def test_texts_of_like_length_together_are_each_alone(tokenizer):
    batch = make_batch(np.random.default_rng(0), tokenizer, number=4, crowded=False)
    model = build_model(tokenizer).eval()
    with torch.no_grad():
        for name, found in embed_texts(model, batch).items():
            torch.testing.assert_close(
                found, embed_text(model, batch[name], batch[f"{name}_mask"]), atol=1e-5, rtol=1e-4
            )


def test_a_sum_of_codes_tells_which_colour_and_which_number_is_whose():
    """Over many pairs of objects; a sum of a code for each word could not."""
    right = 0
    for a, b in pairwise(THINGS):
        shown = code(Phrase(a.name, 2, "red")) + code(Phrase(b.name, 1, "blue"))
        right += shown @ code(Phrase(a.name, 2, "red")) > shown @ code(Phrase(a.name, 2, "blue"))
        right += shown @ code(Phrase(a.name, 2, "red")) > shown @ code(Phrase(a.name, 1, "red"))
    assert right == 2 * (len(THINGS) - 1)
    rng = np.random.default_rng(0)
    assert np.linalg.norm(binding("cat", "colour", "red")) == pytest.approx(1, abs=1e-6)
    assert not colour_code(rng, Item("sign", "", Box(0, 0, 9, 9), 0, word="milk")).any()
    assert colour_code(rng, Item("cat", "red", Box(0, 0, 9, 9), 0)) @ binding("cat", "colour", "red") > 0.5


def test_an_untrained_model_is_at_chance(tokenizer):
    torch.manual_seed(0)
    rows = examine(build_model(tokenizer).eval(), tokenizer, trials(6))
    assert len(rows) == 15 and all(row["n"] == 12 for row in rows)
    assert 0.3 < np.mean([row["caption_accuracy"] for row in rows]) < 0.7


def test_muon_orthogonalises_and_takes_only_the_matrices_of_the_layers(tokenizer):
    matrices = torch.randn(3, 24, 60, generator=torch.Generator().manual_seed(0))
    for wide, dtype in ((True, torch.float32), (False, torch.float32), (True, torch.bfloat16)):
        values = torch.linalg.svdvals(orthogonalise(matrices if wide else matrices.mT, dtype=dtype))
        assert values.min() > 0.6 and values.max() < 1.3
    torch.testing.assert_close(orthogonalise(matrices)[1], orthogonalise(matrices[1]))
    model = build_model(tokenizer)
    muon, adamw = optimizers(model, rate=1e-3)
    inner = {id(p) for p in muon.param_groups[0]["params"]}
    outer = {id(p) for group in adamw.param_groups for p in group["params"]}
    assert not inner & outer and inner | outer == {id(p) for p in model.parameters()}
    assert (
        id(model.visual_projection.weight) in outer and id(model.vision_model.encoder.layers[0].mlp.fc1.weight) in inner
    )


def test_a_crowded_batch_teaches_names_only_and_labels_most_patches(tokenizer):
    batch = make_batch(np.random.default_rng(0), tokenizer, number=2, crowded=True)
    assert "captions" not in batch
    assert (batch["targets"] >= 0).float().mean() > 0.4
    assert losses(build_model(tokenizer), batch).keys() == {"phrase", "kind", "hue"}
