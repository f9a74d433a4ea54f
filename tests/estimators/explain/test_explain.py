"""Explanations add up to the outputs, and gradients are those of the net."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from carrousel.errors import DataError, SettingError
from carrousel.estimators.data.series import Series
from carrousel.estimators.explain.explain import explain
from carrousel.estimators.net.goals import TagGoal
from carrousel.estimators.net.net import SeededDropout
from support.ensembles import make_ensemble, make_series, make_symbols

SHAPES = (
    {},
    {"window": 1, "hidden_size": 5},
    {"num_layers": 2, "hidden_size": 7, "dilation": 3},
    {"bidirectional": True, "hidden_size": 6},
)


def cases():
    rng = np.random.default_rng(0)
    return (
        make_series(rng, lengths=(17, 1, 9)),
        make_series(rng, lengths=(17, 2), timed=True, gaps=0.0),
        make_symbols(rng, lengths=(12, 1)),
    )


def test_shares_of_steps_add_up_to_the_outputs():
    for series in cases():
        for sizes in SHAPES:
            ensemble = make_ensemble(series, TagGoal(4), **sizes)  # pyright: ignore[reportArgumentType]
            expected = ensemble.outputs(series, "every step").mean(axis=1)
            for n, one in enumerate(series):
                for at in {0, one.n_steps // 2, -1}:
                    found = explain(ensemble, one, step=at)
                    total = found.base + (found.carrousel + found.direct).sum(axis=0)
                    mine = expected[series.offsets[n] :][found.at]
                    np.testing.assert_allclose(total, found.outputs, rtol=1e-9, atol=1e-9)
                    np.testing.assert_allclose(found.outputs, mine, rtol=1e-3, atol=1e-3)
                    assert found.output == found.outputs.argmax()


def test_later_steps_have_no_share():
    series = cases()[0][0]
    found = explain(make_ensemble(series), series, step=6)
    for shares in (found.carrousel, found.direct, found.channels):
        assert not shares[7:].any()
        assert shares[:7].any(axis=1).all()
    assert np.isnan(found.kept[7:]).all()
    assert found.kept[6] == 1.0
    assert (np.diff(found.kept[:7]) > 0).all()  # forget gates are below 1


def test_channels_are_gradient_times_input():
    """Without ages, the share of a value is its derivative times its standardised size."""
    rng = np.random.default_rng(1)
    series = make_series(rng, lengths=(11,), gaps=0.0)
    ensemble = make_ensemble(series, hidden_size=5, filters=6, window=3)
    found = explain(ensemble, series, output=1)
    f = ensemble.features
    for member in ensemble.members:
        member.net.double()

    def output(values):
        z = ((values - f.mean) / f.scale)[:, None]
        x = torch.from_numpy(np.concatenate([z, np.zeros_like(z)], axis=2))
        nets = [member.net(x, torch.tensor([11])) for member in ensemble.members]
        return np.mean([net.detach().numpy()[-1, 0, 1] for net in nets])

    step = 1e-6
    for t, c in ((0, 0), (5, 1), (9, 2), (10, 0)):
        up, down = series.values.copy(), series.values.copy()
        up[t, c] += step * f.scale[c]
        down[t, c] -= step * f.scale[c]
        slope = (output(up) - output(down)) / (2 * step)
        z = (series.values[t, c] - f.mean[c]) / f.scale[c]
        np.testing.assert_allclose(found.channels[t, c], slope * z, rtol=1e-4, atol=1e-8)


def test_one_output_against_another():
    series = cases()[0][0]
    found = explain(make_ensemble(series), series)
    gap = found.outputs[2] - found.outputs[0]
    mine = found.toward(2, against=0).sum() + found.base[2] - found.base[0]
    np.testing.assert_allclose(mine, gap, rtol=1e-9)
    k = found.output
    mine = found.toward().sum() + found.base[k] - found.base.mean()
    np.testing.assert_allclose(mine, found.outputs[k] - found.outputs.mean(), rtol=1e-9)


def test_the_net_is_left_as_it_was():
    series = cases()[0][0]
    ensemble = make_ensemble(series)
    before = ensemble.outputs(series)
    explain(ensemble, series)
    np.testing.assert_array_equal(ensemble.outputs(series), before)
    net = ensemble.members[0].net
    assert not net.lstm._forward_hooks
    assert all(p.grad is None for p in net.parameters())


def test_wrong_arguments_are_refused():
    series = cases()[0]
    ensemble = make_ensemble(series)
    with pytest.raises(DataError, match="3 series, expected one"):
        explain(ensemble, series)
    with pytest.raises(SettingError, match="step is 17"):
        explain(ensemble, series[0], step=17)
    with pytest.raises(SettingError, match="output is 3"):
        explain(ensemble, series[0], output=3)


def test_nets_whose_outputs_are_not_explained_are_refused():
    series = cases()[0]
    ensemble = make_ensemble(series)

    class Doubled(SeededDropout):
        def forward(self, x):
            return 2.0 * super().forward(x)

    ensemble.members[0].net.dropout = Doubled(0.0).eval()
    with pytest.raises(SettingError, match="do not add up"):
        explain(ensemble, series[0])


def test_empty_history_explains_one_step():
    series = Series.of([[[1.0, np.nan, 2.0]], [[0.5, 1.0, np.nan]]])
    found = explain(make_ensemble(series), series[0])
    assert found.kept.tolist() == [1.0]
    assert found.channels.shape == (1, 3)
