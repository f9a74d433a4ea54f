"""One epoch of ragged sequences, packed by time step for cascade-correlation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np

from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints

Keys = tuple[tuple[bytes, ...], bytes]
"""The distinct sequences of a batch, longest first, and how often each occurs."""


@dataclass(frozen=True, eq=False)
class CascadeData:
    """The distinct sequences of a batch, each held once, with the number of times it occurs.

    A batch is a multiset: the order of its sequences does not affect results, not even their
    rounding. Steps are ordered by time, and within one time step by length, longest sequence first.
    So the sequences that still run at a step are adjacent, and the first of those that ran at the
    step before.

    Args:
        inputs: symbols ``[N]`` or values ``[I, N]``, for all ``N`` steps.
        n_inputs: ``I``.
        spans: for each time step, the first of its places in ``N`` and how many there are.
        targets: ``[O, M]``.
        at: ``[M]``, the places in ``N`` of the steps that have a target.
        rank: ``[M]``, to which of the distinct sequences each target belongs.
        times: ``[M]``, how often that sequence occurs.
        counts: ``[distinct]``, number of targets of each distinct sequence.
    """

    inputs: np.ndarray
    n_inputs: int
    spans: tuple[tuple[int, int], ...]
    targets: np.ndarray
    at: np.ndarray
    rank: np.ndarray
    times: np.ndarray
    counts: np.ndarray

    def net(self, weights: np.ndarray, hidden: np.ndarray) -> Annotated[Floats, "U N"]:
        """Weighted sums of bias, inputs and hidden units, ``[U, N]``.

        Every step's sum is taken in the same order, whatever else is in the batch.

        Args:
            weights: ``[U, 1 + I + k]`` (further columns are not read).
            hidden: activations of ``k`` hidden units, ``[k, N]``.
        """
        first = 1 + self.n_inputs
        if self.inputs.ndim == 1:
            net = weights[:, 1:first].take(self.inputs, axis=1)
        else:
            net = np.zeros((len(weights), self.inputs.shape[1]))
            for column, values in enumerate(self.inputs, 1):
                net += weights[:, column, None] * values
        net += weights[:, :1]
        for column, values in enumerate(hidden, first):
            net += weights[:, column, None] * values
        return net

    def against(self, deltas: np.ndarray, hidden: np.ndarray) -> Annotated[Floats, "U F"]:
        """Sums over all steps of ``deltas [U, N]`` times each source: bias, inputs, hidden units.

        The transpose of :meth:`net`: ``[U, 1 + I + k]``.
        """
        # einsum and not @: the order of BLAS sums may depend on the number of threads
        by_hidden = np.einsum("un,kn->uk", deltas, hidden)
        if self.inputs.ndim == 1:
            by_input = np.array(
                [np.bincount(self.inputs, row, minlength=self.n_inputs) for row in deltas], float
            )
        else:
            by_input = np.einsum("un,in->ui", deltas, self.inputs)
        return np.concatenate([deltas.sum(axis=1, keepdims=True), by_input, by_hidden], axis=1)

    def run(self, net: np.ndarray, own: np.ndarray, f: str) -> Annotated[Floats, "U N"]:
        """Activations ``V(t) = f(net(t) + w_s V(t-1))`` of units that see their own past.

        Args:
            net: ``[U, N]``, overwritten.
            own: the self-weights ``w_s``, ``[U]``.
            f: ``"logistic"`` or ``"tanh"``.
        """
        own, before = own[:, None], net[:, :0]
        for start, running in self.spans:
            now = net[:, start : start + running]
            if start:
                now += own * before[:, :running]
            squash(now, f)
            before = now
        return net

    def back(self, error: np.ndarray, slope: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Carry ``error [U, N]`` back in time: ``d(t) = f'(t) (error(t) + w_s d(t+1))``, in place.

        The sum of ``d(t) I(t)`` over all steps then is that of ``error(t) dV(t)/dw``, which Fahlman
        computes by traces, at one number per step instead of one per step and weight.
        """
        own, after = own[:, None], error[:, :0]
        for start, running in reversed(self.spans):
            now = error[:, start : start + running]
            now[:, : after.shape[1]] += own * after
            now *= slope[:, start : start + running]
            after = now
        return error

    def before(self, values: np.ndarray) -> np.ndarray:
        """Return ``values [U, N]`` of one step earlier; 0 at the first step of a sequence."""
        earlier = np.zeros_like(values)
        for (last, _), (start, running) in pairwise(self.spans):
            earlier[:, start : start + running] = values[:, last : last + running]
        return earlier

    @property
    def n_steps(self) -> int:
        """``N``."""
        return self.inputs.shape[-1]

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return sum(each.nbytes for each in vars(self).values() if isinstance(each, np.ndarray))


