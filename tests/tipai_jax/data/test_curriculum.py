import numpy as np
import pytest

from tipai_jax.data.curriculum import PairOrder

MARGIN = np.linspace(0.1, 1.0, 100)
CONTROL = np.arange(110) >= 100
ALL_MARGINS = np.concatenate([MARGIN, np.zeros(10)])


def order(**changes):
    return PairOrder(
        ALL_MARGINS, CONTROL, **{"batch_size": 32, "seed": 3, "start_fraction": 0.4, "full_at_epoch": 3, **changes}
    )


def epoch_rows(pairs, epoch):
    drawn = [pairs.batch(epoch * pairs.steps_per_epoch + i) for i in range(pairs.steps_per_epoch)]
    return np.concatenate([row[valid] for row, valid in drawn])


def test_share_grows_linearly_to_all():
    assert [order().fraction(epoch) for epoch in range(5)] == pytest.approx([0.4, 0.6, 0.8, 1.0, 1.0])
    assert order(full_at_epoch=0).fraction(0) == 1.0


def test_early_epochs_draw_the_greatest_margins_and_a_share_of_the_controls():
    drawn = epoch_rows(order(), 0)
    assert set(drawn[drawn < 100]) == set(range(60, 100))
    assert len(set(drawn[drawn >= 100])) == 4


@pytest.mark.parametrize("epoch", [3, 4, 9])
def test_full_epochs_hold_every_row_once(epoch):
    assert sorted(epoch_rows(order(), epoch)) == list(range(110))


def test_epochs_are_equally_long_and_differ():
    epochs = [epoch_rows(order(), epoch) for epoch in range(5)]
    assert [len(rows) for rows in epochs] == [110] * 5
    assert epochs[3].tolist() != epochs[4].tolist()


def test_last_batch_is_padded_and_nothing_else():
    pairs = order()
    sizes = [int(pairs.batch(step)[1].sum()) for step in range(8)]
    assert sizes == [32, 32, 32, 14] * 2 == [pairs.size(step) for step in range(8)]
    row, valid = pairs.batch(3)
    assert row.shape == (32,) and (row[~valid] == 0).all()


def test_a_batch_is_a_function_of_seed_and_step():
    here, there = order(), order()
    for step in (17, 2, 9, 17):  # in any order, from any starting point
        np.testing.assert_array_equal(here.batch(step)[0], order().batch(step)[0])
    assert here.batch(5)[0].tolist() == there.batch(5)[0].tolist() != order(seed=4).batch(5)[0].tolist()


def test_equal_margins_are_not_ranked_by_their_place():
    pairs = PairOrder(np.ones(1000), np.zeros(1000, bool), batch_size=10, seed=0, start_fraction=0.5, full_at_epoch=1)
    assert 420 < np.median(pairs.eligible(0)) < 580
