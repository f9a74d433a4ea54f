"""Cleaning of rows: good values are converted exactly, problems are named exactly."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.errors import DataError, SettingError, UnknownNameError
from carrousel.online.clean import values as table_values
from carrousel.online.clean.cleaner import Cleaner
from carrousel.online.clean.schema import Schema
from carrousel.online.clean.values import numbers, spells_number, times
from carrousel.online.sources.text import Batch, Fault, Position


def batch(fields: str, *rows: tuple[Any, ...], first: int = 2, faults=(), keys=None) -> Batch:
    names = tuple(fields.split())
    columns = list(zip(*rows, strict=True)) or [() for _ in names]
    lines = range(first, first + len(rows))
    return Batch(lines, names, columns, tuple(faults), Position(), "rows.csv", keys=keys)


# --- single values -------------------------------------------------------------------------------

SPELLED = st.one_of(
    st.floats(width=64).map(repr),
    st.integers(-(10**30), 10**30).map(str),
    st.text(st.sampled_from("0123456789+-.eE_ nainf\x00\t१,xX"), max_size=6),
)
VALUES = SPELLED | st.none() | st.booleans() | st.integers() | st.floats() | st.just([1])


def one(value: Any) -> float | None:
    """Convert a single value, written without any of the module's shortcuts."""
    if isinstance(value, str):
        if "_" in value or not value.isascii():
            return None
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool | int | float):
        try:
            return float(value) if math.isfinite(value) else None
        except OverflowError:
            return None
    return None


@given(
    st.lists(SPELLED, max_size=8) | st.lists(VALUES, max_size=8), st.integers(1, 3), st.booleans()
)
def test_a_column_is_converted_as_its_values_one_by_one(column, times, arrow):
    column = column * times
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_values, "_WORTH_ARROW", 1 if arrow else 10**9)
        found, problems = numbers(column)
    expected = [one(value) for value in column]
    np.testing.assert_array_equal(found, [math.nan if e is None else e for e in expected])
    assert list(problems) == [row for row, e in enumerate(expected) if e is None]
    for row, (kind, _) in problems.items():
        value = column[row]
        missing = value is None or (isinstance(value, str) and not value.strip())
        assert (kind == "missing") == missing


def test_arrays_need_no_parsing():
    found, problems = numbers(np.array([1, 2], np.int16))
    np.testing.assert_array_equal(found, [1.0, 2.0])
    assert found.dtype == np.float64
    assert not problems
    _, problems = numbers(np.array([1, np.nan, np.inf], np.float32))
    assert [kind for kind, _ in problems.values()] == ["not finite", "not finite"]


WHY = (
    ("", "the value is missing"),
    (" ", "the value is missing"),
    (None, "the value is missing"),
    ("abc", "value 'abc' is not a number"),
    ("1_000", "value '1_000' is not a number"),
    ("1,5", "value '1,5' is not a number (write decimals with a point)"),
    ("nan", "value 'nan' is not a finite number"),
    ("-Infinity", "value '-Infinity' is not a finite number"),
    ("1e400", "value '1e400' is too large"),
    (10**400, "value 100000000000000000"),
    (math.nan, "value nan is not a finite number"),
    ({"a": 1}, "value {'a': 1} is not a number"),
    ("x" * 99, "value 'xxxxxxxxxxxxxxxxx"),
)


def test_messages_name_the_value_and_its_problem():
    for value, why in WHY:
        _, problems = numbers([value])
        assert problems[0][1].startswith(why), value
        assert len(problems[0][1]) < 90, value


def test_timestamps_become_seconds():
    texts = ["2024-05-01T12:00:00Z", "2024-05-01 12:00:00", " 2024-05-01T14:00:00.5+02:00", "x", ""]
    found, problems = times(texts, timestamps=True)
    np.testing.assert_array_equal(found[:3] - found[0], [0, 0, 0.5])
    assert found[0] == 1714564800
    assert {row: kind for row, (kind, _) in problems.items()} == {3: "not a time", 4: "missing"}


# --- schemas -------------------------------------------------------------------------------------


