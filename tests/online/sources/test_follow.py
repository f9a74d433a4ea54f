"""Following a file: it grows, is cut short, gives way to another, while it is read."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from carrousel.errors import DataError
from carrousel.online.sources.open import open_rows
from carrousel.online.sources.text import Position, Rows


class Reader:
    """Follows a file in a thread of its own and keeps what came."""

    def __init__(self, path: Path, **settings) -> None:
        self.rows: Rows = open_rows(path, follow=True, stop=(stop := threading.Event()), **settings)
        self.found: list[list[str | None]] = []
        self.lines: list[int] = []
        self.failure: Exception | None = None
        self._stop, self._thread = stop, threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            for batch in self.rows:
                self.found += [list(row) for row in zip(*batch.columns, strict=True)]
                self.lines += batch.lines
        except Exception as error:
            self.failure = error

    def until(self, count: int) -> list[str | None]:
        """Wait for so many rows; the first column of all there are."""
        patience_until(lambda: len(self.found) >= count or self.failure is not None)
        return [row[0] for row in self.found]

    def end(self) -> list[str | None]:
        self._stop.set()
        self._thread.join()
        return [row[0] for row in self.found]


def patience_until(done: Callable[[], bool]) -> None:
    """Wait; half a minute is a bound for stuck tests, not a measurement."""
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, "nothing came for half a minute"
        time.sleep(0.005)


def names(first: int, last: int) -> list[str]:
    return [str(i) for i in range(first, last)]


def test_rows_of_a_slow_writer_come_once_they_are_complete(tmp_path):
    path = tmp_path / "f.csv"
    path.write_bytes(b"x,y")
    reader = Reader(path)
    data = "".join(f'\n{i},"a\n{i}"' for i in range(20)).encode() + b"\n"
    with path.open("ab", buffering=0) as file:
        for first in range(0, len(data), 7):
            file.write(data[first : first + 7])
            time.sleep(0.002)
    assert reader.until(20) == names(0, 20)
    assert reader.lines == [2 + 2 * i for i in range(20)]
    with path.open("ab") as file:
        file.write(b"20,unfinished")
    time.sleep(0.1)
    assert reader.end() == names(0, 20)
    assert reader.rows.position.offset == 3 + len(data)


def test_a_file_that_gives_way_is_read_to_its_end_and_the_next_from_its_beginning(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("x\n0\n1\n")
    reader = Reader(path)
    reader.until(2)
    old = path.open("a")
    path.rename(tmp_path / "f.csv.1")
    old.write("2\n3")  # a writer that has not noticed yet; its last line lacks an end
    old.close()
    path.write_text("x\n4\n5\n")
    assert reader.until(6) == names(0, 6)
    other = tmp_path / "f.csv.new"  # without a header: a writer that goes on
    other.write_text("6\n7\n")
    os.replace(other, path)
    assert reader.until(8) == names(0, 8)
    assert reader.lines == [2, 3, 4, 5, 2, 3, 1, 2]
    assert reader.end() == names(0, 8)
    position = reader.rows.position
    assert (position.line, position.offset, position.row) == (3, 4, 8)


def test_what_is_added_just_before_a_file_gives_way_is_not_lost(tmp_path, monkeypatch):
    path = tmp_path / "f.csv"
    path.write_text("x\n0\n")
    old = path.open("a")
    look = os.stat

    def stat(name, **settings):
        """The file is replaced between the reader's look at its end and this look at its name."""
        if str(name) == str(path) and not old.closed:
            old.write("1\n")
            old.close()
            (tmp_path / "g").write_text("x\n2\n")
            os.replace(tmp_path / "g", path)
        return look(name, **settings)

    with open_rows(path, follow=True, idle=0.5) as rows:
        monkeypatch.setattr("carrousel.online.sources.bytes.os.stat", stat)
        assert [value for batch in rows for value in batch.columns[0]] == names(0, 3)


def test_a_file_that_is_cut_short_is_read_from_its_beginning(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"x": "0"}\n{"x": "1"}\n{"x": "2"}\n')
    reader = Reader(path)
    reader.until(3)
    with path.open("r+") as file:
        file.truncate(0)
        file.write('{"x": "3"}\n')
    assert reader.until(4) == names(0, 4)
    assert reader.lines == [1, 2, 3, 1]
    reader.end()


def test_columns_that_change_their_order_are_no_rows(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("x,y\n0,1\n")
    reader = Reader(path)
    reader.until(1)
    (tmp_path / "g").write_text("y,x\n1,0\n")
    os.replace(tmp_path / "g", path)
    patience_until(lambda: reader.failure is not None)
    assert isinstance(reader.failure, DataError)
    assert "another order" in str(reader.failure)
    reader.end()


def test_going_on_after_the_file_was_replaced_begins_with_the_new_one(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("x\n0\n1\n")
    with open_rows(path) as rows:
        there = list(rows)[-1].end
    path.write_text("x\n0\n1\n2\n")
    with open_rows(path, follow=True, idle=0.0, start=there) as rows:
        assert [list(b.columns[0]) for b in rows] == [["2"]]
    path.write_text("x\n7\n8\n9\n")
    with open_rows(path, follow=True, idle=0.0, start=there) as rows:
        (batch,) = rows
    assert list(batch.columns[0]) == ["7", "8", "9"]
    assert batch.end.row == 5


def test_a_position_from_before_the_first_row_is_the_beginning(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("")
    with open_rows(path, follow=True, idle=0.0) as rows:
        assert not list(rows)
        there = Position.of(rows.position.as_dict())
    path.write_text("x\n1\n")
    with open_rows(path, start=there) as rows:
        assert [list(b.columns[0]) for b in rows] == [["1"]]


@pytest.mark.parametrize("follow", [False, True])
def test_a_named_pipe_is_read(tmp_path, follow):
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        for first in (0, 2):
            with path.open("w") as file:
                file.write(("x\n" if first == 0 else "") + f"{first}\n{first + 1}\n")
            if not follow:
                return
            patience_until(lambda first=first: len(found) >= first + 2)

    found: list[str] = []
    writer = threading.Thread(target=write)
    writer.start()
    with open_rows(path, format="csv", follow=follow, stop=lambda: len(found) >= 4) as rows:
        for batch in rows:
            found += batch.columns[0]
    writer.join()
    assert found == names(0, 4 if follow else 2)
