"""Tables larger than memory: Parquet and Arrow files, read series by series.

One pass over the rows copies the values to a temporary file from which any series is read by its
position. Memory holds the lengths and targets of all series and one block of rows.
"""

from __future__ import annotations

import contextlib
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from carrousel.checks import check_int
from carrousel.errors import CarrouselError, DataError, SettingError, ShapeError, StoreError
from carrousel.estimators.data.files import import_arrow
from carrousel.estimators.data.scan import Copy, Scan, remove
from carrousel.estimators.data.series import Series
from carrousel.frames import check_columns
from carrousel.shapes import Array, Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Statistics:
    """Statistics of all values of a data set.

    Args:
        mean, scale: ``[I]``, mean and standard deviation of the values present.
        timed: whether steps have times.
        unit: median time between two steps of a series, of an even sample.
        gaps: whether values are missing.
        counts: ``[I]``, number of values present.
        constant: ``[I]``, whether a channel never changes.
    """

    mean: Annotated[Floats, "I"]
    scale: Annotated[Floats, "I"]
    timed: bool
    unit: float
    gaps: bool
    counts: Annotated[Ints, "I"]
    constant: Annotated[Bools, "I"]

    @staticmethod
    def of(scan: Scan) -> Statistics:
        running = scan.running
        constant = running.scale <= 1e-12 * np.maximum(np.abs(running.mean), 1e-300)
        return Statistics(
            running.mean,
            np.where(constant, 1.0, running.scale),
            scan.time is not None,
            scan.median.value,
            running.gaps,
            running.counts,
            constant,
        )


