"""Sinks: all rows are read back, and a resumed run ends like an uninterrupted one."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.errors import (
    DataError,
    MissingExtraError,
    SettingError,
    ShapeError,
    StoreError,
    UnknownNameError,
)
from carrousel.online.sinks.open import open_sink
from carrousel.online.sources.open import open_rows

OTHER_COLUMNS = r"expected \('x', 'y'\) as in the rows before"
TEXT = st.text(st.sampled_from('ab",;\n\r é😀'), min_size=1, max_size=5)


@st.composite
def batches(draw: st.DrawFn) -> list[dict[str, list[object]]]:
    made: list[dict[str, list[object]]] = []
    for _ in range(draw(st.integers(1, 5))):
        size = draw(st.integers(0, 4))
        kinds = {"line": st.integers(0, 10**12), "guess": st.floats(), "class": TEXT | st.none()}
        made.append({k: draw(st.lists(v, min_size=size, max_size=size)) for k, v in kinds.items()})
        if made[-1]["class"]:  # the first value sets the type of a column of Arrow data
            made[-1]["class"][0] = "a"
    return made


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "arrows"])
@settings(max_examples=50)
@given(parts=batches(), data=st.data())
def test_a_resumed_run_ends_like_an_uninterrupted_one(suffix, parts, data):
    if suffix == "arrows":
        pytest.importorskip("pyarrow")
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder, f"whole.{suffix}"), Path(folder, f"cut.{suffix}")
        with open_sink(whole) as sink:
            for part in parts:
                sink.write(part)
        done = data.draw(st.integers(0, len(parts)))
        with open_sink(cut) as sink:
            for part in parts[:done]:
                sink.write(part)
            position = sink.position()
            assert position == cut.stat().st_size
            for part in parts[done:]:  # after the checkpoint
                sink.write(part)
        with cut.open("ab") as file:
            file.write(b"torn")
        with open_sink(cut, start=position) as sink:
            assert sink.position() == position
            for part in parts[done:]:
                sink.write(part)
        assert cut.read_bytes() == whole.read_bytes()
        if any(part["line"] for part in parts):
            with open_rows(whole) as rows:
                read = [list(row) for batch in rows for row in zip(*batch.columns, strict=True)]
            columns = [[each for part in parts for each in part[name]] for name in parts[0]]
            assert len(read) == len(columns[0])
            for row, line, guess, name in zip(read, *columns, strict=True):
                assert int(row[0]) == line
                if suffix == "jsonl" and not np.isfinite(guess):
                    assert row[1] is None
                else:
                    np.testing.assert_array_equal(float(row[1]), guess)
                assert (row[2] or None) == name


def test_csv_keeps_carriage_returns(tmp_path):
    cells = ["\r", "a\rb", "\r\n", "plain", 'quo"te\r', "", None]
    with open_sink(tmp_path / "f.csv") as sink:
        sink.write({"line": range(7), "a\rb": cells})
        sink.write({"line": [7], "a\rb": ["no carriage return"]})
    text = (tmp_path / "f.csv").read_bytes().decode()
    assert text.endswith('\n3,plain\n4,"quo""te\r"\n5,\n6,\n7,no carriage return\n')
    rows = list(csv.reader(io.StringIO(text, newline="")))
    expected = [each or "" for each in cells] + ["no carriage return"]
    assert [row[1] for row in rows] == ["a\rb", *expected]
    (batch,) = open_rows(tmp_path / "f.csv")
    assert list(batch.columns[1]) == expected
    assert batch.fields == ("line", "a\rb")
    assert not batch.faults


def test_other_programs_read_the_files(tmp_path):
    columns = {"line": [2, 3], "p": np.array([0.1, np.nan], np.float32), "who": ["a", None]}
    for name in ("f.csv", "f.jsonl"):
        with open_sink(tmp_path / name) as sink:
            sink.write(columns)
    expected = pd.DataFrame({"line": [2, 3], "p": [0.1, np.nan], "who": ["a", None]})
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "f.csv"), expected)
    read = pd.read_json(tmp_path / "f.jsonl", lines=True)
    pd.testing.assert_frame_equal(read, expected)
    pa = pytest.importorskip("pyarrow")
    with open_sink(tmp_path / "f.arrow") as sink:
        sink.write(columns)
        sink.write({"line": [4], "p": [None], "who": ["b"]})
    with pa.ipc.open_stream(tmp_path / "f.arrow") as reader:
        table = reader.read_all()
    assert table.schema.types == [pa.int64(), pa.float64(), pa.string()]
    assert table["line"].to_pylist() == [2, 3, 4]
    assert table["who"].to_pylist() == ["a", None, "b"]


def test_rows_are_written_when_write_returns(tmp_path):
    sink = open_sink(tmp_path / "f.csv")
    sink.write({"x": [1]})
    assert (tmp_path / "f.csv").read_text() == "x\n1\n"
    sink.close()
    with pytest.raises(StoreError, match="the sink is closed"):
        sink.write({"x": [1]})


def test_an_existing_file_is_replaced(tmp_path):
    (tmp_path / "f.csv").write_text("long content of another file\n")
    for start in (None, 0):
        with open_sink(tmp_path / "f.csv", start=start) as sink:
            sink.write({"x": [1]})
        assert (tmp_path / "f.csv").read_text() == "x\n1\n"


def test_standard_output_is_flushed_and_stays_open_and_has_one_header(capsysbinary):
    with open_sink(None) as sink:
        sink.write({"x": [1], "y": ["é"]})
        position = sink.position()
        assert isinstance(position, int)
        assert capsysbinary.readouterr().out == "x,y\n1,é\n".encode()
    with open_sink("-", start=position) as sink:
        sink.write({"x": [2], "y": ["b"]})
        assert sink.position() == position + 4
    assert capsysbinary.readouterr().out == b"2,b\n"


def test_standard_output_may_be_replaced(monkeypatch):
    monkeypatch.setattr("sys.stdout", screen := io.StringIO())
    with open_sink("-", "jsonl") as sink:
        sink.write({"x": [1, 2]})
    assert screen.getvalue() == '{"x": 1}\n{"x": 2}\n'


def test_pipes_and_devices_can_be_written(tmp_path):
    with open_sink("/dev/null") as sink:
        sink.write({"x": [1]})
        assert sink.position() == 4
    reading, writing = os.pipe()
    with open_sink(f"/dev/fd/{writing}", "jsonl") as sink:
        sink.write({"x": [1]})
        sink.position()
    os.close(writing)
    assert json.loads(os.read(reading, 99)) == {"x": 1}
    os.close(reading)


def test_rows_and_positions_that_do_not_match_are_refused(tmp_path):
    path = tmp_path / "f.csv"
    with open_sink(path) as sink:
        sink.write({"x": [1], "y": [2]})
        with pytest.raises(ShapeError, match=OTHER_COLUMNS):
            sink.write({"y": [1], "x": [2]})
        with pytest.raises(ShapeError, match="equally many"):
            sink.write({"x": [1], "y": []})
        with pytest.raises(SettingError, match="only the rows of a topic have keys"):
            sink.write({"x": [1], "y": [2]}, keys=["a"])
    with (
        open_sink(path, start=4) as sink,
        pytest.raises(ShapeError, match=OTHER_COLUMNS),
    ):
        sink.write({"x": [1]})
    with pytest.raises(DataError, match="the file has 4 bytes, but had 99 at the checkpoint"):
        open_sink(path, start=99)
    assert path.read_text() == "x,y\n"
    with pytest.raises(SettingError, match="at least 0"):
        open_sink(path, start=-1)
    with pytest.raises(SettingError, match="bytes, since this is not a topic"):
        open_sink(path, start={"0": 1})
    with pytest.raises(SettingError, match="cannot be written as"):
        open_sink(tmp_path / "f.parquet")
    with pytest.raises(UnknownNameError, match="did you mean 'jsonl'"):
        open_sink(path, "json")  # pyright: ignore[reportArgumentType]
    with pytest.raises(StoreError, match="Is a directory"):
        open_sink(tmp_path)
    with pytest.raises(StoreError, match="No such file"):
        open_sink(tmp_path / "no" / "f.csv")
    with open_sink("/dev/full") as sink, pytest.raises(StoreError, match="No space left"):
        sink.write({"x": [1]})
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(MissingExtraError, match=r"carrousel\[stream\]"):
            open_sink(tmp_path / "f.arrow")


def test_columns_of_arrow_keep_their_types(tmp_path):
    pytest.importorskip("pyarrow")
    with open_sink(tmp_path / "f.arrow") as sink:
        sink.write({"x": [1]})
        with pytest.raises(ShapeError, match="another type than in the first rows"):
            sink.write({"x": ["a"]})
    (tmp_path / "f.arrow").write_bytes(b"x,y\n1,2\n3,4\n")
    with pytest.raises(DataError, match="not an Arrow stream"):
        open_sink(tmp_path / "f.arrow", start=8)


def test_a_terminal_gets_no_control_characters_and_a_pipe_all_bytes(monkeypatch):
    for terminal, shown in ((True, "red\\x1b[31m"), (False, "red\x1b[31m")):
        output = io.StringIO()
        monkeypatch.setattr(output, "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr("sys.stdout", output)
        with open_sink() as sink:
            sink.write({"key": ["red\x1b[31m"], "value": [1.5]})
        assert output.getvalue() == f"key,value\n{shown},1.5\n"
