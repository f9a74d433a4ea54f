"""Formats of rows of predictions: CSV, JSON lines, Arrow."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from carrousel.errors import DataError, ShapeError
from carrousel.online.sources.arrow import pyarrow

Columns = Mapping[str, "Sequence[Any] | np.ndarray"]
"""Name -> values, one per row: numbers, texts, booleans or None."""


def check_columns(name: str, columns: Columns, names: tuple[str, ...] | None) -> int:
    """Return the number of rows.

    Args:
        name: name of the sink, for messages.
        columns: the rows.
        names: columns of the rows before; None: there are none.

    Raises:
        ShapeError: columns have unequal lengths, there are none, or they are not ``names``.
    """
    sizes = {each: len(values) for each, values in columns.items()}
    if len(set(sizes.values())) != 1:
        expected = "at least one column, and equally many rows in each"
        problem = f"columns have {sizes} rows, expected {expected}"
        raise ShapeError(problem, source=name, argument="columns", got=sizes, expected=expected)
    if names is not None and tuple(columns) != names:
        raise ShapeError(
            f"columns are {tuple(columns)}, expected {names} as in the rows before",
            source=name,
            argument="columns",
            got=tuple(columns),
            expected=str(names),
        )
    return next(iter(sizes.values()))


class Format(Protocol):
    """Encodes rows as bytes."""

    end: bytes
    """Bytes after the last row."""

    def header(self, columns: Columns) -> bytes:
        """Return the bytes before the first row."""
        ...

    def rows(self, columns: Columns) -> bytes:
        """Encode rows."""
        ...

    def names(self, head: bytes) -> tuple[str, ...] | None:
        """Return the names of the columns, given the beginning of a file, or None if unknown."""
        ...


class _Csv:
    end = b""

    def header(self, columns: Columns) -> bytes:
        return self._lines([list(columns)])

    def rows(self, columns: Columns) -> bytes:
        return self._lines(list(zip(*map(listed, columns.values()), strict=True)))

    def _lines(self, rows: Sequence[Sequence[Any]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        lines = text.getvalue()
        if "\r" in lines:  # csv quotes a cell with a carriage return only if lines end with one
            lines = "".join(map(self._line, rows))
        return lines.encode("utf-8")

    @staticmethod
    def _line(row: Sequence[Any]) -> str:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\r\n").writerow(row)
        return text.getvalue().removesuffix("\r\n") + "\n"

    def names(self, head: bytes) -> tuple[str, ...] | None:
        text = io.StringIO(head.decode("utf-8", "replace"), newline="")
        return tuple(next(csv.reader(text)))


class _JsonLines:
    end = b""

    def header(self, columns: Columns) -> bytes:
        return b""

    def rows(self, columns: Columns) -> bytes:
        return b"".join(each + b"\n" for each in objects(columns))

    def names(self, head: bytes) -> tuple[str, ...] | None:
        try:
            return tuple(json.loads(head.split(b"\n")[0]))
        except ValueError:
            return None  # the first row is longer than the beginning


class _Arrow:
    """Messages of the IPC stream format, encoded one by one, since no writer can append to a file.

    The first rows determine the types. A column without values there is one of numbers.
    """

    end = b"\xff\xff\xff\xff\x00\x00\x00\x00"

    def __init__(self) -> None:
        self._pa = pyarrow()
        self._schema: Any = None

    def _batch(self, columns: Columns) -> Any:
        pa = self._pa
        if self._schema is None:
            kinds = [pa.array(listed(each)).type for each in columns.values()]
            self._schema = pa.schema(
                pa.field(name, pa.float64() if pa.types.is_null(kind) else kind)
                for name, kind in zip(columns, kinds, strict=True)
            )
        try:
            arrays = [
                pa.array(listed(each), field.type)
                for each, field in zip(columns.values(), self._schema, strict=True)
            ]
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            problem = f"a column has values of another type than in the first rows: {error}"
            raise ShapeError(problem, argument="columns") from error
        return pa.record_batch(arrays, schema=self._schema)

    def header(self, columns: Columns) -> bytes:
        self._batch(columns)
        return self._schema.serialize().to_pybytes()

    def rows(self, columns: Columns) -> bytes:
        return self._batch(columns).serialize().to_pybytes()

    def names(self, head: bytes) -> tuple[str, ...] | None:
        try:
            self._schema = self._pa.ipc.read_schema(self._pa.py_buffer(head))
        except (self._pa.ArrowInvalid, OSError) as error:
            raise DataError(f"the file to append to is not an Arrow stream: {error}") from error
        return tuple(self._schema.names)


FORMATS: dict[str, Callable[[], Format]] = {"csv": _Csv, "jsonl": _JsonLines, "arrow": _Arrow}


def objects(columns: Columns) -> list[bytes]:
    """Encode rows as JSON objects; numbers that are not finite become null.

    >>> objects({"a": np.array([1.5, np.inf]), "b": ["x", None]})
    [b'{"a": 1.5, "b": "x"}', b'{"a": null, "b": null}']
    """
    plain = []
    for each in columns.values():
        values = listed(each)
        if any(isinstance(value, float) and not math.isfinite(value) for value in values):
            values = [
                None if isinstance(value, float) and not math.isfinite(value) else value
                for value in values
            ]
        plain.append(values)
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    names = list(columns)
    rows = zip(*plain, strict=True)
    return [encode(dict(zip(names, row, strict=True))).encode("utf-8") for row in rows]


def listed(values: Sequence[Any] | np.ndarray) -> list[Any]:
    """Return plain Python values; a float32 becomes the shortest decimal that rounds to it.

    >>> listed(np.array([0.1, 1 / 3], np.float32))
    [0.1, 0.33333334]
    """
    if not isinstance(values, np.ndarray):
        return list(values)
    if values.dtype == np.float32:
        return [float(each) for each in values.astype("U")]
    return values.tolist()