def test_the_first_value_of_a_field_decides_whatever_the_size_of_the_batch():
    rows = [("", "1", "red", "2024-05-01", "b"), ("x", "7", "1", "2024-05-02", "c")]
    schema = Schema.of(batch("a n c t y", *rows), target="y", time="t")
    assert schema.numbers == ("n",)
    assert dict(schema.categories) == {"a": None, "c": None}
    assert (schema.target_kind, schema.clock) == ("label", "timestamp")
    more = batch("a n c t y", *rows, *[("1", "abc", "2", "3", "4")] * 5)
    assert Schema.of(more, target="y", time="t") == schema
    written = json.loads(json.dumps(schema.as_dict()))
    assert Schema.from_dict(written) == schema


def test_values_of_broken_rows_do_not_decide():
    broken = batch("x y", ("oops", None), ("1", "2"), faults=[Fault(0, "too short", "is short")])
    assert Schema.of(broken).numbers == ("x", "y")


def test_roles_can_be_given():
    one_row = batch("id code x y note", ("7", "3", "1.5", "1", "hi"))
    schema = Schema.of(
        one_row, key="id", target="y", ignore=["note"], categories={"code": ["3", "4"], "y": None}
    )
    assert schema.inputs == ("code", "x")
    assert schema.categories == {"code": ("3", "4")}
    assert (schema.target_kind, schema.ignored) == ("label", ("note",))
    assert Schema.of(one_row, inputs=["x"]).inputs == ("x",)
    assert Schema.of(one_row, numbers=["note"]).numbers == ("id", "code", "x", "y", "note")
    assert Schema.from_dict(json.loads(json.dumps(schema.as_dict()))) == schema


INVALID: tuple[tuple[dict[str, Any], type[Exception], str], ...] = (
    (
        {"target": "pirce"},
        UnknownNameError,
        "expected a field of rows.csv; did you mean 'price'",
    ),
    ({"ignore": ["nota"]}, UnknownNameError, "ignore is 'nota', expected a field of rows.csv"),
    ({"target": "x", "key": "x"}, SettingError, "expected different columns"),
    ({"target": "x", "ignore": ["x"]}, SettingError, "'x' is the target"),
    ({"numbers": ["x"], "categories": ["x"]}, SettingError, "in numbers and in categories"),
    ({"ignore": ["x", "price", "tags"]}, DataError, "remains as an input"),
    ({}, DataError, "field 'tags' holds"),
)


def test_invalid_schemas_are_refused():
    for settings, error, message in INVALID:
        with pytest.raises(error, match=message):
            Schema.of(batch("x price tags", ("1", "2", ["a"])), **settings)
    with pytest.raises(DataError, match="has no rows"):
        Schema.of(batch("x"))
    with pytest.raises(DataError, match="not a schema"):
        Schema.from_dict({"fields": []})


# --- rows ----------------------------------------------------------------------------------------

ROWS = [
    ("a", "1", "red", "10", "1"),  # line 2
    ("b", "2", "red", "5", ""),
    ("a", "oops", "blue", "11", "2"),
    ("a", "3", "", "12", "bad"),
    ("", "4", "red", "13", "4"),
    ("b", "inf", "red", "4", "5"),  # its time decreases, too
    ("c", "", "red", "1", "6"),  # no last good value for this key
    ("a", "7", "red", "11.5", "7"),  # earlier than line 5, if that is kept
]
FIELDS = "k x c t y"


def made(**settings) -> Cleaner:
    return Cleaner(Schema.of(batch(FIELDS, *ROWS), key="k", time="t", target="y", **settings))


def test_fail_stops_at_the_first_bad_row_and_names_it():
    clean = made().clean(batch(FIELDS, *ROWS))
    assert clean.rows.tolist() == [0, 1]
    assert clean.failure is not None
    assert (
        str(clean.failure.error("f.csv"))
        == "f.csv: line 4, column 'x': value 'oops' is not a number"
    )
    assert clean.problems == [clean.failure]
    np.testing.assert_array_equal(clean.targets, [1, math.nan])
    assert clean.columns["c"] == ["red", "red"]
    assert clean.keys == ["a", "b"]
    expected = {"rows": 2, "kept": 2, "no target": 1, "not a number": 1}
    assert +clean.counts == expected


