"""What a failing phrase looks like instead: what is tried, what is changed, and what is named."""

import dataclasses

import numpy as np
import pytest
from auditor_world import CALIBRATION, draw_image, make_bundle, tiny_fingerprint

from precompute.phrases import take_apart
from tipai_jax import Auditor
from tipai_jax.auditor import alternatives as module
from tipai_jax.auditor.alternatives import asked_lists
from tipai_jax.config import ModelConfig
from tipai_jax.errors import UserError
from tipai_jax.evaluation.alternatives import ALTERNATIVES
from tipai_jax.evaluation.calibrators import Platt

PROMPT = "two red cats left of a blue dog and nothing else"
OTHERS = {"colour": ("red", "green"), "number": (2, 3), "relation": ("left of", "on")}


@pytest.fixture(scope="module")
def auditor():
    """Every phrase fails, and so does every other wording: sigmoid(logit / 2 - 5)."""
    bundle = make_bundle(tiny_fingerprint(), model=ModelConfig(heads="phrases", width=16, layers=1))
    return Auditor(dataclasses.replace(bundle, calibration=dataclasses.replace(CALIBRATION, phrase=Platt(0.5, -5.0))))


def answering(auditor, monkeypatch, answers):
    """The auditor whose heads think of altered phrases what `answers` says; returns what they were asked."""
    asked, predict = [], auditor._heads.predict

    def told(images, prompts, image, prompt):
        found = predict(images, prompts, image, prompt)
        if prompts.unknown is None:  # those with a phrase changed
            asked.append((prompts, image))
            logit = np.full_like(found["phrase_logit"], 0.0)
            for i, value in enumerate(answers(len(prompts))):
                logit[i] = value
            found = found | {"phrase_logit": logit}
        return found

    monkeypatch.setattr(auditor._heads, "predict", told)
    return asked


def tried(text, lists, place=0):
    return [
        (what, word, made.text, made.count, made.kind)
        for what, word, made in module._altered(take_apart(text)[place], lists)
    ]


def test_each_attribute_number_and_relation_is_replaced_by_the_others_of_its_list():
    assert tried(PROMPT, OTHERS) == [
        ("colour", "green", "two green cats", 2, "count"),
        ("number", "three", "two red cats", 3, "count"),
    ]
    assert tried(PROMPT, OTHERS, place=1) == [("relation", "on", "on", 1, "relation")]
    assert tried(PROMPT, OTHERS, place=2) == [], "blue is not in the list"
    assert tried(PROMPT, OTHERS, place=3) == []
    assert tried(PROMPT, {"number": (1,)}) == [("number", "one", "two red cats", 1, "attribute")]
    assert tried("a wooden chair", {"material": ("wooden", "metal")}) == [
        ("material", "metal", "a metal chair", 1, "attribute")
    ]
    assert tried("a child reading a book", OTHERS, place=1) == [], "a verb says more than a place"
    assert [each[1] for each in tried("a red car", ALTERNATIVES)] == list(ALTERNATIVES["colour"][1:])


def test_one_forward_reads_the_prompt_with_that_phrase_changed(auditor, monkeypatch):
    """Two colours and numbers of the first phrase, and a relation; all else is as it was."""
    asked = answering(auditor, monkeypatch, lambda n: [-9.0] * n)
    verdict = auditor.explain(draw_image(1), PROMPT, alternatives=OTHERS)
    assert all(phrase.fails and phrase.alternative is None for phrase in verdict.phrases)
    ((prompts, image),) = asked
    own, green = (
        auditor.embed_prompts(PROMPT),
        auditor.embed_prompts("two green cats left of a blue dog and nothing else"),
    )
    assert len(prompts) == 3 and image.tolist() == [0, 0, 0] and prompts.prompts == (PROMPT,) * 3
    np.testing.assert_array_equal(prompts.text, np.repeat(own.text, 3, axis=0))
    np.testing.assert_allclose(prompts.phrases.text[0, 0], green.phrases.text[0, 0], atol=2e-3)
    assert np.abs(prompts.phrases.text[0, 0] - own.phrases.text[0, 0]).max() > 0.01
    np.testing.assert_allclose(prompts.phrases.text[0, 1:], own.phrases.text[0, 1:], atol=0)
    assert prompts.phrases.count[:, 0].tolist() == [2, 3, 2]
    np.testing.assert_allclose(prompts.phrases.text[1, 0], own.phrases.text[0, 0], atol=2e-3)
    on = auditor.embed_prompts("a red cat on a blue dog").phrases.text[0, 1]
    np.testing.assert_allclose(prompts.phrases.text[2, 1], on, atol=2e-3)
    assert prompts.phrases.subject[2, 1] == own.phrases.subject[0, 1]


