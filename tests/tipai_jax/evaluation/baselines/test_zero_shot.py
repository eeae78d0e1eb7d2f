"""The zero-shot baseline is two dot products."""

import numpy as np
import pytest
from eval_world import write_store

from tipai_jax.evaluation.baselines import zero_shot_cosine


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
