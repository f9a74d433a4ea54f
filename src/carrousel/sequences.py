"""Sequences: ragged batches of inputs and targets, the one container of data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from carrousel.checks import check_int
from carrousel.errors import DataError, ShapeError
from carrousel.shapes import Array, Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Sequences:
    """``N`` sequences of unequal length, joined end to end.

    Inputs are either real values or symbols of an alphabet: a one-hot vector of 1004 units travels
    as one integer. Targets are stored only for the ``M`` steps that have one, in order of time, and
    are real values or classes in the same way.

    Args:
        inputs: values ``[sum T, I]`` (float32) or symbols ``[sum T]`` (int32).
        n_inputs: ``I``, the number of input units, or the size of the alphabet.
        offsets: ``[N + 1]`` (int64); sequence ``n`` occupies steps ``offsets[n]`` up to
            ``offsets[n + 1]``.
        targets: values ``[M, O]`` (float32) or classes ``[M]`` (int32).
        n_outputs: ``O``, the number of output units, or of classes.
        target_steps: ``[M]`` (int64), ascending positions in ``[0, sum T)`` of the steps that have
            a target.

    Raises:
        ShapeError: an array has another shape or data type than stated above.
        DataError: a sequence is empty, or positions are out of order or out of range.

    Whether values are finite and symbols inside their alphabet is looked at by
    :meth:`check_contents`, and by every kernel before it learns.

    >>> two = Sequences.from_lists([[0, 2, 1], [1]], [[1], [0]], n_inputs=3, n_outputs=2)
    >>> len(two), two.n_steps, two.lengths.tolist(), two.target_steps.tolist()
    (2, 4, [3, 1], [2, 3])
    """

    inputs: Annotated[Array, "steps I"] | Annotated[Array, "steps"]
    n_inputs: int
    offsets: Annotated[Ints, "N_plus_1"]
    targets: Annotated[Array, "M O"] | Annotated[Array, "M"]
    n_outputs: int
    target_steps: Annotated[Ints, "M"]

    def __post_init__(self) -> None:
        _check_units("inputs", self.inputs, "n_inputs", self.n_inputs)
        _check_units("targets", self.targets, "n_outputs", self.n_outputs)
        _check_positions("offsets", self.offsets)
        _check_positions("target_steps", self.target_steps)
        offsets, steps = self.offsets, self.target_steps
        if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(self.inputs):
            raise DataError(
                f"offsets must run from 0 to the number of steps, {len(self.inputs)}; "
                f"got {offsets[:1].tolist()} to {offsets[-1:].tolist()}"
            )
        empty = offsets[1:] <= offsets[:-1]  # a difference of far positions could wrap around
        if empty.any():
            first = int(np.argmax(empty))
            raise DataError(f"sequence {first} is empty; drop it, or give it at least one step")
        if len(steps) != len(self.targets):
            raise ShapeError(
                f"target_steps has {len(steps)} entries for {len(self.targets)} targets; "
                "expected one position for each target"
            )
        if len(steps) and (steps[0] < 0 or steps[-1] >= len(self.inputs)):
            raise DataError(f"target_steps must lie in 0..{len(self.inputs) - 1}")
        if (steps[1:] <= steps[:-1]).any():
            raise DataError("target_steps must ascend; two targets for one step cannot be learned")

    @staticmethod
    def from_lists(
        inputs: Sequence[object],
        targets: Sequence[object],
        *,
        n_inputs: int | None = None,
        n_outputs: int | None = None,
    ) -> Sequences:
        """Join lists or arrays, one per sequence, and check their contents.

        Integers are taken as symbols or classes, everything else as values (``[T, I]``, or ``[T]``
        for one input). A sequence may have a target for each of its steps, or for its last steps
        only: ``k`` targets belong to the last ``k`` steps.

        >>> one = Sequences.from_lists([[0.5, -1.0, 0.25]], [[1.0]])
        >>> one.inputs.shape, one.n_outputs, one.target_steps.tolist()
        ((3, 1), 1, [2])
        """
        if len(inputs) != len(targets):
            raise ShapeError(f"{len(inputs)} input sequences but {len(targets)} target sequences")
        rows = [_as_units(f"inputs[{n}]", each) for n, each in enumerate(inputs)]
        goals = [_as_units(f"targets[{n}]", each) for n, each in enumerate(targets)]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        counts = np.array([len(goal) for goal in goals], dtype=np.int64)
        for n in np.flatnonzero(counts > lengths):
            raise ShapeError(f"sequence {n} has {lengths[n]} steps but {counts[n]} targets")
        ends = np.cumsum(lengths)
        steps = [np.arange(end - k, end) for end, k in zip(ends, counts, strict=True)]
        joined, goal = _join("inputs", rows, n_inputs), _join("targets", goals, n_outputs)
        made = Sequences(
            inputs=joined,
            n_inputs=_width("n_inputs", joined, n_inputs),
            offsets=np.concatenate([[0], ends]).astype(np.int64),
            targets=goal,
            n_outputs=_width("n_outputs", goal, n_outputs),
            target_steps=np.concatenate(steps).astype(np.int64) if steps else np.zeros(0, np.int64),
        )
        made.check_contents()
        return made

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[Sequences]:
        return (self[n : n + 1] for n in range(len(self)))

    def __getitem__(self, part: slice) -> Sequences:
        """Return a run of sequences (a view: nothing is copied).

        >>> Sequences.from_lists([[0], [1, 1]], [[0], [1]], n_inputs=2, n_outputs=2)[1:].n_steps
        2
        """
        start, stop, stride = part.indices(len(self))
        if stride != 1:
            raise ShapeError(f"slices of Sequences take no step, got {stride}; use take()")
        stop = max(start, stop)
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        low, high = np.searchsorted(self.target_steps, [first, last])
        return self._like(
            inputs=self.inputs[first:last],
            offsets=self.offsets[start : stop + 1] - first,
            targets=self.targets[low:high],
            target_steps=self.target_steps[low:high] - first,
        )

    def take(self, indices: Annotated[Ints, "n"]) -> Sequences:
        """Return copies of the sequences at ``indices``, in that order, repeats allowed.

        >>> three = Sequences.from_lists([[0], [1], [2]], [[0], [1], [0]], n_inputs=3, n_outputs=2)
        >>> three.take(np.array([2, 0, 2])).inputs.tolist()
        [2, 0, 2]
        """
        indices = np.asarray(indices, dtype=np.int64)
        if len(indices) and not (0 <= indices.min() and indices.max() < len(self)):
            raise DataError(f"take: indices must lie in 0..{len(self) - 1}")
        lengths = self.lengths[indices]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        counts = np.diff(self.target_offsets)[indices]
        target_offsets = np.concatenate([[0], np.cumsum(counts)])
        steps = _runs(self.offsets[indices], lengths, offsets)
        goals = _runs(self.target_offsets[indices], counts, target_offsets)
        shift = np.repeat(offsets[:-1] - self.offsets[indices], counts)
        return self._like(
            inputs=self.inputs[steps],
            offsets=offsets,
            targets=self.targets[goals],
            target_steps=self.target_steps[goals] + shift,
        )

    def _like(self, **arrays: np.ndarray) -> Sequences:
        """Sequences of the same kind whose arrays are sound because they are parts of these."""
        made = object.__new__(Sequences)
        made.__dict__.update(arrays, n_inputs=self.n_inputs, n_outputs=self.n_outputs)
        return made

    @staticmethod
    def concatenate(parts: Sequence[Sequences]) -> Sequences:
        """Join several ragged batches of the same kind into one.

        >>> one = Sequences.from_lists([[0, 1]], [[1]], n_inputs=2, n_outputs=2)
        >>> len(Sequences.concatenate([one, one]))
        2
        """
        if not parts:
            raise DataError("concatenate needs at least one part")
        kinds = {(p.n_inputs, p.inputs.ndim, p.n_outputs, p.targets.ndim) for p in parts}
        if len(kinds) > 1:
            raise ShapeError(f"parts differ in kind (inputs, ndim, outputs, ndim): {sorted(kinds)}")
        starts = np.cumsum([0] + [p.n_steps for p in parts])
        return Sequences(
            inputs=np.concatenate([p.inputs for p in parts]),
            n_inputs=parts[0].n_inputs,
            offsets=np.concatenate(
                [[0]] + [p.offsets[1:] + s for p, s in zip(parts, starts, strict=False)]
            ).astype(np.int64),
            targets=np.concatenate([p.targets for p in parts]),
            n_outputs=parts[0].n_outputs,
            target_steps=np.concatenate(
                [p.target_steps + s for p, s in zip(parts, starts, strict=False)]
            ),
        )

    @property
    def n_steps(self) -> int:
        """Total number of time steps, ``sum T``."""
        return len(self.inputs)

    @property
    def symbolic(self) -> bool:
        """Whether inputs are symbols rather than values."""
        return self.inputs.ndim == 1

    @cached_property
    def lengths(self) -> Annotated[Ints, "N"]:
        """Number of time steps of each sequence."""
        return np.diff(self.offsets)

    @cached_property
    def target_offsets(self) -> Annotated[Ints, "N_plus_1"]:
        """Sequence ``n`` has the targets ``target_offsets[n]`` up to ``target_offsets[n + 1]``."""
        return np.searchsorted(self.target_steps, self.offsets).astype(np.int64)

    @property
    def mask(self) -> Annotated[Bools, "steps"]:
        """Whether each step has a target."""
        mask = np.zeros(self.n_steps, dtype=bool)
        mask[self.target_steps] = True
        return mask

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return sum(a.nbytes for a in (self.inputs, self.offsets, self.targets, self.target_steps))

    def dense_inputs(self) -> Annotated[Floats, "steps I"]:
        """Inputs as vectors: symbols become one-hot rows (for small alphabets and references)."""
        return _dense(self.inputs, self.n_inputs)

    def dense_targets(self) -> Annotated[Floats, "M O"]:
        """Targets as vectors: classes become one-hot rows."""
        return _dense(self.targets, self.n_outputs)

    def check_outputs(self, outputs: Annotated[Floats, "M O"]) -> None:
        """Raise :class:`ShapeError` unless ``outputs`` has one row of ``O`` for each target."""
        expected = (len(self.targets), self.n_outputs)
        if np.shape(outputs) != expected:
            raise ShapeError(
                f"outputs has shape {np.shape(outputs)}, expected {expected}: "
                "one row for each target of data"
            )

    def check_contents(self) -> None:
        """Raise :class:`DataError` unless values are finite and symbols inside their alphabet."""
        for name, units, width in (
            ("inputs", self.inputs, self.n_inputs),
            ("targets", self.targets, self.n_outputs),
        ):
            if units.ndim == 2:
                bad = ~np.isfinite(units).all(axis=1)
                what = "is not finite; clean or impute the data"
            else:
                bad = (units < 0) | (units >= width)
                what = f"is outside the alphabet 0..{width - 1}"
            if bad.any():
                row = int(np.argmax(bad))
                raise DataError(f"{name}[{row}] = {units[row].tolist()} {what}")


def within(
    outputs: Annotated[Floats, "M O"], data: Sequences, tolerance: float
) -> Annotated[Bools, "M"]:
    """Whether all outputs at each target are off by less than ``tolerance``.

    Where every sequence has one target, this tells which sequences are right.

    Raises:
        ShapeError: ``outputs`` has not one row of ``O`` for each target.

    >>> data = Sequences.from_lists([[0.1, 0.2], [0.3]], [[1.0], [0.0]])
    >>> within(np.array([[0.95], [0.2]]), data, tolerance=0.1).tolist()
    [True, False]
    """
    data.check_outputs(outputs)
    if data.targets.ndim == 2:
        errors = outputs - data.targets
    else:  # without the one-hot vectors, which may be long
        errors = outputs.copy()
        errors[np.arange(len(data.targets)), data.targets] -= 1.0
    return np.abs(errors, out=errors).max(axis=1) < tolerance


def _check_units(name: str, units: np.ndarray, width_name: str, width: int) -> None:
    if not isinstance(units, np.ndarray):
        raise ShapeError(f"{name} is a {type(units).__name__}, expected a NumPy array")
    if units.ndim == 2 and units.dtype == np.float32 and units.shape[1] == width > 0:
        return
    if units.ndim == 1 and units.dtype == np.int32 and width > 0:
        return
    raise ShapeError(
        f"{name} has shape {units.shape} and type {units.dtype}, expected float32 "
        f"(steps, {width_name} = {width}) or int32 symbols (steps,)"
    )


def _check_positions(name: str, positions: np.ndarray) -> None:
    if not isinstance(positions, np.ndarray) or positions.ndim != 1 or positions.dtype != np.int64:
        got = getattr(positions, "dtype", type(positions).__name__)
        raise ShapeError(f"{name} must be a one-dimensional int64 array, got {got}")


def _as_units(name: str, given: object) -> np.ndarray:
    try:
        array = np.asarray(given)
    except ValueError:  # rows of unequal length
        raise ShapeError(f"{name} is ragged, expected (T, I) with one width I, or (T,)") from None
    if array.size and array.dtype.kind in "iub":
        if array.ndim != 1:
            raise ShapeError(f"{name} has shape {array.shape}; symbols take one dimension (T,)")
        if array.min() < 0 or array.max() > np.iinfo(np.int32).max:
            raise DataError(f"{name} holds a symbol outside 0..{np.iinfo(np.int32).max}")
        return array.astype(np.int32)
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or 0 in array.shape[1:]:
        raise ShapeError(
            f"{name} has type {array.dtype} and shape {array.shape}, expected (T, I) or (T,)"
        )
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite, and is refused
        return array.astype(np.float32).reshape(len(array), -1 if array.size else 1)


def _join(name: str, rows: list[np.ndarray], width: int | None) -> np.ndarray:
    filled = [row for row in rows if len(row)]
    kinds = {(row.ndim, row.shape[1:]) for row in filled}
    if len(kinds) > 1:
        raise ShapeError(f"{name} mix {sorted(map(str, kinds))}; expected one kind and one width")
    if not filled:
        return np.zeros((0, width or 1), dtype=np.float32)
    return np.ascontiguousarray(np.concatenate(filled))


def _width(name: str, units: np.ndarray, given: int | None) -> int:
    if given is not None:
        return check_int(name, given, minimum=1)
    return units.shape[1] if units.ndim == 2 else int(units.max()) + 1


def _runs(starts: np.ndarray, lengths: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Positions of the runs ``starts[n], starts[n] + 1, ...``, each ``lengths[n]`` long, joined."""
    return np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)


def _dense(units: np.ndarray, width: int) -> np.ndarray:
    if units.ndim == 2:
        return units
    dense = np.zeros((len(units), width), dtype=np.float32)
    dense[np.arange(len(units)), units] = 1.0
    return dense
