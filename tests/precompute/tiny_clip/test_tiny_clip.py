"""The shape of the default encoder and its exam: tokenizer, pixels, chance without training."""

import numpy as np
import pytest
import torch
from PIL import Image

from precompute.tiny_clip.exam import examine, trials
from precompute.tiny_clip.shape import build_model, build_tokenizer, shrink
from precompute.world.square import sample
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


def test_an_untrained_model_is_at_chance(tokenizer):
    torch.manual_seed(0)
    rows = [row for row in examine(build_model(tokenizer).eval(), tokenizer, trials(6)) if "category" in row]
    assert len(rows) == 15 and all(row["n"] == 12 for row in rows)
    assert 0.3 < np.mean([row["caption_accuracy"] for row in rows]) < 0.7
