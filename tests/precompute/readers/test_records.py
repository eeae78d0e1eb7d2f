import math

import pytest

from precompute.readers.records import BadRow, check_together, hashed_split, parse_row
from tipai_jax.errors import UserError

PAIR = {
    "pair_id": "p1",
    "prompt": "a red cat",
    "chosen_image": "a.png",
    "rejected_image": "b.png",
    "chosen_score": 0.9,
    "rejected_score": 0.4,
    "unfaithful_patches": [{"bbox": [1, 2, 30, 40], "category": "wrong_attribute"}],
}


def parse(**changes):
    return parse_row({key: value for key, value in (PAIR | changes).items() if value is not ...}, 3)


def test_a_plain_pair():
    record = parse()
    assert (record.row, record.pair_id, record.prompt, record.chosen, record.rejected) == (
        3,
        "p1",
        "a red cat",
        "a.png",
        "b.png",
    )
    assert record.boxes == ((1.0, 2.0, 30.0, 40.0, 1, False),) and record.categories == (1,)
    assert record.group == "a red cat" and record.split == hashed_split("a red cat") and not record.has_split
    assert not record.control and record.difficulty == ""


def test_what_is_unknown_and_what_is_none():
    unknown = parse(unfaithful_patches=...)
    assert unknown.boxes is None and unknown.categories is None
    none = parse(unfaithful_patches=[])
    assert none.boxes == () and none.categories is None
    control = parse(unfaithful_patches=[], control=True, rejected_score=0.9)
    assert control.control and control.categories == ()
    assert parse(unfaithful_patches=..., category=["wrong_count", "text"]).categories == (2, 4)
    own = parse(unfaithful_patches=[{"bbox": [0, 0, 1, 1], "absent": True}], category="object")
    assert own.boxes[0].category == 0 and own.boxes[0].absent


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prompt": "  "}, "empty_prompt"),
        ({"prompt": ...}, "missing_field"),
        ({"pair_id": 7}, "bad_field"),
        ({"chosen_image": ""}, "bad_field"),
        ({"chosen_score": math.nan}, "bad_score"),
        ({"rejected_score": math.inf}, "bad_score"),
        ({"rejected_score": "0.3"}, "bad_score"),
        ({"chosen_score": True}, "bad_score"),
        ({"chosen_score": 10**400}, "bad_score"),
        ({"rejected_score": 0.95}, "scores_reversed"),
        ({"category": "colour"}, "unknown_category"),
        ({"unfaithful_patches": [{"bbox": [0, 0, 1, 1], "category": "colour"}]}, "unknown_category"),
        ({"unfaithful_patches": [{"bbox": [0, 0, 1, 1]}]}, "unknown_category"),
        ({"unfaithful_patches": [{"bbox": [5, 0, 5, 1], "category": "text"}]}, "bad_box"),
        ({"unfaithful_patches": [{"bbox": [0, 0, 1], "category": "text"}]}, "bad_box"),
        ({"unfaithful_patches": [{"bbox": [0, 0, 1, math.nan], "category": "text"}]}, "bad_box"),
        ({"unfaithful_patches": {"bbox": [0, 0, 1, 1]}}, "bad_box"),
        ({"unfaithful_patches": ["x"]}, "bad_box"),
        ({"control": True}, "control_with_boxes"),
        ({"control": "yes"}, "bad_field"),
        ({"split": "dev"}, "unknown_split"),
        ({"difficulty": "brutal"}, "unknown_difficulty"),
        ({"sha256": "abc"}, "bad_field"),
        ({"sha256": ["\ud83d" * 64, "0" * 64]}, "bad_field"),
        ({"prompt": "a red \ud83d"}, "bad_field"),
        ({"group": "\udc80"}, "bad_field"),
    ],
)
def test_a_bad_pair_has_a_reason(changes, reason):
    with pytest.raises(BadRow) as caught:
        parse(**changes)
    assert caught.value.reason == reason and str(caught.value)


def test_a_pair_that_is_no_object():
    with pytest.raises(BadRow, match="found list"):
        parse_row([1], 1)


def test_hashed_splits_are_about_eight_to_one_to_one_and_stay():
    splits = [hashed_split(f"prompt {i}") for i in range(4000)]
    assert abs(splits.count("train") / 4000 - 0.8) < 0.03 and abs(splits.count("test") / 4000 - 0.1) < 0.02
    pinned = ["train", "train", "train", "train", "train", "train", "train", "train", "train", "train", "test", "test"]
    assert splits[:12] == pinned, "a pair would change its split: stores made before would leak from train into test"


def test_pairs_that_do_not_fit_together():
    check_together([parse(), parse(pair_id="p2")], "here")
    with pytest.raises(UserError, match=r"here: 1 pair_id occur more than once, such as 'p1' in pairs 3, 3"):
        check_together([parse(), parse()], "here")
    spanning = [parse(split="train", group="g"), parse(pair_id="p2", split="test", group="g")]
    with pytest.raises(UserError, match=r"group 'g' is in two splits, train \(pair 3\) and test"):
        check_together(spanning, "here")
    with pytest.raises(UserError, match="group 'a red cat' is in two splits"):
        check_together([parse(split="train"), parse(pair_id="p2", split="test")], "here")


def records(*described: tuple[str, str, str]):
    """Records of (prompt, group, split), "" for what a pair does not state."""
    return [
        parse(pair_id=f"p{i}", prompt=prompt, group=group, split=split)
        for i, (prompt, group, split) in enumerate(described)
    ]


def splits(*described: tuple[str, str, str]) -> list[str]:
    return [record.split for record in check_together(records(*described), "here")]


def test_splits_are_hashed_by_group_as_long_as_groups_share_no_prompt():
    described = [(f"prompt {i % 900}", f"g{i % 300}", "") for i in range(1200)]
    assert splits(*described) == [hashed_split(group) for _, group, _ in described]
    alone = [(f"prompt {i}", "", "") for i in range(300)]
    assert splits(*alone) == [hashed_split(prompt) for prompt, _, _ in alone]


def test_what_shares_a_prompt_or_a_group_is_in_one_split():
    test, train = "prompt 10", "prompt 0"  # hashed by themselves, these two part
    assert (hashed_split(test), hashed_split(train)) == ("test", "train")
    assert splits(("cat", test, ""), ("cat", train, "")) == ["train", "train"]
    # a chain: test - "dog" - c - "cat" - train, whose ends share nothing; the smallest name decides, in whatever order
    chain = [("dog", test, ""), ("cat", train, ""), ("dog", "zebra", ""), ("cat", "zebra", ""), ("boat", test, "")]
    assert splits(*chain) == splits(*reversed(chain)) == ["train"] * 5
    # a pair without a group is in the group of its prompt
    assert splits((test, "", ""), (test, train, "")) == ["train", "train"]


def test_a_stated_split_holds_for_all_that_are_linked_with_it():
    assert splits(("cat", "g", ""), ("cat", "h", "validation"), ("dog", "g", "")) == ["validation"] * 3
    with pytest.raises(UserError, match=r"here: prompt 'cat' is in two splits, train \(pair 3\) and test \(pair 3\)"):
        splits(("cat", "g", "train"), ("cat", "h", "test"))
    with pytest.raises(UserError, match=r"prompt 'dog' is in two splits"):
        splits(("cat", "g", "train"), ("dog", "h", "test"), ("cat", "i", ""), ("dog", "i", ""))
    assert splits(("cat", "g", "train"), ("dog", "h", "test")) == ["train", "test"]
