"""Several columns predicted at once, their errors, and the column that departs most."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel.errors import DataError, SettingError, UnknownNameError
from carrousel.online import OnlineLSTM, evaluate, open_rows, open_sink, read_checkpoint
from carrousel.online.evaluation import session
from carrousel.online.evaluation.departure import Departures
from carrousel.online.evaluation.score import NumberScore
from carrousel.online.evaluation.several import SeveralScores
from support.online.cases import case
from support.online.kernel import needs_missing_entries

N = 400
RNG = np.random.default_rng(2)
T = np.arange(N)
COLUMNS: dict[str, Any] = {
    "heat": (20 + 5 * np.sin(T / 5)).round(4),
    "wind": (0.01 * np.cos(T / 7)).round(6),
    "noise": RNG.normal(size=N).round(4),
    "site": ["ab"[n % 2] for n in range(N)],
}
BOTH = ["heat", "wind"]


def model(**settings: Any) -> OnlineLSTM:
    return OnlineLSTM(**{"cells": 4, "unseen": "grow", "random_state": 1, **settings})


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def write(path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(zip(*COLUMNS.values(), strict=True))
    return path


@pytest.mark.parametrize("role", ["target", "predict_next"])
def test_each_column_is_predicted_and_scored(tmp_path, role):
    how: dict[str, Any] = {role: BOTH, "key": "site"}
    with open_sink(tmp_path / "out.csv") as sink:
        found = evaluate(model(streams=2), COLUMNS, **how, sink=sink)
    rows = rows_of(tmp_path / "out.csv")
    expected = ["target_heat", "prediction_heat", "target_wind", "prediction_wind"]
    expected += ["next_heat", "next_wind"] if role == "predict_next" else []
    assert list(rows[0]) == ["line", "key", *expected]
    summary = found.status.errors
    for name in BOTH:
        predictions = np.array([float(row[f"prediction_{name}"] or "nan") for row in rows])
        targets = np.array([float(row[f"target_{name}"]) for row in rows])
        np.testing.assert_array_equal(targets, COLUMNS[name])
        alone = NumberScore(2)
        alone.add(predictions, targets, T % 2, T < 2)
        assert summary.targets[name].rows == alone.whole().rows
        for measure, value in alone.whole().errors["model"].items():
            assert summary.targets[name].errors["model"][measure] == pytest.approx(value, rel=1e-4)
    together = SeveralScores(BOTH).whole()
    assert together.errors["model"] == {"mae": None, "rmse": None, "r2": None}
    assert found.model is not None
    ahead = found.model.predict_one({"heat": 20.0, "wind": 0.0, "noise": 0.0, "site": "a"})
    assert list(ahead) == BOTH


def test_errors_together_are_in_deviations_of_each_target():
    """Units do not matter; with one target, they are those of the target over its deviation."""
    rng = np.random.default_rng(0)
    y, off = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    small, large = SeveralScores("ab"), SeveralScores("ab")
    small.add(y + off, y)
    large.add((y + off) * [1.0, 1e6], y * [1.0, 1e6])
    for rule, measures in small.whole().errors.items():
        for name, value in measures.items():
            assert large.whole().errors[rule][name] == pytest.approx(value)
    one, alone = SeveralScores("a"), NumberScore()
    one.add(y[:, :1] + off[:, :1], y[:, :1])
    alone.add(y[:, 0] + off[:, 0], y[:, 0])
    whole, deviation = alone.whole().errors["model"], y[1:, 0].std()
    found = one.whole().errors["model"]
    assert found["mae"] == pytest.approx(whole["mae"] / deviation)
    assert found["rmse"] == pytest.approx(whole["rmse"] / deviation)
    assert found["r2"] == pytest.approx(whole["r2"])


def test_an_evaluation_of_several_columns_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "ROWS_AT_ONCE", 50)
    path = write(tmp_path / "rows.csv")
    how: dict[str, Any] = {"predict_next": BOTH, "key": "site", "anomaly": True, "window": 99}
    with open_rows(path) as rows, open_sink(tmp_path / "whole.csv") as sink:
        whole = evaluate(model(streams=2), rows, **how, sink=sink)
    answers = iter([False] * 4 + [True] * 99)
    more: dict[str, Any] = {"checkpoint": tmp_path / "c", "stop": answers.__next__}
    with open_rows(path) as rows, open_sink(tmp_path / "parts.csv") as sink:
        assert evaluate(model(streams=2), rows, **how, sink=sink, **more).stopped
    saved = read_checkpoint(tmp_path / "c")
    with (
        open_rows(path, start=saved.position) as rows,
        open_sink(tmp_path / "parts.csv", start=saved.sink_position) as sink,
    ):
        last = evaluate(saved.model, rows, **how, sink=sink, resume=saved)
    assert last.status.errors == whole.status.errors
    assert last.status.unusual == whole.status.unusual
    assert len(last.status.unusual) == 5
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    with pytest.raises(SettingError, match=r"expected \['heat', 'wind'\], as when"):
        evaluate(saved.model, COLUMNS, predict_next="heat", key="site", window=99, resume=saved)


def test_wrong_columns_are_refused():
    wrong: tuple[tuple[dict[str, Any], type[Exception], str], ...] = (
        ({"target": ["heat", "site"]}, DataError, "column 'site' holds 'a', expected a number"),
        ({"predict_next": ["heat", "site"]}, DataError, "several columns are predicted"),
        ({"target": ["heat", "wnd"]}, UnknownNameError, "target is 'wnd', expected a field"),
        ({"target": ["heat", "heat"]}, SettingError, "column 'heat' has two roles"),
        ({"target": BOTH, "key": "wind"}, SettingError, "different columns"),
        ({"target": ["heat", 3]}, SettingError, "expected the name of a column"),
    )
    for how, error, why in wrong:
        with case(how), pytest.raises(error, match=why):
            evaluate(lambda task: model(streams=2), COLUMNS, **how)
    with pytest.raises(SettingError, match="task 'binary' has one target, but 2 columns"):
        evaluate(lambda task: OnlineLSTM("binary"), COLUMNS, target=BOTH, task="binary")


@needs_missing_entries
def test_rows_may_lack_some_targets():
    def gappy(name: str) -> list[float | None]:
        return [None if n % 3 == 0 else value for n, value in enumerate(COLUMNS[name].tolist())]

    gaps = {**COLUMNS, "wind": gappy("wind")}
    found = evaluate(model(), gaps, target=BOTH, ignore="site")
    rows = {name: each.rows for name, each in found.status.errors.targets.items()}
    assert rows["heat"] > rows["wind"] > N / 2
    assert found.status.without_target == 0
    blank = {**gaps, "heat": gappy("heat")}
    assert evaluate(model(), blank, target=BOTH, ignore="site").status.without_target == 134


# --- the column that departs most --------------------------------------------------------------


def test_the_column_with_a_spike_is_named(tmp_path):
    for name, size in (("heat", 100.0), ("wind", 1.0)):
        spiked = {**COLUMNS, name: COLUMNS[name].copy()}
        spiked[name][300] += size
        with open_sink(tmp_path / "out.jsonl") as sink:
            how: dict[str, Any] = {"predict_next": BOTH, "ignore": "site", "anomaly": True}
            status = evaluate(model(), spiked, **how, sink=sink).status
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        row = rows[300]
        assert (row["departed"], row["anomaly"] > 0.99) == (name, True)
        assert row["expected"] == row[f"prediction_{name}"]
        assert row["deviations"] > 20
        most = status.unusual[0]
        assert (most.line, most.column, most.value) == (301, name, spiked[name][300])
        assert (most.expected, most.deviations) == pytest.approx(
            (row["expected"], row["deviations"]), rel=1e-3
        )
        every = sorted((each["deviations"] or 0 for each in rows), reverse=True)
        found = [each.deviations for each in status.unusual]
        assert found == pytest.approx(every[: len(found)], abs=0.006)
        assert rows[5]["departed"] is rows[5]["expected"] is rows[5]["deviations"] is None


def test_deviations_are_standard_deviations_of_normal_errors():
    rng = np.random.default_rng(0)
    errors = np.abs(rng.normal(size=(6000, 1))) * 7
    found = Departures(("x",), 1000).add(errors, np.zeros((6000, 1)))
    np.testing.assert_allclose(np.nanmean(found["deviations"] * 7 / errors[:, 0]), 1, atol=0.03)
    assert found["departed"][:100] == [None] * 100
    assert set(found["departed"][100:]) == {"x"}


def test_departures_do_not_depend_on_batches():
    rng = np.random.default_rng(0)
    for names, numbers in ((("a",), True), (("a", "b", "c"), True), (("a",), False)):
        errors = np.abs(rng.normal(size=(500, len(names))))
        errors[rng.random(errors.shape) < 0.1] = np.nan
        forecasts: Any = errors + 1 if numbers else ["u"] * 500
        whole = Departures(names, 150, numbers).add(errors, forecasts)
        parts, start = [], 0
        one = Departures(names, 150, numbers)
        for stop in (70, 71, 333, 500):
            two = Departures(names, 150, numbers)
            two.restore(one.state())
            one = two
            parts.append(one.add(errors[start:stop], forecasts[start:stop]))
            start = stop
        for name, values in whole.items():
            found = [value for part in parts for value in part[name]]
            np.testing.assert_array_equal(np.array(found), np.array(list(values)), err_msg=name)


def test_labels_have_an_expected_label(tmp_path):
    with open_sink(tmp_path / "out.jsonl") as sink:
        evaluate(
            model(task="multiclass"), COLUMNS, target="site", anomaly=True, sink=sink, window=50
        )
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert list(rows[0])[-3:] == ["anomaly", "departed", "expected"]
    assert (rows[-1]["departed"], rows[-1]["expected"]) == ("site", rows[-1]["prediction"])
