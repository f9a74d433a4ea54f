"""Reference of cascade-correlation in NumPy: one epoch of ragged sequences, and its slopes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, NamedTuple

import numpy as np

from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints


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


def distinct(data: Sequences) -> Annotated[Ints, "sequences"]:
    """Return the place of each sequence among the distinct ones, longest first."""
    keys = []
    for n, (start, stop) in enumerate(pairwise(data.offsets)):
        some = slice(data.target_offsets[n], data.target_offsets[n + 1])
        steps = data.target_steps[some] - start
        goals = data.targets[some].tobytes()
        size = start - stop, len(steps)
        keys.append((*size, data.inputs[start:stop].tobytes(), *steps.tolist(), goals))
    rank = {key: n for n, key in enumerate(sorted(set(keys)))}
    return np.array([rank[key] for key in keys], np.int64)


def activations(weights: list[np.ndarray], batch: CascadeData, f: str) -> Annotated[Floats, "k N"]:
    """Activations of hidden units on a batch, one unit after the other.

    Args:
        weights: for each unit, those of bias, inputs, the units before it and, last, itself.
        batch: the batch.
        f: ``"logistic"`` or ``"tanh"``.
    """
    hidden = np.zeros((len(weights), batch.n_steps))
    for unit, into in enumerate(weights):
        net = batch.net(into[None], hidden[:unit])
        hidden[unit] = batch.run(net, into[-1:], f)[0]
    return hidden


class OutputErrors(NamedTuple):
    """Residual errors ``y - target`` of a batch and slopes of the outputs' squashing function."""

    errors: Annotated[Floats, "O M"]
    derivative: Annotated[Floats, "O M"]


def outcome(weights: np.ndarray, batch: CascadeData, hidden: np.ndarray) -> OutputErrors:
    """Compute the outputs wherever there is a target."""
    outputs = squash(batch.net(weights, hidden).take(batch.at, axis=1), "logistic")
    return OutputErrors(outputs - batch.targets, slope_of(outputs, "logistic"))


def output_slopes(
    found: OutputErrors, batch: CascadeData, hidden: np.ndarray, offset: float
) -> np.ndarray:
    """Slopes of half the squared error, averaged over targets, by output weights.

    Args:
        found: what :func:`outcome` returned.
        batch: the batch.
        hidden: activations of the hidden units, ``[k, N]``.
        offset: added to ``f'``, so that saturated wrong outputs still learn.

    Returns:
        ``[O, 1 + I + k]``; the exact gradient if ``offset`` is 0.
    """
    share = batch.times / max(1.0, batch.times.sum())
    deltas = np.zeros((len(found.errors), hidden.shape[1]))
    deltas[:, batch.at] = found.errors * (found.derivative + offset) * share
    return batch.against(deltas, hidden)


def squared_error(found: OutputErrors, batch: CascadeData) -> float:
    """Sum of squared errors over the batch."""
    return float(np.einsum("om,om,m->", found.errors, found.errors, batch.times))


def correlation_slopes(
    weights: np.ndarray,
    batch: CascadeData,
    hidden: np.ndarray,
    errors: np.ndarray,
    f: str,
    normalised: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of candidates with the residual errors, and its slopes by their weights.

    ``S = sum_o | sum_t (V(t) - mean V) (E_o(t) - mean E_o) |``, divided by the sum of squared
    errors if ``normalised``, else by the number of targets. Sums run over steps with a target. The
    slope of the mean of ``V`` vanishes, as the centred errors add up to zero.

    Args:
        weights: bias, inputs, hidden units and, last, itself: ``[P, 1 + I + k + 1]``.
        batch: the batch.
        hidden: activations of the ``k`` hidden units, ``[k, N]``.
        errors: residual errors of the outputs, ``[O, M]``.
        f: ``"logistic"`` or ``"tanh"``.
        normalised: whether to divide by the sum of squared errors.

    Returns:
        ``S [P]`` and ``dS/dw``, shaped like ``weights``.
    """
    own, total = weights[:, -1], max(1.0, batch.times.sum())
    value = batch.run(batch.net(weights, hidden), own, f)
    centred = errors - ((errors * batch.times).sum(axis=1) / total)[:, None]
    scale = float(np.einsum("om,om,m->", errors, errors, batch.times)) if normalised else total
    centred *= batch.times / (scale or 1.0)
    covariance = np.einsum("pm,om->po", value.take(batch.at, axis=1), centred)
    error = np.zeros_like(value)
    error[:, batch.at] = np.einsum("po,om->pm", np.sign(covariance), centred)
    deltas = batch.back(error, slope_of(value, f), own)
    by_self = (deltas * batch.before(value)).sum(axis=1, keepdims=True)
    slopes = np.concatenate([batch.against(deltas, hidden), by_self], axis=1)
    return np.abs(covariance).sum(axis=1), slopes
