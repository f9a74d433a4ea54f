"""Rows of CSV and JSON lines: all data are read back, independent of how their bytes arrive."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.errors import DataError, SettingError, StoreError, UnknownNameError
from carrousel.online.sources import text as text_source
from carrousel.online.sources.open import open_rows
from carrousel.online.sources.types import Batch, Position
from support.online.cases import case

TEXT = st.text(st.sampled_from('ab",;\n\r \té€😀\x00\x0b\x1c\u2028'), max_size=6)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 4))
    return draw(st.lists(st.lists(TEXT, min_size=width, max_size=width), min_size=1, max_size=8))


@st.composite
def cuts(draw: st.DrawFn) -> list[int]:
    """Draw the sizes of pieces of the bytes; the rest follows."""
    return draw(st.lists(st.integers(1, 9), max_size=40))


def gathered(batches: Sequence[Batch]) -> tuple[list[list[object]], list[int], dict[int, str]]:
    """Return rows, their lines, and the kinds of faults by number of the row."""
    found, lines, faults = [], [], {}
    for batch in batches:
        faults |= {len(lines) + fault.row: fault.kind for fault in batch.faults}
        lines += batch.lines
        found += [list(row) for row in zip(*batch.columns, strict=True)]
    return found, lines, faults


def piped(data: bytes, sizes: Sequence[int] = (), **settings) -> list[Batch]:
    """Read bytes from a pipe piece by piece, each before the next is written."""
    reading, writing = os.pipe()
    left = [data[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(len(sizes))]
    rest = data[sum(sizes) :]
    left += [rest[i : i + 30_000] for i in range(0, len(rest), 30_000)]  # the capacity of a pipe

    def next_piece() -> bool:
        """Write the next piece; passed as ``stop``, which is called before every read."""
        while left:
            piece = left.pop(0)
            if piece:
                os.write(writing, piece)
                return False
        if not closed:
            os.close(writing)
            closed.append(True)
        return False

    closed: list[bool] = []
    with open_rows(f"/dev/fd/{reading}", stop=next_piece, **settings) as rows:
        os.close(reading)
        return list(rows)


def written(table: list[list[str]], **settings) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, **settings).writerows(table)
    return text.getvalue().encode()


@given(tables(), cuts(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_any_table_is_read_from_any_pieces(table, sizes, end, unfinished):
    data = written(table, lineterminator=end)
    names = [f"c{i}" for i in range(len(table[0]))]
    data = data[: -len(end)] if unfinished else data
    found, lines, faults = gathered(piped(data, sizes, fields=names, format="csv"))
    assert found == table
    assert not faults
    text, begins = data.decode(), [1]
    for row in table[:-1]:
        begins.append(begins[-1] + 1 + sum(each.count("\n") for each in row))
    assert lines == begins, text


@given(st.lists(st.text(st.sampled_from('ab,"\n\r '), max_size=30), max_size=3), cuts())
def test_any_text_that_is_not_broken_is_read_like_module_csv(parts, sizes):
    text = "\n".join(parts)
    wide = [f"c{i}" for i in range(40)]
    found, _, faults = gathered(piped(text.encode(), sizes, fields=wide, format="csv"))
    if any(kind == "not CSV" for kind in faults.values()):
        return
    expected = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    assert [[each for each in row if each is not None] for row in found] == expected


@given(st.text(st.sampled_from('ab,"\n\r{}: 1é'), max_size=60), cuts(), st.sampled_from("cj"))
def test_pieces_do_not_change_rows_or_faults(text, sizes, kind):
    kind = {"c": "csv", "j": "jsonl"}[kind]
    fields = ["a", "b"]
    whole = gathered(piped(text.encode(), format=kind, fields=fields))
    assert gathered(piped(text.encode(), sizes, format=kind, fields=fields)) == whole
    torn = text.encode().replace(b"\xc3", b"")
    whole = gathered(piped(torn, format=kind, fields=fields))
    assert gathered(piped(torn, sizes, format=kind, fields=fields)) == whole


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(st.fixed_dictionaries({}, optional={"a": JSON, "b": JSON}), min_size=1), cuts())
def test_any_objects_are_read_with_none_for_absent_keys(objects, sizes):
    data = "".join(json.dumps(each) + "\n" for each in objects).encode()
    found, lines, faults = gathered(piped(data, sizes, fields=["b", "a"], format="jsonl"))
    assert found == [[each.get("b"), each.get("a")] for each in objects]
    assert lines == list(range(1, len(objects) + 1))
    assert not faults


@given(tables(), st.data())
def test_reading_resumes_after_every_batch(table, data):
    names = [f"c{i}" for i in range(len(table[0]))]
    path = Path(os.environ["PYTEST_TMP"]) / "rows.csv"
    path.write_bytes(written([names, *table]))
    old, text_source.MAX_ROWS = text_source.MAX_ROWS, data.draw(st.integers(1, 3))
    try:
        batches = list(open_rows(path))
        for number, batch in enumerate(batches):
            position = Position.of(json.loads(json.dumps(batch.end.as_dict())))
            rest = list(open_rows(path, start=position))
            assert gathered(rest) == gathered(batches[number + 1 :])
            assert [each.end for each in rest] == [each.end for each in batches[number + 1 :]]
            replayed = piped(path.read_bytes(), format="csv", start=position)
            assert gathered(replayed) == gathered(batches[number + 1 :])
    finally:
        text_source.MAX_ROWS = old


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory):
    os.environ["PYTEST_TMP"] = str(tmp_path_factory.mktemp("rows"))
    yield
    del os.environ["PYTEST_TMP"]


def test_files_of_pandas_are_read(tmp_path):
    frame = pd.DataFrame({"x": [0.1, -2e300], "name": ['a"b', "c\nd"], "n": [1, 2]})
    frame.to_csv(tmp_path / "f.csv", index=False)
    (batch,) = open_rows(tmp_path / "f.csv")
    assert batch.fields == ("x", "name", "n")
    assert list(map(float, batch.columns[0])) == frame["x"].tolist()
    assert list(batch.columns[1]) == frame["name"].tolist()
    assert list(batch.lines) == [2, 3]
    frame.to_csv(tmp_path / "f.tsv.gz", index=False, sep="\t")
    (again,) = open_rows(tmp_path / "f.tsv.gz")
    assert again.columns == batch.columns
    frame.to_json(tmp_path / "f.jsonl", orient="records", lines=True)
    (objects,) = open_rows(tmp_path / "f.jsonl")
    assert [list(each) for each in objects.columns] == [
        frame[name].tolist() for name in frame.columns
    ]


def test_byte_order_mark_blank_lines_and_blanks_around_names_are_ignored(tmp_path):
    (tmp_path / "f.csv").write_bytes(b"\xef\xbb\xbfx, y\r\n\r\n1,2\r\n\n3,4")
    batches = list(open_rows(tmp_path / "f.csv"))
    assert batches[0].fields == ("x", "y")
    assert gathered(batches) == ([["1", "2"], ["3", "4"]], [3, 5], {})
    assert batches[-1].end.offset == (tmp_path / "f.csv").stat().st_size


def test_broken_rows_are_listed_by_kind_and_affect_no_other_row():
    data = b'a,b\n1\n1,2,3\n\xff,2\n"1,2\n3,4\n5\r6,7\n8,9\n'
    found, lines, faults = gathered(piped(data, format="csv"))
    assert lines == [2, 3, 4, 5, 6, 7, 8]
    kinds = {0: "too short", 1: "too long", 2: "not UTF-8", 3: "not CSV", 5: "not CSV"}
    assert faults == kinds
    assert found[0] == ["1", None]
    assert [found[4], found[6]] == [["3", "4"], ["8", "9"]]
    data = b'{"a": 1}\n{"a": \n[1]\n{"a": "\xff"}\n\n7\n{"a": 2}' + b"\n" + b"[" * 100_000
    found, lines, faults = gathered(piped(data, format="jsonl"))
    assert lines == [1, 2, 3, 4, 6, 7, 8]
    assert faults == {
        1: "not JSON",
        2: "not an object",
        3: "not UTF-8",
        4: "not an object",
        6: "not JSON",
    }
    assert [found[0], found[5]] == [[1], [2]]


def test_an_unclosed_quote_breaks_one_row_only():
    many = b"".join(b"%d,0\n" % i for i in range(30_000))
    found, _, faults = gathered(piped(b'a,b\n"x,1\n' + many, format="csv"))
    assert faults == {0: "not CSV"}
    assert [row[0] for row in found[1:]] == [str(i) for i in range(30_000)]


def test_batches_of_a_large_file_are_bounded(tmp_path):
    (tmp_path / "f.csv").write_text("x\n" + "1\n" * 25_000)
    sizes = [len(batch) for batch in open_rows(tmp_path / "f.csv")]
    assert sum(sizes) == 25_000
    assert max(sizes) <= text_source.MAX_ROWS


def test_the_first_valid_object_names_the_fields():
    (batch,) = piped(b'oops\n{}\n{"y": 1, "x": 2}\n{"x": 3, "z": 4}\n', format="jsonl")
    assert batch.fields == ("y", "x")
    assert gathered([batch])[0][1:] == [[None, None], [1, 2], [None, 3]]


REFUSED: tuple[tuple[dict[str, Any], bytes, type[Exception], str], ...] = (
    ({}, b"", DataError, "f.csv: the source is empty"),
    ({}, b"x,y,x\n", DataError, "f.csv: the name 'x' belongs to columns 1 and 3; rename one"),
    ({}, b"\xff\xfex\n1\n", DataError, "line 1: the header cannot be read: byte 0xff is not UTF-8"),
    ({"format": "jsonl"}, b"no\n" * 2000, DataError, "none of the first 2000 rows"),
    ({"format": "jsonl"}, b"no", DataError, "none of the first 1 rows can be read; line 1"),
    ({"format": "json"}, b"", UnknownNameError, "did you mean 'jsonl'"),
    ({"delimiter": ";;"}, b"", SettingError, "delimiter is ';;', expected one character"),
    ({"fields": []}, b"", DataError, "no names"),
    ({"idle": -1.0}, b"", SettingError, "idle"),
    ({"start": Position(line=9, offset=3)}, b"x\n1\n", DataError, "the file has changed"),
    ({"format": "arrow", "follow": True}, b"", SettingError, "cannot be followed"),
)


def test_files_and_settings_that_cannot_be_read_are_refused(tmp_path):
    for settings, data, error, message in REFUSED:
        (tmp_path / "f.csv").write_bytes(data)
        with case(settings, data[:9]), pytest.raises(error, match=message):
            list(open_rows(tmp_path / "f.csv", **settings))


def test_paths_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "rows.csv").write_text("x\n1\n")
    with pytest.raises(StoreError, match=r"row.csv does not exist; did you mean 'rows.csv'"):
        open_rows(tmp_path / "row.csv")
    with pytest.raises(StoreError, match="is a folder"):
        open_rows(tmp_path)
    with pytest.raises(SettingError, match="Parquet"):
        open_rows(tmp_path / "rows.parquet")
    (tmp_path / "f.csv.gz").write_bytes(b"x\n1\n")
    with pytest.raises(DataError, match="not a gzip file"):
        list(open_rows(tmp_path / "f.csv.gz"))
    (tmp_path / "f.csv.gz").write_bytes(gzip.compress(b"x\n1\n" * 100)[:-12])
    with pytest.raises(DataError, match="cut off"):
        list(open_rows(tmp_path / "f.csv.gz"))
    with pytest.raises(SettingError, match="unpack"):
        open_rows(tmp_path / "f.csv.gz", follow=True)


def test_a_compressed_file_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(text_source, "MAX_ROWS", 1000)
    text = "x\n" + "".join(f"{i}\n" for i in range(5000))
    (tmp_path / "f.csv.gz").write_bytes(gzip.compress(text.encode()))
    batches = list(open_rows(tmp_path / "f.csv.gz"))
    assert len(batches) == 6  # the header is a line too
    rest = list(open_rows(tmp_path / "f.csv.gz", start=batches[2].end))
    assert gathered(rest) == gathered(batches[3:])


def test_a_file_that_changed_before_the_position_is_refused(tmp_path):
    (tmp_path / "f.csv").write_text("x\n1\n2\n")
    (batch,) = open_rows(tmp_path / "f.csv")
    (tmp_path / "f.csv").write_text("x\n1\n3\n4\n")
    with pytest.raises(
        DataError, match="the file has changed: its beginning or the bytes before line 4 differ"
    ):
        open_rows(tmp_path / "f.csv", start=batch.end)
    (tmp_path / "f.csv").write_text("x\n1\n2\n4\n")
    assert gathered(list(open_rows(tmp_path / "f.csv", start=batch.end)))[0] == [["4"]]
    with pytest.raises(SettingError, match="fields are"):
        open_rows(tmp_path / "f.csv", start=batch.end, fields=["y"])
    with pytest.raises(DataError, match="is not a position"):
        Position.of({"line": 1})


def test_a_pipe_that_ends_before_the_position_is_refused():
    end = Position(line=5, offset=8, fields=("x",))
    with pytest.raises(DataError, match="ended 4 bytes before"):
        piped(b"x\n1\n", format="csv", start=end)


def test_a_pipe_that_sends_other_data_is_refused():
    """Skipping as many lines as were read before would lose rows of new data."""
    text = b"x\n" + b"".join(b"%d\n" % n for n in range(500))
    batches = piped(text, format="csv")
    end = batches[0].end
    assert piped(text + b"7\n8\n", format="csv", start=end)[0].columns[0] == ("7", "8")
    for other in (b"y\n" + text[2:], text.replace(b"499", b"498"), text[:-4] + b"7\n8\n9\n"):
        with pytest.raises(DataError, match="are not those that were read before"):
            piped(other, format="csv", start=end)


def test_standard_input_may_be_replaced(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x\n1\n2")))
    rows = open_rows("-")
    assert rows.name == "standard input"
    assert gathered(list(rows))[0] == [["1"], ["2"]]


def test_rows_of_a_pipe_are_returned_before_it_ends():
    reading, writing = os.pipe()
    event = threading.Event()
    with open_rows(f"/dev/fd/{reading}", stop=event, tick=0.02) as rows:
        os.close(reading)
        os.write(writing, b"x\n1\n2\n3")
        assert gathered([next(rows)])[0] == [["1"], ["2"]]
        assert len(next(rows)) == 0  # a tick without data
        os.write(writing, b"4\n")
        assert gathered([next(rows)])[0] == [["34"]]
        event.set()
        assert list(rows) == []
    os.close(writing)


def test_a_record_may_have_more_lines_than_a_batch(monkeypatch):
    monkeypatch.setattr(text_source, "MAX_ROWS", 2)
    reading, writing = os.pipe()
    with open_rows(f"/dev/fd/{reading}", tick=0.02) as rows:
        os.close(reading)
        os.write(writing, b'x\n"1\n2\n3\n4\n5"\n6\n7\n')
        found = [row for _ in range(2) for row in gathered([next(rows)])[0]]
        assert found == [["1\n2\n3\n4\n5"], ["6"], ["7"]]
    os.close(writing)


def test_a_tick_is_returned_before_the_first_row():
    reading, writing = os.pipe()
    with open_rows(f"/dev/fd/{reading}", idle=30.0, tick=0.01) as rows:
        os.close(reading)
        assert len(next(rows)) == 0
    os.close(writing)


def test_a_source_without_data_ends_after_the_idle_time():
    reading, writing = os.pipe()
    with open_rows(f"/dev/fd/{reading}", idle=0.05) as rows:
        os.close(reading)
        os.write(writing, b"x\n1\n2")
        assert gathered(list(rows))[0] == [["1"]]  # the incomplete last line is not returned
    os.close(writing)
