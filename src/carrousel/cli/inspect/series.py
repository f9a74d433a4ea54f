"""Series of a file, some of which are inspected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carrousel.cli.estimators.config import Columns
from carrousel.cli.estimators.reading import read_data
from carrousel.cli.inspect.config import InspectConfig
from carrousel.errors import DataError, SettingError, StoreError
from carrousel.shapes import Array
from carrousel.words import count, listed

if TYPE_CHECKING:
    from carrousel.estimators.data.series import Series
    from carrousel.estimators.data.table import Table


def data_of(config: InspectConfig, needed_for: str) -> Path:
    """Return the file of the data.

    Raises:
        SettingError: it was not named.
        StoreError: it does not exist.
    """
    if config.data is None:
        raise SettingError(
            f"{needed_for} is inspected on data, but no file of data was named",
            fix=f"carrousel inspect {config.what} DATA",
        )
    if not config.data.exists():
        raise StoreError(f"{config.data} does not exist")
    return config.data


def read_some(
    path: Path, columns: Columns, config: InspectConfig, *, forecast: bool = False
) -> tuple[Table[Series], str]:
    """Read the series of a file; return some of them, and a text with their number.

    Raises:
        StoreError, CarrouselError: as :func:`carrousel.cli.estimators.reading.read_data`.
    """
    if path.suffix == ".npy":
        table = _read_array(path, columns)
    else:
        table = read_data(path, columns, forecast=forecast)
    series, number = table.series, config.series
    text = f"{len(series):,} series"
    if len(series) > number:
        rng = np.random.default_rng(config.seed)
        chosen = np.sort(rng.choice(len(series), number, replace=False))
        text = f"{number:,} of {text}"
        y = table.y
        if isinstance(y, list):
            y = [y[n] for n in chosen]
        elif y is not None:
            y = y[chosen]
        table = replace(table, series=series.take(chosen), y=y, groups=None)
    steps = int(table.series.lengths.max())
    return table, f"{text} of {path.name}, {count(steps, 'step')} at most"


def _read_array(path: Path, columns: Columns) -> Table[Series]:
    """Read an array ``[N, T, I]`` or ``[N, T]``."""
    from carrousel.estimators.data.containers import read_series
    from carrousel.estimators.data.table import Table

    if columns != Columns():
        raise SettingError("an .npy file has no columns", fix="use an .npz file")
    try:
        found = np.load(path, allow_pickle=False)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise DataError(f"the contents cannot be read: {error}", source=path.name) from error
    return Table(read_series(found, name=path.name))


def padded(table: Table[Series], name: str) -> Any:
    """Return the series and targets of a table as a sample for a layer.

    Whole numbers among targets are numbers of classes. Texts are numbered in their order.

    Raises:
        DataError: a value is missing, or series are symbols.
    """
    from carrousel.estimators.net.batches import padded as padded_targets
    from carrousel.inspection.arrays import Sample

    series = table.series
    if series.symbols is not None:
        raise DataError("series of symbols, expected numbers", source=name)
    if not np.isfinite(series.values).all():
        step, channel = (int(each[0]) for each in np.nonzero(~np.isfinite(series.values)))
        raise DataError(
            "a value is missing, and a layer has no way to do without it",
            source=name,
            row=step,
            column=series.channels[channel],
            fix="fill it in",
        )
    lengths = np.asarray(series.lengths)
    every = np.arange(len(series))
    x = np.nan_to_num(padded_targets(series.values, series.offsets, every))
    if table.y is None:
        return Sample(x, lengths)
    y = _numbers(_joined(table))
    if table.per_step:
        return Sample(x, lengths, padded_targets(y, series.offsets, every), per_step=True)
    return Sample(x, lengths, y)


def _numbers(y: Array) -> Array:
    """Return targets as whole numbers of classes (int64), or as values (float64)."""
    if y.dtype.kind == "f":
        return y.astype(np.float64)
    if y.dtype.kind in "iub":
        return y.astype(np.int64)
    names = _names(y)
    return np.array([-1 if cell is None else names.index(str(cell)) for cell in y.tolist()])


def _names(y: Array) -> list[str]:
    return sorted({str(cell) for cell in y.tolist() if cell is not None})


def classes_of(table: Table[Series]) -> str:
    """Return a text with the classes and their numbers; empty: targets are numbers."""
    y = None if table.y is None else _joined(table)
    if y is None or y.dtype.kind in "fiub":
        return ""
    names = _names(y)
    shown = listed(names) if len(names) <= 6 else f"{', '.join(names[:5])} ..."
    return f"; the classes {shown} are outputs 0 to {len(names) - 1}"


def _joined(table: Table[Series]) -> Array:
    return np.concatenate(table.y) if isinstance(table.y, list) else np.asarray(table.y)
