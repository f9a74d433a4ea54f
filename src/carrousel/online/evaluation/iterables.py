"""Rows from Python objects, in the form of a source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import PurePath
from typing import Any, cast

import numpy as np

from carrousel.errors import DataError, ShapeError
from carrousel.online.closing import Closing
from carrousel.online.sources.types import MAX_ROWS, Batch, Column, Fault, Position, check_fields

ROWS_AT_ONCE = 1000
"""Rows that are taken from an iterable before they are learned."""


class IterableRows(Closing):
    """Rows from an iterable of dicts, or from a mapping of column names to values.

    Args:
        rows: dicts with the keys of the first one (a missing key is a missing value, other keys
            are ignored); or name -> values.
        start: resume here: the rows before it, counted by ``start.row``, are skipped. Lines of a
            file also count its header, and a row may have several.

    Attributes:
        ended: whether the last row is known to have been returned.

    >>> batch = next(IterableRows([{"x": 1.0, "y": 2}, {"x": 3.0}]))
    >>> batch.fields, batch.columns, list(batch.lines)
    (('x', 'y'), [[1.0, 3.0], [2, None]], [1, 2])
    >>> next(IterableRows({"x": np.arange(3.0)}, start=Position(row=2))).columns
    [array([2.])]
    """

    name = "rows"

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]] | Mapping[str, Column],
        start: Position | None = None,
    ) -> None:
        self.position = start or Position()
        self.fields = self.position.fields
        self.ended = False
        passed = self.position.row
        if isinstance(rows, str | bytes | PurePath) or not _is_iterable(rows):
            raise ShapeError(
                argument="rows",
                got=rows,
                expected="a mapping of columns, dicts, or a source of rows",
                fix="open a file by carrousel.online.open_rows",
            )
        if isinstance(rows, Mapping):
            self._parts = self._sliced(cast("Mapping[str, Column]", rows), passed)
        else:
            self._parts = self._gathered(iter(rows), passed)

    def commit(self, position: Position) -> None:
        """No-op: an iterable stores no position."""

    def close(self) -> None:
        self._parts = iter(())

    def __iter__(self) -> IterableRows:
        return self

    def __next__(self) -> Batch:
        columns, faults = next(self._parts)
        assert self.fields is not None
        first, count = self.position.row + 1, len(columns[0])
        self.position = Position(line=first + count, row=first + count - 1, fields=self.fields)
        lines = range(first, first + count)
        return Batch(lines, self.fields, columns, faults, self.position, self.name, unit="row")

    def _sliced(
        self, table: Mapping[str, Column], start: int
    ) -> Iterator[tuple[Sequence[Column], tuple[Fault, ...]]]:
        self.fields = check_fields(self.name, list(table))
        for name, values in table.items():
            if not _is_iterable(values):
                raise ShapeError(
                    f"column {name!r} is {values!r}, expected a sequence of values",
                    argument="rows",
                    got=values,
                )
        columns = [v if isinstance(v, np.ndarray) else list(v) for v in table.values()]
        sizes = {len(column) for column in columns}
        if len(sizes) > 1:
            raise ShapeError(f"columns have {sorted(sizes)} values, expected equally many")
        for at in range(start, max(sizes), MAX_ROWS):
            self.ended = at + MAX_ROWS >= max(sizes)
            yield [column[at : at + MAX_ROWS] for column in columns], ()

    def _gathered(
        self, rows: Iterator[Mapping[str, Any]], start: int
    ) -> Iterator[tuple[Sequence[Column], tuple[Fault, ...]]]:
        if len(list(islice(rows, start))) < start:
            raise DataError(f"the rows end before row {start}, where the checkpoint was written")
        while part := list(islice(rows, ROWS_AT_ONCE)):
            self.ended = len(part) < ROWS_AT_ONCE
            kinds = [isinstance(row, Mapping) for row in part]
            if self.fields is None:
                if not kinds[0]:
                    raise DataError(f"a row is {part[0]!r}, expected a mapping of names to values")
                self.fields = check_fields(self.name, list(part[0]))
            plain = [row if kind else {} for row, kind in zip(part, kinds, strict=True)]
            faults = tuple(
                Fault(n, "not a mapping", f"it is {part[n]!r:.60}, expected a mapping")
                for n, kind in enumerate(kinds)
                if not kind
            )
            yield [[row.get(name) for row in plain] for name in self.fields], faults
        self.ended = True


def _is_iterable(value: object) -> bool:
    try:
        iter(value)  # type: ignore[call-overload]
    except TypeError:  # also arrays without axes
        return False
    return True