class TableDataset:
    """Series in Parquet or Arrow files that need not fit into memory.

    Rows of a series must be adjacent and, with a time column, sorted by time. A series may continue
    in the next file. The copy on disk takes 4 or 8 bytes a value; it is removed by :meth:`close`,
    at the end of a ``with`` block, or when the object is deleted.

    Args:
        paths: a file, a folder (its files in the order of their names), or a list of files.
        id: the column that names the series of a row.
        time: the column of times.
        target: the column of labels or targets, constant within a series.
        groups: the column of groups, such as persons, constant within a series.
        channels: the columns that are measured; None: all others.
        folder: where the copy is placed; None: the folder for temporary files.
        block: rows that are read at once.

    Attributes:
        channels: names of the channels.
        lengths: ``[N]``, steps of each series.
        groups: ``[N]``, the group of each series; None if no column was named.
        statistics: mean, scale and others, of all series.

    Raises:
        StoreError: a file does not exist, or cannot be read or copied.
        UnknownNameError: there is no such column.
        DataError: the rows of a series are not adjacent or its times do not increase; an id, a
            time, or all targets or groups of a series are missing; a target or a group changes
            within a series; a value is infinite.
        SettingError: one column is named for two purposes.
        MissingExtraError: pyarrow is not installed.

    >>> import pyarrow, pyarrow.parquet
    >>> rows = pyarrow.table({"who": [1, 1, 2], "x": [0.5, 0.25, 1.0], "ill": ["no", "no", "yes"]})
    >>> with tempfile.TemporaryDirectory() as files:
    ...     pyarrow.parquet.write_table(rows, f"{files}/rows.parquet")
    ...     with TableDataset(f"{files}/rows.parquet", id="who", target="ill") as data:
    ...         one = data.take(np.array([1]))
    ...         len(data), data.lengths.tolist(), one.values.tolist(), data.targets([1]).tolist()
    (2, [2, 1], [[1.0]], ['yes'])
    """

    def __init__(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        id: str,
        time: str | None = None,
        target: str | None = None,
        groups: str | None = None,
        channels: Sequence[str] | None = None,
        folder: str | Path | None = None,
        block: int = 1 << 16,
    ) -> None:
        check_int("block", block, minimum=1)
        files = _files_of(paths)
        special = [name for name in (id, time, target, groups) if name is not None]
        _check_purposes([*special, *(channels or ())])
        with _reading(files[0]):
            schema = _schema(files[0])
        check_columns([*special, *(channels or ())], schema.names, files[0].name)
        if channels is None:
            channels = [name for name in schema.names if name not in special]
        self.channels: tuple[str, ...] = tuple(channels)
        wide = _dtype(schema, self.channels)
        place = tempfile.mkdtemp(prefix="carrousel-", dir=folder)
        self._copy = Copy(place)
        self._finalizer = weakref.finalize(self, remove, self._copy, place)
        constant = [name for name in (target, groups) if name is not None]
        scan = Scan(self.channels, wide, id, time, constant, self._copy)
        try:
            for path in files:
                with _reading(path):
                    self._scan_file(scan, path, [*special, *self.channels], block)
            self.offsets: Annotated[Ints, "N+1"] = scan.offsets()
            self._targets = None if target is None else scan.constant[target].values("target")
            self.groups = None if groups is None else scan.constant[groups].values("group")
        except BaseException:
            self.close()
            raise
        self._wide, self._timed = wide, time is not None
        self.lengths: Annotated[Ints, "N"] = np.diff(self.offsets)
        self.statistics = Statistics.of(scan)

    def _scan_file(self, scan: Scan, path: Path, columns: list[str], block: int) -> None:
        blocks = READERS[path.suffix.lower()](path, columns, block)
        check_columns(columns, next(blocks).schema.names, path.name)
        for rows in blocks:
            if len(rows):
                scan.add(rows)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_channels(self) -> int:
        """``I``, channels of a step."""
        return len(self.channels)

    @property
    def n_steps(self) -> int:
        """Steps of all series together."""
        return int(self.offsets[-1])

    def take(self, indices: Sequence[int] | Annotated[Ints, "indices"]) -> Series:
        """Read the series at ``indices``, in that order; repeats are allowed.

        Raises:
            DataError: an index is negative or not below ``len(self)``.
            StoreError: the data set is closed, or its copy cannot be read.
        """
        indices = self._checked(indices)
        lengths = self.lengths[indices]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        values = np.empty((int(offsets[-1]), self.n_channels), self._wide)
        times = np.empty(len(values)) if self._timed else None
        for low, high, start in self._pieces(indices, offsets):
            self._copy.read("values", values[low:high], start * values.itemsize * self.n_channels)
            if times is not None:
                self._copy.read("times", times[low:high], start * times.itemsize)
        ids = tuple(indices.tolist())
        return Series(values, offsets, self.channels, named=True, times=times, ids=ids)

    def _pieces(
        self, indices: Annotated[Ints, "indices"], offsets: Annotated[Ints, "indices+1"]
    ) -> Iterator[tuple[int, int, int]]:
        """Yield the steps of the result to fill, and the step of the copy where these begin."""
        if len(indices) and (np.diff(indices) == 1).all():
            yield 0, int(offsets[-1]), int(self.offsets[indices[0]])
            return
        for k in np.argsort(indices, kind="stable"):  # in the order of the file
            yield int(offsets[k]), int(offsets[k + 1]), int(self.offsets[indices[k]])

    def name(self, n: int) -> str:
        """Return what a message calls series ``n``."""
        return f"series {n}"

    def targets(self, indices: Sequence[int] | Annotated[Ints, "indices"] | None = None) -> Array:
        """Return the targets of the series at ``indices``, or of all.

        Raises:
            SettingError: no target column was named.
            DataError: an index is out of range.
        """
        if self._targets is None:
            raise SettingError(
                "the data set was opened without a target",
                argument="target",
                fix="set {target} to the name of a column",
            )
        return self._targets if indices is None else self._targets[self._checked(indices)]

    def _checked(self, indices: Sequence[int] | Annotated[Ints, "indices"]) -> Ints:
        indices = np.asarray(indices, np.int64)
        if len(indices) and not (0 <= indices.min() and indices.max() < len(self)):
            raise DataError(f"indices must lie in 0..{len(self) - 1}", argument="indices")
        return indices

    def close(self) -> None:
        """Remove the copy on disk. Closing twice is a no-op."""
        self._finalizer()

    def __enter__(self) -> TableDataset:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise exceptions of ours, with the name of the file, instead of pyarrow's."""
    try:
        yield
    except CarrouselError as error:
        error.source = error.source or path.name
        raise
    except OSError as error:
        raise StoreError(f"{path} cannot be read or copied: {error}", got=str(path)) from error
    except ValueError as error:  # pyarrow's errors are ValueErrors
        raise DataError(f"the contents cannot be read: {error}", source=path.name) from error


