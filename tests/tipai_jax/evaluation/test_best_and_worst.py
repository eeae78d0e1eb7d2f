"""Which pairs are the best and the worst, worked out by hand, and that a missing image costs its own sheet alone."""

import dataclasses

import numpy as np
import pytest
from eval_world import write_store
from PIL import Image

from tipai_jax.errors import UserError
from tipai_jax.evaluation.auditor import pair_prediction, pick_best_and_worst
from tipai_jax.evaluation.best_and_worst import NO_FOLDER, draw_best_and_worst
from tipai_jax.evaluation.calibration import Calibration
from tipai_jax.evaluation.calibrators import Isotonic, Platt
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.store import CATEGORIES, open_store

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
    return write_store(folder / "store", splits={"test": 20}, draw_in=folder / "data"), folder / "data"


def predicted(pairs, chosen):
    """Predictions whose logit of the chosen image is given, that of the rejected one is 0."""
    score = np.zeros((len(pairs), 2), np.float32)
    score[:, 0] = chosen
    risk = np.zeros((len(pairs), 2, 49), np.float32)
    reason = np.tile(np.array([0.0, 2.0, 0.0, 0.0, 0.0], np.float32), (len(pairs), 2, 1))
    return Predictions(global_logit=score, patch_logit=risk, risk=risk, reason_logit=reason)


def draw(store, folder, *, data, count=10, stamp=""):
    """The best and the worst of a store's pairs, where each pair is told apart better than the one before."""
    pairs = store.pairs
    ours = predicted(pairs, np.arange(len(pairs)))
    best, worst = pick_best_and_worst(ours, pairs, IDENTITY, count=count)
    return draw_best_and_worst(
        store,
        pairs,
        {"best": best, "worst": worst},
        prediction=lambda row: pair_prediction(ours, IDENTITY, row),
        data=data,
        folder=folder,
        stamp=stamp,
    )


def test_furthest_above_and_furthest_below(world):
    pairs = world[0].pairs
    gap = np.random.default_rng(0).permutation(len(pairs)).astype(np.float32) - 10
    best, worst = pick_best_and_worst(predicted(pairs, gap), pairs, IDENTITY, count=3)
    counted = [row for row in np.argsort(-gap).tolist() if not pairs.control[row]]
    assert best == counted[:3] and worst == counted[::-1][:3]
    everything = pick_best_and_worst(predicted(pairs, gap), pairs, IDENTITY, count=10_000)
    assert sorted(everything[0] + everything[1]) == np.flatnonzero(~pairs.control).tolist(), "each once, no control"


def test_equal_calibrated_scores_go_by_the_logit_and_then_by_name(world):
    pairs = world[0].pairs.select(~world[0].pairs.control).select(np.arange(6))
    steps = dataclasses.replace(IDENTITY, global_score=Isotonic((-1.0, 1.0), (0.0, 1.0)))  # saturated beyond 1
    best, worst = pick_best_and_worst(predicted(pairs, [2.0, 3.0, 2.0, -2.0, -3.0, -2.0]), pairs, steps, count=3)
    names = pairs.pair_id.astype(str)
    by_name = lambda rows: sorted(rows, key=lambda row: names[row])
    assert best == [1, *by_name([0, 2])] and worst == [4, *by_name([3, 5])[::-1]]


@pytest.mark.parametrize(("count", "best", "worst"), [(0, 0, 0), (1, 1, 0), (3, 2, 1), (4, 2, 2)])
def test_of_few_pairs_each_is_shown_once(world, count, best, worst):
    pairs = world[0].pairs.select(~world[0].pairs.control).select(np.arange(count))
    found = pick_best_and_worst(predicted(pairs, np.arange(count)), pairs, IDENTITY)
    assert [len(rows) for rows in found] == [best, worst]


def test_entries_and_sheets(world, tmp_path):
    store, data = world
    (tmp_path / "best-09.webp").write_bytes(b"of an earlier evaluation")
    (tmp_path / "worst-99.webp").write_bytes(b"of an earlier evaluation")
    found = draw(store, tmp_path, data=data)
    names = {side: [f"{side}-{place:02d}.webp" for place in range(1, 11)] for side in ("best", "worst")}
    assert {side: [entry["sheet"] for entry in entries] for side, entries in found.items()} == names
    assert sorted(path.name for path in tmp_path.iterdir()) == names["best"] + names["worst"]
    assert all(entry["no_sheet"] == "" for entries in found.values() for entry in entries)
    with Image.open(tmp_path / "best-01.webp") as sheet:
        assert sheet.format == "WEBP" and sheet.width > 1000
    drawn = [(tmp_path / name).read_bytes() for name in names["best"]]
    assert len(set(drawn)) == len(drawn), "each is the sheet of its own pair"


