"""Fits to few series: the mixture of simple forecasts, the share of nets, and the intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from carrousel.estimators.forecast.few import SHARES, chosen_share, shrink
from carrousel.estimators.forecast.mixture import mixture_outputs
from carrousel.estimators.forecaster import LSTMForecaster
from carrousel.estimators.net.net import AnytimeNet, NetConfig
from carrousel.estimators.net.quantiles import QuantileGoal

GOAL = QuantileGoal(3, 2, (0.1, 0.5, 0.9), 4, (1.0, 1.0, 2.0, 2.0, 4.0, 4.0))


def targets(rng, steps=300):
    """Simple forecasts of which one is right for the first target, another for the second."""
    simple = rng.normal(size=(steps, 3, 2, 4)) * 3.0
    truth = np.stack([simple[:, :, 0, 1], simple[:, :, 1, 3]], -1)
    truth = truth + 0.1 * rng.normal(size=truth.shape)
    truth[rng.random(truth.shape) < 0.2] = np.nan
    return np.concatenate([truth[..., None], simple], -1).astype(np.float32)


def parts(outputs):
    return outputs.reshape(3, 2, 4 + 3)


def test_mixture_finds_the_right_forecast_for_all_steps_ahead():
    found = parts(mixture_outputs(GOAL, targets(np.random.default_rng(0))))
    weights = np.exp(found[..., :4]) / np.exp(found[..., :4]).sum(-1, keepdims=True)
    assert (weights[:, 0].argmax(-1) == 1).all()
    assert (weights[:, 1].argmax(-1) == 3).all()
    assert (weights.max(-1) > 0.8).all()
    np.testing.assert_array_equal(found, np.broadcast_to(found[:1], found.shape))


def test_without_evidence_the_mixture_is_the_mean():
    """The fewer the true values, the nearer the weights are to equal ones."""
    some = targets(np.random.default_rng(1))
    spread = []
    for steps in (300, 20, 3):
        found = parts(mixture_outputs(GOAL, some[:steps]))[0, :, :4]
        spread.append(float(found.max() - found.min()))
    assert spread[0] > spread[1] > spread[2] > 0.0


def test_quantiles_of_the_mixture_are_those_of_a_normal_distribution():
    """Its mean absolute error is the unit: 10 % of the errors lie beyond 1.606 units a side."""
    outputs = torch.from_numpy(mixture_outputs(GOAL, targets(np.random.default_rng(2))))
    found = GOAL.forecast(outputs, torch.zeros(1, 3, 2, 4))[0].numpy()
    units = np.reshape(GOAL.units, (3, 2))
    np.testing.assert_allclose(found[..., 2] - found[..., 1], 1.6062 * units, rtol=1e-4)
    np.testing.assert_allclose(found[..., 1] - found[..., 0], 1.6062 * units, rtol=1e-4)


@pytest.mark.parametrize("share", SHARES)
def test_shrunk_net_gives_a_share_of_its_outputs(share):
    rng = np.random.default_rng(3)
    net = AnytimeNet(NetConfig(2, 5, hidden_size=4)).eval()
    x, lengths = torch.from_numpy(rng.normal(size=(6, 3, 2))).float(), torch.tensor([6, 6, 6])
    constant = rng.normal(size=5)
    with torch.no_grad():
        before = net(x, lengths).numpy()
        shrink(net, constant, share)
        after = net(x, lengths).numpy()
    np.testing.assert_allclose(after, share * before + (1 - share) * constant, atol=4e-3)  # half


def test_share_needs_evidence():
    none, gain = np.ones(4), np.array([0.7, 0.8, 0.75, 0.8])
    assert chosen_share(np.stack([none, gain + 0.1, gain], 1)) == SHARES[2]
    assert chosen_share(np.stack([none, gain, gain + 0.1], 1)) == SHARES[1]
    luck = np.array([0.1, 1.1, 1.2, 1.0])
    assert chosen_share(np.stack([none, luck + 1.0, luck], 1)) == 0.0
    assert chosen_share(np.stack([none, gain, gain], 1)[:1]) == 0.0


def test_noise_around_a_season_is_covered():
    """One short series of a season and noise: medians beat the last season, intervals cover."""
    rng = np.random.default_rng(5)
    x = 10.0 * np.sin(np.arange(120) * np.pi / 6.0) + rng.normal(size=120)
    settings: dict[str, Any] = {"hidden_size": 8, "members": 1, "max_steps": 20, "random_state": 0}
    model = LSTMForecaster(horizon=6, season=12, **settings).fit([x[:84]])
    pasts = [x[:t] for t in range(84, 115)]
    truth = np.array([x[t : t + 6] for t in range(84, 115)])
    found = model.predict_quantiles(pasts)
    inside = (found[..., 0] <= truth) & (truth <= found[..., 2])
    assert 0.6 < inside.mean() < 0.95
    assert model.score(pasts, truth) > 0.1
