"""Tables: targets and groups of a data frame, per series or per step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from carrousel import Sequences
from carrousel.errors import DataError, DataTypeError, SettingError, ShapeError, UnknownNameError
from carrousel.estimators.data.table import read_table
from support.case import case
from support.frames import FRAMES, long_columns, ragged

ROWS: dict[str, list[Any]] = {
    "who": ["b", "a", "b", "a"],
    "t": [1.0, 2.0, 0.0, 1.0],
    "x": [1.0, 2.0, None, 4.0],
    "ill": ["yes", "no", "yes", "no"],
    "age": [70, 20, 70, 20],
    "state": ["up", "down", None, "up"],
    "ward": [1, 2, 1, 2],
}
NAMES: dict[str, Any] = {"id": "who", "time": "t", "channels": ["x"]}


@pytest.mark.parametrize("kind", FRAMES)
def test_targets_and_groups(kind):
    frame = FRAMES[kind](ROWS)
    table = read_table(frame, **NAMES, target="ill", groups="ward")
    assert table.series.ids == ("b", "a")
    np.testing.assert_array_equal(table.series.values[:, 0], [np.nan, 1.0, 4.0, 2.0])
    assert isinstance(table.y, np.ndarray)
    assert table.y.tolist() == ["yes", "no"]
    assert table.groups is not None
    assert table.groups.tolist() == [1, 2]
    assert not table.per_step
    several = read_table(frame, **NAMES, target=["age", "ward"])
    assert np.asarray(several.y).tolist() == [[70, 1], [20, 2]]
    assert np.asarray(several.y).dtype == np.int64
    steps = read_table(frame, **NAMES, target="state")
    assert steps.per_step
    assert [each.tolist() for each in steps.y or []] == [[None, "up"], ["up", "down"]]
    asked = read_table(frame, **NAMES, target="ill", per_step=True)
    assert [each.tolist() for each in asked.y or []] == [["yes", "yes"], ["no", "no"]]


@given(ragged())
def test_a_table_of_records_equals_the_table_of_steps(rows):
    columns = long_columns(rows)
    channels = [name for name in columns if name.startswith("c")]
    ends = np.cumsum([len(row) for row in rows])
    lists = {
        name: [columns[name][end - len(row) : end] for row, end in zip(rows, ends, strict=True)]
        for name in ("t", *channels)
    }
    names = [f"s{n}" for n in range(len(rows))]
    types = {name: pa.float64() for name in channels}
    steps = pa.table({name: pa.array(cells, types.get(name)) for name, cells in columns.items()})
    for frame in (
        pa.table({"id": names, **lists, "y": list(range(len(rows)))}),
        pa.table({"id": names, **lists, "y": list(range(len(rows)))}).to_pandas(),
    ):
        one = read_table(frame, id="id", time="t", channels=channels, target="y")
        other = read_table(steps, id="id", time="t")
        np.testing.assert_array_equal(one.series.values, other.series.values)
        np.testing.assert_array_equal(one.series.times, other.series.times)
        assert one.series.ids == other.series.ids
        assert np.asarray(one.y).tolist() == list(range(len(rows)))


def test_a_missing_target_is_kept_for_the_checks():
    frame = pa.table({"id": [1, 1, 2], "x": [1.0, 2.0, 3.0], "y": [None, "a", None]})
    assert np.asarray(read_table(frame, id="id", target="y").y).tolist() == ["a", None]


def test_errors_name_the_column():
    frame = pa.table(ROWS)
    for settings, kind, message in (
        ({"id": "whom"}, UnknownNameError, "did you mean 'who'"),
        ({"id": None}, SettingError, "set id"),
        ({"target": "who"}, SettingError, "column 'who'.*two purposes"),
        ({"channels": ["x", "t"]}, SettingError, "column 't'"),
        ({"groups": "x", "channels": ["age"]}, DataError, "column 'x'.*series 'a'"),
        ({"target": "state", "per_step": False}, DataError, "column .state.*several values"),
        ({"time": "ward"}, DataError, "column 'ward': series 'b': two steps have the time 1"),
        ({"time": "ill"}, DataError, "column 'ill'.*pandas.to_datetime"),
        ({"channels": None}, DataTypeError, "text"),
        ({"channels": []}, ShapeError, "no channels"),
    ):
        with case(settings), pytest.raises(kind, match=message):
            read_table(frame, **(NAMES | settings))  # pyright: ignore[reportArgumentType]


def test_ids_and_times_must_be_present():
    for column in ("id", "t"):
        cells: dict[str, list[Any]] = {"id": [1, 1], "t": [0.0, 1.0], "x": [1.0, 2.0]}
        cells[column] = [cells[column][0], None]
        with case(column), pytest.raises(DataError, match=f"row 1, column '{column}'"):
            read_table(pa.table(cells), id="id", time="t")
    with pytest.raises(DataError, match="no rows"):
        read_table(pa.table({"id": [], "x": []}), id="id")
    with pytest.raises(DataError, match=r"column 'x': series 2 of rows\.csv"):
        read_table(pa.table({"id": [1, 2], "x": [0.0, np.inf]}), id="id", source="rows.csv")


@pytest.mark.parametrize("kind", FRAMES)
def test_sequences_from_a_frame_are_those_from_lists(kind):
    frame = FRAMES[kind](ROWS)
    data = Sequences.from_frame(frame, id="who", inputs="age", target="state", time="t")
    expected = Sequences.from_lists([[70, 70], [20, 20]], [[1], [1, 0]], n_inputs=71)
    for name in ("inputs", "targets", "offsets", "target_steps"):
        np.testing.assert_array_equal(getattr(data, name), getattr(expected, name), name)
    values = Sequences.from_frame(frame, id="who", inputs=["age", "t"], target=["t", "ward"])
    assert values.inputs.tolist() == [[70, 1], [70, 0], [20, 2], [20, 1]]
    assert values.targets.dtype == np.float32
    text = Sequences.from_frame(frame, id="who", inputs="ill", target="age")
    assert text.inputs.tolist() == [1, 1, 0, 0]
    for inputs, message in (("state", "a symbol is missing"), ("x", "not finite")):
        with pytest.raises(DataError, match=message):
            Sequences.from_frame(frame, id="who", inputs=inputs, target="age")
    with pytest.raises(ShapeError, match="column 'ill'"):
        Sequences.from_frame(frame, id="who", inputs=["t", "ill"], target="age")


@pytest.mark.parametrize("bad", ["oops", "1,5", "-"])
def test_a_text_among_numbers_does_not_make_symbols_of_a_column(bad):
    cells = [bad, "0.5", "0.25", "12"]
    with pytest.raises(DataTypeError, match=r"as text|among numbers"):
        read_table(pa.table({"who": [1, 1, 2, 2], "x": cells}), id="who")
    digits = pa.table({"who": [1, 1, 2, 2], "x": ["1", "2", "9", "f"]})
    assert read_table(digits, id="who").series.symbols == ("1", "2", "9", "f")
