"""Quantiles do not cross, and their loss is the pinball loss of the known values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_pinball_loss

from carrousel.errors import SettingError
from carrousel.estimators.net.quantiles import QuantileGoal, check_quantiles

LEVELS = (0.05, 0.3, 0.5, 0.9)


def goal_and_data(horizon=3, J=2, K=4, T=6, B=5):
    rng = np.random.default_rng(0)
    units = tuple(rng.uniform(0.5, 2.0, horizon * J).tolist())
    goal = QuantileGoal(horizon, J, LEVELS, K, units)
    outputs = torch.from_numpy(rng.normal(size=(T, B, goal.n_outputs)) * 5.0)
    targets = torch.from_numpy(rng.normal(size=(T, B, horizon, J, 1 + K)))
    return goal, outputs, targets


def test_quantiles_do_not_cross():
    goal, outputs, targets = goal_and_data()
    found = goal.forecast(outputs, targets[..., 1:])
    assert found.shape == (6, 5, 3, 2, len(LEVELS))
    assert (found.diff(dim=-1) > 0).all()


def test_without_a_correction_the_median_is_a_mixture():
    goal, outputs, targets = goal_and_data()
    median = goal.forecast(torch.zeros_like(outputs), targets[..., 1:])[..., goal.median]
    torch.testing.assert_close(median, targets[..., 1:].mean(-1))


def test_loss_is_the_pinball_loss_of_known_values():
    """Compared with scikit-learn, series by series, in units of the mean unit."""
    goal, outputs, targets = goal_and_data()
    lengths = torch.tensor([6, 4, 1, 6, 3])
    targets[2, 0, 1, 1, 0] = torch.nan
    found = goal.loss(outputs, targets, lengths)
    forecasts = goal.forecast(outputs, targets[..., 1:])
    for b, steps in enumerate(lengths.tolist()):
        truth, forecast = targets[:steps, b, ..., 0], forecasts[:steps, b]
        known = torch.isfinite(truth)
        losses = [
            mean_pinball_loss(truth[known], forecast[known][:, k], alpha=level)
            for k, level in enumerate(LEVELS)
        ]
        expected = np.mean(losses) / np.mean(goal.units)
        assert found[b].item() == pytest.approx(expected, rel=1e-12)


def test_missing_values_have_no_gradient():
    goal, outputs, targets = goal_and_data()
    targets[:, 1, ..., 0] = torch.nan
    outputs.requires_grad_()
    goal.loss(outputs, targets, torch.full((5,), 6)).sum().backward()
    assert outputs.grad is not None
    assert torch.isfinite(outputs.grad).all()
    assert not outputs.grad[:, 1].any()
    assert outputs.grad[:, 0].any()


def test_wrong_quantiles_are_named():
    for wrong in ((), (0.0, 0.5), (0.5, 1.0), (0.5, 0.1), (0.5, 0.5), 0.5, ("a",), (np.nan,)):
        with pytest.raises(SettingError, match="quantiles is"):
            check_quantiles(wrong)
    with pytest.raises(SettingError, match=r"probabilities with 0\.5"):
        QuantileGoal(1, 1, (0.1, 0.9), 1, (1.0,))
    with pytest.raises(SettingError, match="2 numbers"):
        QuantileGoal(2, 1, (0.5,), 1, (1.0,))
