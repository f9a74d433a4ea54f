"""One pass over the rows of a large table: index of series, statistics, targets, copy on disk."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from carrousel.columns import as_times
from carrousel.errors import DataError, StoreError
from carrousel.estimators.data.containers import LARGEST, too_large
from carrousel.estimators.data.files import import_arrow
from carrousel.estimators.data.running import Running, RunningMedian
from carrousel.shapes import Array, Bools, Floats, Ints


class Copy:
    """Copy of values and times, read at any position without mapping it into memory."""

    def __init__(self, folder: str) -> None:
        self._open: dict[str, Any] = {}
        self._lock = threading.Lock()  # a file has one position for all threads
        for name in ("values", "times"):
            self._open[name] = open(os.path.join(folder, name), "w+b", buffering=0)  # noqa: SIM115

    def append(self, name: str, array: Array) -> None:
        view = np.ascontiguousarray(array).data.cast("B")
        while len(view):  # a write may be short
            view = view[self._open[name].write(view) :]

    def read(self, name: str, out: Array, start: int) -> None:
        """Fill ``out`` from a position in bytes."""
        file = self._open[name]
        if file.closed:
            raise StoreError("the data set is closed", fix="open it again")
        view = out.data.cast("B")
        with self._lock:
            file.seek(start)
            while len(view):
                count = file.readinto(view)
                if not count:
                    raise StoreError("the copy of the data set is shorter than expected")
                view = view[count:]

    def close(self) -> None:
        for file in self._open.values():
            file.close()


def remove(copy: Copy, folder: str) -> None:
    copy.close()
    shutil.rmtree(folder, ignore_errors=True)


class PerSeries:
    """A column that has one value in each series, such as targets or groups."""

    def __init__(self, column: str) -> None:
        self.column = column
        self._found: list[Floats] = []
        self._names: dict[Any, int] = {}
        self._last = np.nan  # of the series that the block before ended with

    def add(self, column: Any, new: Annotated[Bools, "rows"], row: int) -> None:
        """Find the value of each series in a block that begins with row ``row``.

        Args:
            column: an Arrow column.
            new: which rows begin a series.
            row: number of the first row, for messages.

        Raises:
            DataError: a value changes within a series.
        """
        cells = self._numbers(_plain(column))
        local = np.cumsum(new)  # 0: the series that the block before ended with
        found = np.full(int(local[-1]) + 1, np.nan)
        known = np.flatnonzero(~np.isnan(cells))[::-1]
        found[local[known]] = cells[known]  # the first in each series is written last
        if not np.isnan(self._last):
            found[0] = self._last
        changes = cells[known] != found[local[known]]
        if changes.any():
            raise DataError(
                f"{self.column!r} changes within a series, expected one value for the whole series",
                row=row + int(known[changes].min()),
                column=self.column,
                fix="correct the column; series with a label for each step must fit into memory",
            )
        self._found.append(found[:-1])
        self._last = found[-1]

    def _numbers(self, column: Any) -> Annotated[Floats, "rows"]:
        """Return floats as float64 (NaN: missing); number other values in order of appearance."""
        if import_arrow("pyarrow.types").is_floating(column.type):
            return column.to_numpy(zero_copy_only=False).astype(np.float64)
        coded = column.dictionary_encode()
        number = [
            self._names.setdefault(name, len(self._names)) for name in coded.dictionary.to_pylist()
        ]
        codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.float64)  # null: NaN
        table = np.array([*number, np.nan])
        return table[np.where(np.isnan(codes), len(number), codes).astype(np.int64)]

    def values(self, noun: str) -> Annotated[Array, "N"]:
        """Return the value of each series.

        Raises:
            DataError: a series has none; the message calls it by ``noun``.
        """
        found = np.append(np.concatenate(self._found)[1:], self._last)
        missing = np.flatnonzero(np.isnan(found))
        if len(missing):
            raise DataError(
                f"series {missing[0]} has no {noun}",
                column=self.column,
                fix=f"drop series without a {noun}",
            )
        if not self._names:
            return found
        names = list(self._names)
        plain = np.array(names) if not isinstance(names[0], str) else np.array(names, object)
        return plain[found.astype(np.int64)]


class Scan:
    """One pass over the rows: index, statistics, targets, groups and the copy."""

    def __init__(
        self,
        channels: tuple[str, ...],
        wide: Any,
        id: str,
        time: str | None,
        constant: Sequence[str],
        copy: Copy,
    ) -> None:
        self.channels, self.wide, self.copy = channels, wide, copy
        self.id, self.time = id, time
        self.constant = {name: PerSeries(name) for name in constant}
        self.running, self.median = Running.of(len(channels)), RunningMedian()
        self.rows = 0
        self.starts: list[Ints] = []
        self.hashes: list[Ints] = []
        self.last_id: Any = None
        self.last_time = -np.inf

    def add(self, batch: Any) -> None:
        """Read one block of rows."""
        new = self._index(batch)
        columns = [_floats(batch.column(name), self.wide) for name in self.channels]
        values = np.stack(columns, axis=1)
        large = too_large(values)
        if large.any():
            row, channel = (int(each[0]) for each in np.nonzero(large))
            raise DataError(
                f"the value is {values[row, channel]}, infinity is not allowed, nor are magnitudes "
                f"above {LARGEST:g}",
                row=self.rows + row,
                column=self.channels[channel],
                fix="replace it by NaN if it is missing",
            )
        self.running.add(values)
        self.copy.append("values", values)
        if self.time is not None:
            self._add_times(batch.column(self.time), new)
        for name, constant in self.constant.items():
            constant.add(batch.column(name), new, self.rows)
        self.rows += len(batch)

    def _index(self, batch: Any) -> Annotated[Bools, "rows"]:
        """Return which rows begin a series; keep their positions and the hashes of their ids."""
        compute = import_arrow("pyarrow.compute")
        ids = _plain(batch.column(self.id))
        if ids.null_count:
            raise DataError(
                "the name of the series is missing",
                row=self.rows + int(np.argmax(ids.is_null().to_numpy(zero_copy_only=False))),
                column=self.id,
                fix="drop the row, or fill in to which series it belongs",
            )
        new = np.ones(len(batch), bool)
        differs = compute.not_equal(ids[1:], ids[:-1])
        new[1:] = differs.to_numpy(zero_copy_only=False)
        new[0] = self.rows == 0 or ids[0].as_py() != self.last_id
        self.last_id = ids[len(ids) - 1].as_py()
        starts = np.flatnonzero(new)
        self.starts.append(starts + self.rows)
        names = ids.take(import_arrow("pyarrow").array(starts)).to_pylist()
        self.hashes.append(np.array([hash(name) for name in names], np.int64))
        return new

    def _add_times(self, column: Any, new: Annotated[Bools, "rows"]) -> None:
        try:
            times = as_times(_plain(column).to_numpy(zero_copy_only=False), column=self.time)
        except DataError as error:
            raise error.recast(DataError, row=self.rows + (error.row or 0)) from None
        since = np.diff(times, prepend=self.last_time)
        bad = ~new & (since <= 0)
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(
                f"times do not increase: {times[row]:.15g} follows {times[row] - since[row]:.15g}",
                row=self.rows + row,
                column=self.time,
                fix="sort the rows of each series by time, and average repeated times",
            )
        self.median.add(since[~new])
        self.last_time = times[-1]
        self.copy.append("times", times)

    def offsets(self) -> Annotated[Ints, "N+1"]:
        """Return where each series begins, after a check that no id occurs twice."""
        if not self.rows:
            raise DataError("the data set has no rows", fix="pass at least one row")
        hashes = np.concatenate(self.hashes)
        order = np.argsort(hashes, kind="stable")
        again = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
        if len(again):
            one, other = sorted(order[again[0] : again[0] + 2].tolist())
            raise DataError(
                f"series {one} and series {other} have the same id: the rows of a series must be "
                "adjacent",
                column=self.id,
                fix="sort the rows by series",
            )
        return np.append(np.concatenate(self.starts), self.rows).astype(np.int64)


def _plain(column: Any) -> Any:
    """Return an Arrow column without a dictionary."""
    return column.dictionary_decode() if hasattr(column, "dictionary_decode") else column


def _floats(column: Any, wide: Any) -> Annotated[Floats, "rows"]:
    """Return a column of numbers; null is NaN."""
    if import_arrow("pyarrow.types").is_boolean(column.type):
        column = column.cast("int8")
    return column.to_numpy(zero_copy_only=False).astype(wide)
