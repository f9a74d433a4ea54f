"""Measures of predictions, against those of scikit-learn and against definitions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from carrousel.estimators.data.series import Series
from carrousel.estimators.report.measures import LABELS, SHARES, confusion, measures, over_shares
from carrousel.estimators.report.predictions import Forecasts, ValuePredictions, owners, steps_at
from support.report_data import class_predictions


@pytest.mark.parametrize("per_step", [False, True])
def test_measures_of_classes_are_those_of_scikit_learn(per_step):
    for seed in range(5):
        found = class_predictions(seed=seed, per_step=per_step)
        known = found.truth >= 0
        p, truth = found.answers[known], found.truth[known]
        predicted = p.argmax(axis=1)
        got: Any = measures(found)
        expected = {
            "accuracy": metrics.accuracy_score(truth, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
            "macro_f1": metrics.f1_score(truth, predicted, average="macro", zero_division=0),  # pyright: ignore[reportArgumentType]
            "log_loss": metrics.log_loss(truth, p, labels=[0, 1, 2]),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(got[name], value, rtol=1e-12)
        expected_table = metrics.confusion_matrix(truth, predicted, labels=[0, 1, 2])
        np.testing.assert_array_equal(confusion(found), expected_table)


def test_labels_that_the_model_does_not_have_are_errors_at_any_time():
    found = class_predictions()
    more = replace(found, unknown=int((found.truth >= 0).sum()))
    assert measures(more)["accuracy"] == pytest.approx(measures(found)["accuracy"] / 2)  # pyright: ignore[reportOptionalOperand]
    np.testing.assert_allclose(over_shares(more), over_shares(found) / 2)


def test_the_any_time_curve_ends_at_the_accuracy():
    found = class_predictions()
    assert over_shares(found)[-1] == pytest.approx(measures(found)["accuracy"])
    assert SHARES[-1] == 1.0


def test_without_any_truth_measures_are_undefined():
    found = class_predictions()
    none = replace(found, truth=np.full_like(found.truth, -1))
    assert set(measures(none).values()) == {None}
    assert np.isnan(over_shares(none)).all()


def test_taking_all_series_changes_nothing_and_taking_parts_adds_up():
    for per_step in (False, True):
        found = class_predictions(per_step=per_step)
        chosen = np.random.default_rng(1).random(len(found.series)) < 0.5
        parts = [found.take(chosen), found.take(~chosen)]
        np.testing.assert_array_equal(sum(confusion(p) for p in parts), confusion(found))
        everything = found.take(np.ones(len(found.series), bool))
        np.testing.assert_array_equal(everything.answers, found.answers)


def values(seed: int = 0, targets: int = 2) -> ValuePredictions:
    rng = np.random.default_rng(seed)
    series = Series.of([rng.normal(size=(rng.integers(1, 9), 2)) for _ in range(30)])
    truth = rng.normal(size=(30, targets)) * [1.0, 100.0][:targets]
    truth[3] = np.nan
    outputs = rng.normal(size=(series.n_steps, targets))
    return ValuePredictions(series, outputs, truth, ("a", "b")[:targets])


def test_measures_of_values_are_those_of_scikit_learn():
    found = values()
    known = np.isfinite(found.truth).all(axis=1)
    y, answer = found.truth[known], found.answers[known]
    got: Any = measures(found)
    np.testing.assert_allclose(got["r2"], metrics.r2_score(y, answer), rtol=1e-12)
    np.testing.assert_allclose(got["mae"], metrics.mean_absolute_error(y, answer), rtol=1e-12)
    expected = np.sqrt(metrics.mean_squared_error(y, answer))
    np.testing.assert_allclose(got["rmse"], expected, rtol=1e-12)


def test_the_curve_of_errors_does_not_depend_on_units():
    found = values()
    factors = np.array([1e3, 1e-4])
    other = replace(found, truth=found.truth * factors, outputs=found.outputs * factors)
    np.testing.assert_allclose(over_shares(other), over_shares(found), rtol=1e-9)


def test_constant_truth_has_no_r2():
    found = values(targets=1)
    constant = replace(found, truth=np.ones_like(found.truth))
    assert measures(constant)["r2"] is None


def forecasts(seed: int = 0) -> Forecasts:
    rng = np.random.default_rng(seed)
    series = Series.of([rng.normal(size=(rng.integers(2, 9), 2)) for _ in range(20)])
    quantiles = np.sort(rng.normal(size=(20, 4, 3, 1)), axis=2)
    truth = rng.normal(size=(20, 4, 1))
    truth[0, 1] = np.nan
    return Forecasts(series, truth, quantiles, (0.1, 0.5, 0.9), ("x1",))


def test_the_quantile_loss_is_that_of_scikit_learn():
    found = forecasts()
    known = np.isfinite(found.truth)
    losses = [
        metrics.mean_pinball_loss(found.truth[known], found.quantiles[:, :, k][known], alpha=level)
        for k, level in enumerate(found.levels)
    ]
    got: Any = measures(found)
    np.testing.assert_allclose(got["pinball"], np.mean(losses), rtol=1e-12)


def test_the_last_value_has_the_ratio_1_and_the_truth_0():
    found = forecasts()
    last = np.stack([one.values[-1, 1:] for one in found.series])[:, None, None]
    naive = replace(found, quantiles=np.broadcast_to(last, found.quantiles.shape))
    assert measures(naive)["naive_ratio"] == pytest.approx(1.0)
    perfect = np.broadcast_to(found.truth[:, :, None], found.quantiles.shape)
    assert measures(replace(found, quantiles=perfect)) == pytest.approx(
        {"mae": 0.0, "naive_ratio": 0.0, "pinball": 0.0, "coverage": 1.0}
    )


def test_every_measure_has_a_label():
    for found in (class_predictions(), values(), forecasts()):
        assert set(measures(found)) <= set(LABELS)


def test_shares_of_series_are_at_least_one_step_and_at_most_all():
    series = class_predictions().series
    np.testing.assert_array_equal(steps_at(series, 1.0), series.offsets[1:] - 1)
    np.testing.assert_array_equal(steps_at(series, 1e-9), series.offsets[:-1])
    of = owners(series)
    for share in SHARES:
        np.testing.assert_array_equal(of[steps_at(series, share)], np.arange(len(series)))
