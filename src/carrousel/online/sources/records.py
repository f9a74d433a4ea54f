"""Records of CSV and JSON lines, cut from bytes wherever these happen to end."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Protocol, runtime_checkable

from carrousel.online.sources.types import Fault


@dataclass
class Records:
    """Complete records from the beginning of some bytes.

    Attributes:
        rows: one per record that is not blank.
        lines: of each row, the lines before it.
        bad: index of a broken row -> kind and reason (:class:`Fault`).
        n_bytes, n_lines: what the records, blank ones too, take of the bytes.
    """

    rows: list[Any]
    lines: Sequence[int]
    bad: dict[int, tuple[str, str]] = field(default_factory=dict)
    n_bytes: int = 0
    n_lines: int = 0


@runtime_checkable
class Format(Protocol):
    """How records of one format are cut, and taken apart."""

    header: bool
    """Whether the first record names the fields."""

    def cut(self, data: bytes, *, final: bool) -> Records:
        """Complete records; nothing follows the bytes if they are ``final``."""
        ...

    def names(self, row: Any) -> tuple[str, ...]:
        """The names of the fields, from the first row."""
        ...

    def columns(
        self, records: Records, fields: tuple[str, ...]
    ) -> tuple[list[Sequence[Any]], list[Fault]]:
        """One column per field, and what is wrong with whole rows."""
        ...


class Csv:
    """CSV as Python's module ``csv`` reads it (its default dialect, one delimiter of choice).

    Two things differ, so that one broken row does not swallow a stream: a quoted field that is
    never closed, or not within ``csv.field_size_limit()`` characters, makes the record it is in a
    broken one that ends with its first line; and so does a carriage return alone outside of quotes.
    Blank lines are no records.
    """

    def __init__(self, delimiter: str, *, header: bool) -> None:
        self._delimiter, self.header = delimiter, header

    def cut(self, data: bytes, *, final: bool) -> Records:
        data = data if final else data[: data.rfind(b"\n") + 1]
        text, torn = _decoded(data)
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        records = None
        if b'"' not in data:
            try:  # every line is a record
                rows = list(csv.reader(lines, delimiter=self._delimiter))
                records = Records(rows, range(len(rows)), {}, len(data), len(lines))
            except csv.Error:
                pass  # which line it is will be found below
        if records is None:
            records = self._careful(text, lines, final=final)
        if [] in records.rows:
            _drop_blank(records)
        if torn:
            for index, row in enumerate(records.rows):
                _note_torn(records, index, "".join(row))
        return records

    def _careful(self, text: str, lines: list[str], *, final: bool) -> Records:
        """Record by record, where quotes may join lines or something is broken."""
        ended = [line + "\n" for line in lines]
        if not text.endswith("\n") and lines:
            ended[-1] = lines[-1]
        records, starts, begun = Records([], []), [], 0
        reader, base = csv.reader(_feed(ended, 0), delimiter=self._delimiter), 0
        while begun < len(ended):
            try:
                row = next(reader)
            except _HungryError:
                if not final:
                    break
                wrong = "a quoted field that begins here is never closed"
            except csv.Error as error:
                wrong = f"it is no CSV: {error}"
            else:
                records.rows.append(row)
                starts.append(begun)
                begun = base + reader.line_num
                continue
            records.bad[len(records.rows)] = ("not CSV", wrong)
            records.rows.append([ended[begun].rstrip("\r\n")])
            starts.append(begun)
            begun += 1
            reader, base = csv.reader(_feed(ended, begun), delimiter=self._delimiter), begun
        records.lines, records.n_lines = starts, begun
        taken = "".join(ended[:begun]) if begun < len(ended) else text
        records.n_bytes = len(taken.encode("utf-8", "surrogateescape"))
        return records

    def names(self, row: Sequence[str]) -> tuple[str, ...]:
        return tuple(row)

    def columns(
        self, records: Records, fields: tuple[str, ...]
    ) -> tuple[list[Sequence[Any]], list[Fault]]:
        width, rows = len(fields), records.rows
        faults = [Fault(index, *wrong) for index, wrong in records.bad.items()]
        if not rows:
            return [() for _ in fields], faults
        if set(map(len, rows)) != {width}:
            for index, row in enumerate(rows):
                if len(row) != width:
                    rows[index] = [*row[:width], *[None] * (width - len(row))]
                    if index not in records.bad:
                        kind = "too short" if len(row) < width else "too long"
                        has = f"{len(row)} field" + "s" * (len(row) != 1)
                        faults.append(Fault(index, kind, f"has {has}, expected {width}"))
        return list(zip(*rows, strict=True)), sorted(faults)


class JsonLines:
    """One JSON object a line; blank lines are no records.

    A row's values are those of the fields' keys; other keys are not read. ``NaN`` and ``Infinity``
    are read, though JSON has none, so that they can be told from text.
    """

    header = False

    def __init__(self) -> None:
        self._decode = json.JSONDecoder().decode

    def cut(self, data: bytes, *, final: bool) -> Records:
        data = data if final else data[: data.rfind(b"\n") + 1]
        text, torn = _decoded(data)
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        n_lines, numbers = len(lines), range(len(lines))
        try:
            records = Records(list(map(self._decode, lines)), numbers, {}, len(data), n_lines)
        except (ValueError, RecursionError):
            records = self._careful(lines)
            records.n_bytes, records.n_lines = len(data), n_lines
        if set(map(type, records.rows)) - {dict}:
            for index, row in enumerate(records.rows):
                if not isinstance(row, dict):
                    records.rows[index] = {}
                    records.bad[index] = ("not an object", "it is JSON, but not an object {...}")
        if torn:
            for index, line in enumerate(records.lines):
                _note_torn(records, index, lines[line])
        return records

    def _careful(self, lines: list[str]) -> Records:
        """Line by line, where one is blank or broken."""
        records, starts = Records([], []), []
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            starts.append(number)
            try:
                records.rows.append(self._decode(line))
            except RecursionError:
                records.bad[len(records.rows)] = ("not JSON", "it is nested too deeply")
                records.rows.append({})
            except ValueError as error:
                what = str(error).removesuffix(": line 1 column 1 (char 0)")
                records.bad[len(records.rows)] = ("not JSON", f"it is no JSON: {what}")
                records.rows.append({})
        records.lines = starts
        return records

    def names(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(row)

    def columns(
        self, records: Records, fields: tuple[str, ...]
    ) -> tuple[list[Sequence[Any]], list[Fault]]:
        columns: list[Sequence[Any]] = []
        for name in fields:
            try:
                columns.append(list(map(itemgetter(name), records.rows)))
            except KeyError:
                columns.append([row.get(name) for row in records.rows])
        faults = [Fault(index, *wrong) for index, wrong in records.bad.items()]
        return columns, sorted(faults)


class _HungryError(Exception):
    """The lines at hand end."""


def _feed(lines: list[str], start: int) -> Iterator[str]:
    """Lines, then an exception: a reader that only met their end would take half a record."""
    for number in range(start, len(lines)):
        yield lines[number]
    raise _HungryError


def _decoded(data: bytes) -> tuple[str, bool]:
    """The text, and whether it holds bytes that are no UTF-8 (they become lone surrogates)."""
    try:
        return data.decode("utf-8"), False
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape"), True


def _note_torn(records: Records, index: int, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        if index not in records.bad:
            byte = ord(text[error.start]) - 0xDC00
            records.bad[index] = (
                "not UTF-8",
                f"byte 0x{byte:02x} is not UTF-8; convert the source",
            )


def _drop_blank(records: Records) -> None:
    kept = [index for index, row in enumerate(records.rows) if row]
    at = {index: place for place, index in enumerate(kept)}
    records.rows = [records.rows[index] for index in kept]
    records.lines = [records.lines[index] for index in kept]
    records.bad = {at[index]: wrong for index, wrong in records.bad.items()}
