"""Forward passes of one net over several sequences, each up to the step that the loss reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from carrousel.contracts import Cell, Gradient, Head, Network
from carrousel.inspection.networks.flow import depth_of, followed, state_errors
from carrousel.kernels.reference.layers import HiddenStep, Weights, activations, forward
from carrousel.shapes import Floats


@dataclass(frozen=True, eq=False)
class Case:
    """One sequence; the loss reads its last step.

    Args:
        x: inputs ``[T, I]``.
        target: target of the last step ``[O]``; NaN: none of this output.
        y: activations of hidden units before the first step ``[U]``.
        s: cell states before it ``[C]``; empty for simple units.
    """

    x: Annotated[Floats, "T I"]
    target: Annotated[Floats, "O"]
    y: Annotated[Floats, "U"]
    s: Annotated[Floats, "C"]


@dataclass(frozen=True, eq=False)
class Net:
    """A network with its weights, its error function, and the gradient that is followed.

    Args:
        network: memory cells or simple units.
        flat: weights ``[W]``, float64.
        head: outputs and their error function, see :class:`carrousel.contracts.Streaming`. In
            united wiring the outputs are hidden units, with squared error.
        gradient: its paths are those along which errors flow.
    """

    network: Network
    flat: Annotated[Floats, "W"]
    head: Head
    gradient: Gradient

    @cached_property
    def weights(self) -> Weights:
        """The weights as matrices."""
        return Weights.unpack(self.network, self.flat)

    @cached_property
    def recurrent(self) -> Annotated[Floats, "U U"]:
        """Weights between hidden units."""
        return self.weights.recurrent(self.network)

    @cached_property
    def paths(self) -> Annotated[Floats, "U U"]:
        """Those of them through which errors flow back."""
        return followed(self.network, self.recurrent, self.gradient)

    @property
    def has_cells(self) -> bool:
        """Whether hidden units are memory cells."""
        return isinstance(self.network.cell, Cell)

    @cached_property
    def read(self) -> list[int]:
        """Hidden units that feed the outputs: the cells, or all simple units."""
        return list(self.network.cell.read_units)

    def run(self, case: Case) -> Pass:
        """Run the net over a sequence."""
        y, s, steps = case.y, case.s, list[HiddenStep]()
        for x in case.x:
            steps.append(forward(self.network, self.weights, y, s, x))
            y, s = steps[-1].y, steps[-1].s
        return Pass(self, case, steps)

    def sources(self, x: Annotated[Floats, "I"], y: Annotated[Floats, "U"]) -> np.ndarray:
        """Return the sources of the outputs: inputs, read units and the constant 1."""
        direct = x if self.network.direct else x[:0]
        return np.concatenate([direct, y[self.read], np.ones(1)])

    def outputs(self, x: Annotated[Floats, "I"], y: Annotated[Floats, "U"]) -> np.ndarray:
        """Return the outputs ``[O]`` of a step from its inputs and hidden activations."""
        if self.network.united:
            return y[-self.network.n_outputs :]
        return activations(self.head, self.weights.output @ self.sources(x, y))

    def loss(self, outputs: Annotated[Floats, "O"], target: Annotated[Floats, "O"]) -> float:
        """Return the loss of a step: half the squared error, or the cross-entropy.

        The entropy of the target is subtracted, so that the loss of a correct output is 0.
        """
        known = np.logical_not(np.isnan(target))
        y, t = outputs[known], target[known]
        if self.network.united or self.head in ("linear", "logistic97"):
            return float(0.5 * np.square(t - y).sum())
        found = _divergence(t, y)
        return found + _divergence(1 - t, 1 - y) if self.head == "logistic" else found

    def output_error(
        self, outputs: Annotated[Floats, "O"], target: Annotated[Floats, "O"]
    ) -> Annotated[Floats, "O"]:
        """Return the derivative of the loss by the net inputs of the outputs.

        In united wiring it is that by the outputs, which are hidden activations.
        """
        error = np.where(np.isnan(target), 0.0, outputs - target)
        if self.head == "logistic97" and not self.network.united:
            return error * outputs * (1 - outputs)
        return error


def _divergence(t: Annotated[Floats, "O"], y: Annotated[Floats, "O"]) -> float:
    """Return the sum of ``t log(t / y)``."""
    tiny = np.finfo(np.float64).tiny
    return float((t * (np.log(np.maximum(t, tiny)) - np.log(np.maximum(y, tiny)))).sum())


@dataclass(frozen=True, eq=False)
class Pass:
    """All steps of a net over one sequence.

    Args:
        net: the net.
        case: the sequence.
        steps: its ``T`` steps.
    """

    net: Net
    case: Case
    steps: list[HiddenStep]

    def __len__(self) -> int:
        return len(self.steps)

    @cached_property
    def y(self) -> Annotated[Floats, "T U"]:
        """Activations of hidden units."""
        return np.array([step.y for step in self.steps])

    @cached_property
    def s(self) -> Annotated[Floats, "T C"]:
        """Cell states."""
        return np.array([step.s for step in self.steps])

    @property
    def state(self) -> Annotated[Floats, "T units"]:
        """Cell states, or activations of simple units."""
        return self.s if self.net.has_cells else self.y

    @cached_property
    def outputs(self) -> Annotated[Floats, "T O"]:
        """Outputs of each step."""
        pairs = zip(self.case.x, self.steps, strict=True)
        return np.array([self.net.outputs(x, step.y) for x, step in pairs])

    @property
    def loss(self) -> float:
        """Loss of the last step."""
        return self.net.loss(self.outputs[-1], self.case.target)

    @cached_property
    def output_error(self) -> Annotated[Floats, "O"]:
        """See :meth:`Net.output_error`."""
        return self.net.output_error(self.outputs[-1], self.case.target)

    @cached_property
    def errors(self) -> Annotated[Floats, "T+1 state"]:
        """Derivatives of the loss by the full states; row 0 belongs to the initial state."""
        network, units = self.net.network, self.net.network.cell.n_units
        error = np.zeros(units + network.cell.n_states)
        if network.united:
            error[units - network.n_outputs : units] = self.output_error
        else:
            error[self.net.read] = self.net.weights.read(network).T @ self.output_error
        return state_errors(self.steps, self.net.paths, error, depth_of(self.net.gradient))

    @cached_property
    def keeps(self) -> Annotated[Floats, "T C"]:
        """Derivative of each cell state by its value one step before: the forget gate, or 1."""
        units = self.net.network.cell.n_units
        return np.array([np.diagonal(step.by_state[units:]) for step in self.steps])
