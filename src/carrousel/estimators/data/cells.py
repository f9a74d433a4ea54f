"""Cells: what arrays and lists of users contain, as floats or as symbols."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from carrousel.columns import is_missing
from carrousel.errors import DataError, DataTypeError, ShapeError
from carrousel.frames import is_frame
from carrousel.shapes import Array, Floats, Ints


def as_floats(given: object, where: str, argument: str = "X") -> Floats:
    """Return numbers of any shape as float32 or float64; missing ones (None, NA, masked) are NaN.

    float32 and float16 become float32, everything else float64.

    Args:
        given: an array, a masked array or nested lists.
        where: begins a message, for example ``"series 3"``.
        argument: the argument that the data are from.

    Raises:
        ShapeError: rows differ in length, or the data are sparse.
        DataTypeError: a cell is neither a number nor missing.

    >>> as_floats([[1, None], [2.5, float("nan")]], "series 0").tolist()
    [[1.0, nan], [2.5, nan]]
    """
    if type(given).__module__.startswith("scipy.sparse"):
        raise ShapeError(
            f"{where}: sparse data are not supported", argument=argument, fix="call {X}.toarray()"
        )
    if isinstance(given, np.ma.MaskedArray):
        plain = as_floats(np.ma.getdata(given), where, argument)
        return np.where(np.ma.getmaskarray(given), plain.dtype.type(np.nan), plain)
    array = as_plain_array(given, where, argument)
    kind = array.dtype.kind
    if kind == "f":
        return array.astype(np.float32 if array.itemsize <= 4 else np.float64, copy=False)
    if kind in "iub":
        return array.astype(np.float64)
    if kind == "c":
        raise DataTypeError(f"{where}: Complex data not supported", argument=argument)
    if kind == "O":
        cells = [_as_float(cell, where, argument) for cell in array.ravel()]
        return np.array(cells, np.float64).reshape(array.shape)
    held = {"U": "text", "S": "bytes", "M": "dates", "m": "durations"}.get(kind, str(array.dtype))
    raise DataTypeError(
        f"{where} holds {held}, expected numbers",
        argument=argument,
        fix="convert numbers written as text by .astype(float); pass dates as times"
        if kind != "S"
        else "decode bytes to text",
    )


def as_plain_array(given: object, where: str, argument: str) -> Array:
    """Return ``np.asarray(given)``; rows of unequal length raise :class:`ShapeError`."""
    try:
        return np.asarray(given)
    except (ValueError, RuntimeError, TypeError) as error:  # ragged rows, tensors with gradients
        reason = "its rows differ in length" if isinstance(error, ValueError) else str(error)
        raise ShapeError(
            f"{where} cannot be converted to an array: {reason}",
            argument=argument,
            fix="give each series as an array (T, I) or (T,)",
        ) from None


def _as_float(cell: object, where: str, argument: str) -> float:
    if is_missing(cell):
        return np.nan
    if isinstance(cell, str | bytes | complex) or np.ndim(cell):  # type: ignore[arg-type]
        raise DataTypeError(
            f"{where} contains {cell!r:.40}, expected numbers",
            argument=argument,
            fix="give every series the same channels, all of them numbers or missing",
        )
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise DataTypeError(
            f"{where}: the argument must be a string of symbols or a number, got {cell!r:.40}",
            argument=argument,
        ) from None


def has_text(given: object) -> bool:
    """Whether a series consists of text: a string, or a list or array that begins with one.

    >>> [has_text(given) for given in ("abc", [None, "a"], [1.0, None], [[1.0], [2.0]])]
    [True, True, False, False]
    """
    if isinstance(given, str):
        return True
    if isinstance(given, np.ndarray):
        if given.dtype.kind != "O":
            return given.dtype.kind == "U"
        given = given.ravel()
    if not isinstance(given, Iterable) or is_frame(given):
        return False
    return isinstance(next((cell for cell in given if not is_missing(cell)), None), str)


def encode_symbols(
    rows: Sequence[Iterable[Hashable]],
    alphabet: Sequence[Hashable] | None = None,
    argument: str = "X",
) -> tuple[Ints, tuple[Hashable, ...]]:
    """Number the symbols of all series.

    Args:
        rows: the symbols of each series: text or whole numbers.
        alphabet: known symbols; None: all that occur, sorted.

    Returns:
        int32 ``[steps]``, -1 where a symbol is missing or not in ``alphabet``, and the alphabet.

    Raises:
        DataTypeError: a symbol is neither text nor a whole number, or both occur.

    >>> encode_symbols(["hello", ["o", None, "z"]], alphabet="ehlo")
    (array([ 1,  0,  2,  2,  3,  3, -1, -1], dtype=int32), ('e', 'h', 'l', 'o'))
    """
    plain = [_symbols_of(row, n, argument) for n, row in enumerate(rows)]
    if alphabet is None:
        present = set().union(*plain) - {None}
        if len({isinstance(symbol, str) for symbol in present}) > 1:
            raise DataTypeError(f"{argument} mixes text and numbers as symbols", argument=argument)
        alphabet = sorted(present)  # type: ignore[type-var]
    number: dict[Hashable, int] = {symbol: k for k, symbol in enumerate(alphabet)}
    if not number:
        raise DataError(f"{argument} contains no symbols, all are missing", argument=argument)
    numbers = [number.get(symbol, -1) for row in plain for symbol in row]
    return np.array(numbers, np.int32), tuple(alphabet)


def _symbols_of(row: Iterable[Hashable], n: int, argument: str) -> list[Hashable]:
    """Return the symbols of one series as str, int or None."""
    if isinstance(row, str):
        return list(row)
    if isinstance(row, np.ndarray):
        row = row.tolist()
    plain = [None if is_missing(symbol) else symbol for symbol in row]
    for t, symbol in enumerate(plain):
        if symbol is None or isinstance(symbol, str):
            continue
        if isinstance(symbol, float | np.floating) and float(symbol).is_integer():
            plain[t] = int(symbol)  # NaN made whole numbers floats
        elif isinstance(symbol, int | np.integer) and not isinstance(symbol, bool):
            plain[t] = int(symbol)
        else:
            raise DataTypeError(
                f"series {n}, step {t} is {symbol!r:.40}, expected text or a whole number",
                argument=argument,
                fix="write each series as a string or as a list of symbols",
            )
    return plain
