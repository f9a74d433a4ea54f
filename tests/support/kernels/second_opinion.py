"""Independent implementations of the truncated gradient.

The package moves one trace per weight forward in time. Here every step is stored, and the gradient
is computed in two other ways: by complex-step differences of the loss, and backwards.

Truncation means that the previous hidden activations are constants. :func:`play` takes them as an
argument, ``held``. The derivative of the loss with these constants is the truncated gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from carrousel.contracts import SQUASHES, Cell, Network, Training


def logistic(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def squash(kind: str, x: np.ndarray) -> np.ndarray:
    low_high = SQUASHES[kind]
    return x if low_high is None else low_high[0] * logistic(x) + low_high[1]


def slope(kind: str, x: np.ndarray) -> np.ndarray:
    """Derivative of a squashing function at ``x`` (the package uses the value instead)."""
    low_high = SQUASHES[kind]
    return np.ones_like(x) if low_high is None else low_high[0] / (2.0 * np.cosh(x / 2.0)) ** 2


def parts_of(network: Network, flat: np.ndarray) -> dict[str, np.ndarray]:
    """Return named views of flat weights ``[..., W]``, which may be complex."""
    lanes = flat.shape[:-1]
    return {
        name: flat[..., part.start : part.stop].reshape(*lanes, *part.shape)
        for name, part in network.layout.items()
    }


@dataclass(frozen=True)
class Start:
    """Initial state of a network: hidden activations ``[U]``, cell states ``[C]``."""

    y: np.ndarray
    s: np.ndarray

    @staticmethod
    def fresh(network: Network, training: Training) -> Start:
        units, cells = network.cell.n_units, network.cell.n_cells
        return Start(np.full(units, training.initial_activation), np.zeros(cells))


def play(
    network: Network,
    flat: np.ndarray,
    inputs: np.ndarray,
    start: Start,
    *,
    cells_on: bool = True,
    held: np.ndarray | None = None,
) -> list[SimpleNamespace]:
    """Compute equations (3) to (9) over ``inputs [T, I]`` with weights ``[..., W]``.

    ``held [T, U]`` are constant recurrent activations; None: those of the network. Only analytic
    functions are used, so that weights may be complex.
    """
    cell, parts = network.cell, parts_of(network, flat)
    assert isinstance(cell, Cell)
    B, C, size = cell.blocks, cell.n_cells, cell.block_size
    y: np.ndarray = start.y
    s: np.ndarray = start.s
    tape = []
    for t, x in enumerate(inputs):
        before = y if held is None else held[t]
        net = parts["hidden_inputs"] @ x
        if network.recurrent:
            into, sources = list(network.receivers), before[..., list(network.fed_back)]
            fed = np.einsum("...um,...m->...u", parts["hidden_recurrent"], sources)
            net = spread(net, into, fed)
        if network.biased_units:
            net = spread(net, list(network.biased_units), parts["hidden_bias"])
        net_in, net_cell, net_out = net[..., :B], net[..., B : B + C], net[..., B + C :]
        y_in = logistic(net_in)
        y_out = logistic(net_out) if cell.output_gate else np.ones(B)
        g = squash(cell.g, net_cell)
        s = s + np.repeat(y_in, size, axis=-1) * g
        h = squash(cell.h, s)
        y_cell = np.repeat(y_out, size, axis=-1) * h
        net_k = np.einsum("...oc,...c->...o", parts["output_cells"], y_cell * cells_on)
        if network.direct:
            net_k = net_k + parts["output_inputs"] @ x
        if "output_bias" in parts:
            net_k = net_k + parts["output_bias"]
        gates = [y_out] if cell.output_gate else []
        y = np.concatenate([y_in, y_cell, *gates], axis=-1)
        tape.append(
            SimpleNamespace(
                x=x, before=before, net_in=net_in, net_cell=net_cell, net_out=net_out, y_in=y_in,
                y_out=y_out, g=g, s=s, h=h, y_cell=y_cell, y=y, net_k=net_k, y_k=logistic(net_k),
            )
        )  # fmt: skip
    return tape


def spread(net: np.ndarray, units: list[int], share: np.ndarray) -> np.ndarray:
    """Add ``share [..., units]`` to some of the net inputs ``[..., U]``."""
    lanes = np.broadcast_shapes(net.shape[:-1], share.shape[:-1])
    net = np.broadcast_to(net, (*lanes, net.shape[-1])).astype(np.result_type(net, share))
    net[..., units] += share
    return net


Goals = Mapping[int, np.ndarray]
"""Targets ``[O]`` by step."""


def learned_error(training: Training, y: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Return the errors ``e_k`` of logistic outputs, one by one."""
    found = []
    for value, wanted in zip(y.tolist(), goal.tolist(), strict=True):
        slope = 1.0
        if training.output_derivative:
            slope = max(value * (1 - value), training.derivative_floor)
            slope += training.derivative_offset
        ignored = abs(wanted - value) < training.error_tolerance
        found.append(0.0 if ignored else slope * (wanted - value))
    return np.array(found)


