"""Every container of the same series is read as the same series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel import Sequences
from carrousel.errors import DataError, DataTypeError, SettingError, ShapeError, UnknownNameError
from carrousel.estimators.data.containers import read_series
from carrousel.estimators.data.series import Series
from support.case import case
from support.frames import FRAMES, long_columns, ragged


def assert_holds(series: Series, rows: list[np.ndarray]) -> None:
    assert series.lengths.tolist() == [len(row) for row in rows]
    np.testing.assert_array_equal(series.values, np.concatenate(rows))


def as_lists(rows: list[np.ndarray]) -> list[Any]:
    return [
        [[None if np.isnan(value) else float(value) for value in step] for step in row]
        for row in rows
    ]


def masked(rows: list[np.ndarray]) -> list[Any]:
    return [np.ma.masked_array(np.nan_to_num(row, nan=7.0), np.isnan(row)) for row in rows]


def nested(rows: list[np.ndarray]) -> pd.DataFrame:
    """sktime's ``nested_univ``."""
    width = rows[0].shape[1]
    return pd.DataFrame({f"c{k}": [pd.Series(row[:, k]) for row in rows] for k in range(width)})


def multiindex(rows: list[np.ndarray]) -> pd.DataFrame:
    """sktime's ``pd-multiindex``."""
    columns = long_columns(rows)
    frame = pd.DataFrame(columns).set_index(["id", "t"])
    return frame.astype("float64")


def frames(rows: list[np.ndarray]) -> list[pd.DataFrame]:
    """sktime's ``df-list``."""
    return [pd.DataFrame(row, columns=[f"c{k}" for k in range(row.shape[1])]) for row in rows]


LAYOUTS: dict[str, Any] = {
    "lists": as_lists,
    "masked": masked,
    "nested": nested,
    "indexed": multiindex,
}
LAYOUTS |= {"frames": frames, "itself": Series.of}


@given(ragged())
def test_every_layout_holds_the_same_series(rows):
    for name, layout in LAYOUTS.items():
        with case(name):
            series = read_series(layout(rows))
            assert_holds(series, rows)
            assert series.times is None


@given(ragged())
def test_layouts_of_arrays(rows):
    turned = [row.T for row in rows]
    assert_holds(read_series(turned, layout="channels first"), rows)
    same = [rows[0], rows[0] + 1.0]
    assert_holds(read_series(np.stack(same)), same)
    assert_holds(read_series(np.stack(same).transpose(0, 2, 1), layout="channels first"), same)
    flat = np.stack(same)[:, :, 0]
    for table in (flat, flat.astype(object), pd.DataFrame(flat), flat.tolist()):
        assert_holds(read_series(table), [each[:, :1] for each in same])


@pytest.mark.parametrize("kind", FRAMES)
@given(rows=ragged(), seed=st.integers(0, 99))
def test_long_tables_do_not_depend_on_the_order_of_rows(kind, rows, seed):
    columns = long_columns(rows)
    order = np.random.default_rng(seed).permutation(len(columns["t"]))
    shuffled = {name: [cells[k] for k in order] for name, cells in columns.items()}
    types = {"c0": pa.float64()}
    frame = FRAMES[kind](shuffled) if kind != "pyarrow" else _typed(shuffled, types)
    series = read_series(frame, id="id", time="t")
    by_name = {name: series[n] for n, name in enumerate(series.ids or ())}
    assert len(by_name) == len(rows)
    for n, row in enumerate(rows):
        one = by_name[f"s{n}"]
        np.testing.assert_array_equal(one.values, row)
        np.testing.assert_array_equal(one.times, np.arange(len(row)))
    assert series.named
    assert series.channels == tuple(f"c{k}" for k in range(rows[0].shape[1]))


def _typed(columns: dict[str, list[Any]], types: dict[str, Any]) -> pa.Table:
    return pa.table({name: pa.array(cells, types.get(name)) for name, cells in columns.items()})


@given(st.lists(st.text("abc", min_size=1), min_size=1))
def test_symbols_are_restored_by_their_alphabet(words):
    for X in (words, [list(word) for word in words], pd.Series(words), np.array(words)):
        series = read_series(X)
        assert series.symbols is not None
        letters = np.array(series.symbols)[series.values]
        assert "".join(letters) == "".join(words)
        assert series.lengths.tolist() == [len(word) for word in words]
        assert series.symbols == tuple(sorted(set("".join(words))))
    known = read_series(words, symbols=["a", "b"])
    assert known.symbols == ("a", "b")
    np.testing.assert_array_equal(known.values < 0, [c == "c" for c in "".join(words)])
    np.testing.assert_array_equal(
        read_series(read_series(words), symbols="ab").values, known.values
    )


