"""Rows of Arrow data: the same rows from files and streams, from the start and when resumed."""

from __future__ import annotations

import datetime as dt
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel.errors import DataError, MissingExtraError, SettingError, StoreError
from carrousel.online.sources import arrow as arrow_source
from carrousel.online.sources.open import open_rows
from carrousel.online.sources.types import Position

pa = pytest.importorskip("pyarrow")

NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
TABLE = pa.table(
    {
        "x": pa.array(np.arange(25) / 8, pa.float32()),
        "n": pa.array([None if i == 7 else i for i in range(25)], pa.int16()),
        "who": pa.array(["a", "b", None, "c", "d"] * 5).dictionary_encode(),
        "at": pa.array(
            [NOON + dt.timedelta(seconds=i) for i in range(25)], pa.timestamp("us", "UTC")
        ),
        "yes": pa.array([True, False, None, True, False] * 5),
        "price": pa.array([1, 2, 3, 4, 5] * 5).cast(pa.decimal128(25, 2)),
    }
)


def write(path, *, stream: bool) -> None:
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(path, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=9)


def values(batches) -> list[list[object]]:
    rows = [zip(*(list(column) for column in each.columns), strict=True) for each in batches]
    return [list(row) for each in rows for row in each]


@pytest.mark.parametrize("stream", [False, True])
def test_every_type_is_read_from_every_position(tmp_path, monkeypatch, stream):
    monkeypatch.setattr(arrow_source, "MAX_ROWS", 4)
    write(tmp_path / "t.arrow", stream=stream)
    batches = list(open_rows(tmp_path / "t.arrow"))
    assert [len(each) for each in batches] == [4, 4, 1, 4, 4, 1, 4, 3]
    assert [line for each in batches for line in each.lines] == list(range(1, 26))
    found = values(batches)
    expected = TABLE.to_pydict()
    expected["at"] = [each.isoformat() for each in expected["at"]]
    expected["price"] = [float(each) for each in expected["price"]]
    for column, (name, wanted) in zip(zip(*found, strict=True), expected.items(), strict=True):
        assert list(column) == wanted, name
    for number, batch in enumerate(batches):
        position = Position.of(batch.end.as_dict())
        assert values(open_rows(tmp_path / "t.arrow", start=position)) == values(
            batches[number + 1 :]
        )


def test_standard_input_is_a_stream(tmp_path, monkeypatch):
    write(tmp_path / "t.arrows", stream=True)
    data = (tmp_path / "t.arrows").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    with open_rows(None, format="arrow", fields=list("abcdef")) as rows:
        assert rows.fields == tuple("abcdef")
        assert len(values(rows)) == 25


def test_a_stop_request_ends_the_source(tmp_path):
    write(tmp_path / "t.arrow", stream=False)
    asked = []
    rows = open_rows(tmp_path / "t.arrow", stop=lambda: asked.append(1) or len(asked) > 2)
    assert len(list(rows)) == 2
    assert rows.position.line == 19


def test_data_that_are_not_arrow_are_refused(tmp_path):
    (tmp_path / "t.arrow").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match="these are not Arrow IPC data"):
        open_rows(tmp_path / "t.arrow")
    with pytest.raises(StoreError, match=r"u\.arrow does not exist"):
        open_rows(tmp_path / "u.arrow")
    with pytest.raises(StoreError, match="is a folder; name one file in it"):
        open_rows(tmp_path, format="arrow")
    write(tmp_path / "t.arrow", stream=True)
    with pytest.raises(SettingError, match="fields has 1 names, expected 6"):
        open_rows(tmp_path / "t.arrow", fields=["x"])
    with pytest.raises(DataError, match="the data end 5 rows before the position"):
        list(open_rows(tmp_path / "t.arrow", start=Position(line=31)))
    cut = (tmp_path / "t.arrow").read_bytes()[:-200]
    (tmp_path / "t.arrow").write_bytes(cut)
    with pytest.raises(DataError, match="the Arrow data after row 18 are broken"):
        list(open_rows(tmp_path / "t.arrow"))
    twice = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pa.ipc.new_stream(tmp_path / "t.arrow", twice.schema) as writer:
        writer.write_table(twice)
    with pytest.raises(DataError, match="'x' belongs to columns 1 and 2"):
        open_rows(tmp_path / "t.arrow")


def test_a_missing_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"carrousel\[stream\]"):
        open_rows(tmp_path / "t.arrow")


def test_a_file_replaced_by_another_of_its_schema_is_refused(tmp_path):
    """It may have got more rows."""
    table = pa.table({"x": np.arange(5000.0)})
    for write in (pa.ipc.new_file, pa.ipc.new_stream):
        path = tmp_path / "t.arrow"

        def save(rows: Any, write: Any = write, path: Path = path) -> None:
            with write(str(path), rows.schema) as writer:
                writer.write_table(rows, max_chunksize=1000)

        save(table)
        with open_rows(path) as rows:
            end = next(iter(rows)).end
        save(pa.concat_tables([table, table]))
        with open_rows(path, start=end) as rows:
            assert len(next(iter(rows))) == 1000
        save(pa.table({"x": np.arange(5000.0) + 1}))
        with pytest.raises(DataError, match="the file has changed: its beginning differs"):
            open_rows(path, start=end)
