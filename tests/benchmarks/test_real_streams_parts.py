"""Further figures of the benchmark of real streams: intervals, rules, leads and many keys."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from carrousel import OnlineLSTM

intervals = import_module("benchmarks.streams.real.intervals")
leads = import_module("benchmarks.streams.real.leads")
many_keys = import_module("benchmarks.streams.real.many_keys")
parts = import_module("benchmarks.streams.real.parts")
regret = import_module("benchmarks.streams.real.regret")
ours = import_module("benchmarks.streams.real.ours")
real = import_module("benchmarks.streams.real.__main__")
made_up = import_module("benchmarks.streams.made_up")


def made(name: str, rows: int = 400) -> Any:
    return made_up.STREAMS[name]().at(slice(0, rows))


# --- intervals -----------------------------------------------------------------------------------


def test_intervals_are_counted_for_targets_after_the_first_rows():
    for name in ("season", "surface"):
        stream = made(name)
        found = intervals.intervals(stream)
        assert found["targets"] == 300, name
        assert found["coverage"] == sorted(found["coverage"]), name
        assert found["width"] == sorted(found["width"]), name
        predicted = ours.defaults(stream, 0)
        assert found["error"] == pytest.approx(np.abs(predicted - stream.y)[100:].mean()), name


def test_targets_of_forecasts_before_the_first_known_target_are_not_counted():
    found = intervals.intervals(made("levels"))  # 60 keys: known from row 60, for row 120 and later
    assert found["targets"] == 280


def test_coverage_of_stationary_noise_is_near_its_level():
    found = intervals.intervals(made("season", 3000))
    # A tracked quantile is off by at most its largest step a row, far below one in 2900 rows.
    np.testing.assert_allclose(found["coverage"], found["levels"], atol=0.02)


# --- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["season", "levels"])
def test_rules_are_those_of_the_run_of_all_rows(name):
    stream = made(name)
    names, forecasts = regret.forecasts_of(stream, 0)
    by_name = dict(zip(names, forecasts.T, strict=True))
    np.testing.assert_array_equal(by_name["mixed"], ours.defaults(stream, 0))
    for rows in stream.places:
        y = stream.y[rows]
        np.testing.assert_allclose(by_name["last"][rows[1:]], y[:-1], err_msg=name)
        means = np.cumsum(y)[:-1] / np.arange(1, len(y))
        np.testing.assert_allclose(by_name["mean"][rows[1:]], means, err_msg=name)


def test_regret_is_that_of_the_best_rule_in_the_end():
    stream = made("walk", 1500)
    found = regret.regret(stream)
    assert min(found["rules"], key=found["rules"].__getitem__) in (
        "last",
        "lags",
        "lags and inputs",
    )
    last = np.abs(np.diff(stream.y))[99:]
    assert found["rules"]["last"] == pytest.approx(last.mean())
    running = found["running"]
    assert running["rows"][-1] == 1400
    assert running["mixed"][-1] / 1400 == pytest.approx(found["mixed"])
    assert running["best"][-1] / 1400 == pytest.approx(min(found["rules"].values()))


def test_categories_that_come_later_are_known_from_the_start():
    stream = made("walk", 60)
    text = np.where(np.arange(60) < 30, "a", "b").astype(object)
    columns = {**stream.columns, "text": text}
    names, forecasts = regret.forecasts_of(ours.replace(stream, columns=columns), 0)
    assert forecasts.shape == (60, len(names))


# --- leads ---------------------------------------------------------------------------------------


def test_naive_rules_know_nothing_after_the_row_of_the_forecast():
    y = np.arange(10.0)
    found = dict(leads.naive(y, (2, 4), 3))
    assert found["last value"][5].tolist() == [5, 5, 5]
    assert found["2 rows before"][5].tolist() == [4, 5, 4]  # the latest known season, repeated
    assert found["4 rows before"][5].tolist() == [2, 3, 4]
    assert found["4 rows before"][1].tolist() == [1, 1, 0]  # the last value before a whole season


def test_errors_of_leads_are_those_of_later_rows():
    stream = made("season", 400)
    found = leads.leads(stream, ahead=6)
    assert found["leads"] == [1, 6]
    last = [np.abs(stream.y[n:] - stream.y[:-n])[100:].mean() for n in (1, 6)]
    assert found["errors"]["last value"] == pytest.approx(last)
    x = {name: column.tolist() for name, column in stream.columns.items()}
    run = OnlineLSTM(ahead=6, random_state=0).run(x, stream.y, late=True)
    off = np.abs(np.asarray(run)[:-6, 5] - stream.y[6:])[100:].mean()
    assert found["errors"]["OnlineLSTM"][1] == pytest.approx(off)


# --- many keys -----------------------------------------------------------------------------------


def test_series_of_many_keys_are_interleaved():
    y, keys = many_keys.series(30)
    assert keys[:31].tolist() == [*range(30), 0]
    assert len(y) == 30 * 300
    assert len(many_keys.series(1)[0]) == 6000
    for key in (0, 29):  # noise around a wave of its own
        part, t = y[keys == key], np.arange(300) / 5
        waves = np.stack([np.sin(t), np.cos(t)], 1)
        rest = part - waves @ np.linalg.lstsq(waves, part)[0]
        assert np.std(rest) == pytest.approx(0.1, rel=0.2)


def test_experts_help_many_keys():
    with_experts, without = (many_keys.many_keys(30, how) for how in ("auto", None))
    assert with_experts["error"] < with_experts["last"]
    assert with_experts["later"] < without["later"]
    assert with_experts["rows"] == 9000


# --- the runner ----------------------------------------------------------------------------------


def test_a_part_is_saved_beside_the_other_figures(tmp_path, monkeypatch):
    stream = made("season")
    monkeypatch.setattr(parts, "STREAMS", {"season": lambda: stream, "other": lambda: stream})
    path = tmp_path / "saved.json"
    path.write_text(json.dumps({"start": 100, "regret": {"a": 1}}), "utf-8")
    for part in ("regret", "intervals"):
        parts.run(part, ["season"], path)
    saved = json.loads(path.read_text("utf-8"))
    assert saved["start"] == 100
    assert list(saved["regret"]) == ["a", "season"]
    assert saved["regret"]["season"]["title"] == "season"
    assert saved["intervals"]["season"]["levels"] == [0.8, 0.9, 0.95]


def test_the_command_line_passes_on_a_part(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(parts, "run", lambda *arguments: given.append(arguments))
    path = tmp_path / "saved.json"
    assert real.main(["--part", "leads", "--only", "solar", "--json", str(path)]) == 0
    assert given == [("leads", ["solar"], path)]
