"""Targets of many rows; some rows, or some entries of a row, may have none."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from carrousel.errors import DataError, ShapeError
from carrousel.online.model.encoding.heads import Head, RegressionHead
from carrousel.online.model.encoding.tables import ColumnTable, is_frame, named_columns
from carrousel.online.model.encoding.values import LARGEST, is_missing
from carrousel.shapes import Bools, Floats


class Targets:
    """One target for each row, or a mapping (or data frame) of columns with one target each.

    None, NaN, and vectors and mappings without a value mean that a row has no target. Where only
    some entries are None or NaN, the others are targets.

    Args:
        y: the targets.
        absent: rows whose targets are left out; None: none are.

    >>> from carrousel.online.model.encoding.heads import MulticlassHead
    >>> Targets(["a", None, "b"]).encode(MulticlassHead("ab", grow=False), 0, 3).ravel().tolist()
    [0.0, nan, 1.0]
    >>> columns = Targets({"heat": [1.0, None], "wind": [2.0, 3.0]})
    >>> columns.encode(RegressionHead.of(columns.first()), 0, 2).tolist()
    [[1.0, 2.0], [nan, 3.0]]
    """

    def __init__(self, y: Any, absent: Annotated[Bools, "N"] | None = None) -> None:
        self._absent = absent
        self._columns: dict[Any, Any] | None = None
        self._labels: list[Any] | None = None
        if isinstance(y, Mapping) or is_frame(y):
            self._columns = named_columns(y, "y")
            length = len(next(iter(self._columns.values())))
            self._values: Any = _Rows(ColumnTable(self._columns, length))
            self._numbers = None
            return
        if isinstance(y, str) or not (isinstance(y, Sequence) or np.ndim(y) in (1, 2)):
            expected = "one target for each row"
            raise ShapeError(
                f"y is a {type(y).__name__}, expected {expected}",
                argument="y",
                got=y,
                expected=expected,
            )
        array = y if isinstance(y, np.ndarray) else _array(y)
        self._numbers = array if array is not None and array.dtype.kind in "fiub" else None
        if isinstance(y, np.ndarray | Sequence):
            self._values = y
        else:  # a data frame's column is indexed by labels, a list by position
            self._values = list(y) if self._numbers is None or np.ndim(y) == 1 else array

    def __len__(self) -> int:
        return len(self._values)

    def row(self, n: int) -> Any:
        """Return the target of a row, or None."""
        y = self._values[n]
        if self._absent is not None and self._absent[n : n + 1].any():
            return None
        if isinstance(y, Mapping):
            return None if all(map(is_missing, y.values())) else y
        if is_missing(y) or (_is_vector(y) and all(map(is_missing, y))):
            return None
        return y

    def first(self) -> Any:
        """Return the first target, or None if no row has one; of mappings with all names."""
        found = next((y for y in map(self.row, range(len(self))) if y is not None), None)
        if not isinstance(found, Mapping):
            return found
        names: dict[Hashable, None] = dict.fromkeys(self._columns or ())
        for row in self._values if self._columns is None else ():
            names |= dict.fromkeys(row if isinstance(row, Mapping) else ())
        return names | dict(found)

    def encode(self, head: Head, start: int, stop: int) -> Annotated[Floats, "N target"]:
        """Encode targets from ``start`` up to ``stop`` or the first that is new or bad.

        Entries without a target are NaN.
        """
        if isinstance(head, RegressionHead):
            numbers = self._as_numbers(head, start, stop)
            if numbers is None:
                return self._encode_each(head, start, stop)
            if self._absent is not None:
                numbers = np.where(self._absent[start:stop, None], np.nan, numbers)
            bad = ~((np.abs(numbers) <= LARGEST) | np.isnan(numbers)).all(1)
            return numbers[: int(bad.argmax()) if bad.any() else None]
        if self._labels is None:
            array = isinstance(self._values, np.ndarray)
            values = self._values.tolist() if array else self._values
            self._labels = [None if is_missing(value) else value for value in values]
            for row in () if self._absent is None else np.flatnonzero(self._absent).tolist():
                self._labels[row] = None
        known = {**head.codes, None: np.nan}
        try:
            codes = [known.get(label, -1.0) for label in self._labels[start:stop]]
        except TypeError:  # not hashable: encoding each row finds it
            return self._encode_each(head, start, stop)
        codes = codes[: codes.index(-1.0)] if -1.0 in codes else codes
        return np.array(codes, np.float64)[:, None]

    def _as_numbers(
        self, head: RegressionHead, start: int, stop: int
    ) -> Annotated[Floats, "N target"] | None:
        """Return numbers in the order of the outputs; None: rows must be looked at one by one."""
        if head.names is not None:
            columns = self._columns
            if columns is None or not columns.keys() <= set(head.names):
                return None
            if not all(isinstance(values, np.ndarray) for values in columns.values()):
                return None
            found = np.full((min(stop, len(self)) - start, head.n_targets), np.nan)
            for k, name in enumerate(head.names):
                if name in columns:
                    found[:, k] = columns[name][start:stop]
            return found
        if self._numbers is None:
            return None
        found = self._numbers[start:stop].astype(np.float64)
        found = found[:, None] if found.ndim == 1 else found
        return found if found.shape[1] == head.n_targets else None

    def _encode_each(self, head: Head, start: int, stop: int) -> Annotated[Floats, "N target"]:
        width = head.n_targets
        found, none = [], np.full(width, np.nan)
        try:
            for n in range(start, min(stop, len(self))):
                y = self.row(n)
                target = none if y is None else head.encode(y)
                if target is None:
                    break
                found.append(target)
        except (DataError, ShapeError):
            pass  # the caller encodes this row again, and raises the error with its place
        return np.array(found).reshape(len(found), width)


class _Rows:
    """The rows of a table as a sequence."""

    def __init__(self, table: ColumnTable) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, n: int) -> dict[Any, Any]:
        if n >= len(self._table):
            raise IndexError(n)
        return self._table.row(n)


def _is_vector(y: Any) -> bool:
    return isinstance(y, np.ndarray | Sequence) and not isinstance(y, str) and np.ndim(y) == 1


def _array(y: Any) -> np.ndarray | None:
    try:
        array = np.asarray(y)
        if array.dtype.kind == "O" and array.ndim in (1, 2):
            plain = [np.nan if is_missing(value) else value for value in array.ravel().tolist()]
            array = np.array(plain).reshape(array.shape)
    except ValueError:
        return None
    return array
