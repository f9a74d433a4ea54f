"""Records of CSV and JSON lines, split off from bytes that may end anywhere."""

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
    """Complete records at the beginning of some bytes.

    Attributes:
        rows: one for each record that is not blank.
        lines: number of lines before each row.
        bad: index of a broken row -> kind and reason (:class:`Fault`).
        n_bytes, n_lines: size of the records, including blank ones.
    """

    rows: list[Any]
    lines: Sequence[int]
    bad: dict[int, tuple[str, str]] = field(default_factory=dict)
    n_bytes: int = 0
    n_lines: int = 0


@runtime_checkable
class RecordFormat(Protocol):
    """Splits bytes into records, and records into columns."""

    header: bool
    """Whether the first record names the fields."""

    def split(self, data: bytes, *, final: bool) -> Records:
        """Return the complete records; ``final``: no bytes follow."""
        ...

    def names(self, row: Any) -> tuple[str, ...]:
        """Return the names of the fields, given the first row."""
        ...

    def columns(
        self, records: Records, fields: tuple[str, ...]
    ) -> tuple[list[Sequence[Any]], list[Fault]]:
        """Return one column per field, and the rows that are broken as a whole."""
        ...


class CsvFormat:
    """CSV as read by Python's module ``csv``, in its default dialect with any delimiter.

    Two differences keep one broken row from swallowing a stream. A quoted field that is never
    closed, or not within ``csv.field_size_limit()`` characters, makes a broken record that ends
    with its first line. So does a bare carriage return outside of quotes. Blank lines are skipped.

    Args:
        delimiter: one character.
        header: whether the first record names the fields.
    """

    def __init__(self, delimiter: str, header: bool) -> None:
        self._delimiter, self.header = delimiter, header

    def split(self, data: bytes, *, final: bool) -> Records:
        data = data if final else data[: data.rfind(b"\n") + 1]
        text, invalid = _decoded(data)
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        records = None
        if b'"' not in data:
            try:  # every line is a record
                rows = list(csv.reader(lines, delimiter=self._delimiter))
                records = Records(rows, range(len(rows)), {}, len(data), len(lines))
            except csv.Error:
                pass  # read again record by record, to find the broken one
        if records is None:
            records = self._one_by_one(text, lines, final=final)
        if [] in records.rows:
            _drop_blank(records)
        if invalid:
            for index, row in enumerate(records.rows):
                _note_invalid(records, index, "".join(row))
        return records

    def _one_by_one(self, text: str, lines: list[str], *, final: bool) -> Records:
        """Read record by record, where quotes may join lines or a record is broken."""
        ended = [line + "\n" for line in lines]
        if not text.endswith("\n") and lines:
            ended[-1] = lines[-1]
        records, starts, first = Records([], []), [], 0  # first: line of the next record
        reader, base = csv.reader(_feed(ended, 0), delimiter=self._delimiter), 0
        while first < len(ended):
            try:
                row = next(reader)
            except EOFError:
                if not final:
                    break
                wrong = "a quoted field that begins here is never closed"
            except csv.Error as error:
                wrong = f"it is not CSV: {error}"
            else:
                records.rows.append(row)
                starts.append(first)
                first = base + reader.line_num
                continue
            records.bad[len(records.rows)] = ("not CSV", wrong)
            records.rows.append([ended[first].rstrip("\r\n")])
            starts.append(first)
            first += 1
            reader, base = csv.reader(_feed(ended, first), delimiter=self._delimiter), first
        records.lines, records.n_lines = starts, first
        taken = "".join(ended[:first]) if first < len(ended) else text
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


class JsonLinesFormat:
    """One JSON object a line; blank lines are skipped.

    The keys of the fields give the values of a row; other keys are ignored. ``NaN`` and
    ``Infinity`` are accepted as numbers although JSON does not have them.
    """

    header = False

    def __init__(self) -> None:
        self._decode = json.JSONDecoder().decode

    def split(self, data: bytes, *, final: bool) -> Records:
        data = data if final else data[: data.rfind(b"\n") + 1]
        text, invalid = _decoded(data)
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        n_lines, numbers = len(lines), range(len(lines))
        try:
            records = Records(list(map(self._decode, lines)), numbers, {}, len(data), n_lines)
        except (ValueError, RecursionError):
            records = self._one_by_one(lines)
            records.n_bytes, records.n_lines = len(data), n_lines
        if set(map(type, records.rows)) - {dict}:
            for index, row in enumerate(records.rows):
                if not isinstance(row, dict):
                    records.rows[index] = {}
                    records.bad[index] = ("not an object", "it is JSON, but not an object {...}")
        if invalid:
            for index, line in enumerate(records.lines):
                _note_invalid(records, index, lines[line])
        return records

    def _one_by_one(self, lines: list[str]) -> Records:
        """Read line by line, where one is blank or broken."""
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
                records.bad[len(records.rows)] = ("not JSON", f"it is not JSON: {what}")
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


def _feed(lines: list[str], start: int) -> Iterator[str]:
    """Yield lines, then raise EOFError: at a normal end, ``csv`` would return half a record."""
    for number in range(start, len(lines)):
        yield lines[number]
    raise EOFError


def _decoded(data: bytes) -> tuple[str, bool]:
    """Return the text, and whether some bytes are not UTF-8 (they become lone surrogates)."""
    try:
        return data.decode("utf-8"), False
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape"), True


def _note_invalid(records: Records, index: int, text: str) -> None:
    """Mark a row as broken if its text had bytes that are not UTF-8."""
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
    """Remove empty rows."""
    kept = [index for index, row in enumerate(records.rows) if row]
    at = {index: place for place, index in enumerate(kept)}
    records.rows = [records.rows[index] for index in kept]
    records.lines = [records.lines[index] for index in kept]
    records.bad = {at[index]: wrong for index, wrong in records.bad.items()}
