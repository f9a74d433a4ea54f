"""One pass over the rows of a large table: index of series, statistics, targets, copy on disk."""

from __future__ import annotations

import os
import shutil
from typing import Annotated, Any

import numpy as np

from carrousel.columns import as_times
from carrousel.errors import DataError, StoreError
from carrousel.estimators.data.files import import_arrow
from carrousel.estimators.data.running import Running, RunningMedian
from carrousel.shapes import Array, Bools, Floats, Ints


class Copy:
    """Copy of values and times, read at any position without mapping it into memory."""

    def __init__(self, folder: str) -> None:
        self._open: dict[str, Any] = {}
        for name in ("values", "times"):
            self._open[name] = open(os.path.join(folder, name), "w+b", buffering=0)  # noqa: SIM115

    def append(self, name: str, array: Array) -> None:
        view = memoryview(np.ascontiguousarray(array)).cast("B")
        while len(view):  # a write may be short
            view = view[self._open[name].write(view) :]

    def read(self, name: str, out: Array, start: int) -> None:
        """Fill ``out`` from a position in bytes."""
        file = self._open[name]
        if file.closed:
            raise StoreError("the data set is closed", fix="open it again")
        file.seek(start)
        view = memoryview(out).cast("B")
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


class Scan:
    """One pass over the rows: index, statistics, targets and the copy."""

    def __init__(
        self,
        channels: tuple[str, ...],
        wide: Any,
        id: str,
        time: str | None,
        target: str | None,
        copy: Copy,
    ) -> None:
        self.channels, self.wide, self.copy = channels, wide, copy
        self.id, self.time, self.target = id, time, target
        self.running, self.median = Running.of(len(channels)), RunningMedian()
        self.rows = 0
        self.starts: list[Ints] = []
        self.hashes: list[Ints] = []
        self.labels: list[Array] = []
        self.classes: dict[Any, int] = {}
        self.last_id: Any = None
        self.last_time = -np.inf
        self.last_target = np.nan

    def add(self, batch: Any) -> None:
        """Read one block of rows."""
        new = self._index(batch)
        columns = [_floats(batch.column(name), self.wide) for name in self.channels]
        values = np.stack(columns, axis=1)
        infinite = np.isinf(values)
        if infinite.any():
            row, channel = (int(each[0]) for each in np.nonzero(infinite))
            raise DataError(
                f"the value is {values[row, channel]}, infinity is not allowed",
                row=self.rows + row,
                column=self.channels[channel],
                fix="replace it by NaN if it is missing",
            )
        self.running.add(values)
        self.copy.append("values", values)
        if self.time is not None:
            self._add_times(batch.column(self.time), new)
        if self.target is not None:
            self._add_targets(batch.column(self.target), new)
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

    def _add_targets(self, column: Any, new: Annotated[Bools, "rows"]) -> None:
        """Find the one target of each series; those of the last series may still be missing."""
        cells = self._numbers(_plain(column))
        local = np.cumsum(new)  # 0: the series that the block before ended with
        found = np.full(int(local[-1]) + 1, np.nan)
        known = np.flatnonzero(~np.isnan(cells))[::-1]
        found[local[known]] = cells[known]  # the first in each series is written last
        if not np.isnan(self.last_target):
            found[0] = self.last_target
        changes = cells[known] != found[local[known]]
        if changes.any():
            row = int(known[changes].min())
            raise DataError(
                "the target changes within a series, expected one for the whole series",
                row=self.rows + row,
                column=self.target,
            )
        self.labels.append(found[:-1])
        self.last_target = found[-1]

    def _numbers(self, column: Any) -> Annotated[Floats, "rows"]:
        """Return targets as float64 (NaN: missing); those that are not floats as class numbers."""
        if import_arrow("pyarrow.types").is_floating(column.type):
            return column.to_numpy(zero_copy_only=False).astype(np.float64)
        coded = column.dictionary_encode()
        number = [
            self.classes.setdefault(label, len(self.classes))
            for label in coded.dictionary.to_pylist()
        ]
        codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.float64)  # null: NaN
        table = np.array([*number, np.nan])
        return table[np.where(np.isnan(codes), len(number), codes).astype(np.int64)]

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

    def targets(self) -> Annotated[Array, "N"]:
        """Return the target of each series."""
        found = np.append(np.concatenate(self.labels)[1:], self.last_target)
        missing = np.flatnonzero(np.isnan(found))
        if len(missing):
            raise DataError(
                f"series {missing[0]} has no target",
                column=self.target,
                fix="drop series without a target",
            )
        if not self.classes:
            return found
        labels = list(self.classes)
        plain = np.array(labels) if not isinstance(labels[0], str) else np.array(labels, object)
        return plain[found.astype(np.int64)]


def _plain(column: Any) -> Any:
    """Return an Arrow column without a dictionary."""
    return column.dictionary_decode() if hasattr(column, "dictionary_decode") else column


def _floats(column: Any, wide: Any) -> Annotated[Floats, "rows"]:
    """Return a column of numbers; null is NaN."""
    if import_arrow("pyarrow.types").is_boolean(column.type):
        column = column.cast("int8")
    return column.to_numpy(zero_copy_only=False).astype(wide)
