"""Checks and conversion of the arrays that :class:`carrousel.Sequences` is made of.

Below, a unit is what one step has: a vector of values, or one symbol or class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized

import numpy as np

from carrousel.errors import DataError, ShapeError

_LARGEST_SYMBOL = int(np.iinfo(np.int32).max)


def check_units(name: str, units: np.ndarray, width_name: str, width: int) -> None:
    """Require float32 ``[steps, width]`` or int32 ``[steps]``, else raise :class:`ShapeError`."""
    if not isinstance(units, np.ndarray):
        raise ShapeError(
            f"{name} is a {type(units).__name__}, expected a NumPy array",
            argument=name,
            fix="use Sequences.from_lists for lists",
        )
    if isinstance(width, int | np.integer) and width > 0:
        if units.ndim == 2 and units.dtype == np.float32 and units.shape[1] == width:
            return
        if units.ndim == 1 and units.dtype == np.int32:
            return
    raise ShapeError(
        f"{name} has shape {units.shape} and type {units.dtype}, expected float32 "
        f"(steps, {width_name} = {width}) or int32 symbols (steps,)",
        argument=name,
    )


def check_values(name: str, units: np.ndarray, width: int) -> None:
    """Raise :class:`DataError` unless values are finite and symbols inside their alphabet."""
    if units.ndim == 2:
        bad = ~np.isfinite(units).all(axis=1)
        problem, fix = "is not finite", "remove or impute such values"
    else:
        bad = (units < 0) | (units >= width)
        problem = f"is outside the alphabet 0..{width - 1}"
        fix = "set a larger {n_" + ("inputs" if name == "inputs" else "outputs") + "}"
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"{name}[{row}] = {units[row].tolist()} {problem}", argument=name, fix=fix)


def check_positions(name: str, positions: np.ndarray) -> None:
    """Require a one-dimensional int64 array, else raise :class:`ShapeError`."""
    if not isinstance(positions, np.ndarray) or positions.ndim != 1 or positions.dtype != np.int64:
        got = getattr(positions, "dtype", type(positions).__name__)
        raise ShapeError(f"{name} must be a one-dimensional int64 array, got {got}", argument=name)


def check_ragged(offsets: np.ndarray, steps: np.ndarray, n_steps: int, n_targets: int) -> None:
    """Check where sequences and targets lie: offsets ``[N+1]``, target steps ``[M]``.

    Raises:
        ShapeError: an array has another type, or there is not one position for each target.
        DataError: a sequence is empty, or positions are unordered or out of range.
    """
    check_positions("offsets", offsets)
    check_positions("target_steps", steps)
    if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != n_steps:
        raise DataError(
            f"offsets must run from 0 to the number of steps, {n_steps}; "
            f"got {offsets[:1].tolist()} to {offsets[-1:].tolist()}",
            argument="offsets",
        )
    empty = offsets[1:] <= offsets[:-1]  # comparing cannot wrap around, a difference can
    if empty.any():
        first = int(np.argmax(empty))
        raise DataError(
            f"sequence {first} is empty",
            argument="inputs",
            fix="drop it, or give it at least one step",
        )
    if len(steps) != n_targets:
        raise ShapeError(
            f"target_steps has {len(steps)} entries for {n_targets} targets",
            argument="target_steps",
            fix="give one position for each target",
        )
    if len(steps) and (steps[0] < 0 or steps[-1] >= n_steps):
        raise DataError(f"target_steps must lie in 0..{n_steps - 1}", argument="target_steps")
    if (steps[1:] <= steps[:-1]).any():
        raise DataError(
            "target_steps must ascend",
            argument="target_steps",
            fix="sort the targets by step, with at most one target per step",
        )


_WRAP = {
    "inputs": "a sequence is a list of steps: pass one sequence as [steps]",
    "targets": "for one target per sequence pass [[target] for target in {targets}]",
}
_NUMBER = {
    "inputs": "replace each symbol by its index in a sorted list of all symbols",
    "targets": "number the classes: names = sorted(set(labels)), "
    "then [[names.index(label)] for label in labels]",
}


def check_list(name: str, given: object) -> None:
    """Refuse what is not a list of sequences, such as a number, a string or a generator."""
    listed = isinstance(given, Sized) and not isinstance(given, str | bytes | Mapping)
    if listed and np.ndim(given if isinstance(given, np.ndarray) else [0]):
        return
    raise ShapeError(
        f"{name} is {given!r:.60}, expected a list with one entry for each sequence",
        argument=name,
        fix=_WRAP[name] if np.isscalar(given) else "pass a list of lists or arrays",
    )


def as_units(argument: str, n: int, given: object) -> np.ndarray:
    """Return one sequence's values ``[T, I]`` as float32, or its symbols ``[T]`` as int32."""
    name = f"{argument}[{n}]"
    try:
        array = np.asarray(given)
    except ValueError:  # rows of unequal length
        raise ShapeError(
            f"{name} is ragged, expected (T, I) with one width I, or (T,)", argument=argument
        ) from None
    if array.dtype.kind in "US" or (array.dtype.kind == "O" and _has_text(array)):
        raise ShapeError(
            f"{name} holds text, expected numbers", argument=argument, fix=_NUMBER[argument]
        )
    if array.ndim == 0 and array.dtype.kind in "fiub":
        raise ShapeError(
            f"{name} is the number {array.item()!r}, of shape (), expected a list or array of "
            "shape (T,) or (T, I)",
            argument=argument,
            fix=_WRAP[argument],
        )
    if array.size and array.dtype.kind in "iub":
        if array.ndim != 1:
            raise ShapeError(
                f"{name} has shape {array.shape}; symbols take one dimension (T,)",
                argument=argument,
                fix=f"convert {name} to float if its numbers are values",
            )
        if array.min() < 0 or array.max() > _LARGEST_SYMBOL:
            raise DataError(
                f"{name} holds a symbol outside 0..{_LARGEST_SYMBOL}",
                argument=argument,
                fix=f"convert {name} to float if its numbers are values",
            )
        return array.astype(np.int32)
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or 0 in array.shape[1:]:
        raise ShapeError(
            f"{name} has type {array.dtype} and shape {array.shape}, expected (T, I) or (T,)",
            argument=argument,
        )
    with np.errstate(over="ignore"):  # values beyond float32 become infinite; check_contents fails
        return array.astype(np.float32).reshape(len(array), -1 if array.size else 1)


