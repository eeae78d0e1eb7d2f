"""Which pairs are drawn, and that the red is where the risk is."""

import dataclasses

import numpy as np
import pytest
from auditor_world import CALIBRATION
from eval_world import write_store
from PIL import Image

from tipai_jax.auditor.verdict import Digests, Verdict
from tipai_jax.errors import UserError
from tipai_jax.evaluation import pair_sheets
from tipai_jax.evaluation.auditor import pair_prediction
from tipai_jax.evaluation.pair_sheets import PairPrediction, draw_pair, draw_sheets, pick_pairs, read_images
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.render import FOUND, regions_of_grid
from tipai_jax.store import CATEGORIES


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return write_store(folder / "store", splits={"test": 30}, draw_in=folder / "data"), folder / "data"


def prediction_of(pairs):
    """A prediction whose risk is high exactly on the patches that are labelled unfaithful."""

    def prediction(row):
        risk = np.zeros((2, 49), np.float32)
        risk[1] = pairs.patch_label[row, 1] == 0
        return PairPrediction(
            score=np.array([0.9, 0.1]),
            risk=risk,
            reason=np.full((2, 5), 0.2),
            risk_threshold=0.5,
            regions=([], regions_of_grid(risk[1].reshape(7, 7), 0.5, 0.15)),
        )

    return prediction


def test_picks_spread_over_categories_and_difficulties(world):
    pairs = world[0].pairs
    kind = lambda row: (str(pairs.difficulty[row]), bool(pairs.control[row]), *pairs.category[row].tolist())
    kinds = lambda rows: {kind(row) for row in rows}
    everything = kinds(range(len(pairs)))
    picked = pick_pairs(pairs, len(everything))
    assert kinds(picked) == everything
    assert len(pick_pairs(pairs, 10_000)) == len(pairs) == len(set(pick_pairs(pairs, 10_000)))
    assert pick_pairs(pairs, 4) == picked[:4] and pick_pairs(pairs, 0) == []
    first = picked[:6]
    assert len({str(pairs.difficulty[row]) for row in first}) == 3
    broken = {tuple(pairs.category[row].tolist()) for row in first}
    assert len(broken) >= 5, "five categories, or four and the controls' row of zeros"


def test_the_order_of_the_table_has_no_say(world):
    pairs = world[0].pairs
    shuffled = pairs.select(np.random.default_rng(0).permutation(len(pairs)))
    names = lambda table: [table.pair_id[row] for row in pick_pairs(table, 9)]
    assert names(pairs) == names(shuffled) and len(set(names(pairs))) == 9


def test_sheets_are_written_and_the_wrong_place_is_the_red_one(world, tmp_path):
    store, data = world
    pairs = store.pairs
    rows, looked_at = pick_pairs(pairs, 3), 0
    (tmp_path / "pair-099-old.png").write_bytes(b"from an earlier run")
    options = {"prediction": prediction_of(pairs), "data": data, "out": tmp_path, "stamp": "small world only"}
    written = draw_sheets(store, pairs, rows, **options)
    names = [f"pair-{i:03d}-{pairs.pair_id[row]}.png" for i, row in enumerate(rows)]
    assert [path.name for path in written] == [*names, "contact.png"]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    for row, path in zip(rows, written[:-1], strict=True):
        with Image.open(path) as opened:
            sheet = np.asarray(opened.convert("RGB")).astype(int)
        right = sheet[:, -314:-14]  # the last panel: the rejected image under its heatmap
        red = np.argwhere((right[..., 0] - right[..., 1] > 60) & (right[..., 0] - right[..., 2] > 60))
        if pairs.control[row] or pairs.boxes[row][0].absent:
            continue
        box, looked_at = pairs.boxes[row][0], looked_at + 1
        assert len(red)
        middle = red[:, 1].mean() / 300
        assert box.x1 < middle < box.x2
    assert looked_at >= 2
    again = draw_sheets(store, pairs, rows, **options)
    assert again == written


def draw_first(store, *, data, out):
    return draw_sheets(store, store.pairs, [0], prediction=prediction_of(store.pairs), data=data, out=out, stamp="")


