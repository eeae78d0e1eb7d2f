"""The three calibrators: recovery of planted parameters, agreement with scikit-learn, and the choice between them."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from tipai_jax.evaluation.calibrators import (
    MIN_PER_CLASS,
    Beta,
    Isotonic,
    Platt,
    choose_calibrator,
    fit_beta,
    fit_isotonic,
    fit_platt,
    sigmoid,
)

RNG = np.random.default_rng(0)


def planted(truth, n=20_000):
    logit = RNG.normal(scale=2.0, size=n)
    return logit, (RNG.random(n) < truth(logit)).astype(np.int8)


def test_sigmoid_by_hand_and_without_overflow():
    np.testing.assert_allclose(sigmoid(np.array([0.0, np.log(3.0), -np.log(3.0)])), [0.5, 0.75, 0.25])
    assert sigmoid(np.array([-1e4, 1e4])).tolist() == [0.0, 1.0]


def test_platt_finds_what_was_planted_and_agrees_with_sklearn():
    logit, label = planted(lambda z: sigmoid(0.4 * z + 0.8))
    fitted = fit_platt(logit, label)
    assert fitted.scale == pytest.approx(0.4, abs=0.03) and fitted.bias == pytest.approx(0.8, abs=0.05)
    theirs = LogisticRegression(C=1e9, tol=1e-10).fit(logit[:, None], label)
    assert fitted.scale == pytest.approx(theirs.coef_[0, 0], abs=2e-3)  # Platt's smoothed targets differ by 1/n
    assert fitted.bias == pytest.approx(theirs.intercept_[0], abs=2e-3)


def test_platt_never_turns_the_order_round():
    logit, label = planted(lambda z: sigmoid(-z))
    assert fit_platt(logit, label).scale == 0.0


def test_beta_finds_what_was_planted_and_keeps_its_signs():
    truth = Beta(0.5, 1.5, -0.3)
    logit, label = planted(truth, n=60_000)
    fitted = fit_beta(logit, label)
    np.testing.assert_allclose([fitted.low, fitted.high, fitted.bias], [0.5, 1.5, -0.3], atol=0.12)
    backwards = fit_beta(logit, 1 - label)
    assert backwards.low >= 0.0 and backwards.high >= 0.0


def test_beta_with_ones_is_the_plain_sigmoid():
    z = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(Beta(1.0, 1.0, 0.0)(z), sigmoid(z), rtol=1e-12)


def test_isotonic_rises_and_agrees_with_sklearn_in_the_middle_of_its_steps():
    logit, label = planted(lambda z: sigmoid(z), n=2_000)
    fitted = fit_isotonic(logit, label)
    assert (np.diff(fitted.probabilities) >= 0).all()
    theirs = IsotonicRegression(y_min=1 / 2002, y_max=1 - 1 / 2002).fit(logit, label)
    np.testing.assert_allclose(
        fitted(np.array(fitted.logits))[1:-1], theirs.predict(np.array(fitted.logits))[1:-1], atol=1e-9
    )
    assert 0.0 < fitted(np.array([-100.0]))[0] < fitted(np.array([100.0]))[0] < 1.0


def test_isotonic_pools_ties_by_hand():
    fitted = fit_isotonic(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0, 1, 1, 0]))
    assert fitted.probabilities == (0.5,) or fitted(np.array([0.0, 1.0])).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("truth", "wanted"),
    [
        (lambda z: sigmoid(0.5 * z), Platt | Beta),
        (lambda z: np.where(np.abs(z) < 1, 0.5, np.where(z > 0, 0.65, 0.2)), Isotonic),
    ],
)
def test_the_choice_is_made_on_held_out_groups(truth, wanted):
    logit, label = planted(truth, n=8_000)
    chosen = choose_calibrator(logit, label, group=np.arange(len(logit)) // 2)
    assert isinstance(chosen.calibrator, wanted), chosen.nll
    assert chosen.n == 8_000 and set(chosen.nll) == {"platt", "beta", "isotonic"}


def test_the_order_of_the_examples_does_not_matter():
    logit, label = planted(lambda z: sigmoid(z), n=500)
    group, order = np.arange(500) // 3, np.random.default_rng(3).permutation(500)
    chosen = choose_calibrator(logit, label, group=group)
    shuffled = choose_calibrator(logit[order], label[order], group=group[order])
    assert type(chosen.calibrator) is type(shuffled.calibrator)
    assert chosen.nll == pytest.approx(shuffled.nll, abs=1e-6)
    at = np.linspace(-4, 4, 33)
    np.testing.assert_allclose(chosen.calibrator(at), shuffled.calibrator(at), atol=1e-5)


def test_one_class_or_too_few_is_left_alone():
    one_class = choose_calibrator(np.arange(50.0), np.ones(50, np.int8), group=np.arange(50))
    few = choose_calibrator(np.arange(5.0), np.array([0, 1, 0, 1, 1]), group=np.arange(5))
    assert one_class.calibrator == few.calibrator == Platt()
    assert one_class.note == "not calibrated: examples of one class only"
    assert few.note == "not calibrated: 5 examples, at least 20 are needed"
    assert choose_calibrator(np.zeros(0), np.zeros(0, np.int8), group=np.zeros(0)).n == 0


@pytest.mark.parametrize(("positives", "kind"), [(MIN_PER_CLASS - 1, Platt), (MIN_PER_CLASS, Beta)])
def test_few_of_a_class_get_platt_s_calibrator_and_a_note(positives, kind):
    """Half of what lies above 0 is positive, which a beta calibrator follows better than Platt's: it would be chosen in
    both cases.
    """
    logit = np.concatenate([np.linspace(-6, -0.1, 300), np.linspace(0.1, 6, 2 * positives)])
    label = np.concatenate([np.zeros(300, np.int8), np.tile(np.array([0, 1], np.int8), positives)])
    chosen = choose_calibrator(logit, label, group=np.arange(len(logit)))
    assert type(chosen.calibrator) is kind and chosen.calibrator != Platt() and bool(chosen.nll) == (kind is Beta)
    few = "Platt's calibrator without a choice: 29 examples of the rarer class, at least 30 are needed"
    assert chosen.note == ("" if kind is Beta else few)
