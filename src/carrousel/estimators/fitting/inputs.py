"""Inputs of an estimator: tables as scikit-learn validates them, and everything else as series."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any, Literal

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from carrousel.arrays import runs
from carrousel.checks import check_int
from carrousel.errors import DataTypeError, SettingError, ShapeError
from carrousel.estimators.data.checks import check_data_set, check_series
from carrousel.estimators.data.containers import read_series
from carrousel.estimators.data.larger import TableDataset
from carrousel.estimators.data.schema import Schema
from carrousel.estimators.data.series import Series, Source
from carrousel.estimators.net.features import Features
from carrousel.shapes import Array

At = Literal["end", "every step"] | float
"""When to answer: at the end, at every step, after a number of steps, or after a share of them."""
_TABLE: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": "allow-nan"}


def read_source(estimator: Any, X: Any, *, fitted: bool) -> Series | TableDataset:
    """Read ``X`` as :func:`read_inputs` does; a ``TableDataset`` is returned as it is.

    Args:
        estimator: the estimator, whose attributes about ``X`` are set unless ``fitted``.
        X: series, or a ``TableDataset``.
        fitted: whether ``X`` must have the channels of training.

    Raises:
        ShapeError, DataError, DataTypeError, ValueError, TypeError: as :func:`read_inputs`.
    """
    if not isinstance(X, TableDataset):
        return read_again(estimator, X) if fitted else read_inputs(estimator, X, reset=True)
    if fitted:
        estimator.schema_.check(X.take([0]))
    else:
        _set_channels(estimator, X.n_channels)
    return X


def read_again(estimator: Any, X: Any) -> Series:
    """Read series with the channels and the alphabet of training; exceptions as in read_inputs."""
    series = read_inputs(estimator, X, reset=False)
    estimator.schema_.check(series)
    return read_series(series, symbols=estimator.schema_.symbols)


def check_source(source: Series | TableDataset) -> None:
    """Check series to learn from; errors and warnings are those of :func:`check_series`."""
    if isinstance(source, TableDataset):
        check_data_set(source)
    else:
        check_series(source)


def schema_of(source: Series | TableDataset) -> Schema:
    """Describe series of training."""
    if isinstance(source, Series):
        return Schema.of(source)
    return replace(Schema.of(source.take([0])), gaps=source.statistics.gaps)


def features_of(given: Series | TableDataset, distinct: Source) -> Features:
    """Return features fitted to the distinct series of training.

    For a data set, they are those of all its rows, which were computed when it was opened.
    """
    if isinstance(given, TableDataset):
        return Features.of(given.statistics)
    return Features.fit(distinct)  # type: ignore[arg-type]


def read_inputs(estimator: Any, X: Any, *, reset: bool) -> Series:
    """Read ``X``; a table follows scikit-learn's rules about names and numbers of columns.

    Sets ``n_features_in_`` (columns of a table, channels of anything else) and, for a data frame
    with names, ``feature_names_in_``.

    Args:
        estimator: the estimator whose attributes are set or compared.
        X: a table (a row is a series of one channel), or what ``read_series`` reads.
        reset: True in ``fit``: sets the attributes. False: compares ``X`` with them.

    Raises:
        ShapeError, DataError, DataTypeError: ``X`` is not what ``fit`` saw.
        ValueError, TypeError: a table is not valid (scikit-learn's own).

    Warns:
        SymbolWarning: ``X`` holds symbols that ``fit`` did not see.
    """
    if isinstance(X, TableDataset):
        raise DataTypeError(
            f"X is a TableDataset, but {type(estimator).__name__} needs series in memory here",
            argument="X",
            fix="pass series in memory, such as {X.take(range(1000))}",
        )
    if not is_table(X):
        symbols = None if reset else estimator.schema_.symbols
        series = read_series(X, symbols=None if symbols is None else True)
        if reset:
            _set_channels(estimator, series.n_channels)
        return series
    if reset:
        estimator._from_table = True
    if estimator._from_table:
        try:
            table = validate_data(estimator, X, reset=reset, **_TABLE)
        except ValueError as error:
            _explain_text(X, error)
            if reset or "features" not in str(error):
                raise
            raise ShapeError(
                str(error).rstrip("."),
                argument="X",
                fix="pass a list of arrays to predict series of other lengths",
            ) from error
        return read_series(np.asarray(table))
    try:
        table = check_array(X, input_name="X", estimator=estimator, **_TABLE)
    except ValueError as error:
        _explain_text(X, error)
        raise
    return read_series(table)


def _explain_text(X: Any, error: ValueError) -> None:
    """Raise another error if ``X`` is a data frame with text: often its rows are steps."""
    if hasattr(X, "columns") and "could not convert string" in str(error):
        raise DataTypeError(
            "X is a data frame with text, but each of its rows is read as a series of numbers",
            argument="X",
            fix="if its rows are steps, pass the series of "
            "carrousel.estimators.data.table.read_table; else convert text to numbers",
        ) from error


def _set_channels(estimator: Any, channels: int) -> None:
    estimator.__dict__.pop("feature_names_in_", None)
    estimator.n_features_in_ = channels
    estimator._from_table = False


def is_table(X: Any) -> bool:
    """Return whether ``X`` is a table of numbers whose rows are series of one channel.

    >>> is_table(np.zeros((3, 5))), is_table([[1.0, 2.0], [3.0, 4.0]])
    (True, True)
    >>> is_table(np.zeros((3, 5, 2))), is_table([[1.0], [2.0, 3.0]]), is_table([np.zeros(5)] * 3)
    (False, False, False)
    >>> is_table(np.zeros(5))
    False
    """
    if isinstance(X, Series):
        return False
    if isinstance(X, list | tuple):  # plain numbers in rows of one length, as scikit-learn reads
        rows = all(isinstance(row, list | tuple) and len(row) == len(X[0]) for row in X)
        return rows and all(isinstance(row[0], Real) for row in X if row)
    if hasattr(X, "columns"):  # data frames
        index, first = getattr(X, "index", None), X.iloc[0, 0] if _has_cells(X) else 0.0
        return getattr(index, "nlevels", 1) == 1 and np.ndim(first) == 0
    if hasattr(X, "ndim") and not hasattr(X, "toarray"):
        if X.ndim == 1 and X.dtype.kind in "biuf":
            return False  # read_series explains how to pass one series
        strings = getattr(X, "dtype", None) is not None and X.dtype.kind in "US"
        nested = X.ndim == 1 and X.dtype == object and len(X) > 0 and np.ndim(X[0]) > 0
        return X.ndim <= 2 and not strings and not nested
    return True  # sparse matrices, scalars, objects with __array__: scikit-learn explains


def _has_cells(frame: Any) -> bool:
    return hasattr(frame, "iloc") and frame.shape[0] > 0 and frame.shape[1] > 0


def first_steps(series: Series, at: float) -> Series:
    """Return the first steps of each series.

    Args:
        series: the series.
        at: a whole number: steps, or all steps of a shorter series. A float from 0 to 1: the
            share of the steps of each series, at least one step.

    Raises:
        SettingError: ``at`` is neither.

    >>> first_steps(Series.of([[[1.0], [2.0], [3.0]], [[4.0]]]), 2).lengths.tolist()
    [2, 1]
    >>> first_steps(Series.of([[[1.0], [2.0], [3.0]], [[4.0]]]), 0.25).lengths.tolist()
    [1, 1]
    """
    if isinstance(at, float | np.floating):
        if not 0.0 < at <= 1.0:
            raise SettingError(
                argument="at", got=at, expected="a share of each series, above 0.0, at most 1.0"
            )
        lengths = np.maximum(np.ceil(series.lengths * at - 1e-9), 1).astype(np.int64)
    else:
        lengths = np.minimum(series.lengths, check_int("at", at, minimum=1))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    steps: Array = runs(series.offsets[:-1], lengths, offsets)
    times = None if series.times is None else series.times[steps]
    return replace(series, values=series.values[steps], offsets=offsets, times=times)
