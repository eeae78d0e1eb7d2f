"""Which pairs are the best and the worst, worked out by hand, and that a picture that is missing costs its own sheet
alone.
"""

import dataclasses

import numpy as np
import pytest
from eval_world import write_store
from PIL import Image

from tipai_jax.calibrate import Calibration
from tipai_jax.calibrators import Isotonic, Platt
from tipai_jax.errors import UserError
from tipai_jax.extremes import extremes, pick_extremes
from tipai_jax.predictions import Predictions
from tipai_jax.store import CATEGORIES

IDENTITY = Calibration(
    global_score=Platt(),
    patch=Platt(),
    reason={name: Platt() for name in CATEGORIES},
    worst_patch=None,
    conformal=None,
    risk_threshold=0.5,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return write_store(folder / "store", splits={"test": 20}, pictures=folder / "data"), folder / "data"


def opinions(pairs, chosen):
    score = np.zeros((len(pairs), 2), np.float32)
    score[:, 0] = chosen
    risk = np.zeros((len(pairs), 2, 49), np.float32)
    reason = np.tile(np.array([0.0, 2.0, 0.0, 0.0, 0.0], np.float32), (len(pairs), 2, 1))
    return Predictions(score=score, patch=risk, risk=risk, reason=reason)


def test_furthest_above_and_furthest_below(world):
    pairs = world[0].pairs
    gap = np.random.default_rng(0).permutation(len(pairs)).astype(np.float32) - 10
    best, worst = pick_extremes(opinions(pairs, gap), pairs, IDENTITY, count=3)
    counted = [row for row in np.argsort(-gap).tolist() if not pairs.control[row]]
    assert best == counted[:3] and worst == counted[::-1][:3]
    everything = pick_extremes(opinions(pairs, gap), pairs, IDENTITY, count=10_000)
    assert sorted(everything[0] + everything[1]) == np.flatnonzero(~pairs.control).tolist(), "each once, no control"


def test_equal_calibrated_scores_go_by_the_logit_and_then_by_name(world):
    pairs = world[0].pairs.select(~world[0].pairs.control).select(np.arange(6))
    steps = dataclasses.replace(IDENTITY, global_score=Isotonic((-1.0, 1.0), (0.0, 1.0)))  # saturated beyond 1
    best, worst = pick_extremes(opinions(pairs, [2.0, 3.0, 2.0, -2.0, -3.0, -2.0]), pairs, steps, count=3)
    names = pairs.pair_id.astype(str)
    by_name = lambda rows: sorted(rows, key=lambda row: names[row])
    assert best == [1, *by_name([0, 2])] and worst == [4, *by_name([3, 5])[::-1]]


@pytest.mark.parametrize(("count", "best", "worst"), [(0, 0, 0), (1, 1, 0), (3, 2, 1), (4, 2, 2)])
def test_of_few_pairs_each_is_shown_once(world, count, best, worst):
    pairs = world[0].pairs.select(~world[0].pairs.control).select(np.arange(count))
    assert [len(rows) for rows in pick_extremes(opinions(pairs, np.arange(count)), pairs, IDENTITY)] == [best, worst]


def test_entries_and_sheets(world, tmp_path):
    store, data = world
    (tmp_path / "best-09.webp").write_bytes(b"of an earlier evaluation")
    pairs = store.pairs
    found = extremes(store, pairs, opinions(pairs, np.arange(len(pairs))), IDENTITY, data=data, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        entry["sheet"] for side in found.values() for entry in side
    } and len(found["best"]) == 10
    first = found["best"][0]
    row = pairs.pair_id.tolist().index(first["pair_id"])
    assert first["prompt"] == str(store.prompts.prompt[pairs.prompt[row]]) and first["broken"] == [
        CATEGORIES[int(pairs.category[row].argmax())]
    ]
    assert first["score"] == pytest.approx([1.0, 0.5], abs=1e-6) and first["reason"] == [
        "attribute",
        pytest.approx(1 / (1 + np.exp(-2.0))),
    ]
    with Image.open(tmp_path / first["sheet"]) as sheet:
        assert sheet.format == "WEBP" and sheet.width > 1000


def test_a_folder_that_cannot_be_written_is_named(world, tmp_path):
    store, data = world
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file: the sheets .* --out"):
        extremes(
            store,
            store.pairs,
            opinions(store.pairs, np.arange(len(store.pairs))),
            IDENTITY,
            data=data,
            folder=tmp_path / "file",
        )


def test_a_missing_picture_costs_its_own_sheets_and_no_folder_all(world, tmp_path):
    store, data = world
    pairs = store.pairs
    said = opinions(pairs, np.arange(len(pairs)))
    row = pick_extremes(said, pairs, IDENTITY)[0][0]
    lost = data / str(store.images.path[pairs.chosen[row]])
    content = lost.read_bytes()
    lost.write_bytes(content[:20])
    try:
        found = extremes(store, pairs, said, IDENTITY, data=data, folder=tmp_path)
    finally:
        lost.write_bytes(content)
    first = found["best"][0]
    assert (
        first["sheet"] is None
        and str(store.images.path[pairs.chosen[row]]) in first["no_sheet"]
        and str(data) not in first["no_sheet"]
    )
    assert found["worst"][0]["sheet"] == "worst-01.webp"
    bare = extremes(store, pairs, said, IDENTITY, data=None, folder=tmp_path)
    assert {entry["sheet"] for side in bare.values() for entry in side} == {None} and not list(tmp_path.iterdir())
    assert all("--data" in entry["no_sheet"] for side in bare.values() for entry in side)
