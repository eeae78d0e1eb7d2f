"""What a row says of phrases, objects and styles is read; what is malformed has one reason each."""

import pytest

from precompute.phrases import Phrase
from precompute.readers.records import BadRow, check_together, parse_row
from tipai_jax.errors import UserError

PAIR = {
    "pair_id": "p1",
    "prompt": "A red car left of two blue dogs",
    "chosen_image": "a.png",
    "rejected_image": "b.png",
    "chosen_score": 0.9,
    "rejected_score": 0.4,
}
CAR = {"name": "car", "attributes": ["red"], "bbox": [1, 2, 30, 40], "phrase": [0, 9], "wrong": False}


def parse(**changes):
    return parse_row(PAIR | changes, 1)


def test_a_row_that_says_nothing():
    record = parse()
    assert (record.phrases, record.failing, record.objects, record.style) == (None, None, None, ("", ""))


def test_phrases_are_texts_or_objects():
    texts = parse(phrases=["a red car", "left of", "two blue dogs", "a pink sky"]).phrases
    assert [(each.start, each.end, each.kind, each.count) for each in texts] == [
        (0, 9, "attribute", 1),
        (10, 17, "relation", 1),
        (18, 31, "count", 2),
        (-1, -1, "attribute", 1),
    ]
    assert texts[0].text == "A red car" and texts[2].head == "dog" and texts[2].attributes == ("blue",)
    given = {
        "text": "dogs",
        "start": 27,
        "end": 31,
        "kind": "count",
        "head": "hound",
        "attributes": ["old"],
        "count": 4,
    }
    assert parse(phrases=[given]).phrases == (
        Phrase(text="dogs", start=27, end=31, kind="count", head="hound", attributes=("old",), count=4),
    )
    part = parse(phrases=[{"text": "dogs", "attributes": ["blue"]}, {"text": "dogs", "count": 2}]).phrases
    assert [(each.kind, each.head) for each in part] == [("attribute", "dog"), ("count", "dog")]
    related = [{"text": "A red car"}, {"text": "left of", "arguments": [0, None]}]
    assert parse(phrases=related).phrases[1].arguments == (0, -1)


def test_the_same_words_twice_are_found_one_after_the_other():
    found = parse(prompt="a dog and a dog", phrases=["a dog", "a dog"]).phrases
    assert [each.start for each in found] == [0, 10]
    assert parse(prompt="a hotdog", phrases=["dog"]).phrases[0].start == -1


def test_spans_count_the_blanks_before_the_prompt():
    record = parse(
        prompt="  a dog ",
        phrases=[{"text": "a dog", "start": 2}],
        failing_phrases=[[4, 7]],
        objects={"chosen": [CAR | {"phrase": [2, 7]}]},
    )
    assert record.phrases[0].start == 0 and record.failing == ((2, 5),) and record.objects[0].phrase == (0, 5)


def test_more_phrases_than_a_store_keeps_are_put_together():
    found = parse(phrases=[f"thing {i}" for i in range(12)]).phrases
    assert len(found) == 8 and found[-1].kind == "other" and found[-1].text.startswith("thing 7, thing 8")


def test_objects_and_styles():
    record = parse(
        objects={
            "chosen": [CAR],
            "rejected": [CAR | {"phrase": None, "wrong": True}, {"name": "owl", "bbox": [0, 0, 1, 1]}],
        },
        style={"chosen": "fill=flat", "rejected": None},
        failing_phrases=[],
    )
    assert record.failing == () and record.style == ("fill=flat", "")
    assert [(each.side, each.name, each.phrase, each.named, each.wrong) for each in record.objects] == [
        (0, "car", (0, 9), 1, 0),
        (1, "car", None, 0, 1),
        (1, "owl", None, -1, -1),
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"phrases": []}, "bad_phrases"),
        ({"phrases": "a dog"}, "bad_phrases"),
        ({"phrases": [" "]}, "bad_phrases"),
        ({"phrases": [{"start": 3}]}, "bad_phrases"),
        ({"phrases": [{"text": "A red car", "start": 1}]}, "bad_phrases"),
        ({"phrases": [{"text": "A red car", "start": "0"}]}, "bad_phrases"),
        ({"phrases": [{"text": "A red car", "start": 0, "end": 99}]}, "bad_phrases"),
        ({"phrases": [{"text": "dogs", "kind": "animal"}]}, "bad_phrases"),
        ({"phrases": [{"text": "dogs", "kind": ["count"]}]}, "bad_phrases"),
        ({"phrases": [{"text": "dogs", "count": 0}]}, "bad_phrases"),
        ({"phrases": [{"text": "dogs", "count": 128}]}, "bad_phrases"),
        ({"phrases": [{"text": "dogs", "attributes": "blue"}]}, "bad_phrases"),
        ({"phrases": [{"text": "left of", "arguments": [0, 1]}]}, "bad_phrases"),
        ({"phrases": [{"text": "left of", "arguments": 3}]}, "bad_phrases"),
        ({"failing_phrases": [0, 9]}, "bad_failing_phrases"),
        ({"failing_phrases": [[9, 0]]}, "bad_failing_phrases"),
        ({"failing_phrases": [[0, 99]]}, "bad_failing_phrases"),
        ({"failing_phrases": [[0, 9]], "control": True}, "bad_failing_phrases"),
        ({"objects": [CAR]}, "bad_objects"),
        ({"objects": {"left": [CAR]}}, "bad_objects"),
        ({"objects": {"chosen": ["car"]}}, "bad_objects"),
        ({"objects": {"chosen": [CAR | {"bbox": [3, 3, 3, 9]}]}}, "bad_objects"),
        ({"objects": {"chosen": [CAR | {"bbox": [0, 0, 1, True]}]}}, "bad_objects"),
        ({"objects": {"chosen": [CAR | {"wrong": 1}]}}, "bad_objects"),
        ({"objects": {"chosen": [CAR | {"phrase": [0, 99]}]}}, "bad_objects"),
        ({"objects": {"chosen": [CAR | {"attributes": "red"}]}}, "bad_objects"),
        ({"style": "flat"}, "bad_style"),
        ({"style": {"chosen": "two\nlines"}}, "bad_style"),
        ({"style": {"chosen": 3}}, "bad_style"),
        ({"split": "shift"}, "unknown_split"),
        ({"split": "shift-"}, "unknown_split"),
        ({"split": "shift-Style"}, "unknown_split"),
        ({"split": ["train"]}, "unknown_split"),
    ],
)
def test_what_is_malformed_has_one_reason(changes, reason):
    with pytest.raises(BadRow) as caught:
        parse(**changes)
    assert caught.value.reason == reason and "\n" not in str(caught.value)


def test_a_split_may_be_a_shift():
    assert parse(split="shift-style").split == "shift-style" and parse(split="shift-renderer-b").has_split


def test_a_prompt_has_one_list_of_phrases():
    one = parse(phrases=["a red car"])
    check_together([one, parse(pair_id="p2"), parse(pair_id="p3", phrases=["a red car"])], "here")
    with pytest.raises(
        UserError, match=r"the phrases of prompt 'A red car left of .* differ between pair 1 and pair 1"
    ):
        check_together([one, parse(pair_id="p2", phrases=["dogs"])], "here")
