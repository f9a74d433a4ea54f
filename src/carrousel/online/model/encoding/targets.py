"""Targets of many rows; some rows may have none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from carrousel.errors import DataError, ShapeError
from carrousel.online.model.encoding.heads import Head, RegressionHead
from carrousel.online.model.encoding.values import LARGEST, is_missing
from carrousel.shapes import Floats


class Targets:
    """One target for each row; None, NaN, or a vector whose first number is NaN means no target.

    >>> from carrousel.online.model.encoding.heads import MulticlassHead
    >>> Targets(["a", None, "b"]).encode(MulticlassHead("ab", grow=False), 0, 3).ravel().tolist()
    [0.0, nan, 1.0]
    """

    def __init__(self, y: Any) -> None:
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
            self._values: Any = y
        else:  # a data frame's column is indexed by labels, a list by position
            self._values = list(y) if self._numbers is None or np.ndim(y) == 1 else array
        self._labels: list[Any] | None = None

    def __len__(self) -> int:
        return len(self._values)

    def row(self, n: int) -> Any:
        """Return the target of a row, or None."""
        y = self._values[n]
        if is_missing(y):
            return None
        if self._numbers is not None and self._numbers.ndim == 2 and np.isnan(y[0]):
            return None
        return y

    def first(self) -> Any:
        """Return the first target, or None if no row has one."""
        return next((y for y in map(self.row, range(len(self))) if y is not None), None)

    def encode(self, head: Head, start: int, stop: int) -> Annotated[Floats, "N target"]:
        """Encode targets from ``start`` up to ``stop`` or the first that is new or bad.

        Rows without a target are NaN.
        """
        if isinstance(head, RegressionHead):
            if self._numbers is None:
                return self._encode_each(head, start, stop)
            found = self._numbers[start:stop].astype(np.float64)
            found = found[:, None] if found.ndim == 1 else found
            if found.shape[1] != head.n_targets:
                return self._encode_each(head, start, stop)
            bad = ~(np.abs(found) <= LARGEST).all(1) & ~np.isnan(found[:, 0])
            return found[: int(bad.argmax()) if bad.any() else None]
        if self._labels is None:
            array = isinstance(self._values, np.ndarray)
            values = self._values.tolist() if array else self._values
            self._labels = [None if is_missing(value) else value for value in values]
        known = {**head.codes, None: np.nan}
        try:
            codes = [known.get(label, -1.0) for label in self._labels[start:stop]]
        except TypeError:  # not hashable: encoding each row finds it
            return self._encode_each(head, start, stop)
        codes = codes[: codes.index(-1.0)] if -1.0 in codes else codes
        return np.array(codes, np.float64)[:, None]

    def _encode_each(self, head: Head, start: int, stop: int) -> Annotated[Floats, "N target"]:
        width = head.n_targets
        found, none = [], np.full(width, np.nan)
        try:
            for n in range(start, stop):
                y = self.row(n)
                target = none if y is None else head.encode(y)
                if target is None:
                    break
                found.append(target)
        except (DataError, ShapeError):
            pass  # the caller encodes this row again, and raises the error with its place
        return np.array(found).reshape(len(found), width)


def _array(y: Any) -> np.ndarray | None:
    try:
        array = np.asarray(y)
        if array.dtype.kind == "O" and array.ndim == 1:
            array = np.array([np.nan if is_missing(value) else value for value in y])
    except ValueError:
        return None
    return array
