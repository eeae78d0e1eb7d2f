import dataclasses
from pathlib import Path

import numpy as np
import pytest

from precompute.pair_rows import ImageRow, build_pairs, check_rejects, reject_columns
from precompute.readers.records import PairRecord, PixelBox, Reject
from scripts.benchmark.synthetic import fingerprint
from tipai_jax.errors import UserError

ENCODER = fingerprint(d=4, image_size=112)
IMAGES = {
    "a": ImageRow(0, 224, 224, "1" * 64),
    "b": ImageRow(1, 224, 224, "2" * 64),
    "wide": ImageRow(2, 448, 224, "3" * 64),
}
RECORD = PairRecord(
    row=1,
    pair_id="p",
    prompt="a cat",
    chosen="a",
    rejected="b",
    chosen_score=0.9,
    rejected_score=0.25,
    boxes=(PixelBox(0, 0, 32, 64, 1, False),),
    categories=(1,),
    split="train",
    group="g",
)


def build(*changes, problems=None):
    records = [dataclasses.replace(RECORD, row=i + 1, pair_id=f"p{i}", **change) for i, change in enumerate(changes)]
    return build_pairs(records, images=IMAGES, prompts={"a cat": 5}, problems=problems or {}, encoder=ENCODER)


def test_a_pair_becomes_a_row():
    table, rejects = build(
        {}, {"group": "h", "split": "test", "unseen": True, "difficulty": "hard", "kind": "hue"}, {"group": "g"}
    )
    assert not rejects and len(table) == 3
    assert (table.prompt.tolist(), table.chosen.tolist(), table.rejected.tolist()) == ([5] * 3, [0] * 3, [1] * 3)
    np.testing.assert_allclose(table.margin, 0.65, rtol=1e-6)
    assert table.group.tolist() == [0, 1, 0] and table.group_name.tolist() == ["g", "h", "g"]
    assert table.category.tolist() == [[0, 1, 0, 0, 0]] * 3
    assert table.split.tolist() == ["train", "test", "train"] and table.unseen.tolist() == [False, True, False]
    assert table.difficulty.tolist() == ["", "hard", ""] and table.kind.tolist() == ["", "hue", ""]
    expected = np.ones((2, 49))
    expected[1, [0, 7]] = 0
    np.testing.assert_array_equal(table.patch_label[0], expected)
    assert table.boxes[0] == ((0.0, 0.0, 32 / 224, 64 / 224, 1, False),)


def test_unknown_stays_unknown_and_a_control_is_faithful():
    table, _ = build(
        {"boxes": None, "categories": None},
        {"boxes": None, "categories": (), "control": True, "rejected_score": 0.9},
        {"boxes": ()},
    )
    assert (table.patch_label[0] == -1).all() and (table.category[0] == -1).all() and not table.annotated[0]
    assert (
        (table.patch_label[1] == 1).all()
        and (table.category[1] == 0).all()
        and table.annotated[1]
        and table.margin[1] == 0
    )
    assert (table.patch_label[2] == 1).all() and table.annotated[2]


def test_boxes_of_a_wide_image_are_in_the_encoders_view():
    boxes = (PixelBox(112, 0, 144, 32, 0, False), PixelBox(0, 0, 100, 100, 0, False), PixelBox(80, 0, 144, 32, 0, True))
    table, _ = build({"rejected": "wide", "boxes": boxes})
    # the centre is 112..336: the first box is its first cell, the second lies outside, half of the third is cut off
    assert table.boxes[0][0] == (0.0, 0.0, 1 / 7, 1 / 7, 0, False)
    assert table.boxes[0][1].absent and table.boxes[0][2] == (0.0, 0.0, 1 / 7, 1 / 7, 0, True)
    assert (table.patch_label[0, 1] == 0).sum() == 1 and table.patch_label[0, 1, 0] == 0


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        (
            {"boxes": (PixelBox(0, 0, 225, 10, 0, False),)},
            "box_outside",
            "[0, 0, 225, 10] leaves the image 'b' of 224 x 224",
        ),
        ({"boxes": (PixelBox(-1, 0, 5, 10, 0, False),)}, "box_outside", "[-1, 0, 5, 10]"),
        ({"rejected": "gone"}, "damaged_image", "is cut short"),
        ({"sha256": ("1" * 64, "9" * 64)}, "sha256_differs", "'b' has the hash 222222222222..."),
    ],
)
def test_what_only_the_image_shows(change, reason, detail):
    table, rejects = build(change, {"sha256": ("1" * 64, "2" * 64)}, problems={"gone": "'gone' is cut short"})
    assert len(table) == 1 and [(reject.reason, reject.row) for reject in rejects] == [(reason, 1)]
    assert detail in rejects[0].detail


def test_nothing_left_is_a_table_of_no_rows():
    table, rejects = build({"rejected": "gone"})
    assert (
        len(table) == 0
        and len(rejects) == 1
        and table.patch_label.shape == (0, 2, 49)
        and table.category.shape == (0, 5)
    )


def rejected(count: int) -> list[Reject]:
    return [Reject(row=i + 1, pair_id="", reason="bad_score", detail=f"nan {i}") for i in reversed(range(count))]


def test_one_in_a_hundred_passes_and_more_does_not():
    assert check_rejects(rejected(1), pairs=100, allowed=0.01, listed=Path("r")) == {"bad_score": 1}
    assert check_rejects(rejected(2), pairs=100, allowed=0.02, listed=Path("r")) == {"bad_score": 2}
    with pytest.raises(
        UserError, match=r"2 of 100 pairs.*bad_score 2; first: pair 1, nan 0.*listed in r; .*--allow-rejects 0\.02"
    ):
        check_rejects(rejected(2), pairs=100, allowed=0.01, listed=Path("r"))
    with pytest.raises(UserError, match=r"first: pair 1, nan 0\); correct the data, or allow"):
        check_rejects(rejected(2), pairs=100, allowed=0.01, listed=None)
    with pytest.raises(UserError, match=r"correct the data$"):
        check_rejects(rejected(3), pairs=3, allowed=1.0, listed=Path("r"))
    assert check_rejects([], pairs=3, allowed=0.0, listed=Path("r")) == {}


def test_rejects_are_listed_by_number():
    assert reject_columns(rejected(3)).column("row").to_pylist() == [1, 2, 3]
    assert reject_columns([]).num_rows == 0
