"""Containers: read whatever users hold their series in.

=====================================================  ============================================
``X``                                                  what is read
=====================================================  ============================================
list of arrays or lists ``(T, I)`` or ``(T,)``         one series each
array ``[N, T, I]``                                    ``N`` series of ``T`` steps
array or data frame ``[N, T]``                         a row is a series of one channel
the same with ``layout="channels first"``              aeon's and sktime's arrays ``(I, T)``, ``[N, I, T]``
data frame with ``id=`` (pandas, polars, Arrow)        a row is a step: a long table
data frame with an index of two levels                 sktime's ``pd-multiindex``: series, time
data frame whose cells are series                      sktime's ``nested_univ``
list of data frames or of ``pandas.Series``            sktime's ``df-list``: the index holds the times
list of strings, or of lists of strings                series of symbols
:class:`carrousel.Sequences`                           its inputs
:class:`~carrousel.estimators.data.series.Series`      itself; a list of them is joined
=====================================================  ============================================
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence, Sized
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np

from carrousel.checks import check_choice
from carrousel.columns import as_times, check_ascending
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.estimators.data.cells import as_floats, encode_symbols, has_text
from carrousel.estimators.data.layouts import is_pandas, read_frame, read_indexed
from carrousel.estimators.data.series import Series
from carrousel.frames import is_frame
from carrousel.sequences import Sequences
from carrousel.shapes import Array, Bools, Floats

Layout = Literal["time first", "channels first"]
LAYOUTS = ("time first", "channels first")
LARGEST = 1e150
"""Magnitude of values and targets at most."""
SMALLEST = 1e-150
"""Difference of the largest and the smallest value of a channel or target at least, unless 0."""


def read_series(
    X: Any,
    *,
    name: str = "X",
    layout: Layout = "time first",
    symbols: bool | Sequence[Hashable] | None = None,
    times: Sequence[Any] | None = None,
    id: str | None = None,
    time: str | None = None,
    channels: Sequence[str] | None = None,
) -> Series:
    """Read series from any of the containers above.

    NaN, None, masked cells and pandas' NA are missing values. An infinite value is an error.
    Nothing is guessed from the size of an array: ``(T, I)`` is read with time first unless
    ``layout`` says otherwise.

    Args:
        X: the series.
        name: what messages call ``X``.
        layout: order of the axes of arrays. aeon and sktime put channels first.
        symbols: True reads whole numbers as symbols. A list is the alphabet: other symbols count
            as missing. None: text is symbols and numbers are values.
        times: for arrays and lists, the times of each series' steps, one entry per series.
        id: for a data frame with one row per step, the column that names the series.
        time: for such a data frame, the column of times.
        channels: for such a data frame, the columns to read; None: all others.

    Raises:
        ShapeError: ``X`` is no such container, or series differ in channels.
        DataError: there are no series; a series is empty; a value is infinite; times do not
            increase within a series.
        DataTypeError: a cell is neither a number nor missing.
        SettingError: ``id``, ``time`` or ``channels`` are given for what is no data frame.

    >>> two = read_series([[[1.0, None], [2.0, 0.5]], [[3.0, 4.0]]])
    >>> two.lengths.tolist(), two.n_channels, two.values[0].tolist()
    ([2, 1], 2, [1.0, nan])
    >>> read_series(np.zeros((5, 3, 100)), layout="channels first").values.shape
    (500, 3)
    >>> read_series(["abc", "ba"]).values.tolist()
    [0, 1, 2, 1, 0]
    """
    check_choice("layout", layout, LAYOUTS)
    if isinstance(X, Series):
        return _known_alphabet(X, symbols)
    if isinstance(X, list | tuple) and X and all(isinstance(each, Series) for each in X):
        return _known_alphabet(Series.join(X), symbols)  # scikit-learn selects one by one
    if isinstance(X, Sequences):
        return _from_sequences(X)
    if is_frame(X):
        if times is not None:
            raise SettingError(f"{name} is a data frame", fix="give its times as a column: {time}")
        found = read_frame(X, name, id, time, channels, symbols)
    else:
        _no_columns(name, id=id, time=time, channels=channels)
        found = _read_list(_entries(X, name), name, layout, symbols)
    if times is not None:
        found = replace(found, times=_read_times(times, found, name))
    check_values(found, name)
    return found


def _no_columns(name: str, **settings: object) -> None:
    for setting, value in settings.items():
        if value is not None:
            raise SettingError(
                f"{setting} names a column, but {name} is not a data frame",
                argument=setting,
                got=value,
                fix=f"leave {{{setting}}} out, or pass a data frame",
            )


def _entries(X: Any, name: str) -> Any:
    """Return the series of a list or array; refuse what is neither."""
    if type(X).__module__.startswith("scipy.sparse"):
        raise ShapeError(
            f"{name} is sparse; sparse data are not supported", argument=name, fix="call toarray()"
        )
    if isinstance(X, str | bytes | dict) or not (isinstance(X, Sized) and isinstance(X, Iterable)):
        raise ShapeError(
            f"{name} is a {type(X).__name__}, expected a list of series or an array [N, T, I]",
            argument=name,
            fix=f"pass [{name}] for one series" if isinstance(X, str) else None,
        )
    entries = X if isinstance(X, np.ndarray) else list(X)
    if isinstance(entries, np.ndarray):
        flat = entries.ndim == 1 and entries.dtype.kind not in "UO"
        if entries.ndim not in (1, 2, 3) or flat:
            raise ShapeError(
                f"{name} has shape {entries.shape}, expected [N, T, I] or [N, T]. Reshape your "
                "data: X[None] holds one series, X.reshape(-1, 1) series of one step",
                argument=name,
            )
        if 0 in entries.shape[1:]:
            raise ShapeError(
                f"{name} has 0 feature(s) (shape={entries.shape}) while a minimum of 1 is required",
                argument=name,
            )
    elif entries and all(np.isscalar(each) and not isinstance(each, str) for each in entries):
        raise ShapeError(
            f"{name} is a list of {len(entries)} numbers, expected a list of series. Reshape your "
            f"data: [{name}] holds one series",
            argument=name,
        )
    if not len(entries):
        raise DataError(f"{name} holds no series", argument=name, fix="pass at least one series")
    return entries


def _read_list(
    entries: Sequence[Any],
    name: str,
    layout: Layout,
    symbols: bool | Sequence[Hashable] | None,
) -> Series:
    if isinstance(entries, np.ndarray) and entries.dtype.kind not in "UO":
        return _from_array(entries, name, layout)
    if symbols or (symbols is None and any(has_text(each) for each in entries)):
        return _from_symbols(entries, name, None if symbols in (True, None) else symbols)  # type: ignore[arg-type]
    if any(is_pandas(each) for each in entries):
        return read_indexed(entries, name)
    rows = [as_steps(each, n, name, layout) for n, each in enumerate(entries)]
    check_widths(rows, name, layout)
    return Series.of(rows)


def _from_array(X: Array, name: str, layout: Layout) -> Series:
    """Read ``[N, T]``, ``[N, T, I]`` or, channels first, ``[N, I, T]``."""
    values = as_floats(X, name, name)
    if values.ndim == 2:
        values = values[:, :, None]
    elif layout == "channels first":
        values = values.transpose(0, 2, 1)
    N, T, width = values.shape
    offsets = np.arange(N + 1, dtype=np.int64) * T
    return Series(values.reshape(N * T, width), offsets, tuple(f"x{k}" for k in range(width)))


def as_steps(
    given: Any, n: int, name: str, layout: Layout = "time first"
) -> Annotated[Floats, "T I"]:
    """Return one series as floats ``[T, I]``."""
    values = as_floats(given, f"series {n}", name)
    if values.ndim == 1:
        values = values[:, None]
    elif values.ndim == 2 and layout == "channels first":
        values = values.T
    if values.ndim != 2 or (values.size == 0 and len(values)):
        raise ShapeError(
            f"series {n} has shape {np.shape(given)}, expected (T, I) or (T,)",
            argument=name,
            fix=f"pass [{name}] if {name} is one series" if values.ndim == 0 else None,
        )
    if not len(values):
        raise DataError(
            f"series {n} is empty", argument=name, fix="drop it, or give it at least one step"
        )
    return values


def check_widths(rows: Sequence[Floats], name: str, layout: Layout = "time first") -> None:
    """Raise :class:`ShapeError` if a series differs from the first in its channels."""
    for n, row in enumerate(rows):
        if row.shape[1] != rows[0].shape[1]:
            other = LAYOUTS[layout == "time first"]
            turned = len({len(each) for each in rows}) == 1
            raise ShapeError(
                f"series {n} has {row.shape[1]} channels, but series 0 has {rows[0].shape[1]}",
                argument=name,
                fix=f"if an array's first axis is "
                f"{'its channels' if layout == 'time first' else 'time'}, set {{layout={other}}} "
                "of carrousel.estimators.data.containers.read_series"
                if turned
                else "give every series the same channels, with NaN where nothing was measured",
            )


def _from_symbols(entries: Sequence[Any], name: str, alphabet: Sequence[Hashable] | None) -> Series:
    rows = []
    for n, each in enumerate(entries):
        if not isinstance(each, Iterable):
            raise ShapeError(
                f"series {n} is {each!r:.40}, expected a string or a list of symbols",
                argument=name,
            )
        row = each if isinstance(each, str | np.ndarray) else list(each)
        if isinstance(row, np.ndarray) and row.ndim == 2 and row.shape[1] == 1:
            row = row[:, 0]
        if not len(row):
            raise DataError(
                f"series {n} is empty", argument=name, fix="drop it, or give it at least one step"
            )
        rows.append(row)
    values, alphabet = encode_symbols(rows, alphabet, name)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Series(values, offsets, ("x0",), symbols=alphabet)


def _from_sequences(data: Sequences) -> Series:
    """Read the inputs of :class:`carrousel.Sequences`; its symbols are their own names."""
    if not len(data):
        raise DataError("X holds no series", argument="X", fix="pass at least one series")
    if data.symbolic:
        symbols = tuple(range(data.n_inputs))
        return Series(data.inputs, data.offsets, ("x0",), symbols=symbols)
    return Series(data.inputs, data.offsets, tuple(f"x{k}" for k in range(data.n_inputs)))


def _known_alphabet(series: Series, symbols: bool | Sequence[Hashable] | None) -> Series:
    """Renumber symbols by another alphabet; symbols outside it count as missing."""
    if series.symbols is None or symbols is None or isinstance(symbols, bool):
        return series
    number = {symbol: k for k, symbol in enumerate(symbols)}
    table = np.array([*(number.get(symbol, -1) for symbol in series.symbols), -1], np.int32)
    return replace(series, values=table[series.values], symbols=tuple(symbols))  # -1: the last


def _read_times(times: Sequence[Any], series: Series, name: str) -> Floats:
    """Join the times of all series, after a check of their numbers."""
    if len(times) != len(series):
        raise ShapeError(
            f"times has {len(times)} entries for {len(series)} series of {name}", argument="times"
        )
    read = []
    for n, (given, length) in enumerate(zip(times, series.lengths, strict=True)):
        one = as_times(np.asarray(given), where=f"{series.name(n)}: ")
        if one.shape != (length,):
            raise ShapeError(
                f"{series.name(n)} has {length} steps, but its times have shape {one.shape}",
                argument="times",
                fix="give one time for each step",
            )
        read.append(one)
    joined = np.concatenate(read)
    check_ascending(joined, series.offsets, series.ids)
    return joined


def too_large(values: Floats) -> Annotated[Bools, "..."]:
    """Return which values are infinite, or so large that variances would be infinite.

    >>> too_large(np.array([1.0, np.nan, -np.inf, 1e200])).tolist()
    [False, False, True, True]
    """
    if values.dtype == np.float32:  # its largest number has a finite square in float64
        return np.isinf(values)
    return np.abs(values) > LARGEST


def refuse_tiny(low: float, high: float, name: str, column: str | None = None) -> None:
    """Raise :class:`DataError` if values differ by so little that their variance would be 0."""
    if 0.0 < high - low < SMALLEST:
        raise DataError(
            f"values of {name} differ by at most {high - low:.3g}, expected none or at least "
            f"{SMALLEST:g}",
            argument=name,
            column=column,
            fix="use a smaller unit, so that the numbers are larger",
        )


def check_values(series: Series, name: str = "X") -> None:
    """Raise :class:`DataError` if a value is infinite or its square is.

    The message names series and channel.
    """
    if series.symbolic:
        return
    bad = too_large(series.values)
    if not bad.any():
        return
    step, channel = (int(each[0]) for each in np.nonzero(bad))
    n = int(np.searchsorted(series.offsets, step, side="right")) - 1
    raise DataError(
        f"{series.name(n)} of {name}, step {step - int(series.offsets[n])}: the value is "
        f"{series.values[step, channel]}, "
        + (
            "infinity is not allowed"
            if np.isinf(series.values[step, channel])
            else f"expected at most {LARGEST:g} in magnitude"
        ),
        argument=name,
        column=series.channels[channel],
        fix="replace it by NaN if it is missing",
    )
