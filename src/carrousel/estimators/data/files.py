"""Files of series: CSV, Parquet, Arrow, JSON lines, NumPy and aeon's ``.ts``.

=========================  ==========================================  ===========
suffix                     contents                                    package
=========================  ==========================================  ===========
``.csv``, ``.tsv``         one row per step                            pyarrow
``.parquet``, ``.pq``      one row per step, or per series with lists  pyarrow
``.arrow``, ``.feather``   one row per step, or per series with lists  pyarrow
``.jsonl``, ``.ndjson``    one record per step, or per series          pyarrow
``.npz``                   columns; or ``X [N, T, I]`` and others      NumPy
``.ts``                    series and their labels                     aeon
=========================  ==========================================  ===========

A ``.csv``, ``.tsv`` or ``.jsonl`` file may be compressed: ``.gz``. Pickles are refused: reading one
runs the code inside.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from carrousel.checks import suggestion
from carrousel.errors import (
    CarrouselError,
    DataError,
    MissingExtraError,
    SettingError,
    StoreError,
    UnknownNameError,
)
from carrousel.estimators.data.containers import read_series
from carrousel.estimators.data.series import Series
from carrousel.estimators.data.table import Table, read_table

PICKLES = (".pkl", ".pickle", ".joblib")


def read_file(
    path: str | Path,
    *,
    target: str | Sequence[str] | None = None,
    id: str | None = None,
    time: str | None = None,
    channels: Sequence[str] | None = None,
    groups: str | None = None,
    per_step: bool | None = None,
) -> Table[Series]:
    """Read series, targets and groups from a file; its suffix decides on the format.

    The names are those of columns, as in :func:`~carrousel.estimators.data.table.read_table`. A
    ``.ts`` file has no columns: its labels or targets are read in any case. In an ``.npz`` file
    without ``id``, the array ``X`` holds the series, ``[N, T, I]`` or ``[N, T]``, and ``target``
    and ``groups`` name other arrays ``[N]``.

    Args:
        path: the file.
        target: column, or columns, of targets or labels.
        id: column that names the series of a row. None is allowed if a row is a series.
        time: column of times.
        channels: columns that are measured; None: all others.
        groups: column of groups.
        per_step: whether each step has a target; None: yes if it changes within a series.

    Raises:
        StoreError: the file does not exist or cannot be read.
        UnknownNameError: the suffix or a column is unknown.
        DataError: the contents are damaged, a pickle, or not what an estimator can learn from.
        SettingError: a column is named that the format cannot have.
        MissingExtraError: the format's package is not installed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "rows.jsonl")
    ...     _ = path.write_text('{"x": [1, 2.5], "ill": 1}\\n{"x": [null], "ill": 0}\\n')
    ...     table = read_file(path, target="ill")
    >>> table.series.values.ravel().tolist(), table.y.tolist()
    ([1.0, 2.5, nan], [1, 0])
    """
    path = Path(path)
    suffix = _suffix(path)
    names: dict[str, Any] = {"id": id, "time": time, "channels": channels, "groups": groups}
    try:
        if suffix == ".ts":
            return _read_ts(path, names)
        if suffix == ".npz":
            found = _read_npz(path)
            if id is None:
                return _arrays(found, target, names, path.name)
            frame = _as_table(found, path.name)
        else:
            frame = READERS[suffix](path)
        return read_table(frame, target=target, per_step=per_step, source=path.name, **names)
    except CarrouselError:
        raise
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read: {error.strerror or error}", argument="path", got=str(path)
        ) from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:  # pyarrow's errors are ValueErrors
        raise DataError(f"the contents cannot be read: {error}", source=path.name) from error


def _suffix(path: Path) -> str:
    """Return the suffix that decides on the format, without ``.gz``."""
    suffixes = [each.lower() for each in path.suffixes]
    last = suffixes[-1] if suffixes else ""
    if last == ".gz" and len(suffixes) > 1 and suffixes[-2] in PACKED:
        return suffixes[-2]
    if last in PICKLES:
        raise DataError(
            f"files {last} are refused: a pickle runs code when it is read",
            source=path.name,
            fix="save the data as Parquet, CSV or npz",
        )
    if last not in SUFFIXES:
        raise UnknownNameError(
            f"the suffix {last!r} of {path.name} is unknown",
            argument="path",
            got=str(path),
            fix=suggestion(last, SUFFIXES),
        )
    return last


def import_arrow(module: str) -> Any:
    """Return a module of pyarrow.

    Raises:
        MissingExtraError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            "files of tables need pyarrow, which is not installed",
            fix="pip install 'carrousel[stream]'",
        ) from error


