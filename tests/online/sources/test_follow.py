"""Sources that follow a file while it grows, is truncated, or is replaced."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from carrousel.errors import DataError
from carrousel.online.sources.open import open_rows
from carrousel.online.sources.types import Position, RowSource


class Reader:
    """Follows a file in a separate thread and collects its rows."""

    def __init__(self, path: Path, **settings) -> None:
        self.rows: RowSource = open_rows(
            path, follow=True, stop=(stop := threading.Event()), **settings
        )
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
        """Wait for a number of rows; return the first column of all."""
        wait_until(lambda: len(self.found) >= count or self.failure is not None)
        return [row[0] for row in self.found]

    def end(self) -> list[str | None]:
        self._stop.set()
        self._thread.join()
        return [row[0] for row in self.found]


def wait_until(done: Callable[[], bool]) -> None:
    """Wait for a condition, half a minute at most in case the test is stuck."""
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.005)


def names(first: int, last: int) -> list[str]:
    return [str(i) for i in range(first, last)]


def test_rows_are_returned_when_they_are_complete(tmp_path):
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


def test_a_replaced_file_is_read_to_its_end_and_the_new_one_from_its_beginning(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("x\n0\n1\n")
    reader = Reader(path)
    reader.until(2)
    old = path.open("a")
    path.rename(tmp_path / "f.csv.1")
    old.write("2\n3")  # a writer that still has the old file open; the last line has no end
    old.close()
    path.write_text("x\n4\n5\n")
    assert reader.until(6) == names(0, 6)
    other = tmp_path / "f.csv.new"  # without a header: the writer continues
    other.write_text("6\n7\n")
    os.replace(other, path)
    assert reader.until(8) == names(0, 8)
    assert reader.lines == [2, 3, 4, 5, 2, 3, 1, 2]
    assert reader.end() == names(0, 8)
    position = reader.rows.position
    assert (position.line, position.offset, position.row) == (3, 4, 8)


def test_rows_appended_just_before_a_replacement_are_read(tmp_path, monkeypatch):
    path = tmp_path / "f.csv"
    path.write_text("x\n0\n")
    old = path.open("a")
    look = os.stat

    def stat(name, **settings):
        """Replace the file after its end was read, just before its name is checked."""
        if str(name) == str(path) and not old.closed:
            old.write("1\n")
            old.close()
            (tmp_path / "g").write_text("x\n2\n")
            os.replace(tmp_path / "g", path)
        return look(name, **settings)

    with open_rows(path, follow=True, idle=0.5) as rows:
        monkeypatch.setattr("carrousel.online.sources.bytes.os.stat", stat)
        assert [value for batch in rows for value in batch.columns[0]] == names(0, 3)


def test_a_truncated_file_is_read_from_its_beginning(tmp_path):
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


def test_a_new_file_with_reordered_columns_is_refused(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("x,y\n0,1\n")
    reader = Reader(path)
    reader.until(1)
    (tmp_path / "g").write_text("y,x\n1,0\n")
    os.replace(tmp_path / "g", path)
    wait_until(lambda: reader.failure is not None)
    assert isinstance(reader.failure, DataError)
    assert "another order" in str(reader.failure)
    reader.end()


def test_resuming_after_a_replacement_starts_with_the_new_file(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("x\n0\n1\n")
    with open_rows(path) as rows:
        position = list(rows)[-1].end
    path.write_text("x\n0\n1\n2\n")
    with open_rows(path, follow=True, idle=0.0, start=position) as rows:
        assert [list(b.columns[0]) for b in rows] == [["2"]]
    path.write_text("x\n7\n8\n9\n")
    with open_rows(path, follow=True, idle=0.0, start=position) as rows:
        (batch,) = rows
    assert list(batch.columns[0]) == ["7", "8", "9"]
    assert batch.end.row == 5


def test_a_position_before_the_first_row_is_the_beginning(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("")
    with open_rows(path, follow=True, idle=0.0) as rows:
        assert not list(rows)
        position = Position.of(rows.position.as_dict())
    path.write_text("x\n1\n")
    with open_rows(path, start=position) as rows:
        assert [list(b.columns[0]) for b in rows] == [["1"]]


def test_a_named_pipe_is_read(tmp_path):
    for follow in (False, True):
        path = tmp_path / f"pipe-{follow}"
        os.mkfifo(path)
        found: list[str] = []

        def write(path=path, follow=follow, found=found) -> None:
            for first in (0, 2):
                with path.open("w") as file:
                    file.write(("x\n" if first == 0 else "") + f"{first}\n{first + 1}\n")
                if not follow:
                    return
                wait_until(lambda first=first: len(found) >= first + 2)

        writer = threading.Thread(target=write)
        writer.start()
        done = lambda found=found: len(found) >= 4  # noqa: E731
        with open_rows(path, format="csv", follow=follow, stop=done) as rows:
            for batch in rows:
                found += batch.columns[0]
        writer.join()
        assert found == names(0, 4 if follow else 2), f"follow={follow}"