def test_numbers_are_symbols_only_when_asked():
    X = [[3, 5], [5, None]]
    assert not read_series(X).symbolic
    series = read_series(X, symbols=True)
    assert series.values.tolist() == [0, 1, 1, -1]
    assert series.symbols == (3, 5)


def test_sequences_are_read_by_their_inputs():
    values = Sequences.from_lists([[0.5, 1.0], [2.0]], [[], []], n_outputs=1)
    assert_holds(read_series(values), [np.array([[0.5], [1.0]]), np.array([[2.0]])])
    symbols = Sequences.from_lists([[0, 2], [1]], [[], []], n_outputs=1)
    assert read_series(symbols).symbols == (0, 1, 2)


def test_the_precision_of_the_caller_is_kept():
    for given_type, kept in (("f2", "f4"), ("f4", "f4"), ("f8", "f8"), ("i4", "f8"), ("?", "f8")):
        assert read_series(np.ones((2, 3, 1), given_type)).values.dtype == kept
        assert read_series([np.ones((3, 1), given_type)]).values.dtype == kept


def test_tensors_are_arrays():
    torch = pytest.importorskip("torch")
    rows = [torch.ones(3, 2), torch.zeros(1, 2)]
    assert_holds(read_series(rows), [row.numpy() for row in rows])
    with pytest.raises(ShapeError, match="series 0 cannot be converted"):
        read_series([torch.ones(3, 2, requires_grad=True)])


def test_times_are_given_beside_arrays():
    series = read_series([[1.0, 2.0], [3.0]], times=[[0.0, 2.5], [9.0]])
    np.testing.assert_array_equal(series.times, [0.0, 2.5, 9.0])
    days = read_series([[1.0, 2.0]], times=[pd.to_datetime(["2020-01-01", "2020-01-03"])])
    assert np.diff(days.times) == 2 * 86400  # pyright: ignore[reportArgumentType]
    for times, problem in (
        ([[0.0, 1.0]], "1 entries for 2 series"),
        ([[0.0], [1.0]], "series 0 has 2 steps"),
        ([[1.0, 1.0], [1.0]], "series 0: two steps have the time 1"),
        ([[1.0, 0.0], [1.0]], "series 0: times do not increase"),
        ([[0.0, np.nan], [1.0]], "series 0: a time is missing"),
        ([["a", "b"], [1.0]], "series 0: times contain 'a'"),
    ):
        with pytest.raises((ShapeError, DataError), match=problem):
            read_series([[1.0, 2.0], [3.0]], times=times)


def test_the_index_of_frames_holds_times():
    days = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-04"])
    one = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=days)
    for X in ([one, one], pd.concat({"u": one, "v": one})):
        series = read_series(X)
        assert series.times is not None
        assert (np.diff(series.times[:3]) / 86400).tolist() == [1.0, 2.0]
        assert series.channels == ("a",)
    monthly = one.set_axis(pd.period_range("2020-01", periods=3, freq="M"))
    assert read_series([monthly]).times is not None


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "no series": ([], DataError, "holds no series"),
    "empty series": ([[1.0], []], DataError, "series 1 is empty"),
    "one number": (3.0, ShapeError, "float, expected a list of series"),
    "one string": ("abc", ShapeError, r"pass \[X\]"),
    "a mapping": ({"a": [1.0]}, ShapeError, "dict"),
    "one series": ([1.0, 2.0], ShapeError, "Reshape your data"),
    "one array": (np.zeros(3), ShapeError, "Reshape your data"),
    "four axes": (np.zeros((1, 1, 1, 1)), ShapeError, "shape"),
    "no channels": (np.zeros((2, 0)), ShapeError, r"0 feature\(s\)"),
    "ragged steps": ([[[1.0], [1.0, 2.0]]], ShapeError, "rows differ in length"),
    "widths": ([np.zeros((2, 1)), np.zeros((2, 2))], ShapeError, "series 1 has 2 channels"),
    "infinity": ([[1.0], [2.0, -np.inf]], DataError, "column 'x0': series 1 of X, step 1"),
    "complex": (np.zeros((2, 2), complex), DataTypeError, "Complex data not supported"),
    "text and numbers": ([["a", 1.5]], DataTypeError, "series 0, step 1 is 1.5"),
    "numbers and text": ([[1.5, "a"]], DataTypeError, "series 0 holds text"),
    "objects": ([[1.0, {}]], DataTypeError, "argument must be a string.* number"),
    "dates": (np.zeros((1, 2), "datetime64[s]"), DataTypeError, "dates"),
    "id as feature": (pd.DataFrame({"id": [1], "x": [2.0]}), ShapeError, "column 'id'"),
    "three levels": (
        pd.DataFrame({"x": [1.0]}, pd.MultiIndex.from_tuples([(1, 2, 3)])),
        ShapeError,
        "3 levels",
    ),
    "text in a table": (pd.DataFrame({"a": ["u"]}), DataTypeError, "column 'a'"),
    "mixed frames": ([pd.DataFrame({"a": [1.0]}), [1.0]], ShapeError, "series 1 is a list"),
    "other columns": (
        [pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [1.0]})],
        ShapeError,
        "series 1 has the channels",
    ),
}


