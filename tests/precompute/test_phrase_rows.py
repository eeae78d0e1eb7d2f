"""Phrases become rows once each; labels follow the spans that fail; objects lie in the encoder's view."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from random_clip import write_pairs

from precompute.object_rows import check_objects, object_columns
from precompute.pair_rows import ImageRow, build_pairs
from precompute.phrase_rows import index_phrases, phrase_columns, phrase_labels, prompt_lists, with_phrases
from precompute.phrases import take_apart
from precompute.readers import read_source
from precompute.readers.records import BadRow, parse_row
from precompute.shards import cut_shards
from scripts.benchmark.synthetic import fingerprint
from tipai_jax.errors import UserError

PROMPT = "a red car left of a blue dog"
PAIR = {
    "pair_id": "p",
    "prompt": PROMPT,
    "chosen_image": "a",
    "rejected_image": "wide",
    "chosen_score": 0.9,
    "rejected_score": 0.4,
}
IMAGES = {"a": ImageRow(0, 224, 224, "1" * 64), "wide": ImageRow(1, 448, 224, "2" * 64)}


def record(**changes):
    return parse_row(PAIR | changes, 1)


def own(prompts):
    return [take_apart(prompt) for prompt in prompts]


def test_each_phrase_is_a_row_once():
    records = [record(), record(prompt="two blue dogs and a dog"), record(prompt="a red car on the beach")]
    index = index_phrases([*records, record()], own)
    assert [entry[:2] for entry in index.entries] == [
        ("a red car", "a car"),
        ("left of", "left of"),
        ("a blue dog", "a dog"),
        ("a blue dog", "a dog"),  # of the kind count
        ("a dog", "a dog"),
        ("on the beach", "on the beach"),
    ]
    assert [index.rows[each.prompt] for each in records] == [(0, 1, 2), (3, 4), (0, 5)]
    assert (index.covered_words, index.content_words) == (11, 11)
    columns = phrase_columns(index.entries)
    assert columns.column("head").to_pylist() == ["car", "left of", "dog", "dog", "dog", "on the beach"]
    assert (
        columns.column("attributes").to_pylist()[:2] == ["red", ""] and len(set(columns["phrase_id"].to_pylist())) == 6
    )
    lists = prompt_lists([PROMPT, "two blue dogs and a dog"], index)
    assert {name: column.to_pylist() for name, column in lists.items()} == {
        "phrase": [[0, 1, 2], [3, 4]],
        "phrase_count": [[1, 1, 1], [2, 1]],
        "phrase_start": [[0, 10, 18], [0, 18]],
        "phrase_end": [[9, 17, 28], [13, 23]],
        "phrase_subject": [[-1, 0, -1], [-1, -1]],
        "phrase_object": [[-1, 2, -1], [-1, -1]],
    }


def test_phrases_of_the_data_override_the_parser():
    index = index_phrases([record(), record(phrases=["a car", "a pink sky"])], own)
    assert [entry.phrase for entry in index.entries] == ["a car", "a pink sky"]
    assert (index.covered_words, index.content_words) == (0, 4)  # neither is in the prompt, word for word


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({}, [-1, -1, -1]),
        ({"failing_phrases": []}, [1, 1, 1]),
        ({"failing_phrases": [[10, 17]]}, [1, 0, 1]),
        ({"failing_phrases": [[0, 9], [18, 28]]}, [0, -1, 0]),
        ({"failing_phrases": [[2, 5]]}, [0, -1, 1]),
        ({"failing_phrases": [[9, 10]]}, [1, 1, 1]),
        ({"control": True}, [-1, -1, -1]),
        ({"control": True, "failing_phrases": []}, [1, 1, 1]),
        ({"phrases": ["a sky", "left of"], "failing_phrases": [[10, 11]]}, [-1, 0]),
    ],
)
def test_a_phrase_is_broken_if_its_span_overlaps_one_that_fails(changes, labels):
    made = record(**changes)
    index = index_phrases([made], own)
    assert phrase_labels(made, index.by_prompt[PROMPT]) == labels
    table, _ = build_pairs(
        [made], images=IMAGES, prompts={PROMPT: 0}, problems={}, encoder=fingerprint(d=4), phrases=index
    )
    assert table.phrase_label.tolist() == [labels + [-1] * (8 - len(labels))]


def test_objects_are_in_the_encoders_view_and_point_to_their_phrase():
    box = {"bbox": [112, 0, 336, 112]}
    objects = {
        "chosen": [{"name": "car", "attributes": ["red", "small"], "bbox": [0, 0, 112, 224], "phrase": [2, 9]}],
        "rejected": [
            {"name": "dog", "phrase": [18, 28], "wrong": True, **box},
            {"name": "owl", "phrase": None, "wrong": False, **box},
            {"name": "left", "phrase": [10, 12], **box},
            {"name": "unseen", "bbox": [0, 0, 100, 100]},
        ],
    }
    records = [record(pair_id="q"), record(objects=objects)]
    index = index_phrases(records, own)
    options = {"images": IMAGES, "encoder": fingerprint(d=4)}
    table, _ = build_pairs(records, prompts={PROMPT: 0}, problems={}, phrases=index, **options)
    made = object_columns(records[::-1], table, phrases=index, **options)
    assert {name: column.to_pylist() for name, column in zip(made.column_names, made.columns)} == {
        "pair": [1, 1, 1, 1],
        "side": [0, 1, 1, 1],
        "name": ["car", "dog", "owl", "left"],
        "attributes": ["red small", "", "", ""],
        "x1": [0, 0, 0, 0],
        "y1": [0, 0, 0, 0],
        "x2": [0.5, 1, 1, 1],
        "y2": [1, 0.5, 0.5, 0.5],
        "wrong": [-1, 1, 0, -1],
        "named": [1, 1, 0, 1],
        "phrase": [0, 2, -1, -1],
    }
    assert object_columns([records[0]], table.select(np.array([0])), phrases=index, **options) is None
    outside = record(objects={"chosen": [{"name": "car", "bbox": [0, 0, 225, 10]}]})
    with pytest.raises(BadRow, match=r"bbox \[0, 0, 225, 10\] of 'car' leaves the image 'a' of 224 x 224 pixels"):
        check_objects(outside, IMAGES)
    _, rejects = build_pairs([outside], prompts={PROMPT: 0}, problems={}, phrases=index, **options)
    assert [reject.reason for reject in rejects] == ["box_outside"]


def test_shards_of_phrases_are_the_same_for_everybody(tmp_path):
    source = with_phrases(read_source(str(write_pairs(tmp_path / "d", pairs=12))))
    rows = {"prompts": 100, "phrases": 10, "images": 5}
    works = [work for work in cut_shards(source, rows) if work.table == "phrases"]
    assert [len(work.keys) for work in works] == [10, 7] == [len(work.entries) for work in works]
    assert works == [work for work in cut_shards(source, rows) if work.table == "phrases"]
    assert source.identity["phrases"] == {"parser": "own", "sha256": source.phrases.digest}
    prompts = [record.prompt for record in source.records]
    other = index_phrases(source.records, lambda prompts: [take_apart(prompt)[:1] for prompt in prompts])
    assert other.digest != source.phrases.digest and list(other.by_prompt) == list(dict.fromkeys(prompts))


class FakeSpacy:
    """As much of spaCy as is used: noun chunks of two words that begin with "the"."""

    def __init__(self):
        self.meta = {"version": "1.2"}

    def pipe(self, prompts):
        for prompt in prompts:
            words = prompt.split(" ")
            starts = [sum(len(word) + 1 for word in words[:i]) for i, word in enumerate(words)]
            chunks = [
                SimpleNamespace(start_char=starts[i], end_char=starts[i + 1] + len(words[i + 1]))
                for i, word in enumerate(words)
                if word == "the"
            ]
            yield SimpleNamespace(noun_chunks=chunks)


def test_spacy_finds_the_noun_phrases_where_it_is_installed(monkeypatch, tmp_path):
    source = read_source(str(write_pairs(tmp_path / "d", pairs=2, rows=[{"prompt": "the run is under the old"}] * 2)))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "spacy", None)
        with pytest.raises(UserError, match=r"--phrases spacy: spaCy is not installed; pip install spacy, or leave"):
            with_phrases(source, "spacy")
    asked = []

    def load(model):
        asked.append(model)
        if model == "none":
            raise OSError
        return FakeSpacy()

    monkeypatch.setitem(sys.modules, "spacy", SimpleNamespace(load=load))
    with pytest.raises(
        UserError, match=r"--phrases spacy:none: spaCy has no model 'none'; python -m spacy download none"
    ):
        with_phrases(source, "spacy:none")
    with pytest.raises(UserError, match=r"--phrases nltk: expected own, spacy or spacy:MODEL"):
        with_phrases(source, "nltk")
    made = with_phrases(source, "spacy")
    assert asked == ["none", "en_core_web_sm"] and made.identity["phrases"]["parser"] == "spacy en_core_web_sm 1.2"
    found = made.phrases.by_prompt["the run is under the old"]
    assert [(each.text, each.kind, each.arguments) for each in found] == [
        ("the run", "object", (-1, -1)),
        ("under", "relation", (0, 2)),
        ("the old", "object", (-1, -1)),
    ]