def _files_of(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the files in order; those of a folder in the order of their names."""
    listed = [paths] if isinstance(paths, str | Path) else list(paths)
    files: list[Path] = []
    for path in map(Path, listed):
        inside = sorted(each for each in path.rglob("*") if each.suffix.lower() in READERS)
        files += inside if path.is_dir() else [path]
    suffixes = sorted({path.suffix.lower() for path in files})
    if not files or not set(suffixes) <= set(READERS):
        raise SettingError(
            f"paths lead to files with the suffixes {suffixes}",
            argument="paths",
            fix="pass files with the suffixes " + ", ".join(READERS),
        )
    return files


# pyarrow.dataset would read ahead: blocks that wait would be memory that grows with the data.


def _parquet_blocks(path: Path, columns: Sequence[str] | None, block: int) -> Iterator[Any]:
    """Yield the rows of a Parquet file in blocks; first an empty block with the schema."""
    parquet = import_arrow("pyarrow.parquet")
    with parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
        yield file.schema_arrow.empty_table()
        yield from file.iter_batches(block, columns=columns, use_threads=False)


def _arrow_blocks(path: Path, columns: Sequence[str] | None, block: int) -> Iterator[Any]:
    pa = import_arrow("pyarrow")
    ipc = import_arrow("pyarrow.ipc")
    with pa.OSFile(str(path)) as file, ipc.open_file(file) as reader:
        yield reader.schema.empty_table()
        for k in range(reader.num_record_batches):
            batch = reader.get_batch(k).select(columns)
            yield from (batch.slice(first, block) for first in range(0, len(batch), block))


READERS: dict[str, Callable[[Path, Sequence[str] | None, int], Iterator[Any]]] = {
    **dict.fromkeys((".parquet", ".pq"), _parquet_blocks),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), _arrow_blocks),
}
"""Functions that yield the schema and the blocks of a file, by suffix."""


def _schema(path: Path) -> Any:
    blocks = READERS[path.suffix.lower()](path, None, 1)
    try:
        return next(blocks).schema
    finally:
        blocks.close()  # type: ignore[attr-defined]


def _dtype(schema: Any, channels: Sequence[str]) -> Any:
    """Return float32 if all channels are at most that precise, else float64."""
    types = import_arrow("pyarrow.types")
    if not channels:
        raise ShapeError("the data set has no channels other than its id, time and target")
    for name in channels:
        kind = schema.field(name).type
        accepted = (types.is_floating, types.is_integer, types.is_boolean, types.is_null)
        if not any(accept(kind) for accept in accepted):
            raise ShapeError(
                f"the channel has type {kind}, expected numbers",
                column=name,
                fix="choose columns of numbers with {channels}",
            )
    narrow = all(
        types.is_float32(schema.field(name).type) or types.is_float16(schema.field(name).type)
        for name in channels
    )
    return np.float32 if narrow else np.float64


def _check_purposes(columns: Sequence[str]) -> None:
    for name in columns:
        if columns.count(name) > 1:
            raise SettingError(
                f"the column {name!r} is named for two purposes",
                column=name,
                fix="name it once among {id}, {time}, {target}, {groups} and {channels}",
            )