def test_errors_name_series_and_channel():
    for name, (X, kind, message) in BAD.items():
        with case(name), pytest.raises(kind, match=message):
            read_series(X)


def test_the_other_layout_is_offered():
    with pytest.raises(ShapeError, match="layout='channels first'"):
        read_series([np.zeros((3, 5)), np.zeros((3, 7))])
    with pytest.raises(UnknownNameError, match="channels first"):
        read_series([[1.0]], layout="channel first")  # type: ignore[arg-type]


def test_columns_belong_to_frames():
    for setting in ({"id": "a"}, {"time": "a"}, {"channels": ["a"]}):
        with pytest.raises(SettingError, match="names a column"):
            read_series([[1.0]], **setting)  # pyright: ignore[reportArgumentType]
    frame = pd.DataFrame({"a": [1.0]})
    with pytest.raises(ShapeError, match="which needs id"):
        read_series(frame, time="a")
    with pytest.raises(SettingError, match="data frame"):
        read_series(frame, times=[[0.0]])
    with pytest.raises(UnknownNameError, match="expected one of 'a'"):
        read_series(frame, id="A")


def test_sparse_data_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ShapeError, match="sparse"):
        read_series(sparse.eye(3).tocsr())


def test_sktime_agrees():
    """What sktime converts to is read as the same series."""
    panel = pytest.importorskip("sktime.datatypes")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4, 2, 6))  # sktime: channels first
    for kind in ("pd-multiindex", "nested_univ", "df-list", "numpy3D"):
        converted = panel.convert(X, from_type="numpy3D", to_type=kind, as_scitype="Panel")
        layout = "channels first" if kind == "numpy3D" else "time first"
        with case(kind):
            series = read_series(converted, layout=layout)
            assert_holds(series, list(X.transpose(0, 2, 1)))
            assert series.times is None


def test_aeon_agrees():
    datasets = pytest.importorskip("aeon.datasets")
    X, _ = datasets.load_japanese_vowels(split="train")
    assert_holds(read_series(X, layout="channels first"), [each.T for each in X])
    X, _ = datasets.load_basic_motions(split="train")
    assert_holds(read_series(X, layout="channels first"), [each.T for each in X])


def test_series_that_were_selected_one_by_one_are_joined_again() -> None:
    rows = [np.ones((2, 1)), np.full((3, 1), np.nan), np.zeros((1, 1))]
    whole = Series.of(rows, times=np.arange(6.0), ids=("a", "b", "c"), channels=("level",))
    chosen = np.array([2, 0])
    joined = read_series([whole[n] for n in chosen])
    for found in (joined, whole[chosen], whole[np.array([True, False, True])][::-1]):
        np.testing.assert_array_equal(found.values, whole.take(chosen).values)
        np.testing.assert_array_equal(found.times, [5.0, 0.0, 1.0])
        assert (found.ids, found.channels) == (("c", "a"), ("level",))
    assert read_series([Series.of(rows), Series.of(rows)]).lengths.tolist() == [2, 3, 1, 2, 3, 1]


def test_series_of_different_kinds_are_not_joined() -> None:
    plain = Series.of([np.ones((2, 1))])
    others = {
        "differ in channels": Series.of([np.ones((2, 2))]),
        "some series have times": Series.of([np.ones((2, 1))], times=np.arange(2.0)),
        "some series have ids": Series.of([np.ones((2, 1))], ids=("a",)),
    }
    for text, other in others.items():
        with pytest.raises(ShapeError, match=text):
            read_series([plain, other])
