"""Which pairs are drawn, and that the red is where the risk is."""

import dataclasses

import numpy as np
import pytest
from eval_world import write_store
from PIL import Image

from tipai_jax.errors import UserError
from tipai_jax.gallery import Opinion, draw_gallery, pick_pairs


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return write_store(folder / "store", splits={"test": 30}, pictures=folder / "data"), folder / "data"


def opinion_of(pairs):
    def opinion(row):
        risk = np.zeros((2, 49), np.float32)
        risk[1] = pairs.patch_label[row, 1] == 0
        return Opinion(np.array([0.9, 0.1]), risk, np.full((2, 5), 0.2), 0.5)

    return opinion


def test_picks_spread_over_categories_and_difficulties(world):
    pairs = world[0].pairs
    kinds = lambda rows: {
        (str(pairs.difficulty[row]), bool(pairs.control[row]), *pairs.category[row].tolist()) for row in rows
    }
    everything = kinds(range(len(pairs)))
    picked = pick_pairs(pairs, len(everything))
    assert kinds(picked) == everything
    assert len(pick_pairs(pairs, 10_000)) == len(pairs) == len(set(pick_pairs(pairs, 10_000)))
    assert pick_pairs(pairs, 4) == picked[:4] and pick_pairs(pairs, 0) == []
    first = picked[:6]
    assert len({str(pairs.difficulty[row]) for row in first}) == 3
    assert len({tuple(pairs.category[row].tolist()) for row in first}) >= 5, (
        "five categories, or four and the controls' row of zeros"
    )


def test_the_order_of_the_table_has_no_say(world):
    pairs = world[0].pairs
    shuffled = pairs.select(np.random.default_rng(0).permutation(len(pairs)))
    assert [pairs.pair_id[row] for row in pick_pairs(pairs, 9)] == [
        shuffled.pair_id[row] for row in pick_pairs(shuffled, 9)
    ]


def test_sheets_are_written_and_the_wrong_place_is_the_red_one(world, tmp_path):
    store, data = world
    pairs = store.pairs
    rows = pick_pairs(pairs, 3)
    (tmp_path / "pair-099-old.png").write_bytes(b"from an earlier run")
    options = {"opinion": opinion_of(pairs), "data": data, "out": tmp_path, "stamp": "small world only"}
    written = draw_gallery(store, pairs, rows, **options)
    assert [path.name for path in written[:-1]] == [
        f"pair-{i:03d}-{pairs.pair_id[row]}.png" for i, row in enumerate(rows)
    ]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    for row, path in zip(rows, written):
        with Image.open(path) as opened:
            sheet = np.asarray(opened.convert("RGB")).astype(int)
        right = sheet[:, -314:-14]  # the last panel: the rejected image under its heatmap
        red = np.argwhere((right[..., 0] - right[..., 1] > 60) & (right[..., 0] - right[..., 2] > 60))
        box = pairs.boxes[row][0]
        if box.absent:
            continue
        assert len(red)
        middle = red[:, 1].mean() / 300
        assert box.x1 < middle < box.x2
    again = draw_gallery(store, pairs, rows, **options)
    assert again == written


def test_a_missing_picture_is_named_before_anything_is_written(world, tmp_path):
    store, _ = world
    with pytest.raises(UserError, match=r"images/\d+\.png.*--data"):
        draw_gallery(
            store, store.pairs, [0], opinion=opinion_of(store.pairs), data=tmp_path, out=tmp_path / "out", stamp=""
        )
    assert not (tmp_path / "out").exists()


def test_half_a_picture_is_named(world, tmp_path):
    store, data = world
    (tmp_path / "images").mkdir()
    for path in (data / "images").iterdir():
        (tmp_path / "images" / path.name).write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match="cannot be read as a picture"):
        draw_gallery(
            store, store.pairs, [0], opinion=opinion_of(store.pairs), data=tmp_path, out=tmp_path / "out", stamp=""
        )


def test_a_name_that_is_no_file_name(world, tmp_path):
    store, data = world
    pairs = store.pairs.select(np.arange(1))
    pairs = dataclasses.replace(pairs, pair_id=np.array(["../a b/ü"], object))
    written = draw_gallery(store, pairs, [0], opinion=opinion_of(pairs), data=data, out=tmp_path, stamp="")
    assert [path.name for path in written] == ["pair-000-.._a_b_.png", "contact.png"]
