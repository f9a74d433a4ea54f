"""Sequences: ragged batches of inputs and targets, the one container of data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np

from carrousel.arrays import (
    check_ragged,
    check_units,
    check_values,
    dense,
    join_lists,
    join_units,
    runs,
)
from carrousel.checks import check_int
from carrousel.errors import DataError, ShapeError
from carrousel.frames import read_units
from carrousel.shapes import Array, Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Sequences:
    """``N`` sequences of unequal length, concatenated along time.

    Use :meth:`from_lists` to create them; the constructor takes the arrays as they are stored.

    Inputs are either real values or symbols. A symbol is an integer that stands for a one-hot
    vector, so an alphabet of 1004 symbols costs one integer per step. Targets are real values or
    classes in the same way. They are stored only for the ``M`` steps that have one.

    Args:
        inputs: values ``[steps, I]`` (float32) or symbols ``[steps]`` (int32).
        n_inputs: ``I``, components of an input vector, or size of the alphabet.
        offsets: ``[N+1]`` (int64). Sequence ``n`` occupies steps ``offsets[n]`` to
            ``offsets[n + 1] - 1``.
        targets: values ``[M, O]`` (float32) or classes ``[M]`` (int32).
        n_outputs: ``O``, components of a target vector, or number of classes.
        target_steps: ``[M]`` (int64), ascending. Target ``m`` belongs to step ``target_steps[m]``,
            counted over all sequences.

    Raises:
        ShapeError: an array has another shape or data type than stated above.
        DataError: a sequence is empty, or positions are unordered or out of range.

    The constructor does not read the values: :meth:`check_contents` rejects NaN, infinity and
    symbols outside the alphabet. :meth:`from_lists` calls it, and so does every kernel.

    One target per sequence, for the classes 0 and 1 (sequence classification):

    >>> data = Sequences.from_lists([[0.5, 1.0, 0.0], [0.25]], [[1], [0]])
    >>> len(data), data.lengths.tolist(), data.n_inputs, data.n_outputs
    (2, [3, 1], 1, 2)
    >>> data.target_steps.tolist()  # the last step of each sequence
    [2, 3]

    A target at every step; inputs are symbols of an alphabet of 3 (next-symbol prediction):

    >>> text = [0, 2, 1, 1]
    >>> data = Sequences.from_lists([text[:-1]], [text[1:]], n_inputs=3, n_outputs=3)
    >>> data.symbolic, data.inputs.tolist(), data.targets.tolist()
    (True, [0, 2, 1], [2, 1, 1])

    Slices are views, :meth:`take` copies, iteration yields one sequence at a time:

    >>> data = Sequences.from_lists([[0.1], [0.2, 0.3], [0.4]], [[1.0], [2.0], [3.0]])
    >>> data[1:].lengths.tolist(), data.take(np.array([2, 0])).targets.ravel().tolist()
    ([2, 1], [3.0, 1.0])
    >>> [one.n_steps for one in data]
    [1, 2, 1]
    """

    inputs: Annotated[Array, "steps I"] | Annotated[Array, "steps"]
    n_inputs: int
    offsets: Annotated[Ints, "N+1"]
    targets: Annotated[Array, "M O"] | Annotated[Array, "M"]
    n_outputs: int
    target_steps: Annotated[Ints, "M"]

    def __post_init__(self) -> None:
        check_units("inputs", self.inputs, "n_inputs", self.n_inputs)
        check_units("targets", self.targets, "n_outputs", self.n_outputs)
        check_ragged(self.offsets, self.target_steps, len(self.inputs), len(self.targets))

    @staticmethod
    def from_lists(
        inputs: Sequence[Any],
        targets: Sequence[Any],
        *,
        n_inputs: int | None = None,
        n_outputs: int | None = None,
    ) -> Sequences:
        """Join lists or arrays, one per sequence, and check their contents.

        Args:
            inputs: one entry per sequence. Floats are values, ``[T, I]`` or ``[T]`` for ``I = 1``.
                Integers are symbols, ``[T]``.
            targets: one entry per sequence, with ``k <= T`` targets for its last ``k`` steps.
                Floats are values, ``[k, O]`` or ``[k]`` for ``O = 1``. Integers are classes,
                ``[k]``. An empty list stands for no target.
            n_inputs: ``I``, needed for symbols if the largest of the alphabet does not occur.
            n_outputs: ``O``, needed for classes if the largest does not occur.

        Raises:
            ShapeError: an entry is no list or array of numbers; ``inputs`` and ``targets`` differ
                in length; a sequence has more targets than steps; entries differ in width.
            DataError: a sequence is empty; a value is not finite; a symbol or class is too large.
            SettingError: ``n_inputs`` or ``n_outputs`` is not a whole number of at least 1.

        >>> one = Sequences.from_lists([[0.5, -1.0, 0.25]], [[1.0]])
        >>> one.inputs.shape, one.n_outputs, one.target_steps.tolist()
        ((3, 1), 1, [2])

        Padded arrays ``[N, T, I]`` lose their padding first:

        >>> padded, lengths = np.zeros((2, 5, 3)), [4, 5]
        >>> rows = [row[:length] for row, length in zip(padded, lengths)]
        >>> Sequences.from_lists(rows, [[1.0], [0.0]]).lengths.tolist()
        [4, 5]

        Labels that are strings become class numbers:

        >>> labels = ["yes", "no"]
        >>> names = sorted(set(labels))
        >>> classes = [[names.index(label)] for label in labels]
        >>> Sequences.from_lists(rows, classes).targets.tolist()
        [1, 0]
        """
        rows, goals, offsets, steps = join_lists(inputs, targets)
        joined, goal = join_units("inputs", rows, n_inputs), join_units("targets", goals, n_outputs)
        data = Sequences(
            inputs=joined,
            n_inputs=_width("n_inputs", joined, n_inputs),
            offsets=offsets,
            targets=goal,
            n_outputs=_width("n_outputs", goal, n_outputs),
            target_steps=steps,
        )
        data.check_contents()
        return data

    @staticmethod
    def from_frame(
        frame: Any,
        *,
        id: str,
        inputs: str | Sequence[str],
        target: str | Sequence[str],
        time: str | None = None,
    ) -> Sequences:
        """Read a data frame (pandas, polars, Arrow) with one row per step.

        Args:
            frame: the rows; those of a sequence need not be adjacent.
            id: the column that names the sequence of a row.
            inputs: columns of values, or one column of text or whole numbers: symbols.
            target: columns of values, or one column of text or whole numbers: classes. A row
                whose target is missing has none.
            time: the column to sort a sequence by; None keeps the order of the rows.

        Text is numbered in sorted order. Raises UnknownNameError, DataError and ShapeError.

        >>> import pyarrow
        >>> rows = {"who": [1, 1, 2], "x": [0.5, 0.25, 1.0], "is": ["a", None, "b"]}
        >>> data = Sequences.from_frame(pyarrow.table(rows), id="who", inputs="x", target="is")
        >>> data.lengths.tolist(), data.targets.tolist(), data.target_steps.tolist()
        ([2, 1], [0, 1], [0, 2])
        """
        fields = read_units(frame, id=id, time=time, inputs=inputs, target=target)
        widths = {f"n_{name}": _width(name, fields[name], None) for name in ("inputs", "targets")}
        data = Sequences(**fields, n_inputs=widths["n_inputs"], n_outputs=widths["n_targets"])
        data.check_contents()
        return data

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[Sequences]:
        return (self[n : n + 1] for n in range(len(self)))

    def __getitem__(self, part: slice) -> Sequences:
        """Return consecutive sequences as a view.

        Raises:
            ShapeError: ``part`` is not a slice, or its step is not 1.

        >>> Sequences.from_lists([[0], [1, 1]], [[0], [1]], n_inputs=2, n_outputs=2)[1:].n_steps
        2
        """
        if not isinstance(part, slice):
            raise ShapeError(
                f"Sequences take slices, got {part!r}",
                fix="use data[n : n + 1] for sequence n, or data.take(indices) for several",
            )
        start, stop, stride = part.indices(len(self))
        if stride != 1:
            raise ShapeError(f"slices of Sequences take no step, got {stride}", fix="use take()")
        stop = max(start, stop)
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        ends = self.target_offsets[start : stop + 1]
        low, high = int(ends[0]), int(ends[-1])
        return self._like(
            inputs=self.inputs[first:last],
            offsets=self.offsets[start : stop + 1] - first,
            targets=self.targets[low:high],
            target_steps=self.target_steps[low:high] - first,
            target_offsets=ends - low,
        )

    def take(self, indices: Annotated[Ints, "indices"]) -> Sequences:
        """Return copies of the sequences at ``indices``, in that order; repeats are allowed.

        Raises:
            DataError: an index is below 0 or not below ``len(self)``.

        >>> three = Sequences.from_lists([[0], [1], [2]], [[0], [1], [0]], n_inputs=3, n_outputs=2)
        >>> three.take(np.array([2, 0, 2])).inputs.tolist()
        [2, 0, 2]
        """
        indices = np.asarray(indices, dtype=np.int64)
        if len(indices) and not (0 <= indices.min() and indices.max() < len(self)):
            raise DataError(f"take: indices must lie in 0..{len(self) - 1}", argument="indices")
        lengths = self.lengths[indices]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        counts = np.diff(self.target_offsets)[indices]
        target_offsets = np.concatenate([[0], np.cumsum(counts)])
        steps = runs(self.offsets[indices], lengths, offsets)
        goals = runs(self.target_offsets[indices], counts, target_offsets)
        shift = np.repeat(offsets[:-1] - self.offsets[indices], counts)
        return self._like(
            inputs=self.inputs[steps],
            offsets=offsets,
            targets=self.targets[goals],
            target_steps=self.target_steps[goals] + shift,
            target_offsets=target_offsets,
        )

    def _like(self, **arrays: np.ndarray) -> Sequences:
        """Create Sequences of the same kind from arrays that need no checks."""
        return Sequences.unchecked(**arrays, n_inputs=self.n_inputs, n_outputs=self.n_outputs)

    @staticmethod
    def unchecked(**fields: Any) -> Sequences:
        """Create Sequences from the arguments of the constructor, by name, without checks.

        Drawn data need none, and the checks of many targets can take longer than drawing.

        >>> x = np.zeros((2, 1), np.float32)
        >>> at = {"offsets": np.array([0, 1, 2]), "target_steps": np.array([0, 1])}
        >>> len(Sequences.unchecked(inputs=x, n_inputs=1, targets=x, n_outputs=1, **at))
        2
        """
        made = object.__new__(Sequences)
        made.__dict__.update(fields)
        return made

    @staticmethod
    def concatenate(parts: Sequence[Sequences]) -> Sequences:
        """Join several ragged batches of the same kind.

        Raises:
            DataError: there are no parts.
            ShapeError: parts differ in widths, or some hold symbols or classes and others values.

        >>> one = Sequences.from_lists([[0, 1]], [[1]], n_inputs=2, n_outputs=2)
        >>> len(Sequences.concatenate([one, one]))
        2
        """
        if not parts:
            raise DataError("concatenate needs at least one part", argument="parts")
        kinds = {(p.n_inputs, p.inputs.ndim, p.n_outputs, p.targets.ndim) for p in parts}
        if len(kinds) > 1:
            raise ShapeError(
                f"parts differ in kind (inputs, ndim, outputs, ndim): {sorted(kinds)}",
                argument="parts",
            )
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
        """Time steps of all sequences together."""
        return len(self.inputs)

    @property
    def symbolic(self) -> bool:
        """Whether inputs are symbols rather than values."""
        return self.inputs.ndim == 1

    @cached_property
    def lengths(self) -> Annotated[Ints, "N"]:
        """Number of time steps of each sequence, ``[N]``."""
        return np.diff(self.offsets)

    @cached_property
    def target_offsets(self) -> Annotated[Ints, "N+1"]:
        """Sequence ``n`` has targets ``target_offsets[n]`` to ``target_offsets[n + 1] - 1``."""
        return np.searchsorted(self.target_steps, self.offsets).astype(np.int64)

    @property
    def mask(self) -> Annotated[Bools, "steps"]:
        """Whether each step has a target, ``[steps]``."""
        mask = np.zeros(self.n_steps, dtype=bool)
        mask[self.target_steps] = True
        return mask

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(a.nbytes for a in (self.inputs, self.offsets, self.targets, self.target_steps))

    def dense_inputs(self) -> Annotated[Floats, "steps I"]:
        """Return inputs as vectors ``[steps, I]``; symbols become one-hot rows."""
        return dense(self.inputs, self.n_inputs)

    def dense_targets(self) -> Annotated[Floats, "M O"]:
        """Return targets as vectors ``[M, O]``; classes become one-hot rows."""
        return dense(self.targets, self.n_outputs)

    def check_outputs(self, outputs: Annotated[Floats, "M O"]) -> None:
        """Raise :class:`ShapeError` unless ``outputs`` is ``[M, O]``, one row for each target."""
        expected = (len(self.targets), self.n_outputs)
        if np.shape(outputs) != expected:
            raise ShapeError(
                f"outputs has shape {np.shape(outputs)}, expected {expected}: "
                "one row for each target of data",
                argument="outputs",
            )

    def check_contents(self) -> None:
        """Raise :class:`DataError` unless values are finite and symbols inside their alphabet."""
        check_values("inputs", self.inputs, self.n_inputs)
        check_values("targets", self.targets, self.n_outputs)


def within(
    outputs: Annotated[Floats, "M O"], data: Sequences, tolerance: float
) -> Annotated[Bools, "M"]:
    """Return whether all outputs at each target differ from it by less than ``tolerance``, ``[M]``.

    Args:
        outputs: ``[M, O]``, one row for each target of ``data``.
        data: the sequences whose targets are compared; a class is compared as a one-hot vector.
        tolerance: upper bound of the absolute error, exclusive.

    Raises:
        ShapeError: ``outputs`` is not ``[M, O]``.

    >>> data = Sequences.from_lists([[0.1, 0.2], [0.3]], [[1.0], [0.0]])
    >>> within(np.array([[0.95], [0.2]]), data, tolerance=0.1).tolist()
    [True, False]
    """
    data.check_outputs(outputs)
    if data.targets.ndim == 2:
        errors = outputs - data.targets
    else:  # without creating the one-hot vectors, which may be long
        errors = outputs.copy()
        errors[np.arange(len(data.targets)), data.targets] -= 1.0
    return np.abs(errors, out=errors).max(axis=1) < tolerance


def _width(name: str, units: np.ndarray, given: int | None) -> int:
    if given is not None:
        return check_int(name, given, minimum=1)
    return units.shape[1] if units.ndim == 2 else int(units.max()) + 1
