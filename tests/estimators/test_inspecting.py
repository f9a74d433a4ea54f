"""Training calls of fitted estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from carrousel import LSTMClassifier, LSTMForecaster, LSTMRegressor
from carrousel.errors import DataError
from carrousel.estimators.data.series import Series
from carrousel.estimators.inspecting import training_call

SMALL: dict[str, Any] = {"hidden_size": 4, "members": 1, "max_steps": 3, "random_state": 0}
RNG = np.random.default_rng(0)
SERIES = Series.of([RNG.normal(size=(length, 2)) for length in (9, 7, 5, 9, 8, 6)])
LABELS = np.array(["a", "b", "a", "b", "b", "a"])


def weights_of_steps(length: int) -> np.ndarray:
    """Half for the last step, the other half for all steps alike."""
    found = np.full(length, 0.5 / length)
    found[-1] += 0.5
    return found


def test_the_loss_of_classes_is_that_of_the_outputs():
    model = LSTMClassifier(**SMALL).fit(SERIES, LABELS)
    call = training_call(model, SERIES, LABELS)
    with torch.no_grad():
        outputs = call.net(*call.inputs)
    logs = torch.log_softmax(outputs, -1).numpy()
    losses = []
    for n, length in enumerate(SERIES.lengths.tolist()):
        own = "ab".index(LABELS[n])
        smooth = 0.9 * logs[:length, n, own] + 0.1 * logs[:length, n].mean(-1)
        losses.append(-(weights_of_steps(length) * smooth).sum())
    np.testing.assert_allclose(call.loss(outputs).item(), np.mean(losses), rtol=1e-5)


def test_the_loss_of_values_is_in_the_units_of_training():
    y = np.array([10.0, 30.0, 20.0, 50.0, 40.0, 0.0])
    model = LSTMRegressor(**SMALL).fit(SERIES, y)
    call = training_call(model, SERIES, y)
    wanted = (y - model.target_mean_) / model.target_scale_
    exact = torch.as_tensor(np.tile(wanted[None, :, None], (9, 1, 1)), dtype=torch.float32)
    assert call.loss(exact).item() == pytest.approx(0.0, abs=1e-10)
    assert call.loss(exact + 2.0).item() == pytest.approx(4.0, rel=1e-5)


def test_a_forecaster_has_its_targets_in_the_series():
    waves = np.sin(np.arange(40) / 3.0 + np.arange(4)[:, None])
    model = LSTMForecaster(horizon=3, **SMALL).fit(waves)
    call = training_call(model, model._read(waves, reset=False))
    outputs = call.net(*call.inputs)
    assert np.isfinite(call.loss(outputs).item())
    short = model._read(waves[:, :1], reset=False)
    with pytest.raises(DataError, match="no value to forecast follows any step"):
        training_call(model, short)


def test_a_label_that_is_no_class_is_refused():
    model = LSTMClassifier(**SMALL).fit(SERIES, LABELS)
    with pytest.raises(DataError):
        training_call(model, SERIES, np.array(["a", "b", "c", "a", "b", "a"]))