def _read_csv(path: Path) -> Any:
    csv = import_arrow("pyarrow.csv")
    separator = "\t" if ".tsv" in path.suffixes else ","
    return csv.read_csv(
        path,
        parse_options=csv.ParseOptions(delimiter=separator),
        convert_options=csv.ConvertOptions(
            strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )


def _read_parquet(path: Path) -> Any:
    return import_arrow("pyarrow.parquet").read_table(path)


def _read_arrow(path: Path) -> Any:
    """Read Arrow's file format (also called Feather), or its stream format."""
    ipc = import_arrow("pyarrow.ipc")
    with path.open("rb") as file:
        start = file.read(6)
    if start == b"ARROW1":
        with ipc.open_file(path) as reader:
            return reader.read_all()
    with path.open("rb") as file, ipc.open_stream(file) as reader:
        return reader.read_all()


def _read_json(path: Path) -> Any:
    """Read one JSON object per line; a key that a record lacks is missing there."""
    opened: Callable[..., Any] = gzip.open if path.suffix.lower() == ".gz" else open
    columns: dict[str, list[Any]] = {}
    rows = 0
    with opened(path, "rt", encoding="utf-8") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                record = json.loads(text)
            except json.JSONDecodeError as error:
                raise DataError(f"this is not JSON: {error}", source=path.name, line=line) from None
            if not isinstance(record, dict):
                raise DataError(
                    "a record is not an object of names and values", source=path.name, line=line
                )
            for name in record:
                if name not in columns:
                    columns[name] = [None] * rows
            for name, cells in columns.items():
                cells.append(record.get(name))
            rows += 1
    return _as_table(columns, path.name)


def _as_table(columns: dict[str, Any], name: str) -> Any:
    pa = import_arrow("pyarrow")
    read = {}
    for column, cells in columns.items():
        try:
            if isinstance(cells, np.ndarray) and cells.ndim != 1:
                raise ValueError(f"it has shape {cells.shape}, expected one value per row")
            read[column] = pa.array(cells)
        except (ValueError, TypeError) as error:  # cells of several types
            raise DataError(
                f"the column cannot be read: {error}", source=name, column=column
            ) from None
    if len({len(cells) for cells in read.values()}) > 1:
        sizes = {column: len(cells) for column, cells in read.items()}
        raise DataError(f"columns differ in length: {sizes}", source=name)
    return pa.table(read)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as raw:
        found = np.load(raw, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise ValueError("it holds one array, expected an archive of several")
        return {name: found[name] for name in found.files}


def _arrays(
    found: dict[str, np.ndarray],
    target: str | Sequence[str] | None,
    names: dict[str, Any],
    source: str,
) -> Table[Series]:
    """Read arrays by name: ``X`` holds the series."""
    _no_columns(names, ("time", "channels"), "an npz file without id")
    for name in ("X", target, names["groups"]):
        if name is not None and (not isinstance(name, str) or name not in found):
            raise UnknownNameError(
                f"{source} has no array {name!r}",
                argument="target",
                got=name,
                fix=suggestion(str(name), found),
            )
    series = read_series(found["X"], name=f"X of {source}")
    y = None if target is None else found[str(target)]
    groups = None if names["groups"] is None else found[names["groups"]]
    for name, each in ((target, y), (names["groups"], groups)):
        if each is not None and len(each) != len(series):
            raise DataError(
                f"{name} has {len(each)} entries for {len(series)} series", source=source
            )
    return Table(series, y, groups)


def _read_ts(path: Path, names: dict[str, Any]) -> Table[Series]:
    """Read aeon's format; a missing value is written as ``?``."""
    _no_columns(names, ("id", "time", "channels", "groups"), "a .ts file")
    try:
        from aeon.datasets import load_from_ts_file
    except ImportError as error:
        raise MissingExtraError(
            ".ts files need aeon, which is not installed", fix="pip install 'carrousel[data]'"
        ) from error
    loaded: Any = load_from_ts_file(str(path), return_meta_data=True)
    X, y, header = loaded
    series = read_series(X, name=path.name, layout="channels first")
    labelled = header["classlabel"] or header["targetlabel"]
    return Table(series, np.asarray(y) if labelled else None)


def _no_columns(names: dict[str, Any], refused: Sequence[str], what: str) -> None:
    for each in refused:
        if names[each] is not None:
            raise SettingError(
                f"{what} has no column for {each}",
                argument=each,
                got=names[each],
                fix=f"leave {{{each}}} out",
            )


READERS: dict[str, Callable[[Path], Any]] = {
    **dict.fromkeys((".csv", ".tsv"), _read_csv),
    **dict.fromkeys((".parquet", ".pq"), _read_parquet),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), _read_arrow),
    **dict.fromkeys((".jsonl", ".ndjson"), _read_json),
}
"""Functions that read a file as an Arrow table, by suffix."""
PACKED = (".csv", ".tsv", ".jsonl", ".ndjson")
"""Formats that may be compressed."""
SUFFIXES = (*READERS, ".npz", ".ts")
