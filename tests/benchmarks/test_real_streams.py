"""The benchmark of real streams: contenders do not look ahead, features, scores, and the runner."""

from __future__ import annotations

import json
import tarfile
import zipfile
from importlib import import_module
from typing import Any

import numpy as np
import pytest

real = import_module("benchmarks.streams.real.__main__")
stream_module = import_module("benchmarks.streams.real.stream")
features = import_module("benchmarks.streams.real.features")
least_squares = import_module("benchmarks.streams.real.least_squares")
lineup = import_module("benchmarks.streams.real.lineup")
ours = import_module("benchmarks.streams.real.ours")
packages = import_module("benchmarks.streams.real.packages")
rules = import_module("benchmarks.streams.real.rules")
catalogue = import_module("benchmarks.streams.real.loaders.catalogue")
made_up = import_module("benchmarks.streams.made_up")

ROWS, CUT = 150, 110
SLOW = ("adaptive random forest", "deep-river")
BEGIN = np.datetime64("2020-01-01T00:00:00")


def example(task: str, keys: bool = False) -> Any:
    """A small stream with every kind of column; some numbers are missing where that is allowed."""
    rng = np.random.default_rng(3)
    a = rng.normal(50, 5, ROWS)
    columns: dict[str, Any] = {"a": a, "text": rng.choice(["x", "y"], ROWS).astype(object)}
    needs: dict[str, Any] = {"unseen": "grow"}
    if task == "forecast":
        a[30:33] = np.nan
        y, needs = a, {**needs, "missing": "mean"}
    elif task == "regression":
        y = a + rng.normal(size=ROWS)
    elif task in ("binary", "multiclass"):
        y = (a > 50).astype(np.int64)
        y = y if task == "binary" else np.array(["low", "high"])[y]
        needs |= {"classes": (0, 1)} if task == "binary" else {}
    elif task == "next":
        y, needs = rng.integers(0, 4, ROWS), {"symbols": 4}
        columns = {"symbol": y}
    else:
        y, needs = (rng.random(ROWS) < 0.1).astype(np.int64), {}
        columns = {"a": a}
    names = np.array(["p", "q"])[rng.integers(0, 2, ROWS)] if keys else None
    needs = needs | ({"streams": 2} if keys else {})
    time = BEGIN + np.arange(ROWS) * np.timedelta64(3600, "s")
    return stream_module.Stream(
        task, task, "a test", task, columns, y, "", time, names, seasons=(24,), needs=needs
    )


CASES = [
    (task, keys)
    for task in ("forecast", "regression", "binary", "multiclass", "next", "anomaly")
    for keys in (False, True)
    if not (keys and task == "anomaly")
]


def shuffled(stream: Any, seed: int) -> Any:
    """Put the rows from ``CUT`` on in another order; times and keys stay."""
    order = np.arange(ROWS)
    order[CUT:] = CUT + np.random.default_rng(seed).permutation(ROWS - CUT)
    moved = stream.at(order)
    return stream_module.replace(moved, time=stream.time, keys=stream.keys)


@pytest.mark.parametrize(("task", "keys"), CASES)
def test_no_contender_looks_ahead(task, keys):
    """Another future changes no earlier prediction."""
    pytest.importorskip("river", reason="needs river")
    stream = example(task, keys)
    other, moved = shuffled(stream, 0), []
    for name, contender in lineup.contenders(stream).items():
        if any(slow in name for slow in SLOW):
            continue
        before, after = (contender.predict(one, 0) for one in (stream, other))
        assert len(before) == ROWS, name
        np.testing.assert_array_equal(before[:CUT], after[:CUT], err_msg=name)
        if before[CUT:].tolist() != after[CUT:].tolist():
            moved.append(name)
    assert lineup.OURS in moved


@pytest.mark.parametrize("task", ["forecast", "regression", "binary", "multiclass"])
def test_a_row_is_predicted_before_its_target_is_used(task):
    """Another target of one row changes predictions after that row only; columns stay."""
    pytest.importorskip("river", reason="needs river")
    stream = example(task)
    y = stream.y.copy()
    y[CUT] = y[CUT] + 40 if task in ("forecast", "regression") else y[y != y[CUT]][0]
    columns = {**stream.columns, **({"a": y} if task == "forecast" else {})}
    other = stream_module.replace(stream, y=y, columns=columns)
    for name, contender in lineup.contenders(stream).items():
        if any(slow in name for slow in SLOW):
            continue
        before, after = (contender.predict(one, 0) for one in (stream, other))
        np.testing.assert_array_equal(before[: CUT + 1], after[: CUT + 1], err_msg=name)


def test_forests_do_not_look_ahead():
    pytest.importorskip("river", reason="needs river")
    for task in ("forecast", "binary"):
        stream = example(task)
        found = {n: c for n, c in lineup.contenders(stream).items() if SLOW[0] in n}
        assert found
        for name, contender in found.items():
            before, after = (contender.predict(one, 0) for one in (stream, shuffled(stream, 1)))
            np.testing.assert_array_equal(before[:CUT], after[:CUT], err_msg=name)


