"""Inputs from times: cycles, gaps of each key, and the same results in any batches."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, cast

import numpy as np
import pytest

from carrousel.errors import DataError, RowError, SettingError, ShapeError
from carrousel.online import Calendar, OnlineLSTM, evaluate
from carrousel.online.clean.calendar import CYCLES, calendar_names
from carrousel.online.clean.cleaner import Cleaner
from carrousel.online.clean.schema import Schema
from carrousel.online.sources.types import Batch, Position
from support.online.cases import case

START = datetime(2024, 3, 1, tzinfo=UTC)


def batch(rows: list[tuple[Any, ...]], names: tuple[str, ...] = ("at", "key", "x")) -> Batch:
    lines = range(1, len(rows) + 1)
    return Batch(lines, names, list(zip(*rows, strict=True)), (), Position(), "rows")


def irregular(n: int) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.choice([0.0, 1.0, 60.0, 86400.0], n)) + 0.5
    return (
        [(START + timedelta(seconds=float(t))).isoformat() for t in times],
        rng.choice(list("abc"), n).tolist(),
    )


def test_cycles_return_after_their_length():
    for name, length in CYCLES.items():
        times = START.timestamp() + length * np.array([0.0, 1.0, 5.0, 5.25])
        columns = Calendar().many(times)
        for part in ("sin", "cos"):
            found = columns[f"time.{name}_{part}"]
            np.testing.assert_allclose(found[1:3], found[0], atol=1e-6)
            assert abs(found[3] - found[0]) > 0.1
        np.testing.assert_allclose(
            columns[f"time.{name}_sin"] ** 2 + columns[f"time.{name}_cos"] ** 2, 1, atol=1e-12
        )


def test_all_forms_of_a_time_are_the_same_time():
    at = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)
    forms = (
        at,
        at.replace(tzinfo=None),
        at.astimezone(timezone(timedelta(hours=5))),
        "2024-03-01T12:30",
        "2024-03-01 14:30+02:00",
        np.datetime64("2024-03-01T12:30"),
        np.datetime64("2024-03-01T12:30:00.000000000"),
        at.timestamp(),
        int(at.timestamp()),
    )
    expected = Calendar().one(at)
    for form in forms:
        with case(form):
            assert Calendar().one(form) == pytest.approx(expected)
    assert Calendar().one(date(2024, 3, 1)) == Calendar().one(START)
    pandas = pytest.importorskip("pandas")
    for form in (pandas.Series([at]), pandas.DatetimeIndex([at])):
        assert float(Calendar().many(form)["time.day_sin"][0]) == expected["time.day_sin"]


def test_gaps_belong_to_keys():
    calendar = Calendar("t", most=2)
    steps = [("a", 0.0, 0.0), ("b", 5.0, 0.0), ("a", 7.0, 7.0), ("b", 7.0, 2.0), ("c", 9.0, 2.0)]
    for key, time, gap in steps:
        assert np.expm1(calendar.one(time, key)["t.since"]) == pytest.approx(gap)
    assert np.expm1(calendar.one(10.0, "a")["t.since"]) == pytest.approx(2.0)  # "a" was dropped


def test_wrong_times_are_refused():
    calendar = Calendar()
    for time in ("noon", None, float("nan"), np.datetime64("NaT"), object()):
        with case(time), pytest.raises(DataError, match=r"time is .*, expected a datetime"):
            calendar.one(time)
    calendar.one(10.0)
    with pytest.raises(DataError, match="time is -1 seconds after that of the row before"):
        calendar.one(9.0)
    with pytest.raises(RowError, match="row 1: time is 'x'"):
        calendar.many([11.0, "x"])
    with pytest.raises(ShapeError, match="keys has 1 entries, expected 2"):
        calendar.many([12.0, 13.0], ["a"])
    with pytest.raises(SettingError, match="most is 0"):
        Calendar(most=0)


def test_the_cleaner_adds_the_columns_of_the_helper():
    times, keys = irregular(60)
    rows = [(t, k, "1") for t, k in zip(times, keys, strict=True)]
    schema = Schema.of(batch(rows), key="key", time="at", calendar=True)
    clean = Cleaner(schema).clean(batch(rows))
    expected = Calendar("at").many(times, keys)
    assert list(clean.columns) == ["x", *expected]
    for name, values in expected.items():
        np.testing.assert_allclose(np.asarray(clean.columns[name]), values, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("on_error", ["skip", "hold"])
def test_the_columns_do_not_depend_on_batches(on_error):
    times, keys = irregular(80)
    times[11], times[40] = "noon", "2000-01-01"  # unreadable; before all others
    values = ["oops" if n in (3, 20) else "1" for n in range(80)]
    rows = list(zip(times, keys, values, strict=True))
    schema = Schema.of(batch(rows), key="key", time="at", calendar=True)
    whole = Cleaner(schema).clean(batch(rows), on_error).columns
    cleaner, parts = Cleaner(schema), []
    for start, stop in ((0, 1), (1, 4), (4, 41), (41, 80)):
        cleaner = Cleaner.from_state(cleaner.state())
        parts.append(cleaner.clean(batch(rows[start:stop]), on_error).columns)
    for name, column in whole.items():
        joined = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(joined, column, err_msg=name)
        assert np.isfinite(joined).all()


def test_numbers_have_cycles_if_they_are_dates():
    for first, cycles in ((0, False), (1e6, False), (1.7e9, True), (1.7e12, True)):
        schema = Schema.of(batch([(first, "a", 1.0)]), time="at", ignore=("key",), calendar=True)
        columns = Cleaner(schema).clean(batch([(first, "a", 1.0)])).columns
        assert list(columns) == ["x", *calendar_names("at", cycles)], first
    seconds, milli = (
        Cleaner(
            Schema.of(batch([(1.7e9 * f, "a", 1.0)]), time="at", ignore=("key",), calendar=True)
        ).clean(batch([(1.7e9 * f, "a", 1.0), ((1.7e9 + 60) * f, "a", 1.0)]))
        for f in (1, 1000)
    )
    for name in seconds.columns:
        one, other = (np.asarray(each.columns[name]) for each in (seconds, milli))
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_column_of_the_same_name_is_refused():
    columns = {"at": ["2024-01-01"] * 2, "at.since": [1.0, 2.0], "x": [1.0, 2.0]}
    model = OnlineLSTM(cells=2, random_state=1)
    with pytest.raises(SettingError, match=r"has a column 'at\.since', which is the name of an"):
        evaluate(model, columns, target="x", time="at")
    assert evaluate(model, columns, target="x", time="at", calendar=False).status.rows == 2


def test_symbols_have_no_inputs_from_times():
    columns = {"at": range(30), "letter": list("abc" * 10)}
    found = evaluate(
        lambda task: OnlineLSTM(cast(Any, task), cells=2, unseen="grow", random_state=1),
        columns,
        predict_next="letter",
        time="at",
    )
    assert found.model is not None
    assert found.model.task == "next"
