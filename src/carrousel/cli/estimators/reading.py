"""Data and models of the commands: files, columns, warnings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carrousel.cli.estimators.config import Columns
from carrousel.cli.screen import say
from carrousel.errors import CarrouselError, DataError, MissingExtraError, SettingError, StoreError

if TYPE_CHECKING:
    from carrousel.estimators.data.larger import TableDataset
    from carrousel.estimators.data.series import Series
    from carrousel.estimators.data.table import Table

LARGE = 500_000_000
"""Bytes of a file above which it is read from disk by default."""


def read_data(path: Path, columns: Columns, *, forecast: bool = False) -> Table[Series]:
    """Read series, with targets and groups if their columns are named.

    Args:
        path: the file.
        columns: names of columns. The targets of a forecast are channels.
        forecast: whether values of channels are forecast.

    Raises:
        StoreError: there is no such file, or it cannot be read.
        CarrouselError: its contents are not what was named.
    """
    from carrousel.estimators.data.files import read_file

    target = None if forecast or not columns.target else list(columns.target)
    if target is not None and len(target) == 1:
        target = target[0]
    channels = list(columns.channels)
    if forecast and channels:
        channels += [name for name in columns.target if name not in channels]
    try:
        return read_file(
            path,
            target=target,
            id=columns.id,
            time=columns.time,
            channels=channels or None,
            groups=columns.groups,
        )
    except OSError as error:
        if isinstance(error, CarrouselError):
            raise
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error


def large(path: Path) -> bool:
    """Whether a file or folder is read from disk unless the user chooses."""
    from carrousel.estimators.data.larger import READERS

    if path.is_dir():
        return True
    return path.suffix.lower() in READERS and path.is_file() and path.stat().st_size > LARGE


def read_larger(path: Path, columns: Columns) -> Table[TableDataset]:
    """Copy values to a temporary file from which batches are read.

    Raises:
        SettingError: ``columns`` has no id, or other than one target; or the file is neither
            Parquet nor Arrow.
        StoreError, CarrouselError: as :func:`read_data`.
    """
    from carrousel.estimators.data.larger import READERS, TableDataset
    from carrousel.estimators.data.table import Table

    if path.is_file() and path.suffix.lower() not in READERS:
        raise SettingError(
            f"--read disk needs a Parquet or Arrow file, but {path.name} is neither",
            fix="convert the file, or read it at once with --read memory",
        )
    if columns.id is None or len(columns.target) != 1:
        raise SettingError(
            f"{path.name} is read from disk, which needs --id and one --target",
            fix="name both columns, or read the file at once with --read memory",
        )
    say(f"{path.name} is read from disk; --read memory reads it at once.")
    data = TableDataset(
        path,
        id=columns.id,
        time=columns.time,
        target=columns.target[0],
        groups=columns.groups,
        channels=columns.channels or None,
    )
    return Table(data, data.targets(), data.groups)


def read_model(path: Path) -> tuple[Any, Columns]:
    """Read a model and the columns that it was trained with.

    Raises:
        StoreError: there is no such file.
        CheckpointError: it is not a model.
    """
    from carrousel.estimators.catalogue import load_model

    try:
        model = load_model(path)
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist") from None
    stored = model.ensemble_.details.get("columns", {})
    names: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()
    }
    return model, Columns(**names)


def store_columns(model: Any, columns: Columns) -> None:
    """Keep the names of columns with a model, for later commands."""
    model.ensemble_.details["columns"] = asdict(columns)


def columns_for(model: Any, stored: Columns, **given: Any) -> Columns:
    """Return the columns to read for a model: those of training, and those given instead."""
    changed = {name: value for name, value in given.items() if value}
    channels = model.schema_.channels if model.schema_.named else ()
    return replace(stored, channels=tuple(channels), groups=None, **changed)


@contextmanager
def warnings_as_messages() -> Iterator[None]:
    """Write warnings of the estimators as messages, and errors of scikit-learn as ours."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning)
        warnings.showwarning = lambda message, *_, **__: say(f"Warning: {message}")
        try:
            yield
        except ValueError as error:
            if isinstance(error, CarrouselError):
                raise
            raise DataError(str(error)) from error


def check_report_extra(report: Path | None) -> None:
    """Raise MissingExtraError before training if a report could not be written."""
    absent = [name for name in ("jinja2", "plotly") if find_spec(name) is None]
    if report is not None and absent:
        raise MissingExtraError(
            f"the HTML report needs {absent[0]}",
            fix="install it with: pip install 'carrousel[report]'",
        )