def literal(training: Training) -> bool:
    """Whether the errors of outputs are the gradient of a loss: (19), or ``t - y``."""
    floor_offset = training.derivative_floor or training.derivative_offset
    return not (floor_offset or training.error_tolerance)


def loss(tape: list[SimpleNamespace], goals: Goals, training: Training) -> np.ndarray:
    """Return the loss: half of (16), or cross-entropy if (19) has no ``f'``.

    With a logistic output, minus the derivative of cross-entropy by the net input is ``t - y``. It
    is computed from the net input, since ``1 - y`` is inaccurate near 0. Other errors of outputs
    are constants that multiply net inputs.
    """
    total: np.ndarray = np.zeros(())
    for t, goal in goals.items():
        step = tape[t]
        if not literal(training):
            y = np.real(step.y_k).reshape(-1, len(goal))[0]  # perturbations are below its rounding
            total = total - (learned_error(training, y, goal) * step.net_k).sum(axis=-1)
        elif training.output_derivative:
            total = total + 0.5 * ((goal - step.y_k) ** 2).sum(axis=-1)
        else:
            total = total + (np.log(1 + np.exp(step.net_k)) - goal * step.net_k).sum(axis=-1)
    return total


def differences(of: Callable[[np.ndarray], np.ndarray], flat: np.ndarray) -> np.ndarray:
    """Return the derivative for every entry of ``flat``, ``Im f(w + i e) / e``.

    This complex-step difference has no cancellation, so ``e`` can be small enough for its error of
    order ``e`` squared to vanish.
    """
    e = 1e-40
    return np.imag(of(flat + 1j * e * np.eye(len(flat)))) / e


def held_activations(tape: list[SimpleNamespace], start: Start) -> np.ndarray:
    """Return the recurrent activations of an unperturbed run."""
    return np.array([start.y, *[step.y for step in tape[:-1]]])


def by_differences(
    network: Network,
    training: Training,
    flat: np.ndarray,
    inputs: np.ndarray,
    goals: Goals,
    start: Start,
    *,
    cells_on: bool = True,
) -> np.ndarray:
    """Return minus the truncated gradient ``[W]``, by differences of the loss."""
    flat = flat.astype(np.float64)
    held = held_activations(play(network, flat, inputs, start), start)

    def of(weights: np.ndarray) -> np.ndarray:
        tape = play(network, weights, inputs, start, cells_on=cells_on, held=held)
        return loss(tape, goals, training)

    return -differences(of, flat)


def backwards(
    network: Network,
    training: Training,
    flat: np.ndarray,
    tape: list[SimpleNamespace],
    goals: Goals,
) -> np.ndarray:
    """Return minus the truncated gradient ``[W]``, by going back through the stored steps.

    An error enters a cell at its output and flows back inside the cell with factor 1, where it is
    summed. At every step it also reaches the cell input and the input gate, changes the weights
    into these units, and stops.
    """
    cell = network.cell
    assert isinstance(cell, Cell)
    size, found = cell.block_size, np.zeros_like(flat)
    change, parts = parts_of(network, found), parts_of(network, flat)
    inside = np.zeros(cell.n_cells)  # e_s, summed over all later steps
    for t in reversed(range(len(tape))):
        step = tape[t]
        e_out = np.zeros(cell.blocks)
        if t in goals:
            e_k = learned_error(training, step.y_k, goals[t])
            change["output_cells"] += np.outer(e_k, step.y_cell)
            if "output_inputs" in change:
                change["output_inputs"] += np.outer(e_k, step.x)
            if "output_bias" in change:
                change["output_bias"] += e_k
            back = e_k @ parts["output_cells"]
            inside = inside + np.repeat(step.y_out, size) * slope(cell.h, step.s) * back
            if cell.output_gate:
                by_block = (step.h * back).reshape(-1, size).sum(axis=1)
                e_out = by_block * slope("[0,1]", step.net_out)
        e_cell = inside * np.repeat(step.y_in, size) * slope(cell.g, step.net_cell)
        e_in = (inside * step.g).reshape(-1, size).sum(axis=1) * slope("[0,1]", step.net_in)
        error = np.concatenate([e_in, e_cell, e_out if cell.output_gate else e_out[:0]])
        change["hidden_inputs"] += np.outer(error, step.x)
        if "hidden_recurrent" in change:
            into, sources = list(network.receivers), list(network.fed_back)
            change["hidden_recurrent"] += np.outer(error[into], step.before[sources])
        if network.biased_units:
            change["hidden_bias"] += error[list(network.biased_units)]
    return found


def step_by_step(
    network: Network, training: Training, flat: np.ndarray, inputs: np.ndarray, goals: Goals
) -> np.ndarray:
    """Return the weights ``[W]`` after a sequence if they change at every step with a target.

    The error of step ``t`` enters through the weights of step ``t``. Each earlier step contributed
    to the state with the weights at that step.
    """
    flat, tape = flat.copy(), []
    now = Start.fresh(network, training)
    for t, x in enumerate(inputs):
        tape += play(network, flat, x[None], now)
        now = Start(tape[-1].y, tape[-1].s)
        if t in goals:
            flat += training.rate * backwards(network, training, flat, tape, {t: goals[t]})
    return flat