def test_a_missing_picture_is_named_before_anything_is_written(world, tmp_path):
    store, _ = world
    with pytest.raises(UserError, match=r"images/\d+\.png.*--data"):
        draw_first(store, data=tmp_path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_half_a_picture_is_named(world, tmp_path):
    store, data = world
    (tmp_path / "images").mkdir()
    for path in (data / "images").iterdir():
        (tmp_path / "images" / path.name).write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match="cannot be read as an image"):
        draw_first(store, data=tmp_path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_no_file_name(world, tmp_path):
    store, data = world
    pairs = store.pairs.select(np.arange(1))
    pairs = dataclasses.replace(pairs, pair_id=np.array(["../a b/ü"], object))
    written = draw_sheets(store, pairs, [0], prediction=prediction_of(pairs), data=data, out=tmp_path, stamp="")
    assert [path.name for path in written] == ["pair-000-.._a_b_.png", "contact.png"]


def violet(sheet):
    """How many pixels of a sheet have the colour in which found regions are framed."""
    pixels = np.asarray(sheet.convert("RGB")).astype(int)
    return int((np.abs(pixels - np.array([150, 0, 130])).sum(axis=-1) < 30).sum())


@pytest.mark.parametrize("size", [(64, 64), (300, 120), (700, 500)])
def test_a_sheet_frames_the_boxes_of_a_verdict(world, monkeypatch, size):
    pairs = world[0].pairs
    row = int(np.flatnonzero(~pairs.control)[0])
    risk = np.random.default_rng(0).random((7, 7)).astype(np.float32)
    verdict = Verdict(
        prompt="a car",
        score=0.1,
        logit=-2.2,
        patch_score=1 - risk,
        risk=risk,
        risk_threshold=0.5,
        box_reach=0.15,
        level=0.9,
        prediction="breaks",
        reasons=dict.fromkeys(CATEGORIES, 0.2),
        worst_patch_score=0.1,
        consistent=True,
        size=size,
        view=(0.0, 0.0, *map(float, size)),
        digests=Digests(encoder="e" * 64, heads="h" * 64),
        small_world_only=True,
    )
    framed = []
    monkeypatch.setattr(pair_sheets, "draw_marks", lambda image, marks: framed.append(marks) or image)
    ours = Predictions(
        global_logit=np.array([[1.0, -1.0]], np.float32),
        risk=np.stack([np.zeros(49, np.float32), risk.reshape(-1)])[None],
        reason_logit=np.zeros((1, 2, 5), np.float32),
    )
    found = pair_prediction(ours, CALIBRATION, 0)
    images = [Image.new("RGB", size), Image.new("RGB", size)]
    draw_pair(pairs, row, found, prompt="a car", images=images, stamp="")
    boxes = [mark for mark in framed[-1] if mark.colour == FOUND]
    assert len(boxes) == len(verdict.boxes) > 1
    for mark, box in zip(boxes, verdict.boxes, strict=True):
        corners = (mark.x1 * size[0], mark.y1 * size[1], mark.x2 * size[0], mark.y2 * size[1])
        assert tuple(map(round, corners)) == (box.x1, box.y1, box.x2, box.y2) and mark.label == f"{box.risk:.2f}"
    kept = pair_prediction(dataclasses.replace(ours, global_logit=-ours.global_logit), CALIBRATION, 0)
    assert kept.regions == ([], []) and list(dataclasses.replace(verdict, score=0.7).boxes) == []


def test_the_regions_are_framed(world):
    store, data = world
    pairs = store.pairs
    row = next(row for row in range(len(pairs)) if not pairs.control[row] and not pairs.boxes[row][0].absent)
    images = read_images(store, pairs, row, data)
    found = prediction_of(pairs)(row)
    sheet = lambda prediction: draw_pair(pairs, row, prediction, prompt="a car", images=images, stamp="")
    none, (_, boxes) = dataclasses.replace(found, regions=([], [])), found.regions
    assert violet(sheet(found)) - violet(sheet(none)) > 200
    alarm = dataclasses.replace(found, regions=(boxes, []))
    assert violet(sheet(alarm)) - violet(sheet(none)) > 200, "an alarm in the chosen image is shown as well"


def test_a_stamp_is_a_line_more_and_nothing_is_framed_where_nothing_stands_out(world):
    store, data = world
    pairs = store.pairs
    control = int(np.flatnonzero(pairs.control)[0])
    images = read_images(store, pairs, control, data)
    sheet = draw_pair(pairs, control, prediction_of(pairs)(control), prompt="a car", images=images, stamp="")
    assert violet(sheet) == 0
    stamped = draw_pair(pairs, control, prediction_of(pairs)(control), prompt="a car", images=images, stamp="a remark")
    assert stamped.height > sheet.height and stamped.width == sheet.width
