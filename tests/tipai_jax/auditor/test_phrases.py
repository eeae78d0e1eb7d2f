"""An auditor whose heads read phrases: what it says of each, that it is kept in files, and that it can be exported."""

import dataclasses

import jax
import numpy as np
import pytest
from auditor_world import CALIBRATION, draw_image, make_bundle, tiny_fingerprint

from tipai_jax import Auditor
from tipai_jax.auditor.embeddings import EmbeddedPrompts
from tipai_jax.config import ModelConfig
from tipai_jax.errors import UserError
from tipai_jax.evaluation.calibrators import Platt

PROMPT = "a red cat left of a blue dog and nothing else"
MODEL = ModelConfig(heads="phrases", width=16, layers=1)


@pytest.fixture(scope="module")
def auditor():
    bundle = make_bundle(tiny_fingerprint(), model=MODEL)
    return Auditor(dataclasses.replace(bundle, calibration=dataclasses.replace(CALIBRATION, phrase=Platt(0.5, 1.0))))


def test_a_verdict_has_the_phrases_of_the_prompt(auditor):
    verdict = auditor.explain(draw_image(1), PROMPT)
    found = [(each.text, each.kind) for each in verdict.phrases]
    assert found == [
        ("a red cat", "attribute"),
        ("left of", "relation"),
        ("a blue dog", "attribute"),
        ("nothing else", "other"),
    ]
    assert all(PROMPT[each.start : each.end] == each.text and 0 < each.kept < 1 for each in verdict.phrases)
    assert verdict.as_json()["phrases"][0] == {
        "text": "a red cat",
        "start": 0,
        "end": 9,
        "kind": "attribute",
        "kept": verdict.phrases[0].kept,
        "alternative": verdict.phrases[0].alternative and vars(verdict.phrases[0].alternative),
    }


def test_the_failing_phrase_is_named_only_where_it_more_likely_fails_in_a_broken_prompt(auditor):
    verdict = auditor.explain(draw_image(1), PROMPT)
    for kept in (0.2, 0.7):
        phrases = tuple(dataclasses.replace(each, kept=kept + 0.1 * i) for i, each in enumerate(verdict.phrases))
        for prediction in ("breaks", "keeps", "abstains"):
            made = dataclasses.replace(verdict, prediction=prediction, phrases=phrases)
            assert made.failing == (phrases[0] if prediction == "breaks" else None)
            assert ('in "a red cat"' in made.sentence) == (prediction == "breaks" and kept < 0.5)


def test_heads_that_know_of_no_phrase_whether_it_fails_say_nothing_of_phrases(auditor):
    verdict = Auditor(dataclasses.replace(auditor.bundle, calibration=CALIBRATION)).explain(draw_image(1), PROMPT)
    assert verdict.phrases == () and verdict.failing is None and "most likely in" not in verdict.sentence


def test_prompts_of_other_lengths_beside_it_change_nothing(auditor):
    images = [draw_image(seed) for seed in (1, 2, 3)]
    prompts = [PROMPT, "a cat", "three dogs in the snow"]
    together = auditor.score(images, prompts)
    for image, prompt, verdict in zip(images, prompts, together):
        alone = auditor.explain(image, prompt)
        assert alone.logit == pytest.approx(verdict.logit, abs=1e-4)
        assert [each.kept for each in alone.phrases] == pytest.approx([each.kept for each in verdict.phrases], abs=1e-5)


def test_saved_and_loaded_it_says_the_same(auditor, tmp_path):
    auditor.save_pretrained(tmp_path / "saved")
    other = Auditor.from_pretrained(tmp_path / "saved")
    mine, theirs = (each.explain(draw_image(2), PROMPT) for each in (auditor, other))
    assert (mine.logit, mine.phrases, mine.digests) == (theirs.logit, theirs.phrases, theirs.digests)


def test_exported_heads_answer_the_same(auditor):
    called = jax.export.deserialize(bytearray(auditor.export())).call
    images, prompts = auditor.embed_images([draw_image(1), draw_image(2)]), auditor.embed_prompts([PROMPT, "a cat"])
    found = called(prompts.text, images.image, images.patches, *prompts.phrases.arrays)
    np.testing.assert_allclose(found["global_logit"], auditor.score(images, prompts).logit, atol=1e-5)
    assert found["phrase_logit"].shape == (2, 8)


def test_prompts_without_phrases_are_refused(auditor):
    prompts = auditor.embed_prompts(PROMPT)
    bare = EmbeddedPrompts(prompts.text, prompts.prompts, prompts.encoder)
    with pytest.raises(UserError, match=r"take prompts from Auditor\.embed_prompts"):
        auditor.score(auditor.embed_images([draw_image(1)]), bare)


def test_no_prompts_and_a_prompt_that_is_one_phrase(auditor):
    assert len(auditor.score([], [])) == 0
    (phrase,) = auditor.explain(draw_image(1), "zzz").phrases
    assert (phrase.text, phrase.start, phrase.end) == ("zzz", 0, 3)
