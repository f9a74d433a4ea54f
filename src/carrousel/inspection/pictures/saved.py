"""Results as JSON with finite numbers only, and back.

Dataclasses become objects, tuples, lists and arrays become lists. Numbers of an array have seven
significant digits. In the place of numbers that JSON lacks, NaN is ``null``, and infinities are the
strings ``"inf"`` and ``"-inf"``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from carrousel.errors import DataError

FORMAT = 1
"""Version of the form; it grows when a reader of the old form would misread the new one."""
Found = TypeVar("Found")


def to_plain(value: Any) -> Any:
    """Return a value as what JSON can hold.

    >>> to_plain((1, float("inf"), np.array([[0.5, np.nan]])))
    [1, 'inf', [[0.5, None]]]
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: to_plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return _array(value.tolist())
    if isinstance(value, dict):
        return {str(name): to_plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return _number(value) if isinstance(value, float) else value


def from_plain(hint: Any, value: Any) -> Any:
    """Return the value of a type that :func:`to_plain` has made plain.

    Raises:
        DataError: it is none.

    >>> from_plain(tuple[float, ...], [1.5, "inf"])
    (1.5, inf)
    """
    try:
        return _read(hint, value)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        name = getattr(hint, "__name__", hint)
        raise DataError(
            f"the data are no saved {name}: {type(error).__name__}: {error}",
            argument="data",
            fix="give what to_dict returned, or what save_json wrote",
        ) from error


def text_of(value: Any) -> str:
    """Return plain data as JSON text."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _read(hint: Any, value: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _array_of(inner[1], value)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return _read(next(one for one in inner if one is not type(None)), value)
    if origin in (tuple, list):
        if not isinstance(value, list | tuple):
            raise TypeError(f"expected a list, got {type(value).__name__}")
        if origin is tuple and inner[-1] is not Ellipsis:
            return tuple(_read(one, each) for one, each in zip(inner, value, strict=True))
        return origin(_read(inner[0], each) for each in value)
    if origin is dict:
        return {name: _read(inner[1], each) for name, each in value.items()}
    if dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint, include_extras=True)
        known = [one.name for one in dataclasses.fields(hint) if one.name in value]
        return hint(**{name: _read(hints[name], value[name]) for name in known})  # type: ignore[operator]
    if hint is float:
        return math.nan if value is None else float(value)
    if hint in (int, str, bool) and not isinstance(value, hint):
        raise TypeError(f"expected {hint.__name__}, got {value!r:.40}")
    return value


def _array_of(shape: str, value: Any) -> np.ndarray:
    """Return an array with as many axes as its shape has names."""
    array = np.array(value, dtype=object)
    whole = array.size > 0 and all(type(one) is int for one in array.ravel().tolist())
    flat = [math.nan if one is None else float(one) for one in array.ravel().tolist()]
    found = np.array(flat, np.float64).reshape(array.shape)
    n = len(shape.split())
    if not found.size and found.ndim < n:
        found = found.reshape(found.shape + (0,) * (n - found.ndim))
    if found.ndim != n:
        raise ValueError(f"expected an array [{shape}], got one of shape {found.shape}")
    return found.astype(np.int64) if whole else found


def _array(value: Any) -> Any:
    if isinstance(value, list):
        return [_array(one) for one in value]
    return _number(value, digits=7) if isinstance(value, float) else value


def _number(value: float, digits: int | None = None) -> float | str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value if digits is None else float(f"{value:.{digits}g}")