def test_skip_leaves_bad_rows_out():
    clean = made().clean(batch(FIELDS, *ROWS), "skip")
    assert clean.rows.tolist() == [0, 1, 7]
    assert clean.lines == [2, 3, 9]
    np.testing.assert_array_equal(clean.times, [10, 5, 11.5])
    assert [(p.line, p.field, p.kind) for p in clean.problems] == [
        (4, "x", "not a number"),
        (5, "c", "missing"),
        (5, "y", "not a number"),
        (6, "k", "missing"),
        (7, "x", "not finite"),
        (8, "x", "missing"),
    ]
    assert (clean.counts["skipped"], clean.counts["kept"]) == (5, 3)
    assert clean.failure is None


def test_hold_replaces_bad_values_by_the_last_good_one_of_the_key():
    cleaner = made()
    clean = cleaner.clean(batch(FIELDS, *ROWS), "hold")
    assert clean.rows.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(clean.columns["x"], [1, 2, 1, 3])
    assert clean.columns["c"] == ["red", "red", "blue", "blue"]
    np.testing.assert_array_equal(clean.targets, [1, math.nan, 2, math.nan])
    kinds = {(p.line, p.kind) for p in clean.problems}
    assert kinds >= {(7, "runs backwards"), (9, "runs backwards"), (8, "missing")}
    assert clean.counts["held"] == 2
    assert clean.counts["no target"] == 2
    later = batch(FIELDS, ("a", "", "", "", "1"), ("b", "", "", "5", "2"), ("c", "1", "", "2", "3"))
    clean = cleaner.clean(later, "hold")
    assert clean.rows.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(clean.columns["x"], [3, 2, 1])
    np.testing.assert_array_equal(clean.times, [12, 5, 2])
    assert clean.columns["c"] == ["blue", "red", "red"]  # good values of rows left out count too


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[str, ...]]:
    cell = st.sampled_from(["1", "2.5", "", "nan", "x"])
    row = st.tuples(
        st.sampled_from(["a", "b", ""]), cell, cell, st.sampled_from(["u", "v", "", "w"]),
        st.sampled_from(["1", "2", "3", ""]), cell,
    )  # fmt: skip
    return draw(st.lists(row, max_size=14))


def one_by_one(rows: list[tuple[str, ...]], on_error: str) -> list[tuple[Any, ...]]:
    """Return number, key, inputs, time and target of the rows kept, computed row by row."""
    kept, clocks, held = [], {}, {}
    for number, (key, *inputs, clock, target) in enumerate(rows):
        good: list[Any] = [one(x) for x in inputs[:2]]
        good.append(inputs[2] if inputs[2] in ("u", "v") else None)
        goal, late = one(target), one(clock)
        bad = not key or (goal is None and target != "") or None in good or late is None
        if on_error == "fail" and (bad or late < clocks.get(key, -1)):
            break
        if on_error == "skip" and bad:
            continue
        if on_error == "hold":
            if not key:
                continue
            late = clocks.get(key) if late is None else late
            if late is None:
                continue
        if late < clocks.get(key, -1):
            continue
        clocks[key] = late
        last = held.setdefault(key, [None] * 3)
        good = [b if g is None else g for g, b in zip(good, last, strict=True)]
        held[key] = good
        if None in good:
            continue
        kept.append((number, key, *good, late, goal))
    return kept


@given(streams(), st.sampled_from(["fail", "skip", "hold"]), st.lists(st.integers(0, 14)))
def test_results_do_not_depend_on_batches(rows, on_error, cuts):
    fields = "k x z c t y"
    schema = Schema(
        fields=tuple(fields.split()), numbers=("x", "z"), categories={"c": ("u", "v")},
        targets=("y",), key="k", time="t",
    )  # fmt: skip
    cleaner, found = Cleaner(schema), []
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    for first, last in pairwise(edges):
        part = batch(fields, *rows[first:last], first=first)
        clean = cleaner.clean(part, on_error)
        assert list(clean.lines) == [first + row for row in clean.rows]
        columns: list[Any] = [*clean.columns.values(), clean.times, clean.targets]
        keys = clean.keys if clean.keys is not None else []
        for line, key, *values in zip(clean.lines, keys, *columns, strict=True):
            found.append((line, key, *values))
        n_rows = clean.counts["kept"] + clean.counts["skipped"]
        assert clean.counts["rows"] == n_rows
        if clean.failure is not None:
            break
        cleaner = Cleaner.from_state(json.loads(json.dumps(cleaner.state())))
    expected = one_by_one(rows, on_error)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[:5] == theirs[:5]
        goal = math.nan if theirs[6] is None else theirs[6]
        np.testing.assert_array_equal(np.array(ours[5:], float), [theirs[5], goal])