def squash(net: np.ndarray, f: str) -> np.ndarray:
    """Apply ``f`` in place: ``"logistic"`` or ``"tanh"``.

    >>> squash(np.zeros(1), "logistic")
    array([0.5])
    """
    if f == "tanh":
        return np.tanh(net, out=net)
    # multiply and not negative: NumPy 2.3.5 reads wrong elements when it negates a column with a
    # stride of 64 bytes in place
    np.exp(np.multiply(net, -1.0, out=net), out=net)
    net += 1.0
    return np.reciprocal(net, out=net)


def slope_of(activation: np.ndarray, f: str) -> np.ndarray:
    """The derivative of ``f`` at the point where it returned ``activation``."""
    return 1.0 - activation**2 if f == "tanh" else activation * (1.0 - activation)


def keys_of(data: Sequences) -> tuple[Keys, Annotated[Ints, "sequences"]]:
    """Return the key of a batch, and for each sequence the index of its distinct one."""
    steps = data.n_steps
    mask = np.zeros((steps, 1), np.uint8)
    mask[data.target_steps] = 1
    goals = _bytes_of(data.targets)
    spread = np.zeros((steps, goals.shape[1]), np.uint8)
    spread[data.target_steps] = goals
    rows = np.concatenate([_bytes_of(data.inputs), mask, spread], axis=1)
    joined, ends = rows.tobytes(), (data.offsets * rows.shape[1]).tolist()
    each = [joined[first:last] for first, last in pairwise(ends)]
    distinct = tuple(sorted(set(each), key=lambda key: (-len(key), key)))
    rank = {key: n for n, key in enumerate(distinct)}
    which = np.array([rank[key] for key in each], np.int64)
    return (distinct, np.bincount(which, minlength=len(distinct)).tobytes()), which


def packed(
    data: Sequences, keys: Keys, which: Annotated[Ints, "sequences"]
) -> tuple[CascadeData, Annotated[Ints, "targets"]]:
    """Pack sequences whose :func:`keys_of` are known.

    Returns:
        the batch, and the places in ``N`` of all targets in the order of the data.
    """
    often = np.frombuffer(keys[1], np.int64)
    lengths = np.zeros(len(often), np.int64)
    lengths[which] = data.lengths
    longest = int(lengths.max(initial=0))
    running = (lengths[:, None] > np.arange(longest)).sum(axis=0)
    starts = np.concatenate([[0], np.cumsum(running)])
    time = np.arange(data.n_steps) - np.repeat(data.offsets[:-1], data.lengths)
    sequence = np.repeat(which, data.lengths)
    place = starts[time] + sequence
    asked = place[data.target_steps]
    at, first = np.unique(asked, return_index=True)
    rank = sequence[data.target_steps][first]
    batch = CascadeData(
        inputs=_spread(data.inputs, place, int(starts[-1])),
        n_inputs=data.n_inputs,
        spans=tuple(zip(starts[:-1].tolist(), running.tolist(), strict=True)),
        targets=np.ascontiguousarray(data.dense_targets()[first].T, np.float64),
        at=at,
        rank=rank,
        times=often[rank].astype(np.float64),
        counts=np.bincount(rank, minlength=len(often)),
    )
    return batch, asked


def _bytes_of(units: np.ndarray) -> np.ndarray:
    """View symbols or values as one row of bytes for each step."""
    width = units.itemsize * math.prod(units.shape[1:])
    return np.ascontiguousarray(units).view(np.uint8).reshape(len(units), width)


def _spread(inputs: np.ndarray, place: np.ndarray, steps: int) -> np.ndarray:
    """Arrange inputs by place; equal sequences share one."""
    if inputs.ndim == 1:
        symbols = np.zeros(steps, np.int64)
        symbols[place] = inputs
        return symbols
    values = np.zeros((inputs.shape[1], steps))
    values[:, place] = inputs.T
    return values
