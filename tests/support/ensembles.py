"""Small ensembles with random weights, and series with gaps, times and symbols, for tests."""

from __future__ import annotations

import numpy as np
import torch

from carrousel.estimators.data.series import Series
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.goals import ClassGoal, Goal
from carrousel.estimators.net.net import AnytimeNet, NetConfig
from carrousel.estimators.net.train import Member


def make_series(
    rng: np.random.Generator, lengths=(1, 23, 9, 40), n_channels=3, *, gaps=0.3, timed=False
) -> Series:
    """Series of random values; one channel has a large mean, and some begin with a gap."""
    arrays = [rng.normal(size=(T, n_channels)) * 3.0 + np.arange(n_channels) * 50 for T in lengths]
    for array in arrays:
        array[rng.random(array.shape) < gaps] = np.nan
    times = None
    if timed:
        times = np.concatenate([np.cumsum(rng.gamma(2.0, 60.0, T)) + 1e6 for T in lengths])
    return Series.of(arrays, times=times)


def make_symbols(rng: np.random.Generator, lengths=(1, 23, 40), alphabet="abcd") -> Series:
    """Series of random symbols, some missing."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.integers(-1, len(alphabet), offsets[-1]).astype(np.int32)
    return Series(values, offsets, ("letter",), symbols=tuple(alphabet))


def make_ensemble(
    series: Series,
    goal: Goal | None = None,
    *,
    members: int = 2,
    held: np.ndarray | None = None,
    seed: int = 0,
    **sizes,
) -> Ensemble:
    """Nets with random weights, none of them at its initial value (norms and biases too)."""
    goal, features = goal or ClassGoal(3), Features.fit(series)
    made = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for m in range(members):
            config = NetConfig(
                features.n_inputs, goal.n_outputs, n_symbols=features.n_symbols, **sizes
            )
            net = AnytimeNet(config).eval()
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter += 0.3 * torch.randn_like(parameter)
            out = np.zeros(len(series), bool) if held is None else held[:, m]
            made.append(Member(net, [], out))
    return Ensemble(features, goal, made)