def test_the_best_is_named_if_it_beats_the_phrase_and_is_more_likely_than_not(auditor, monkeypatch):
    """Logit 10 is a probability of one half."""
    answering(auditor, monkeypatch, lambda n: [11.0, 12.0, 9.0][:n])
    verdict = auditor.explain(draw_image(1), PROMPT, alternatives=OTHERS)
    first, relation = verdict.phrases[:2]
    assert (first.alternative.what, first.alternative.word) == ("number", "three")
    assert first.alternative.kept == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert relation.alternative is None, "less likely than not"


def test_nothing_else_changes_and_nothing_is_asked_for_unless_said(auditor, monkeypatch):
    asked = answering(auditor, monkeypatch, lambda n: [12.0] * n)
    images = [draw_image(seed) for seed in (1, 2, 3)]
    plain = auditor.score(images, PROMPT)
    assert not asked and all(phrase.alternative is None for each in plain for phrase in each.phrases)
    found = auditor.score(images, PROMPT, alternatives=True)
    assert len(asked) == 1, "one forward for all"
    for one, other in zip(plain, found, strict=True):
        bare = tuple(dataclasses.replace(phrase, alternative=None) for phrase in other.phrases)
        assert (one.logit, one.phrases) == (other.logit, bare)
        assert [phrase.alternative is not None for phrase in other.phrases] == [True, True, True, False]


def test_a_phrase_that_is_kept_is_left_alone(auditor, monkeypatch):
    bundle = dataclasses.replace(
        auditor.bundle, calibration=dataclasses.replace(auditor.bundle.calibration, phrase=Platt(0.0, 5.0))
    )
    sure = Auditor(bundle)
    asked = answering(sure, monkeypatch, lambda n: [12.0] * n)
    assert all(phrase.alternative is None for phrase in sure.explain(draw_image(1), PROMPT).phrases) and not asked


def test_many_verdicts_are_judged_in_parts(auditor, monkeypatch):
    """Parts of two: each verdict gets its own alternative, in its own order."""
    monkeypatch.setattr(module, "PART", 2)
    asked = answering(auditor, monkeypatch, lambda n: [12.0] * n)
    prompts = ["a red cat", "two dogs", "a red cat on a blue dog"]
    found = auditor.score([draw_image(1)] * 3, prompts, alternatives=OTHERS)
    words = [[phrase.alternative and phrase.alternative.word for phrase in each.phrases] for each in found]
    assert words == [["green"], ["three"], ["green", "left of", None]]
    assert [len(prompts) for prompts, _ in asked] == [2, 2]
    matrix = auditor.score([draw_image(1)] * 2, prompts[:2], pairwise=True, alternatives=OTHERS)
    assert [matrix[i, j].phrases[0].alternative.word for i in (0, 1) for j in (0, 1)] == ["green", "three"] * 2


def test_words_that_the_encoder_does_not_know_are_not_tried(auditor, monkeypatch):
    asked = answering(auditor, monkeypatch, lambda n: [12.0] * n)
    lists = {"colour": ["red", "\u4e2d", "green"]}
    verdict = auditor.explain(draw_image(1), "a red cat", alternatives=lists)
    assert len(asked[0][0]) == 1 and verdict.phrases[0].alternative.word == "green"


def test_heads_that_read_no_phrases_name_nothing():
    verdict = Auditor(make_bundle(tiny_fingerprint())).explain(draw_image(1), PROMPT, alternatives=True)
    assert verdict.phrases == ()


def test_lists_that_were_asked_for():
    assert asked_lists(False) == {} and asked_lists(True) == ALTERNATIVES
    assert asked_lists({"colour": ["Red", " dark  blue"], "number": [4]}) == {
        "colour": ("red", "dark blue"),
        "number": (4,),
    }


@pytest.mark.parametrize(
    ("lists", "line"),
    [
        ({"colour": "red"}, "'colour' is 'red'; expected a list"),
        ({"colour": [3]}, "'colour' holds 3; expected words"),
        ({"relation": [" "]}, "'relation' holds ' '; expected words"),
        ({"number": ["two"]}, "'number' holds 'two'; expected whole numbers from 1 to 127"),
        ({"number": [0]}, "'number' holds 0"),
        ({"number": [True]}, "'number' holds True"),
    ],
)
def test_lists_that_are_none(lists, line):
    with pytest.raises(UserError, match=line):
        asked_lists(lists)
