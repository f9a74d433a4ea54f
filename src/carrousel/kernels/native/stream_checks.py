"""Checks of the arguments of the compiled kernel for streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from carrousel.contracts import Cell, Network
from carrousel.errors import CarrouselError, DataError, SettingError, ShapeError
from carrousel.shapes import Floats

_SCALES = ("inputs", "targets", "inputs_all", "targets_all")
_COUNTS = ("changes", "draws", "pending_counts", "pending_lost")


EXPERTS = ("expert_", "class_", "context_", "neighbour_")
"""First words of the names of parts of experts for classes."""


def part_type(name: str, dtype: type[np.floating]) -> type[np.number]:
    """Return the data type of a part of the state of a kernel of this precision."""
    if name == "context_places":
        return np.uint16
    double = name in (*_SCALES, *_COUNTS) or name.startswith(("rules_", "pending_", *EXPERTS))
    return np.float64 if double else dtype


def check_network(network: Network) -> None:
    """Raise :class:`SettingError` for networks that the compiled kernel does not support."""
    cell = network.cell
    if not isinstance(cell, Cell) or not cell.output_gate:
        raise SettingError(argument="cell", got=cell, expected="memory cells with output gates")
    if network.wiring not in ("cells", "full") or network.bias != "all":
        raise SettingError(
            f"wiring is {network.wiring!r} with bias {network.bias!r}, expected 'cells' or 'full' "
            "with bias 'all'",
            argument="wiring",
            got=network.wiring,
        )
    for name in ("feedback", "feedback_into", "inputs_to_outputs"):
        if getattr(network, name) is not None:
            raise SettingError(
                argument=name,
                got=getattr(network, name),
                expected="None for streams",
                fix="choose {wiring}",
            )


def precision(dtype: Any) -> type[np.floating]:
    """Return ``np.float32`` or ``np.float64`` from anything that NumPy accepts as a dtype."""
    try:
        found = np.dtype(dtype).type
    except TypeError:
        found = None
    if found not in (np.float32, np.float64):
        raise SettingError(argument="dtype", got=dtype, expected="np.float32 or np.float64")
    return found


def numbers(
    name: str, values: Any, kind: type[CarrouselError] = DataError
) -> Annotated[Floats, "..."]:
    """Return real numbers as a contiguous float64 array, or raise ``kind``."""
    try:
        found = np.asarray(values)
    except ValueError:
        found = np.empty(0, object)
    if found.dtype.kind not in "fiu":
        raise kind(f"{name} is of {found.dtype}, expected real numbers")
    return np.ascontiguousarray(found, np.float64)


def whole_numbers(state: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return a part of a state as int64."""
    found = np.asarray(state[name])
    if found.dtype.kind not in "iu" and found.size:
        raise ShapeError(
            f"state: {name} is {found.tolist()}, expected whole numbers", argument="state"
        )
    return found.astype(np.int64)


def checked_state(
    state: Mapping[str, np.ndarray],
    known: Mapping[str, tuple[bool, tuple[int, ...]]],
    n_streams: int,
    dtype: type[np.floating],
) -> dict[str, np.ndarray]:
    """Return the parts of a state, checked and converted; ShapeError if one does not fit."""
    missing = sorted({*known, "streams", "flags"} - set(state))
    if missing:
        raise ShapeError(
            f"state lacks {', '.join(missing)}; expected what state() returned", argument="state"
        )
    begun, flags = whole_numbers(state, "streams"), whole_numbers(state, "flags")
    inside = ((begun >= 0) & (begun < n_streams)).all()
    if begun.ndim != 1 or not inside or len(np.unique(begun)) < begun.size:
        raise ShapeError(
            f"state has streams {begun.tolist()}, expected some of 0..{n_streams - 1}",
            argument="state",
        )
    if flags.shape != begun.shape or not np.isin(flags, (1, 3)).all():
        raise ShapeError(
            f"state has flags {flags}, expected 1 or 3 for each of its streams", argument="state"
        )
    parts = {"streams": begun, "flags": flags}
    for name, (of_stream, shape) in known.items():
        parts[name] = part = numbers(f"state: {name}", state[name], ShapeError)
        wanted = (begun.size, *shape) if of_stream else shape
        if part.shape != wanted:
            raise ShapeError(
                f"state: {name} has shape {part.shape}, expected {wanted}", argument="state"
            )
        with np.errstate(over="ignore"):
            kept = part.astype(dtype) if part_type(name, dtype) is dtype else part
        if not np.isfinite(kept).all():
            raise ShapeError(
                f"state: {name} is not finite",
                argument="state",
                fix="use a state from before the divergence",
            )
        _check_numbers(name, part)
    return parts


def _check_numbers(name: str, part: Annotated[Floats, "..."]) -> None:
    """Raise ShapeError for impossible numbers; the compiled kernel corrects those of rules."""
    positive = name in (*_SCALES, *_COUNTS) or name.endswith("_second")
    counts = np.delete(part, 1, axis=-1) if name in _SCALES else part  # all but the mean
    if positive and (counts < 0).any():
        raise ShapeError(f"state: {name} holds numbers below 0, expected none", argument="state")
    if name in _COUNTS and (part != np.floor(part)).any():
        raise ShapeError(f"state: {name} is {part}, expected whole numbers", argument="state")
