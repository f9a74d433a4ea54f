"""Importances: hidden channels and lags raise the loss where they matter, and only there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.estimators.data.series import Series
from carrousel.estimators.explain.occlusion import feature_importances, hide
from carrousel.estimators.net.goals import ClassGoal, StepValueGoal, TagGoal, ValueGoal
from support.ensembles import make_ensemble, make_series, make_symbols


def silence(ensemble, channels):
    """Set the weights of the inputs of some channels to zero."""
    n = len(ensemble.features.mean)
    columns = [*channels, *(np.array(channels) + n)]
    with torch.no_grad():
        for member in ensemble.members:
            net, c = member.net, member.net.config
            net.convolution.weight.view(c.filters, c.window, -1)[..., columns] = 0.0
            direct = [c.filters + k for k in columns]
            net.lstm.weight_ih_l0[:, direct] = 0.0
            net.readout.weight[:, [2 * c.hidden_size + k for k in direct]] = 0.0


def targets_of(goal, series, rng):
    rows = series.n_steps if goal.per_step else len(series)
    if isinstance(goal, ClassGoal | TagGoal):
        return rng.integers(0, 3, rows)
    return rng.normal(size=(rows, 2)).astype(np.float32)


@pytest.mark.parametrize("goal", [ClassGoal(3), ValueGoal(2), TagGoal(3), StepValueGoal(2)])
def test_channels_that_the_net_ignores_have_no_importance(goal):
    rng = np.random.default_rng(0)
    series = make_series(rng, lengths=(9, 3, 14))
    ensemble = make_ensemble(series, goal)
    silence(ensemble, [1])
    found = feature_importances(ensemble, series, targets_of(goal, series, rng))
    assert found.channels == series.channels
    assert found.whole[1] == 0.0
    assert found.whole[0] != 0.0 != found.whole[2]
    assert not found.by_lag[1].any()
    assert found.lags == (() if goal.per_step else (0, 1, 2, 4, 8, 14))
    assert found.by_lag.shape == (3, max(len(found.lags) - 1, 0))


def test_importances_are_differences_of_losses():
    rng = np.random.default_rng(1)
    series = make_series(rng, lengths=(9, 3, 14))
    ensemble, labels = make_ensemble(series, members=3), np.array([0, 2, 1])
    weights = np.array([1.0, 0.0, 3.0])
    used = np.array([[True, False, True], [True, True, True], [False, True, False]])

    def loss(given):
        z = torch.from_numpy(ensemble.outputs(given)).double()
        p = torch.log_softmax(z, -1)[torch.arange(3), :, torch.from_numpy(labels)].numpy()
        rows = [-p[n, used[n]].mean() for n in range(3)]
        return np.average(rows, weights=weights)

    found = feature_importances(
        ensemble, series, labels, weights=weights, used=used, lags=(0, 3, 20)
    )
    np.testing.assert_allclose(found.loss, loss(series), rtol=1e-5)
    lag = np.concatenate([np.arange(n)[::-1] for n in series.lengths])
    for c in range(3):
        whole = loss(hide(series, c, lag >= 0)) - found.loss
        first = loss(hide(series, c, lag < 3)) - found.loss
        np.testing.assert_allclose(found.whole[c], whole, atol=1e-5)
        np.testing.assert_allclose(
            found.by_lag[c], [first, loss(hide(series, c, lag >= 3)) - found.loss], atol=1e-5
        )


def test_own_losses_and_symbols():
    series = make_symbols(np.random.default_rng(2), lengths=(5, 9))
    ensemble = make_ensemble(series)
    labels = np.array([0, 1])

    def error(outputs, targets):
        return (outputs.mean(axis=1).argmax(axis=1) != targets).astype(float)

    found = feature_importances(ensemble, series, labels, loss=error)
    assert found.loss in (0.0, 0.5, 1.0)
    assert found.whole.shape == (1,)


def test_hiding_leaves_the_given_series_alone():
    series = Series.of([[[1.0], [2.0]]])
    hidden = hide(series, 0, np.array([True, False]))
    assert np.isnan(hidden.values[0, 0])
    assert series.values[0, 0] == 1.0


def test_wrong_arguments_are_refused():
    series = make_series(np.random.default_rng(3), lengths=(4, 5))
    ensemble, labels = make_ensemble(series), np.array([0, 1])
    for error, given in (
        (ShapeError, {"targets": labels[:1]}),
        (ShapeError, {"weights": np.ones(3)}),
        (ShapeError, {"used": np.ones((2, 3), bool)}),
        (DataError, {"used": np.zeros((2, 2), bool)}),
        (DataError, {"targets": np.array([-1, -1])}),
        (SettingError, {"lags": [0]}),
        (SettingError, {"lags": [0, 3, 3]}),
        (SettingError, {"lags": [-1, 3]}),
    ):
        with pytest.raises(error):
            feature_importances(ensemble, series, **({"targets": labels} | given))  # pyright: ignore[reportArgumentType]
    tags = make_ensemble(series, TagGoal(3))
    with pytest.raises(SettingError, match="each step"):
        feature_importances(tags, series, np.zeros(9, np.int64), lags=[0, 1])
