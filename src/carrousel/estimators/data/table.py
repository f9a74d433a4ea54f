"""Tables: series, targets and groups read from one data frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic

import numpy as np

from carrousel.columns import is_missing
from carrousel.errors import DataError, SettingError
from carrousel.estimators.data.containers import check_values
from carrousel.estimators.data.layouts import series_of
from carrousel.estimators.data.series import AnySource, Series
from carrousel.frames import as_frame, read_long
from carrousel.shapes import Array, Ints


@dataclass(frozen=True, eq=False)
class Table(Generic[AnySource]):
    """What a data frame holds for an estimator.

    Args:
        series: ``N`` series, in memory or on disk.
        y: targets or labels. One per series: ``[N]`` or, for several target columns,
            ``[N, targets]``. One per step: a list of ``N`` arrays ``[T_n]`` or
            ``[T_n, targets]``. None if no target was named.
        groups: ``[N]``, what must not be divided between training and validation; or None.
        per_step: whether ``y`` has an entry for each step.
    """

    series: AnySource
    y: Array | list[Array] | None = None
    groups: Array | None = None
    per_step: bool = False


def read_table(
    frame: Any,
    *,
    id: str | None,
    time: str | None = None,
    target: str | Sequence[str] | None = None,
    channels: Sequence[str] | None = None,
    groups: str | None = None,
    per_step: bool | None = None,
    source: str | None = None,
) -> Table[Series]:
    """Read a data frame (pandas, polars, Arrow): a row is a step, or a series with lists as cells.

    Args:
        frame: the rows. Rows of a series need not be adjacent.
        id: the column that names the series of a row. None is allowed if a row is a series.
        time: the column of times, by which a series is sorted. None keeps the order of the rows.
        target: the column, or columns, of targets or labels.
        channels: the columns that are measured; None: all others.
        groups: the column of groups, for example persons, constant within a series.
        per_step: whether each step has a target. None: yes if the target changes within a series.
        source: what messages call the frame, for example the name of its file.

    Raises:
        UnknownNameError: there is no such column.
        SettingError: one column is named for two purposes.
        DataError: the target or group of a series changes within it although it must not; ids or
            times are missing or repeated; a value is infinite.

    >>> import pyarrow
    >>> rows = {"who": ["a", "a", "b"], "x": [0.5, 0.25, 1.0], "ill": [1, 1, 0]}
    >>> table = read_table(pyarrow.table(rows), id="who", target="ill")
    >>> table.series.lengths.tolist(), table.series.channels, table.y.tolist()
    ([2, 1], ('x',), [1, 0])
    """
    targets = [target] if isinstance(target, str) else list(target or ())
    purposes = [name for name in (id, time, groups) if name is not None]
    repeated = [name for name in targets + purposes if (targets + purposes).count(name) > 1]
    repeated += [name for name in channels or () if name in targets + purposes]
    if repeated:
        raise SettingError(
            f"the column {repeated[0]!r} is named for two purposes",
            column=repeated[0],
            fix="name it once among {id}, {time}, {target}, {channels} and {groups}",
        )
    name = source or "frame"
    labels = targets + ([groups] if groups else [])
    if channels is None:
        present = as_frame(frame, name).columns
        channels = [each for each in present if each not in labels + purposes]
    long = read_long(frame, id=id, time=time, columns=channels, labels=labels, argument=name)
    kept = {each: long.columns.pop(each) for each in labels}
    series = series_of(long, name)
    check_values(series, name)
    of_groups = None if groups is None else _per_series(kept[groups], series, groups, name)
    if not targets:
        return Table(series, groups=of_groups)
    changing = any(_changes(kept[each], series).any() for each in targets)
    if per_step or (per_step is None and changing):
        y = np.split(_joined([kept[each] for each in targets]), series.offsets[1:-1])
        return Table(series, y, of_groups, per_step=True)
    columns = [_per_series(kept[each], series, each, name) for each in targets]
    return Table(series, _joined(columns), of_groups)


def _joined(columns: Sequence[Array]) -> Array:
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)


def _missing(cells: Array) -> Array:
    if cells.dtype.kind == "O":
        return np.array([is_missing(cell) for cell in cells], bool)
    return np.isnan(cells) if cells.dtype.kind == "f" else np.zeros(len(cells), bool)


def _changes(cells: Array, series: Series) -> Annotated[Array, "steps"]:
    """Return at which steps a cell differs from the last present one of the same series."""
    known = np.flatnonzero(~_missing(cells))
    changes = np.zeros(len(cells), bool)
    if len(known) > 1:
        of = _numbers(series)[known]
        different = (cells[known[1:]] != cells[known[:-1]]) & (of[1:] == of[:-1])
        changes[known[1:]] = different.astype(bool)
    return changes


def _numbers(series: Series) -> Annotated[Ints, "steps"]:
    """Return the number of the series that each step belongs to."""
    return np.repeat(np.arange(len(series)), series.lengths)


def _per_series(cells: Array, series: Series, column: str, name: str) -> Array:
    """Return the one value that a column has in each series; missing if it has none."""
    changes = _changes(cells, series)
    if changes.any():
        step = int(np.argmax(changes))
        n = int(_numbers(series)[step])
        raise DataError(
            f"{series.name(n)} of {name} has several values, among them {cells[step]!r:.40}; "
            "expected one for the whole series",
            column=column,
            fix="correct the column, or set {per_step=True} if it is a target for each step",
        )
    known = np.flatnonzero(~_missing(cells))
    at = series.offsets[:-1].copy()  # where all are missing, the first, which is missing
    of = _numbers(series)[known]
    at[of] = known
    return cells[at]