def test_broken_rows_are_bad_and_their_values_are_not_used():
    rows = [("1", "2"), (None, None), ("3", "4")]
    fault = Fault(1, "too short", "has 1 field, expected 2")
    schema = Schema.of(batch("x y", *rows), target="y")
    clean = Cleaner(schema).clean(batch("x y", *rows, faults=[fault]))
    assert clean.failure is not None
    assert str(clean.failure.error("f")) == "f: line 3: has 1 field, expected 2"
    for on_error in ("skip", "hold"):
        clean = Cleaner(schema).clean(batch("x y", *rows, faults=[fault]), on_error)
        assert clean.rows.tolist() == [0, 2]
        assert [problem.kind for problem in clean.problems] == ["too short"]


def test_missing_labels_are_no_target_and_fixed_labels_are_checked():
    rows = [("1", "yes"), ("2", ""), ("3", "maybe")]
    schema = Schema.of(batch("x y", *rows), target="y", categories={"y": ["yes", "no"]})
    clean = Cleaner(schema).clean(batch("x y", *rows), "hold")
    assert clean.targets == ["yes", None, None]
    assert [problem.kind for problem in clean.problems] == ["unseen"]
    clean = Cleaner(schema).clean(batch("x y", *rows))
    assert clean.rows.tolist() == [0, 1]


def test_keys_of_messages_are_used():
    rows = [("1",), ("2",), ("",)]
    one_batch = batch("x", *rows, keys=["a", None, "a"])
    clean = Cleaner(Schema.of(one_batch)).clean(one_batch, "hold")
    assert clean.keys == ["a", None, "a"]
    np.testing.assert_array_equal(clean.columns["x"], [1, 2, 1])


def test_inputs_as_a_matrix_and_row_by_row():
    rows = [("1", "u", "2"), ("3", "v", "4")]
    clean = Cleaner(Schema.of(batch("x c z", *rows))).clean(batch("x c z", *rows))
    assert clean.matrix() is None
    assert clean.dicts() == [{"x": 1.0, "c": "u", "z": 2.0}, {"x": 3.0, "c": "v", "z": 4.0}]
    clean = Cleaner(Schema.of(batch("x c z", *rows), ignore=["c"])).clean(batch("x c z", *rows))
    np.testing.assert_array_equal(clean.matrix(), [[1, 2], [3, 4]])


def test_keys_are_dropped_after_forget_after_rows_whatever_the_batches():
    schema = Schema.of(batch("k x t", ("a", "1", "1")), key="k", time="t")
    other = [("b", "1", "1")] * 9_999
    for gap, held in ((9_999, True), (10_000, False)):
        cleaner = Cleaner(schema, forget_after=10_000)
        cleaner.clean(batch("k x t", ("a", "5", "50")), "hold")
        cleaner.clean(batch("k x t", *(other + [("b", "1", "1")] * (gap - 9_999))), "hold")
        clean = cleaner.clean(batch("k x t", ("a", "", "60")), "hold")
        assert len(clean) == held
    many = Cleaner(schema, forget_after=10_000)
    for first in range(0, 60_000, 5_000):
        many.clean(batch("k x t", *((str(i), "1", "1") for i in range(first, first + 5_000))))
    assert len(many.state()["keys"]) <= 25_000


def test_other_fields_and_invalid_states_are_refused():
    cleaner = made()
    with pytest.raises(DataError, match="has fields"):
        cleaner.clean(batch("k x", ("a", "1")))
    with pytest.raises(UnknownNameError, match="did you mean 'skip'"):
        cleaner.clean(batch(FIELDS, *ROWS), "skp")
    with pytest.raises(DataError, match="not the state"):
        Cleaner.from_state({})
    with pytest.raises(SettingError, match="forget_after"):
        Cleaner(cleaner.schema, forget_after=5)


def test_what_spells_a_number():
    assert [spells_number(v) for v in ("1", " 2 ", "nan", 3, True, "", "x", None, [])] == [
        True, True, True, True, True, False, False, False, False,
    ]  # fmt: skip
