"""Benchmark of gradients on streams: its tasks, and a run of a few units."""

from __future__ import annotations

import json
from importlib import import_module

import numpy as np

tasks = import_module("benchmarks.gradients.tasks")
learning = import_module("benchmarks.gradients.learning")
command = import_module("benchmarks.gradients.__main__")


def test_lag_tasks():
    for lag, seed in ((2, 0), (7, 3)):
        rows = tasks.copy(lag, 50, seed)
        np.testing.assert_array_equal(rows.y[lag:], rows.x[:-lag, 0])
        assert np.isnan(rows.y[:lag]).all()
        rows = tasks.xor(lag, 50, seed)
        x = rows.x[:, 0]
        for t in range(50):
            if t < lag + 1:
                assert np.isnan(rows.y[t])
            else:
                assert rows.y[t] == x[t - lag] * x[t - lag - 1]


def test_forecasts_and_their_baseline():
    values = np.cumsum(np.arange(10.0))
    rows = tasks.forecast(values, 8)
    np.testing.assert_array_equal(rows.y, values[1:9])
    np.testing.assert_array_equal(rows.x[1:, 0], rows.y[:-1])
    later = [abs(values[t + 1] - values[t]) for t in range(4, 8)]
    assert tasks.baseline("electricity", rows) == np.mean(later)


def test_columns_of_files(tmp_path):
    path = tmp_path / "weather.csv"
    path.write_text("origin,temp\nEWR,1\nJFK,2\nEWR,NA\nEWR,3\n", encoding="utf-8")
    assert tasks.column(path, "temp", origin="EWR").tolist() == [1.0, 3.0]


def test_units_are_saved_and_not_run_again(tmp_path, monkeypatch):
    path = tmp_path / "found.json"
    assert command.main(["errors", "--quick", "--save", str(path)]) == 0
    saved = json.loads(path.read_text(encoding="utf-8"))
    (figures,) = saved["errors"]["16"]["copy, lag 2"].values()
    assert len(figures["errors"]) == 2
    monkeypatch.setattr(learning, "figures", lambda *_: 1 / 0)
    assert command.main(["errors", "--quick", "--save", str(path)]) == 0


def test_places_are_unique():
    for units in (learning.units, learning.sizes):
        places = [place for place, _ in units(False)]
        assert len(places) == len(set(places)) > 20
