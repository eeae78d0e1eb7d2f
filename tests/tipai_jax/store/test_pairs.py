import dataclasses

import numpy as np
import pytest

from tipai_jax.store import Box, Boxes, PairTable
from tipai_jax.store.columns import read_table, table_bytes
from tipai_jax.store.pairs import from_arrow, to_arrow


def table(n=4) -> PairTable:
    counts = np.arange(n) % 3
    boxes = Boxes(
        xyxy=np.linspace(0, 1, counts.sum() * 4).reshape(-1, 4),
        category=(np.arange(counts.sum()) % 5).astype(np.int8),
        absent=np.arange(counts.sum()) % 2 == 1,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    )
    names = np.array([f"p{i}" for i in range(n)], dtype=object)
    rows, scores = np.arange(n, dtype=np.int32), np.linspace(0, 1, n).astype(np.float32)
    return PairTable(
        pair_id=names,
        prompt=rows,
        chosen=rows,
        rejected=rows + 1,
        chosen_score=scores + 1,
        rejected_score=scores,
        margin=np.ones(n, np.float32),
        category=np.tile(np.array([1, 0, -1, 0, 0], np.int8), (n, 1)),
        patch_label=(np.arange(n * 98).reshape(n, 2, 49) % 3 - 1).astype(np.int8),
        phrase_label=(np.arange(n * 8).reshape(n, 8) % 3 - 1).astype(np.int8),
        split=np.array(["train", "validation", "test", "train"] * n, dtype=str)[:n],
        group=rows // 2,
        group_name=names,
        difficulty=np.array(["easy", ""] * n, dtype=str)[:n],
        kind=np.array([""] * n, dtype=str),
        control=rows % 2 == 0,
        unseen=rows % 3 == 0,
        annotated=rows % 2 == 1,
        boxes=boxes,
    )


def assert_equal(a: PairTable, b: PairTable) -> None:
    for field in dataclasses.fields(PairTable):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if field.name == "boxes":
            assert x == y
        else:
            np.testing.assert_array_equal(x, y, err_msg=field.name)
            assert x.dtype.kind == y.dtype.kind, field.name


@pytest.mark.parametrize("n", [4, 1, 0])
def test_round_trip_through_parquet(tmp_path, n):
    path = tmp_path / "p.parquet"
    path.write_bytes(table_bytes(to_arrow(table(n))))
    assert_equal(from_arrow(read_table(path)), table(n))


def test_boxes_read_like_tuples():
    boxes = table().boxes
    assert len(boxes) == 4 and boxes[0] == () and len(boxes[2]) == 2 and boxes[-1] == ()
    assert isinstance(boxes[1][0], Box) and boxes[1][0].absent is False and boxes[2][0].absent is True
    assert [len(own) for own in boxes] == [0, 1, 2, 0]
    assert boxes[1:3] == (boxes[1], boxes[2])
    with pytest.raises(IndexError):
        boxes[4]


def test_select_by_mask_and_by_rows():
    pairs = table()
    np.testing.assert_array_equal(pairs.select(pairs.split == "train").pair_id, ["p0", "p3"])
    picked = pairs.select(np.array([2, 1, 2]))
    np.testing.assert_array_equal(picked.pair_id, ["p2", "p1", "p2"])
    assert list(picked.boxes) == [pairs.boxes[2], pairs.boxes[1], pairs.boxes[2]]
    np.testing.assert_array_equal(picked.patch_label, pairs.patch_label[[2, 1, 2]])


def test_columns_must_be_of_one_length():
    with pytest.raises(ValueError, match="different lengths"):
        dataclasses.replace(table(), margin=np.ones(3, np.float32))
