"""LSTMRegressor: units of the targets, streams, explanations, importances, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel import DataError, LSTMRegressor, SettingError, ShapeError

SMALL: dict[str, Any] = {"hidden_size": 8, "members": 2, "max_steps": 60, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in rng.integers(3, 12, size=60)]
    return X, np.array([[100.0 + 5.0 * x[:, 0].mean(), x[-1, 0]] for x in X])


@pytest.fixture(scope="module")
def model(data):
    return LSTMRegressor(**SMALL).fit(*data)


def test_targets_may_have_any_unit(data):
    X, y = data[0], data[1][:, 0]
    one = LSTMRegressor(**SMALL).fit(X, y).score(X, y)
    two = LSTMRegressor(**SMALL).fit(X, 1e6 * y - 7.0).score(X, 1e6 * y - 7.0)
    assert min(one, two) > 0.5  # not equal: the order of the examples depends on their targets
    same = LSTMRegressor(**SMALL).fit(X, np.full(len(X), 3.5))
    np.testing.assert_allclose(same.predict(X), 3.5, atol=1.0)  # a constant target has scale 1


def test_an_answer_at_a_step_is_the_answer_for_the_series_so_far(data, model):
    X = data[0]
    every = model.predict(X, at="every step")
    np.testing.assert_allclose([v[-1] for v in every], model.predict(X), rtol=1e-6)
    np.testing.assert_allclose(
        [v[min(3, len(v)) - 1] for v in every], model.predict(X, at=3), rtol=1e-5
    )


def test_a_stream_gives_the_values_of_predict(data, model):
    flat = LSTMRegressor(**SMALL).fit(data[0], data[1][:, 0])
    for each in (model, flat):
        live = each.stream()
        for x in data[0][:3]:
            live.reset()
            found = np.array([live.push(row) for row in x])
            np.testing.assert_allclose(found, each.predict([x], at="every step")[0], rtol=1e-4)
        assert live.label is None


def test_shares_of_an_explanation_add_up_to_the_value(data, model):
    X = data[0]
    for output, step in ((None, -1), (1, 0)):
        found = model.explain(X[4], step=step, output=output)
        expected = model.predict([X[4]], at="every step")[0][step]
        np.testing.assert_allclose(found.outputs, expected, rtol=1e-5)
        total = found.base + (found.carrousel + found.direct).sum(axis=0)
        np.testing.assert_allclose(total, found.outputs, rtol=1e-6)
        assert found.output == (output or 0)
    with pytest.raises(SettingError, match="output is 2"):
        model.explain(X[4], output=2)
    with pytest.raises(SettingError, match="step is 99"):
        model.explain(X[4], step=99)


def test_the_channel_that_matters_is_important(data, model):
    X, y = data
    assert model.feature_importances_.shape == (2,)
    assert model.feature_importances_.argmax() == 0
    found = model.importances(X, y, lags=(0, 1, 4))
    assert found.by_lag.shape == (2, 2)
    assert found.whole[0] > found.whole[1]
    before = model.predict(X)
    np.testing.assert_array_equal(before, model.predict(X))
    none = LSTMRegressor(**SMALL, validation_fraction=0.0).fit(X, y)
    assert not hasattr(none, "feature_importances_")


def test_files_keep_importances(model, tmp_path):
    model.save(tmp_path / "model")
    again = LSTMRegressor.load(tmp_path / "model")
    np.testing.assert_array_equal(again.feature_importances_, model.feature_importances_)


def test_continued_fits_keep_units_and_shapes(data):
    X, y = data
    model = LSTMRegressor(**SMALL).partial_fit(X, y)
    mean = model.target_mean_.copy()
    model.partial_fit(X[:5], y[:5] + 50.0)
    np.testing.assert_array_equal(model.target_mean_, mean)
    with pytest.raises(ShapeError, match="2 targets"):
        model.partial_fit(X, y[:, 0])


def test_bad_targets_are_named(data):
    X, y = data
    for bad, kind in ((y[:5], ShapeError), (np.where(y > 100, np.nan, y), DataError)):
        with pytest.raises((kind, ValueError)):
            LSTMRegressor(**SMALL).fit(X, bad)
    with pytest.raises(SettingError, match="bidirectional"):
        LSTMRegressor(**SMALL, bidirectional=True).fit(X, y).stream()
