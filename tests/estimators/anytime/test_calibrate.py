"""Temperature, calibration error and predictions of members on what they have not learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.estimators.anytime.calibrate import (
    calibrate,
    calibration_error,
    fit_temperature,
    held_out,
    probabilities,
    reliability_table,
    step_weights,
)
from carrousel.estimators.net.goals import ClassGoal, TagGoal, over_steps
from support.ensembles import make_ensemble, make_series


def drawn(rng, n, members, n_classes=4):
    """Logits of members, and labels drawn from the mean of their probabilities."""
    logits = rng.normal(size=(n, members, n_classes)) * 2.0
    cumulated = probabilities(logits).cumsum(axis=1)
    return logits, (rng.random((n, 1)) > cumulated[:, :-1]).sum(axis=1)


def test_probabilities_are_the_mean_of_softmax():
    z = np.random.default_rng(0).normal(size=(5, 3, 4)) * 400  # exp would overflow
    expected = torch.softmax(torch.from_numpy(z) / 1.7, -1).mean(1).numpy()
    np.testing.assert_allclose(probabilities(z, 1.7), expected, rtol=1e-12)
    used = np.array([[True, False, True]] * 5)
    np.testing.assert_allclose(probabilities(z, 1.7, used), probabilities(z[:, [0, 2]], 1.7))
    with pytest.raises(SettingError, match="temperature"):
        probabilities(z, 0.0)


@pytest.mark.parametrize("members", [1, 3])
def test_the_temperature_of_scaled_logits_is_found(members):
    """Logits of the true distribution have temperature 1, and those times s have s."""
    rng = np.random.default_rng(1)
    logits, labels = drawn(rng, 20_000, members)
    for scale in (0.3, 1.0, 4.0):
        found = fit_temperature(scale * logits, labels)
        assert abs(np.log(found / scale)) < 0.05  # five standard errors at least


def test_the_temperature_has_the_smallest_loss():
    rng = np.random.default_rng(2)
    logits, labels = drawn(rng, 60, 2)
    weights, used = rng.random(60), rng.random((60, 2)) < 0.6
    labels[::7] = -1

    def loss(temperature):
        total = np.log(temperature) ** 2
        for z, label, weight, who in zip(3 * logits, labels, weights, used, strict=True):
            if label >= 0 and who.any():
                total -= weight * np.log(probabilities(z[who], temperature)[label])
        return total

    best = fit_temperature(3 * logits, labels, weights, used)
    for other in np.exp(np.linspace(-2, 2, 30)) * best:
        assert loss(best) <= loss(other) + 1e-6


def test_few_rows_leave_the_temperature_near_one():
    """Two right predictions are no reason to be certain; without labels nothing changes."""
    logits = np.array([[[2.0, 0.0]], [[0.0, 2.0]]])
    assert 0.4 < fit_temperature(logits, np.array([0, 1])) < 1.0
    assert fit_temperature(logits, np.array([-1, -1])) == 1.0
    assert fit_temperature(logits, np.array([0, 1]), used=np.zeros((2, 1), bool)) == 1.0


def test_wrong_arguments_are_refused():
    logits = np.zeros((2, 1, 3))
    for labels, error in (
        ([0, 3], DataError),
        ([0, -2], DataError),
        ([0.0, 1.0], DataError),
        ([0], ShapeError),
    ):
        with pytest.raises(error, match="label"):
            fit_temperature(logits, np.array(labels))
        with pytest.raises(error, match="label"):
            calibration_error(logits[:, 0], np.array(labels))
    with pytest.raises(SettingError, match="bins"):
        reliability_table(logits[:, 0], np.array([0, 1]), bins=0)


def test_step_weights_are_those_of_the_loss():
    """Weights are the derivative of the loss of a series with respect to the losses of steps."""
    lengths = torch.tensor([1, 4, 7])
    losses = torch.ones(7, 3, requires_grad=True)
    over_steps(losses, lengths).sum().backward()
    expected = torch.cat([losses.grad[:n, b] for b, n in enumerate(lengths)]).numpy()  # pyright: ignore[reportOptionalSubscript]
    np.testing.assert_allclose(step_weights(lengths.numpy()), expected, rtol=1e-6)
    assert step_weights(np.zeros(0, np.int64)).shape == (0,)


def test_calibration_error_of_true_probabilities_vanishes():
    rng = np.random.default_rng(3)
    logits, labels = drawn(rng, 50_000, 1)
    true = probabilities(logits)
    # A bin of n rows deviates by about sqrt(p (1-p) / n): the sum is below 0.5 sqrt(bins / N).
    assert calibration_error(true, labels) < 0.5 * np.sqrt(15 / 50_000) * 2
    assert calibration_error(probabilities(3 * logits), labels) > 0.1


def test_reliability_rows_hold_each_prediction_once():
    p = np.array([[0.5, 0.5], [1.0, 0.0], [0.4, 0.6], [0.2, 0.8]])
    rows = reliability_table(p, np.array([0, 0, 0, -1]), bins=10)
    assert [row.number for row in rows] == [0, 0, 0, 0, 1, 1, 0, 0, 0, 1]
    assert rows[4] == (0.4, 0.5, 1, 0.5, 1.0)
    assert rows[5].accuracy == 0.0
    assert np.isnan(rows[0].accuracy)
    np.testing.assert_allclose(calibration_error(p[:3], np.zeros(3, int), 10), (0.5 + 0.6) / 3)
    assert np.isnan(calibration_error(p, np.full(4, -1)))


def test_held_out_predictions_are_by_members_that_did_not_learn_the_series():
    rng = np.random.default_rng(4)
    series = make_series(rng, lengths=(5, 3, 8, 1, 6))
    held = np.zeros((5, 3), bool)
    held[1, 0] = held[3, 2] = held[4, 1] = held[4, 2] = True
    ensemble = make_ensemble(series, members=3, held=held)
    found = held_out(ensemble, series)
    assert found.indices.tolist() == [1, 3, 4]
    assert [len(p) for p in found.probabilities()] == [3, 1, 6]
    every = ensemble.outputs(series, "every step")
    low, high = series.offsets[4:6]
    expected = probabilities(every[low:high, 1:], 1.5)
    np.testing.assert_allclose(found.probabilities(1.5)[2], expected, rtol=1e-5)
    with pytest.raises(ShapeError, match="trained on 5"):
        held_out(ensemble, series.take([0, 1]))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("goal", [ClassGoal(3), TagGoal(3)])
def test_calibrate_uses_held_out_series_alone(goal):
    """Labels of series that all members learned do not change the temperature."""
    rng = np.random.default_rng(5)
    series = make_series(rng, lengths=(5, 3, 8, 4, 6))
    held = np.zeros((5, 2), bool)
    held[[1, 3], [0, 1]] = True
    ensemble = make_ensemble(series, goal, held=held)
    labels = rng.integers(0, 3, series.n_steps if goal.per_step else 5)
    first = calibrate(ensemble, series, labels)
    assert ensemble.temperature == first != 1.0
    learned = ~held.any(axis=1)
    changed = labels.copy()
    changed[np.repeat(learned, series.lengths) if goal.per_step else learned] = 0
    assert calibrate(ensemble, series, changed) == first
    assert calibrate(make_ensemble(series, goal), series, labels) == 1.0
