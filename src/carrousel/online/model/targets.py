"""Targets of many rows at once; some rows may have none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from carrousel.errors import DataError, ShapeError
from carrousel.online.model.heads import Head, Values
from carrousel.online.model.values import LARGEST, Unseen, absent
from carrousel.shapes import Floats


class Goals:
    """One target for each row; None, NaN, or a row that begins with NaN, says that there is none.

    >>> goals = Goals(["a", None, "b"])
    >>> from carrousel.online.model.heads import Classes
    >>> goals.fill(Classes("ab", grow=False), 0, 3).ravel().tolist()
    [0.0, nan, 1.0]
    """

    def __init__(self, y: Any) -> None:
        if isinstance(y, str) or not (isinstance(y, Sequence) or np.ndim(y) in (1, 2)):
            raise ShapeError(f"y is a {type(y).__name__}, expected one target for each row")
        array = y if isinstance(y, np.ndarray) else _array(y)
        self._numbers = array if array is not None and array.dtype.kind in "fiub" else None
        if isinstance(y, np.ndarray | Sequence):
            self._things: Any = y
        else:  # by place: a column of a frame is indexed by its labels
            self._things = list(y) if self._numbers is None or np.ndim(y) == 1 else array
        self._labels: list[Any] | None = None

    def __len__(self) -> int:
        return len(self._things)

    def one(self, n: int) -> Any:
        """A row's target as a step would get it."""
        y = self._things[n]
        if absent(y):
            return None
        if self._numbers is not None and self._numbers.ndim == 2 and np.isnan(y[0]):
            return None
        return y

    def first(self) -> Any:
        """The first target that is there; None: there is none."""
        return next((y for y in map(self.one, range(len(self))) if y is not None), None)

    def fill(self, head: Head, start: int, stop: int) -> Annotated[Floats, "N Y"]:
        """Numbers of targets from ``start`` on, up to one that a head does not take as it is."""
        if isinstance(head, Values):
            if self._numbers is None:
                return self._read_each(head, start, stop)
            found = self._numbers[start:stop].astype(np.float64)
            found = found[:, None] if found.ndim == 1 else found
            if found.shape[1] != head.n_outputs:
                return self._read_each(head, start, stop)
            bad = ~(np.abs(found) <= LARGEST).all(1) & ~np.isnan(found[:, 0])
            return found[: int(bad.argmax()) if bad.any() else None]
        if self._labels is None:
            things = self._things.tolist() if isinstance(self._things, np.ndarray) else self._things
            self._labels = [None if absent(thing) else thing for thing in things]
        known = {**head.places, None: np.nan}
        try:
            codes = [known.get(label, -1.0) for label in self._labels[start:stop]]
        except TypeError:  # something that cannot be a class
            return self._read_each(head, start, stop)
        codes = codes[: codes.index(-1.0)] if -1.0 in codes else codes
        return np.array(codes, np.float64)[:, None]

    def _read_each(self, head: Head, start: int, stop: int) -> Annotated[Floats, "N Y"]:
        found, none = [], np.full(head.n_outputs if isinstance(head, Values) else 1, np.nan)
        try:
            for n in range(start, stop):
                y = self.one(n)
                found.append(none if y is None else head.read(y))
        except (Unseen, DataError, ShapeError):
            pass
        return np.array(found).reshape(len(found), len(none))


def _array(y: Any) -> np.ndarray | None:
    try:
        array = np.asarray(y)
        if array.dtype.kind == "O" and array.ndim == 1:
            array = np.array([np.nan if absent(thing) else thing for thing in y])
    except ValueError:
        return None
    return array
