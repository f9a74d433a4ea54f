"""Simple recurrent nets in lanes, each learning online by truncated back-propagation."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from carrousel.contracts import Network, Simple
from carrousel.errors import SettingError
from carrousel.sequences import Sequences
from carrousel.shapes import Bools, Floats, Ints

Lanes = Annotated[Ints, "n"] | None
"""Numbers of the lanes that take part, ascending; ``None`` stands for all, without a copy."""


class LaneNets:
    """``B`` nets of one shape, each with its own weights, that step and learn independently.

    Hidden unit ``i`` and output ``k`` of a net (no outputs feed back)::

        h_i(t) = f( sum_j w_ij x_j(t) + sum_j r_ij h_j(t-1) + b_i )
        y_k(t) = logistic( sum_j v_kj x_j(t) + sum_j q_kj h_j(t) + b_k )

    (``v`` in direct wiring only). :meth:`step` computes one time step, :meth:`learn` changes the
    weights by the gradient of half the squared error of that step alone, which flows back over the
    last ``depth`` steps: BPTT(h) of Williams & Peng (1990) with activations as they were. For a
    symbol, only one row of the input weights is read and updated.

    Sums over units are taken in the same order for one lane as for many, so that no lane's result
    depends on its neighbours, to the last bit.

    Args:
        network: the net; simple units, wired ``"full"`` or ``"direct"``.
        n_lanes: ``B``.
        depth: time steps that an error reaches, including its own.
        dtype: of all arrays.

    Raises:
        SettingError: the network has memory cells, or its outputs are hidden units.
    """

    def __init__(
        self, network: Network, n_lanes: int, depth: int, dtype: type[np.floating] = np.float32
    ) -> None:
        self.network, self.n_lanes, self.depth, self.dtype = network, n_lanes, depth, dtype
        self._f = _simple(network).f
        self.n_hidden, self.n_outputs = network.cell.n_units, network.n_outputs
        B, I, H, O = n_lanes, network.n_inputs, self.n_hidden, self.n_outputs  # noqa: E741
        # One row for each lane and input; weights from hidden unit j are the j-th of [j, B, ...].
        self.into_hidden = np.zeros((B * I, H), dtype)
        self.into_outputs = np.zeros((B * I if network.direct else 0, O), dtype)
        self.recurrent = np.zeros((H, B, H), dtype)
        self.read = np.zeros((H, B, O), dtype)
        self.hidden_bias = np.zeros((B, H), dtype) if network.biased_units else None
        self.output_bias = np.zeros((B, O), dtype) if network.biased_outputs else None
        self.start(0)

    def start(self, n_values: int) -> None:
        """Reset all activations; from now on, the last ``n_values`` inputs are values.

        The inputs before these, if any, are one symbol a step.
        """
        B, H = self.n_lanes, self.n_hidden
        self.n_values = n_values
        self.h: np.ndarray = np.zeros((B, H), self.dtype)
        self.y: np.ndarray = np.zeros((B, self.n_outputs), self.dtype)
        self._tape = [self._blank() for _ in range(self.depth)]

    def reset(self, lanes: Lanes) -> None:
        """Set activations to zero; errors do not flow back beyond the next step."""
        if lanes is None:
            self.start(self.n_values)
            return
        self.h[lanes] = 0.0
        self.y[lanes] = 0.0
        for step in self._tape:
            step.clear(lanes)

    def step(self, lanes: Lanes, rows: Annotated[Ints, "n"], values: np.ndarray | None) -> Any:
        """Compute one step of some lanes; return their outputs, ``[n, O]``.

        Args:
            lanes: the ``n`` lanes that take part; the others do not change.
            rows: ``lane * I + symbol``, where inputs are symbols.
            values: ``[n, n_values]``, or None if there are none.
        """
        past = _of(self.h, lanes)
        net = self._from_inputs(self.into_hidden, lanes, rows, values)
        if self.hidden_bias is not None:
            net += _of(self.hidden_bias, lanes)
        for j in range(self.n_hidden):
            net += past[:, j : j + 1] * _of(self.recurrent[j], lanes)
        h, slope = self._squash(net)
        if self.network.direct:
            y = self._from_inputs(self.into_outputs, lanes, rows, values)
        else:
            y = np.zeros((len(h), self.n_outputs), self.dtype)
        if self.output_bias is not None:
            y += _of(self.output_bias, lanes)
        for j in range(self.n_hidden):
            y += h[:, j : j + 1] * _of(self.read[j], lanes)
        _logistic(y)
        self._record(lanes, _Step(rows, values, past, slope))
        if lanes is None:
            self.h, self.y = h, y
        else:
            self.h[lanes], self.y[lanes] = h, y
        return y

    def learn(self, lanes: Lanes, error: Annotated[Floats, "n O"], rate: float) -> None:
        """Descend the gradient of ``sum_k error_k^2 / 2``, where ``error`` is output minus target.

        ``error`` belongs to the outputs of the last :meth:`step` of each lane. It is 0 for an
        output without a target.
        """
        y, h = _of(self.y, lanes), _of(self.h, lanes)
        delta = 1.0 - y
        delta *= y
        delta *= error
        hidden = np.empty_like(h)
        for j in range(self.n_hidden):
            hidden[:, j] = _dot(_of(self.read[j], lanes), delta)
        delta *= rate
        hidden *= rate
        for j in range(self.n_hidden):
            _subtract(self.read[j], lanes, delta * h[:, j : j + 1])
        if self.network.direct:
            self._change_inputs(self.into_outputs, lanes, self._tape[0], delta)
        if self.output_bias is not None:
            _subtract(self.output_bias, lanes, delta)
        self._go_back(lanes, hidden)

    def _go_back(self, lanes: Lanes, error: np.ndarray) -> None:
        """Change the weights into hidden units, given ``rate * dE/dh`` of the last step."""
        H = self.n_hidden
        changes: list[Any] = [0.0] * H
        for k, step in enumerate(self._tape):
            if k:
                before, error = error, np.empty_like(error)
                for j in range(H):
                    error[:, j] = _dot(_of(self.recurrent[j], lanes), before)
            error = error * _of(step.slope, lanes)
            past = _of(step.past, lanes)
            for j in range(H):
                changes[j] += error * past[:, j : j + 1]
            self._change_inputs(self.into_hidden, lanes, step, error)
            if self.hidden_bias is not None:
                _subtract(self.hidden_bias, lanes, error)
        for j in range(H):
            _subtract(self.recurrent[j], lanes, changes[j])

    def _from_inputs(
        self, weights: np.ndarray, lanes: Lanes, rows: np.ndarray, values: np.ndarray | None
    ) -> np.ndarray:
        if self.n_values == 0 or values is None:
            return weights.take(rows, axis=0)
        last = _of(self._of_values(weights), lanes)
        net = np.matmul(values[:, None, :], last)[:, 0]  # one product for each lane
        return net if self.n_values == self.network.n_inputs else net + weights.take(rows, axis=0)

    def _change_inputs(
        self, weights: np.ndarray, lanes: Lanes, step: _Step, change: np.ndarray
    ) -> None:
        if self.n_values < self.network.n_inputs:
            weights[_of(step.rows, lanes)] -= change
        if self.n_values:
            values = _of(step.values, lanes)
            _subtract(self._of_values(weights), lanes, values[:, :, None] * change[:, None, :])

    def _of_values(self, weights: np.ndarray) -> np.ndarray:
        whole = weights.reshape(self.n_lanes, self.network.n_inputs, -1)
        return whole[:, self.network.n_inputs - self.n_values :]

    def _squash(self, net: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._f == "tanh":
            h = np.tanh(net)
            return h, 1.0 - h * h
        _logistic(net)
        return net, net * (1.0 - net)

    def _record(self, lanes: Lanes, step: _Step) -> None:
        if lanes is None:
            step.rows = step.rows.copy()  # the caller owns them; stored steps are overwritten
            step.values = None if step.values is None else step.values.copy()
            self._tape.insert(0, step)
            self._tape.pop()
            return
        for later, earlier in zip(self._tape[:0:-1], self._tape[-2::-1], strict=True):
            later.put(lanes, earlier.at(lanes))
        self._tape[0].put(lanes, step)

    def _blank(self) -> _Step:
        B, H = self.n_lanes, self.n_hidden
        values = np.zeros((B, self.n_values), self.dtype)
        blank = np.zeros((B, H), self.dtype)
        rows = np.arange(B) * self.network.n_inputs
        return _Step(rows, values, blank, blank.copy())

    def outputs(self, lane: int, data: Sequences) -> Annotated[Floats, "M O"]:
        """Outputs of one net at all steps that have a target; weights and state do not change."""
        width = self.network.n_inputs
        own = slice(lane * width, (lane + 1) * width)
        with np.errstate(all="ignore"):
            hidden = self._hidden_of(lane, data, self.into_hidden[own])
            steps = data.target_steps
            net = np.zeros((len(steps), self.n_outputs), self.dtype)
            if self.network.direct:
                net = _applied(self.into_outputs[own], data.inputs[steps])
            if self.output_bias is not None:
                net += self.output_bias[lane]
            for j in range(self.n_hidden):
                net += hidden[steps, j : j + 1] * self.read[j, lane]
            _logistic(net)
        return net

    def _hidden_of(self, lane: int, data: Sequences, weights: np.ndarray) -> np.ndarray:
        """Activations of hidden units at every step, ``[sum T, H]``, all sequences together."""
        hidden = _applied(weights, data.inputs)
        if self.hidden_bias is not None:
            hidden += self.hidden_bias[lane]
        order = np.argsort(-data.lengths, kind="stable")
        starts, lengths = data.offsets[:-1][order], data.lengths[order]
        before = np.zeros((len(starts), self.n_hidden), self.dtype)
        for t in range(int(lengths.max(initial=0))):
            now = starts[: np.count_nonzero(lengths > t)] + t
            net = hidden[now]
            for j in range(self.n_hidden):
                net += before[: len(now), j : j + 1] * self.recurrent[j, lane]
            before, _ = self._squash(net)
            hidden[now] = before
        return hidden

    def flat(self, lane: int) -> Annotated[Floats, "W"]:
        """A copy of one net's weights, in the order of ``network.layout``."""
        flat = np.zeros(self.network.n_weights, self.dtype)
        for view, held in self._parts(flat, lane):
            view[...] = held
        return flat

    def load(self, lane: int, flat: Annotated[Floats, "W"]) -> None:
        """Set one net's weights, given in the order of ``network.layout``."""
        for view, held in self._parts(np.asarray(flat), lane):
            held[...] = view

    def _parts(self, flat: np.ndarray, lane: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Pairs of views of the same weights: into a flat vector, and into the net's arrays."""
        views, width = self.network.views(flat), self.network.n_inputs
        inputs = slice(lane * width, (lane + 1) * width)
        ours = {
            "hidden_inputs": self.into_hidden[inputs].T,
            "hidden_recurrent": self.recurrent[:, lane].T,
            "output_inputs": self.into_outputs[inputs].T,
            "output_cells": self.read[:, lane].T,
        }
        if self.hidden_bias is not None:
            ours["hidden_bias"] = self.hidden_bias[lane]
        if self.output_bias is not None:
            ours["output_bias"] = self.output_bias[lane]
        return [(view, ours[name]) for name, view in views.items()]

    def copies(self, lane: int, n: int) -> LaneNets:
        """Create ``n`` lanes with copies of one net's weights."""
        made, flat = LaneNets(self.network, n, self.depth, self.dtype), self.flat(lane)
        for each in range(n):
            made.load(each, flat)
        return made

    @property
    def nbytes(self) -> int:
        """Bytes of weights, activations, and of the steps stored for back-propagation."""
        weights = self.n_lanes * self.network.n_weights * np.dtype(self.dtype).itemsize
        return weights + self.h.nbytes + self.y.nbytes + sum(step.nbytes for step in self._tape)


class _Step:
    """One stored time step: inputs, ``h(t-1)``, and ``f'`` of the hidden net inputs.

    ``f'`` is zero where there was no such step.
    """

    __slots__ = ("past", "rows", "slope", "values")

    def __init__(
        self, rows: np.ndarray, values: np.ndarray | None, past: np.ndarray, slope: np.ndarray
    ) -> None:
        self.rows, self.past, self.slope = rows, past, slope
        self.values: Any = values

    def at(self, lanes: np.ndarray) -> _Step:
        values = None if self.values is None else self.values[lanes]
        return _Step(self.rows[lanes], values, self.past[lanes], self.slope[lanes])

    def put(self, lanes: np.ndarray, other: _Step) -> None:
        self.rows[lanes], self.past[lanes], self.slope[lanes] = other.rows, other.past, other.slope
        if self.values is not None and other.values is not None:
            self.values[lanes] = other.values

    def clear(self, lanes: np.ndarray) -> None:
        self.past[lanes] = self.slope[lanes] = 0.0
        if self.values is not None:
            self.values[lanes] = 0.0

    @property
    def nbytes(self) -> int:
        values = 0 if self.values is None else self.values.nbytes
        return self.rows.nbytes + values + self.past.nbytes + self.slope.nbytes


def check_network(network: object, learner: str) -> Network:
    """Return a network that :class:`LaneNets` can hold.

    Raises:
        SettingError: it is no network, has memory cells, or has another wiring.
    """
    if not isinstance(network, Network):
        raise SettingError(
            argument="network", got=network, expected="a carrousel.contracts.Network"
        )
    _simple(network, learner)
    if network.wiring == "sparse":
        raise SettingError(
            f"{learner}: wiring is 'sparse', which 'guess' alone drives",
            argument="wiring",
            got="sparse",
            fix="use 'full' or 'direct'",
        )
    if network.united:
        raise SettingError(
            f"{learner}: wiring is 'united', which 'rtrl' and 'bptt' drive",
            argument="wiring",
            got="united",
            fix="use 'full' or 'direct'",
        )
    return network


def _simple(network: Network, learner: str = "chunker") -> Simple:
    if isinstance(network.cell, Simple):
        return network.cell
    raise SettingError(
        f"{learner}: the network has memory cells, which 'truncated', 'bptt' and 'rtrl' drive",
        argument="cell",
        got=network.cell,
        fix="use Simple(units)",
    )


def _of(array: np.ndarray, lanes: Lanes) -> np.ndarray:
    return array if lanes is None else array[lanes]


def _subtract(array: np.ndarray, lanes: Lanes, change: Any) -> None:
    if lanes is None:
        array -= change
    else:
        array[lanes] -= change


def _applied(weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Weights ``[I, n]`` times inputs, symbols ``[steps]`` or values ``[steps, I]``."""
    if inputs.ndim == 1:
        return weights[inputs]
    return np.matmul(inputs[:, None, :], weights)[:, 0]  # step by step, whatever their number


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sums over the last axis of products, ``[n]``."""
    return (a * b)[:, 0] if a.shape[1] == 1 else np.einsum("nk,nk->n", a, b)


def _logistic(net: np.ndarray) -> None:
    # multiply and not negative: NumPy 2.3.5 reads wrong elements when it negates a column with a
    # stride of 64 bytes in place
    np.multiply(net, -1.0, out=net)
    np.exp(net, out=net)
    net += 1.0
    np.reciprocal(net, out=net)


def lanes_where(mask: Annotated[Bools, "B"], lanes: Lanes) -> Annotated[Ints, "found"] | None:
    """Return those of ``lanes`` where ``mask`` is set; ``None`` if these are all lanes."""
    if lanes is None:
        found = np.flatnonzero(mask)
        return None if len(found) == len(mask) else found
    return lanes[mask[lanes]]