def test_an_entry_holds_its_pair_in_figures_and_in_words(world, tmp_path):
    store, data = world
    pairs = store.pairs
    found = draw(store, tmp_path, data=data)
    for side in ("best", "worst"):
        first = found[side][0]
        row = pairs.pair_id.tolist().index(first["pair_id"])
        score = 1 / (1 + np.exp(-row))
        broken = CATEGORIES[int(pairs.category[row].argmax())]
        chance = 1 / (1 + np.exp(-2.0))
        assert first["title"] == str(store.prompts.prompt[pairs.prompt[row]])
        assert first["broken"] == [broken] and first["difficulty"] == pairs.difficulty[row]
        assert first["score"] == pytest.approx([score, 0.5], abs=1e-6)
        assert first["reason"] == ["attribute", pytest.approx(chance)]
        assert first["facts"] == (
            f"Chosen {score:.3f}, rejected 0.500, difference {score - 0.5:+.3f}. "
            f"Broken: {broken}; the auditor's first reason: attribute ({chance:.2f}). "
            f"Pair {first['pair_id']}, {pairs.difficulty[row]}."
        )
    rows = [pairs.pair_id.tolist().index(each["pair_id"]) for each in found["worst"]]
    scores = [each["score"][0] for each in found["worst"]]
    assert rows == sorted(set(rows)) and scores == pytest.approx([1 / (1 + np.exp(-row)) for row in rows], abs=1e-6)
    assert found["best"][0]["score"][0] == pytest.approx(1.0) and found["worst"][0]["score"][0] == pytest.approx(0.5)


def test_a_pair_of_unknown_category_and_difficulty_says_so(world, tmp_path):
    store = world[0]
    pairs = store.pairs.select(np.arange(2))
    pairs = dataclasses.replace(pairs, category=np.full((2, 5), -1, np.int8), difficulty=np.array(["", ""]))
    ours = predicted(pairs, [1.0, 2.0])
    found = draw_best_and_worst(
        store,
        pairs,
        {"best": [1]},
        prediction=lambda row: pair_prediction(ours, IDENTITY, row),
        data=None,
        folder=tmp_path,
        stamp="",
    )
    (entry,) = found["best"]
    assert entry["broken"] == [] and "Broken: not known;" in entry["facts"]
    assert entry["facts"].endswith(f"Pair {pairs.pair_id[1]}.")


def test_the_prompt_stands_there_as_each_image_keeps_its_phrases(world, tmp_path):
    """Two phrases with a place in the prompt and one without: that one is in no run."""
    store, data = world
    pairs = store.pairs.select(np.arange(1))
    prompt = str(store.prompts.prompt[pairs.prompt[0]])
    places = lambda *values: np.array([[*values, *[-1] * (8 - len(values))]] * len(store.prompts.prompt), np.int32)
    table = dataclasses.replace(
        store.prompts,
        phrase=places(0, 1, 2),
        phrase_start=places(0, -1, 4),
        phrase_end=places(3, -1, len(prompt)),
    )
    told = open_store(store.path)
    told.__dict__["prompts"] = table
    logit = np.zeros((1, 2, 8), np.float32)
    logit[0, :, 2] = 2.0, -2.0
    plain = predicted(pairs, [1.0])
    ours = dataclasses.replace(plain, phrase_logit=logit)
    calibration = dataclasses.replace(IDENTITY, phrase=IDENTITY.global_score)
    entries, heights = [], []
    for predictions, calibrated in ((ours, calibration), (ours, IDENTITY), (plain, calibration)):
        prediction = lambda row, p=predictions, c=calibrated: pair_prediction(p, c, row)
        how = {"prediction": prediction, "data": data, "folder": tmp_path, "stamp": ""}
        entries += draw_best_and_worst(told, pairs, {"best": [0]}, **how)["best"]
        with Image.open(tmp_path / "best-01.webp") as sheet:
            heights.append(sheet.height)
    sure = 1 / (1 + np.exp(-2.0))
    assert [run[0] for run in entries[0]["words"][0]] == [prompt[:3], prompt[3], prompt[4:]]
    assert [run[1] for run in entries[0]["words"][0]] == [pytest.approx(0.5), None, pytest.approx(sure)]
    assert [run[1] for run in entries[0]["words"][1]] == [pytest.approx(0.5), None, pytest.approx(1 - sure)]
    assert entries[1]["words"] == entries[2]["words"] == [], "nothing is known of phrases, or nothing is predicted"
    assert heights[0] > heights[1] + 10 and heights[1] == heights[2]


def test_a_stamp_is_on_the_sheet(world, tmp_path):
    store, data = world
    sizes = []
    for stamp in ("", "small world only"):
        draw(store, tmp_path, data=data, count=1, stamp=stamp)
        with Image.open(tmp_path / "best-01.webp") as sheet:
            sizes.append(sheet.height)
    assert sizes[1] > sizes[0] + 10, "a line more"


def test_a_folder_that_cannot_be_written_is_named(world, tmp_path):
    store, data = world
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file: the sheets .* --out"):
        draw(store, tmp_path / "file", data=data)


def test_a_missing_image_costs_its_own_sheets_alone_and_no_folder_all(world, tmp_path):
    store, data = world
    pairs = store.pairs
    row = pick_best_and_worst(predicted(pairs, np.arange(len(pairs))), pairs, IDENTITY)[0][0]
    name = str(store.images.path[pairs.chosen[row]])
    content = (data / name).read_bytes()
    (data / name).write_bytes(content[:20])
    try:
        found = draw(store, tmp_path, data=data)
    finally:
        (data / name).write_bytes(content)
    first = found["best"][0]
    assert first["sheet"] is None and name in first["no_sheet"] and str(data) not in first["no_sheet"]
    assert found["worst"][0]["sheet"] == "worst-01.webp" and (tmp_path / "worst-01.webp").exists()
    bare = draw(store, tmp_path, data=None)
    entries = [entry for side in bare.values() for entry in side]
    assert {entry["sheet"] for entry in entries} == {None} and not list(tmp_path.iterdir())
    assert {entry["no_sheet"] for entry in entries} == {NO_FOLDER} and "--data" in NO_FOLDER
    assert [entry["pair_id"] for entry in bare["best"]] == [entry["pair_id"] for entry in found["best"]]
