"""The zero-shot baselines are dot products."""

import copy
import dataclasses

import numpy as np
import pytest
from eval_world import write_store

from tipai_jax.evaluation.baselines import zero_shot_cosine, zero_shot_phrases


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"), splits={"test": 150})


def test_every_number_by_a_plain_loop(store):
    pairs = store.pairs.select(np.array([290, 7, 3]))  # more than one chunk away, and not in order
    found = zero_shot_cosine(store, pairs)
    text, image, patches = (rows.whole().astype(np.float64) for rows in (store.text, store.image, store.patches))
    scale = store.manifest.encoder.logit_scale
    for i in range(3):
        for side, row in enumerate((pairs.chosen[i], pairs.rejected[i])):
            prompt = text[pairs.prompt[i]]
            assert found.global_logit[i, side] == pytest.approx(scale * (prompt @ image[row]), abs=1e-4)
            np.testing.assert_allclose(found.patch_logit[i, side], scale * patches[row] @ prompt, atol=1e-4)
    np.testing.assert_allclose(found.risk, (1 - found.patch_logit / scale) / 2, atol=1e-6)
    assert (found.reason_logit == -found.global_logit[..., None]).all()


def test_chunks_join_without_a_seam(store):
    whole = zero_shot_cosine(store, store.pairs)
    part = zero_shot_cosine(store, store.pairs.select(np.arange(250, 262)))
    np.testing.assert_allclose(whole.global_logit[250:262], part.global_logit, atol=1e-5)
    np.testing.assert_allclose(whole.patch_logit[250:262], part.patch_logit, atol=1e-5)


def test_phrases_by_a_plain_loop(store):
    """A relation names nothing that a patch could show, and a prompt of one relation is its own phrase."""
    table = dataclasses.replace(store.phrases, kind=store.phrases.kind.copy())
    prompts = dataclasses.replace(store.prompts, phrase=store.prompts.phrase.copy())
    pairs = store.pairs.select(np.array([290, 7, 3]))
    prompts.phrase[pairs.prompt] = -1
    prompts.phrase[pairs.prompt[0], :3], prompts.phrase[pairs.prompt[1], 1] = (0, 1, 2), 1
    table.kind[:3] = ("count", "relation", "object")
    changed = copy.copy(store)
    changed.__dict__ |= {"phrases": table, "prompts": prompts}
    found = zero_shot_phrases(changed, pairs)
    phrase, text, patches = (each.whole().astype(np.float64) for each in (store.phrase_text, store.text, store.patches))
    scale = store.manifest.encoder.logit_scale
    for i, named in enumerate((phrase[[0, 2]], text[pairs.prompt[[1]]], text[pairs.prompt[[2]]])):
        for side, row in enumerate((pairs.chosen[i], pairs.rejected[i])):
            cosine = patches[row] @ named.T
            assert found.global_logit[i, side] == pytest.approx(scale * cosine.max(axis=0).mean(), abs=1e-4)
            np.testing.assert_allclose(found.patch_logit[i, side], scale * cosine.max(axis=1), atol=1e-4)
    own = scale * (patches[pairs.rejected[0]] @ phrase[:3].T).max(axis=0)
    np.testing.assert_allclose(found.phrase_logit[0, 1, :3], own, atol=1e-4)
    np.testing.assert_allclose(found.risk, (1 - found.patch_logit / scale) / 2, atol=1e-6)