# --- features and rules --------------------------------------------------------------------------


def test_features_of_a_forecast_are_those_of_the_row_before_in_the_series():
    stream = example("forecast", keys=True)
    read = features.features(stream)
    known = features.filled(stream, stream.y)
    assert not np.isnan(read.numbers).any()
    assert sum(~read.usable) == 2
    for rows in stream.places:
        lags = read.numbers[rows[30]][-features.LAGS :]
        np.testing.assert_array_equal(lags, known[rows[6:30]][::-1])
        assert read.texts["text"][rows[30]] == stream.columns["text"][rows[29]]
        assert read.texts["hour of day"][rows[30]] == str(rows[29] % 24)
    row = list(read.rows())[20]
    assert set(row) == {*read.names, "text", "hour of day", "weekday", "key"}
    assert features.features(stream, columns=False).names == read.names[-features.LAGS :]
    assert not read.ordinal().texts


def test_filled_values_are_the_last_known_ones():
    stream = example("forecast")
    found = features.filled(stream, stream.y)
    assert found[30:33].tolist() == [stream.y[29]] * 3
    column = np.concatenate([[np.nan], stream.y[1:]])
    assert features.filled(stream, column)[0] == 0


def test_weekdays_and_hours():
    stream = example("forecast")  # 1 January 2020 was a Wednesday
    found = features.calendar(stream)
    assert (found["hour of day"][25], found["weekday"][25]) == (1, 3)
    days = np.datetime64("2020-01-01") + np.arange(ROWS)
    daily = stream_module.replace(stream, time=days)
    assert list(features.calendar(daily)) == ["weekday"]
    assert len(ours.calendar_columns(stream)) == 6
    assert len(ours.calendar_columns(daily)) == 4
    assert not ours.calendar_columns(stream_module.replace(stream, time=None))


def test_rules_on_a_short_series():
    y = np.array([3.0, 1.0, 2.0, 4.0])
    stream = stream_module.Stream("s", "s", "", "forecast", {"y": y}, y, seasons=(2,))
    found = {name: rule(stream, 0).tolist()[1:] for name, rule in rules.rules(stream).items()}
    assert found == {
        "last value": [3, 1, 2],
        "value 2 rows before": [3, 3, 1],
        "running mean": [3, 2, 2],
    }
    labels = np.array([1, 0, 0, 1, 1])
    stream = stream_module.Stream("s", "s", "", "binary", {"y": labels}, labels)
    found = {name: rule(stream, 0).tolist() for name, rule in rules.rules(stream).items()}
    assert found == {"last class": [0, 1, 0, 0, 1], "most frequent class": [0, 1, 1, 0, 0]}


