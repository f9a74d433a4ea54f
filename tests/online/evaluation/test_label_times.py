"""Targets that become known at the times of a column."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from carrousel.errors import CarrouselError, SettingError
from carrousel.online import OnlineLSTM, evaluate
from support.online.cases import case

N = 300
X = np.random.default_rng(0).normal(size=N)
Y = np.append(0.0, X[:-1])
TIMES = np.arange(N, dtype=float)


def new(**settings: Any) -> OnlineLSTM:
    return OnlineLSTM(**{"cells": 3, "delay": 8, "random_state": 1, **settings})


def columns(known: Any, at: Any = TIMES) -> dict[str, Any]:
    return {"at": at, "x": X, "y": Y, "known": known}


def evaluated(table: dict[str, Any], model: OnlineLSTM, **how: Any) -> tuple[Any, OnlineLSTM]:
    how = {"target": "y", "time": "at", "label_time": "known", "calendar": False, **how}
    found = evaluate(model, table, **how)
    assert found.failure is None
    assert found.model is not None
    return found.status, found.model


def test_equal_delays_equal_the_delay_of_a_model():
    timed, _ = evaluated(columns(TIMES + 9), new())
    delayed, _ = evaluated(columns(TIMES), new(), label_time=None, ignore="known")
    assert timed.errors.errors == delayed.errors.errors
    assert (timed.lost, delayed.lost) == (0, 0)
    assert timed.delay == 8


def test_a_known_target_is_learned_before_the_next_row():
    """Label times of the row's own time, or before: as if there were none."""
    plain, _ = evaluated(columns(TIMES), new(delay=0), label_time=None, ignore="known")
    for known in (TIMES, TIMES - 5):
        timed, model = evaluated(columns(known), new())
        np.testing.assert_allclose(
            timed.errors.errors["model"]["mae"], plain.errors.errors["model"]["mae"], rtol=0.02
        )
        assert model.n_lost_ == 0


def test_timestamps_are_compared_as_times():
    start = datetime(2024, 1, 1, tzinfo=UTC)
    at = [(start + timedelta(minutes=float(t))).isoformat() for t in TIMES]
    known = [(start + timedelta(minutes=float(t) + 9)).isoformat() for t in TIMES]
    texts, _ = evaluated(columns(known, at), new())
    numbers, _ = evaluated(columns(TIMES + 9), new())
    assert texts.errors.errors == numbers.errors.errors


def test_targets_known_after_the_last_row_are_never_learned():
    status, model = evaluated(columns(np.full(N, 1e9)), new())
    assert status.errors.rows == 0  # no prediction has a scale
    assert model.n_lost_ == 0


def test_targets_beyond_the_delay_are_lost_and_counted():
    for most, lost in ((20, 0), (19, 0), (18, N - 20)):
        status, model = evaluated(columns(TIMES + 20), new(delay=most))
        with case(most):
            assert status.lost == model.n_lost_ == lost


def test_wrong_calls_are_refused():
    table = columns(TIMES)
    for how, message in (
        ({"time": None}, "compared with the times of rows; give target and time too"),
        ({"target": None, "predict_next": "y"}, "give target and time too"),
        ({"label_time": "x", "ignore": "x"}, "left out, but has a role"),
        ({"label_time": 3}, "label_time is 3, expected the name of a column"),
        ({"label_time": "knwon"}, "label_time is 'knwon', .* did you mean 'known'"),
    ):
        with case(how), pytest.raises(CarrouselError, match=message):
            evaluated(table, new(), **how)
    with pytest.raises(SettingError, match="rows that wait for them; create the model with delay"):
        evaluated(table, new(delay=0))
