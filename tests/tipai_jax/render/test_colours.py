"""Green is kept, red is broken, yellow is between."""

import numpy as np

from tipai_jax.render.colours import STOPS, legend_colours, risk_colours, risk_opacity, shown_risk


def test_the_ends_and_the_middle():
    green, yellow, red = risk_colours(np.array([0.0, 0.5, 1.0])).astype(int)
    assert green[1] > green[0] + 80, "no risk is green"
    assert red[0] > red[1] + 150, "full risk is red"
    assert min(yellow[0], yellow[1]) > 200 > yellow[2], "half a risk is yellow"
    assert green.tolist() == list(STOPS[0][1]) and red.tolist() == list(STOPS[-1][1])


def test_redder_with_every_step():
    colours = risk_colours(np.linspace(0, 1, 21)).astype(int)
    assert (np.diff(colours[:, 0] - colours[:, 1]) > 0).all()


def test_outside_is_clipped_and_nan_is_grey():
    colours = risk_colours(np.array([[-3.0, 0.0], [7.0, np.nan]]))
    assert colours.shape == (2, 2, 3) and colours.dtype == np.uint8
    assert (colours[0, 0] == colours[0, 1]).all()
    assert colours[1, 0].tolist() == list(STOPS[-1][1])
    assert colours[1, 1].tolist() == [128, 128, 128]


def test_shown_risk_by_hand():
    risk = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.9])
    np.testing.assert_allclose(shown_risk(risk, 0.2), [0.0, 0.25, 0.5, 0.75, 1.0, 1.0])
    np.testing.assert_allclose(shown_risk(np.array([0.4, 0.8, 1.0]), 0.8), [0.25, 0.5, 1.0])


def test_opacity_by_hand():
    opacity = risk_opacity(np.array([-1.0, 0.0, 0.15, 0.375, 0.6, 1.0, np.nan]))
    np.testing.assert_allclose(opacity, [0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0])
    assert (np.diff(risk_opacity(np.linspace(0, 1, 50))) >= 0).all()


def test_the_legend_begins_without_a_colour_and_ends_red():
    none, yellow, red = legend_colours(np.array([0.0, 0.5, 1.0])).astype(int)
    assert none.tolist() == [255, 255, 255] and red.tolist() == list(STOPS[-1][1])
    assert min(yellow[0], yellow[1]) > 200 and yellow[2] < 140
