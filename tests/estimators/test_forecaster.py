"""LSTMForecaster: shapes, the simple truths about forecasts, files, and scikit-learn's rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.estimators.forecast.inputs import LONGEST
from carrousel.estimators.forecaster import LSTMForecaster

SMALL: dict[str, Any] = {
    "hidden_size": 8,
    "members": 2,
    "max_steps": 20,
    "window": 4,
    "random_state": 0,
}


def walks(lengths=(30, 41, 25), channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(T, channels)).cumsum(axis=0) for T in lengths]


@pytest.fixture(scope="module")
def model():
    return LSTMForecaster(horizon=4, season=5, **SMALL).fit(walks())


def test_shapes(model):
    X = walks((7, 12))
    assert model.predict(X).shape == (2, 4)
    assert model.predict_quantiles(X).shape == (2, 4, 3)
    assert [each.shape for each in model.predict(X, at="every step")] == [(7, 4), (12, 4)]
    many = LSTMForecaster(horizon=2, target=(2, 0), quantiles=(0.2, 0.9), **SMALL)
    X = walks(channels=3)
    many.fit(X)
    assert many.predict(X).shape == (3, 2, 2)
    assert many.predict_quantiles(X).shape == (3, 2, 2, 2)
    assert many.predict_quantiles(X, at="every step")[1].shape == (41, 2, 2, 2)


def test_an_answer_is_that_of_the_steps_so_far(model):
    """Also for a series of several segments, and for numbers and shares of steps."""
    X = walks((11, LONGEST + 300))
    every = model.predict_quantiles(X, at="every step")
    for n, T in ((0, 1), (0, 6), (0, 11), (1, 200), (1, 513), (1, 700), (1, 812)):
        np.testing.assert_allclose(
            every[n][T - 1], model.predict_quantiles([X[n][:T]])[0], rtol=1e-4, atol=1e-4
        )
    np.testing.assert_allclose(model.predict(X, at=6)[0], every[0][5, :, 1], rtol=1e-4, atol=1e-4)


def test_quantiles_do_not_cross(model):
    for found in model.predict_quantiles(walks((50, 60), seed=1), at="every step"):
        assert (np.diff(found, axis=-1) >= 0.0).all()


def test_forecasts_scale_with_the_series(model):
    X = walks((20, 33), seed=2)
    one, two = model.predict_quantiles(X), model.predict_quantiles([1024.0 * x for x in X])
    np.testing.assert_allclose(two, 1024.0 * one, rtol=1e-4, atol=1e-2)


def test_gaps_are_allowed_and_an_unseen_target_has_no_forecast(model):
    X = walks((20, 20), seed=3)
    X[0][[3, 7, 19]] = np.nan
    X[1][:] = np.nan
    X[1][12] = 1.0
    assert np.isfinite(model.predict(X)).all()
    every = model.predict(X, at="every step")[1]
    assert np.isnan(every[:12]).all()
    assert np.isfinite(every[12:]).all()
    LSTMForecaster(horizon=2, **SMALL).fit(X)


def test_known_future_is_used():
    """The target repeats the known channel two steps later, and nothing else predicts it."""
    rng = np.random.default_rng(0)
    X = [np.column_stack([x, x]) for x in rng.normal(size=(60, 24))]
    settings: dict[str, Any] = {
        **SMALL,
        "hidden_size": 16,
        "members": 1,
        "max_steps": 250,
        "window": 1,
    }
    known = LSTMForecaster(horizon=1, target=0, known=1, **settings).fit(X)
    blind = LSTMForecaster(horizon=1, target=0, **settings).fit(X)
    fresh = [np.column_stack([x, x]) for x in rng.normal(size=(40, 24))]
    assert known.score(fresh) > blind.score(fresh) + 0.3
    X, after = [x[:-1] for x in fresh], np.array([x[-1:, 1] for x in fresh])
    truth = np.array([x[-1:, 0] for x in fresh])
    assert known.score(X, truth, future=after) == known.score(fresh)
    with pytest.raises(DataError, match="future is missing"):
        known.predict(X)


def test_score_compares_with_the_naive_forecast(model):
    """The score by its definition, from the naive forecast and the mean change of each series."""
    X = walks((28, 26), seed=5)  # so short that all changes have the same weight in the scale
    cut = [x[:-4] for x in X]
    truth = np.array([x[-4:, 0] for x in X])
    naive = np.array([x[-5:-1, 0] for x in cut])
    scale = np.array([np.abs(np.diff(x[:, 0])).mean() for x in cut])[:, None]
    ours = np.abs(truth - model.predict(cut)) / scale
    theirs = np.abs(truth - naive) / scale
    assert model.score(X) == pytest.approx(1.0 - ours.sum() / theirs.sum(), rel=1e-3)
    assert model.score(cut, truth) == pytest.approx(model.score(X))
    with pytest.raises(ShapeError, match=r"y is \(2, 3\), expected values of the shape"):
        model.score(cut, truth[:, :3])


def test_file_round_trip(model, tmp_path):
    model.save(tmp_path / "model")
    again = LSTMForecaster.load(tmp_path / "model")
    X = walks((17, 9), seed=6)
    np.testing.assert_array_equal(again.predict_quantiles(X), model.predict_quantiles(X))
    assert (again.layout_, again.score(X)) == (model.layout_, model.score(X))


def test_held_out_series_correct_the_quantiles():
    """With at least 20 series, each net holds out others; the fit depends on the seed alone."""
    X = walks([25] * 24)
    one = LSTMForecaster(horizon=2, **SMALL).fit(X)
    assert all(0 < member.held.sum() < 24 for member in one.ensemble_.members)
    assert (one.stretches_[[0, 2]] != 1.0).all()
    assert one.stretches_[1] == 1.0
    again = clone(one).fit(X[::-1])  # pyright: ignore[reportAttributeAccessIssue]
    np.testing.assert_array_equal(again.predict(X), one.predict(X))
    none = LSTMForecaster(horizon=2, validation_fraction=0.0, **SMALL).fit(X)
    assert (none.stretches_ == 1.0).all()


def test_table_grows_after_the_fit():
    X = np.array([x[:, 0] for x in walks([25] * 4)])
    model = LSTMForecaster(horizon=2, **SMALL).fit(X[:, :20])
    assert model.predict(X).shape == (4, 2)


def test_bad_input_is_named(model):
    for settings, message in (
        ({"horizon": 0}, "horizon is 0"),
        ({"quantiles": (0.9, 0.1)}, "quantiles is"),
        ({"target": "sales"}, "target is 'sales'"),
        ({"members": 0}, "members is 0"),
    ):
        with pytest.raises(SettingError, match=message):
            LSTMForecaster(**settings).fit(walks())  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="no value to forecast follows any step"):
        LSTMForecaster().fit([[1.0], [2.0]])
    with pytest.raises(ShapeError):
        model.predict(walks(channels=2))
    with pytest.raises(NotFittedError):
        LSTMForecaster().predict(walks())


def growing_tables(estimator):
    """The checks of scikit-learn that do not apply, and why."""
    return {
        "check_n_features_in_after_fitting": "columns are steps, and series grow after the fit",
        "check_fit2d_1feature": "a series of one step has nothing to forecast",
    }


@parametrize_with_checks(
    [LSTMForecaster(hidden_size=4, members=1, max_steps=3, window=2)],
    expected_failed_checks=growing_tables,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