def test_least_squares_equal_the_weighted_solution():
    """Differential test against the weighted normal equations, solved from all earlier rows."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(80, 3))
    y = x @ [1.0, -2.0, 0.5] + rng.normal(size=80)
    y[40] = np.nan
    usable = np.arange(80) > 0
    rows = np.array([n for n in range(1, 79) if n != 40])
    age = np.array([np.sum(rows > n) for n in rows])
    root = least_squares.FORGETTING ** (age / 2)
    a, b = root[:, None] * x[rows], root * y[rows]
    want = x[79] @ np.linalg.lstsq(a, b, rcond=None)[0]
    for solve, near in ((least_squares.recursive, 1e-4), (least_squares.ridge, 1e-5)):
        found = solve(x, y, usable)
        assert np.isnan(found[0])
        assert not np.isnan(found[1:]).any()
        # They differ by the prior variance of 1000 and by the penalty of a millionth.
        assert found[79] == pytest.approx(want, rel=near)


def test_scores_leave_out_the_start_and_rows_without_a_target():
    stream = example("forecast")
    predicted = stream.y + 1.0
    predicted[:100] = 1e9
    predicted[0] = np.nan
    predicted[120:] += 1.0
    found = stream_module.scores(stream, predicted)
    assert found == {"error": pytest.approx(1.6), "later": pytest.approx(1.6)}
    predicted[101] = np.nan
    with pytest.raises(AssertionError, match="1 rows without a prediction"):
        stream_module.scores(stream, predicted)


def test_forecasts_with_keys_belong_to_the_next_row_of_the_key():
    """Two interleaved constant series: a forecast assigned to the other would be far off."""
    keys = np.arange(400) % 2
    y = np.where(keys == 0, 10.0, 20.0) + np.random.default_rng(0).normal(0, 0.1, 400)
    stream = stream_module.Stream(
        *("s", "s", "", "forecast", {"y": y}, y), keys=keys, needs={"streams": 2}
    )
    found = ours.defaults(stream, 0)
    assert np.isnan(found[:2]).all()
    assert np.abs(found[300:] - y[300:]).mean() < 2.0


# --- packages and streams ------------------------------------------------------------------------


def test_a_package_is_read_from_the_cache_and_archives_stay_inside(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(packages.VERSIONS, "no_such_package", "1")
    folder = packages.cache() / "no_such_package-1"
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("no_such_package/data/a.csv", "x,y\n1,NA\n2,b\n")
        packed.writestr("../../outside", "")
    folder.mkdir(parents=True)
    packages.unpack(wheel, folder)
    assert not (tmp_path / "outside").exists()
    read = packages.csv_of("no_such_package", "no_such_package/data/a.csv", 1)
    assert read["x"].tolist() == ["1"]
    assert np.isnan(packages.numbers(read["y"])).all()
    with pytest.raises(SystemExit, match="remove the folder"):
        packages.file_of("no_such_package", "no_such_package/b.csv")
    archive = tmp_path / "b.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(wheel, "../../outside")
    with pytest.raises(tarfile.OutsideDestinationError):
        packages.unpack(archive, folder)


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(packages.VERSIONS, "no_such_package", "1")
    monkeypatch.setattr(packages.sys, "executable", "false")
    with pytest.raises(SystemExit, match="unpack its archive to"):
        packages.file_of("no_such_package", "a.csv")


def test_streams_from_river_have_the_order_of_the_file():
    datasets = pytest.importorskip("river.datasets", reason="needs river")
    stream = catalogue.STREAMS["trump"]()
    x, y = next(iter(datasets.TrumpApproval()))
    assert stream.y[0] == y
    assert {name: column[0] for name, column in stream.columns.items()} == x
    assert str(stream.time[0]) == "2017-03-01T00:00:00"
    chicks = catalogue.STREAMS["chicks"]()
    assert len(chicks.places) == 50
    assert list(catalogue.STREAMS).index("electricity") == 0
    assert len(catalogue.STREAMS) == 19


def test_made_up_streams_are_reproducible():
    for name, make in made_up.STREAMS.items():
        one, other = make(), make()
        assert one.name == name
        assert len(one) == made_up.ROWS
        assert np.isfinite(one.y).all(), name
        np.testing.assert_array_equal(one.y, other.y, err_msg=name)
    assert len(made_up.STREAMS) == 10


# --- the runner ----------------------------------------------------------------------------------


def test_saved_figures_are_kept_until_they_are_asked_for_again(tmp_path, capsys):
    path = tmp_path / "saved.json"
    command = ["--made-up", "--only", "walk", "--rows", "300", "--json", str(path)]
    assert real.main([*command, "--contender", "last value"]) == 0
    assert "walk: last value, seed 0" in capsys.readouterr().out
    saved = json.loads(path.read_text("utf-8"))
    walk = made_up.STREAMS["walk"]()
    last = saved["streams"]["walk"]["rows"]["last value"]["0"]
    assert last["error"] == pytest.approx(np.abs(np.diff(walk.y[:300]))[99:].mean())
    assert saved["start"] == 100
    assert real.main([*command, "--contender", "last value"]) == 0
    assert capsys.readouterr().out == ""
    assert real.main([*command, "--again", "last value"]) == 0
    assert "last value" in capsys.readouterr().out
    assert real.main([*command, "--set", "cells=4", "--contender", "OnlineLSTM, cells=4"]) == 0
    found = json.loads(path.read_text("utf-8"))["streams"]["walk"]["rows"]
    assert {name: list(seeds) for name, seeds in found.items()} == {
        "last value": ["0"],
        "OnlineLSTM, cells=4": ["0", "1", "2"],
    }
    other = [*command, "--rows", "299", "--contender", "running mean"]
    assert real.main(other) == 0  # other rows: the figures of the first are dropped
    assert list(json.loads(path.read_text("utf-8"))["streams"]["walk"]["rows"]) == ["running mean"]


def test_saved_figures_are_compared_with_the_defaults(tmp_path, capsys):
    def errors(**rows):
        return {"rows": {name: {"0": {"error": error}} for name, error in rows.items()}}

    path = tmp_path / "saved.json"
    streams = {
        "a": errors(OnlineLSTM=2.0, other=1.0),
        "b": errors(OnlineLSTM=1.0, other=8.0, last=3.0),
        "c": errors(last=1.0),
    }
    path.write_text(json.dumps({"streams": streams}), "utf-8")
    assert real.main(["--json", str(path), "--compare"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["mean", "n", "a", "b"]
    assert ["2", "2", "0.5", "8", "other"] in lines
    assert ["3", "1", "3", "last"] in lines
    assert real.main(["--json", str(path), "--compare", "--prefix", "ot"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_unknown_names_are_refused(capsys):
    assert real.main(["--only", "walks", "--made-up"]) == 2
    assert "there are season, walk" in capsys.readouterr().err
    command = ["--only", "walk", "--made-up", "--rows", "200"]
    assert real.main([*command, "--contender", "last values"]) == 2
    assert "no contender 'last values'; there are OnlineLSTM, " in capsys.readouterr().err