def _has_text(array: np.ndarray) -> bool:
    return any(isinstance(value, str | bytes) for value in array.ravel())


def join_units(name: str, rows: list[np.ndarray], width: int | None) -> np.ndarray:
    """Concatenate the arrays of all sequences along time; ``width`` is used if all are empty."""
    filled = [row for row in rows if len(row)]
    if len({row.ndim for row in filled}) > 1:
        raise ShapeError(
            f"{name} mix integers (symbols or classes) and floats (values)",
            argument=name,
            fix="convert all of them to one type",
        )
    if len(widths := {row.shape[1:] for row in filled}) > 1:
        found = ", ".join(str(width) for (width,) in sorted(widths))
        raise ShapeError(f"{name} mix the widths {found}, expected one width", argument=name)
    if not filled:
        return np.zeros((0, width or 1), dtype=np.float32)
    return np.ascontiguousarray(np.concatenate(filled))


def dense(units: np.ndarray, width: int) -> np.ndarray:
    """Return float32 ``[steps, width]``; symbols become one-hot rows."""
    if units.ndim == 2:
        return units
    rows = np.zeros((len(units), width), dtype=np.float32)
    rows[np.arange(len(units)), units] = 1.0
    return rows


def runs(starts: np.ndarray, lengths: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Concatenate the ranges ``starts[n] .. starts[n] + lengths[n] - 1``."""
    return np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)


def join_lists(
    inputs: Sequence[object], targets: Sequence[object]
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]:
    """Convert the entries of all sequences.

    Returns:
        inputs and targets of each sequence as arrays; offsets ``[N+1]``; target steps ``[M]``.

    Raises:
        ShapeError: the lists differ in length, or a sequence has more targets than steps.
    """
    check_list("inputs", inputs)
    check_list("targets", targets)
    if len(inputs) != len(targets):
        raise ShapeError(
            f"{len(inputs)} input sequences but {len(targets)} target sequences",
            argument="targets",
            fix="give one entry of {targets} for each sequence, [] for none",
        )
    rows = [as_units("inputs", n, each) for n, each in enumerate(inputs)]
    goals = [as_units("targets", n, each) for n, each in enumerate(targets)]
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    counts = np.array([len(goal) for goal in goals], dtype=np.int64)
    for n in np.flatnonzero(counts > lengths):
        raise ShapeError(
            f"sequence {n} has {lengths[n]} steps but {counts[n]} targets",
            argument="targets",
            fix="give at most one target per step",
        )
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    steps = [np.arange(end - k, end) for end, k in zip(offsets[1:], counts, strict=True)]
    joined = np.concatenate(steps) if steps else np.zeros(0)
    return rows, goals, offsets, joined.astype(np.int64)
