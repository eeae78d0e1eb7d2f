import jax
import numpy as np
from loop_world import small_store

from tipai_jax.data import pipeline
from tipai_jax.data.batches import host_columns
from tipai_jax.data.curriculum import PairOrder
from tipai_jax.data.pipeline import Resident, Streaming, chunk_length, make_source, plan_in_order, plan_steps
from tipai_jax.data.splits import split_pairs
from tipai_jax.sharding import make_placement


def parts():
    store = small_store()
    pairs = split_pairs(store, "train")
    return host_columns(store, pairs), PairOrder(pairs.margin, pairs.control, batch_size=32, seed=0)


def test_resident_and_streaming_make_the_same_batches_in_the_same_order():
    columns, order = parts()
    placement = make_placement()
    plans = lambda i: plan_steps([order], 2 * i, steps=2 if i < 2 else 1, length=2)
    made = {}
    for source in (Resident(columns, placement), Streaming(columns, placement)):
        batch = jax.jit(jax.vmap(source.batch, in_axes=(None, 0)))
        made[source.name] = [
            (batch(source.columns, elements), np.asarray(step) >= 0) for elements, step in source.chunks(plans, 3)
        ]
    assert len(made["resident"]) == len(made["streaming"]) == 3
    for (here, live), (there, _) in zip(made["resident"], made["streaming"]):
        for name in here.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(here, name)[live], getattr(there, name)[live], err_msg=name)


def test_resident_holds_only_the_rows_it_needs():
    columns, _ = parts()
    source = Resident(columns, make_placement())
    assert source.columns.patches.shape == (300, 49, 16) and columns.patches.shape[0] == 400


def test_a_short_chunk_is_filled_up_with_steps_that_are_not_run():
    _, order = parts()
    chunk = plan_steps([order], 4, steps=1, length=3)
    assert chunk.row.shape == (3, 32) and chunk.step.tolist() == [4, -1, -1] and chunk.valid.sum() == 22


def test_an_evaluation_visits_every_row_once():
    chunks = plan_in_order(75, batch_size=10, length=3)
    rows = np.concatenate([chunk.row[chunk.valid] for chunk in chunks])
    assert rows.tolist() == list(range(75))
    assert [chunk.step.tolist() for chunk in chunks] == [[0, 1, 2], [3, 4, 5], [6, 7, -1]]


def test_auto_goes_by_size(monkeypatch):
    columns, _ = parts()
    placement = make_placement()
    size = pipeline.resident_bytes(columns)
    assert size == 2 * (300 * 50 * 16 + 150 * 16)
    monkeypatch.setattr(pipeline, "resident_limit", lambda placement: size)
    assert make_source(columns, placement, kind="auto").name == "resident"
    monkeypatch.setattr(pipeline, "resident_limit", lambda placement: size - 1)
    assert make_source(columns, placement, kind="auto").name == "streaming"


def test_a_streamed_chunk_stays_small(monkeypatch):
    columns, _ = parts()
    streaming, resident = Streaming(columns, make_placement()), Resident(columns, make_placement())
    per_step = 2 * 32 * (2 * 49 * 16 + 3 * 16)
    monkeypatch.setattr(pipeline, "STREAMED_BYTES", 3 * per_step)
    assert chunk_length(streaming, columns, batch_size=32, steps_per_dispatch=8) == 3
    assert chunk_length(resident, columns, batch_size=32, steps_per_dispatch=8) == 8
