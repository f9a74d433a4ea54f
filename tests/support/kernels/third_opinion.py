"""Independent computation of all gradients, with a separate copy of the weights for each step.

If step ``tau`` has its own copy ``w(tau)`` of the weights, the loss ``E(t)`` of step ``t`` has a
derivative for each copy, called a share. Every gradient of the package is a sum of shares: all of
them (BPTT and RTRL), those at most ``h`` steps old (BPTT of bounded depth; immediate for one step),
or those that remain if recurrent activations are constants: all of them (truncated), or those that
a unit receives by some connections (sparse). In online learning the copies differ, and the sums
are the same.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from carrousel.contracts import (
    CELL_WIRINGS,
    Cell,
    Gradient,
    Kernel,
    Network,
    Simple,
    Training,
    Wiring,
)
from carrousel.kernels.reference.lanes import output_error, rule_for
from carrousel.kernels.reference.layers import Weights
from carrousel.kernels.reference.paths import recurrent_paths
from carrousel.sequences import Sequences
from support.drawn import BIASES, BOUNDED, UNGATED, networks, seeds
from support.kernels.second_opinion import (
    Goals,
    Start,
    learned_error,
    literal,
    logistic,
    parts_of,
    spread,
    squash,
)

SIMPLE: tuple[Wiring, ...] = ("full", "direct", "united")  # sparse: no gradient runs on it

STRUCTURES: list[tuple[Cell | Simple, Wiring]] = [
    *(
        (Cell(2, size, output_gate=out, forget_gate=forget), wiring)
        for size, out, forget in itertools.product((1, 2), (True, False), (True, False))
        for wiring in CELL_WIRINGS
    ),
    *((Simple(3, f), wiring) for f in ("logistic", "tanh") for wiring in SIMPLE),
]
"""Every kind of hidden layer in every wiring."""

BIASED: list[tuple[Cell | Simple, Wiring, str]] = [
    (cell, wiring, bias)
    for cell, wiring in STRUCTURES
    for bias in (BIASES if isinstance(cell, Cell) else UNGATED)
    if wiring != "united" or bias != "outputs"
]
"""The same with several biases."""


@dataclass(frozen=True)
class Case:
    """One sequence, a network and its initial state."""

    network: Network
    training: Training
    flat: np.ndarray
    inputs: np.ndarray
    goals: Goals
    start: Start

    @property
    def steps(self) -> int:
        return len(self.inputs)

    @property
    def copies(self) -> np.ndarray:
        """The weights of each step, ``[T, W]``, all equal."""
        return np.tile(self.flat, (self.steps, 1))


def case_of(
    cell: Cell | Simple,
    wiring: Wiring,
    bias: str,
    rng: np.random.Generator,
    steps: int = 5,
    derivative: bool = True,
) -> Case:
    """Return a case with random start, weights, inputs and targets; the last step has a target.

    United outputs always use the output derivative.
    """
    training = Training(1.0, output_derivative=derivative or wiring == "united")
    return case_in(Network(2, 2, cell, wiring=wiring, bias=bias), training, rng, steps)


def case_in(network: Network, training: Training, rng: np.random.Generator, steps: int = 5) -> Case:
    """Return a case of a network with two inputs and two outputs."""
    cell = network.cell
    return Case(
        network,
        training,
        rng.normal(0, 0.7, network.n_weights),
        rng.normal(0, 1, (steps, 2)),
        {t: rng.uniform(0, 1, 2) for t in range(steps) if t == steps - 1 or rng.random() < 0.5},
        Start(rng.uniform(-1, 1, cell.n_units), rng.normal(0, 1, cell.n_states)),
    )


@st.composite
def cases(draw: st.DrawFn, *, most: int = 7) -> Case:
    """Cases of all structures, block counts, squashing functions and lengths."""
    cell, wiring, bias = draw(st.sampled_from(BIASED))
    steps, rng = draw(st.integers(1, most)), np.random.default_rng(draw(seeds))
    if isinstance(cell, Simple):
        return case_of(cell, wiring, bias, rng, steps, draw(st.booleans()))
    two, forget = st.just(2), st.booleans()
    sizes = {"inputs": two, "outputs": two, "most": 2}
    network = draw(networks(**sizes, squashes=BOUNDED, forget_gates=forget))
    if draw(st.booleans()):
        network = replace(network, cell=replace(network.cell, h="identity"))
    shapes = [{}, {"output_derivative": False}, {"derivative_floor": 0.15}]
    shapes += [{"derivative_offset": 0.1}, {"error_tolerance": 0.3}]
    return case_in(network, Training(1.0, **draw(st.sampled_from(shapes))), rng, steps)


def cases_in(network: Network, training: Training, flat: np.ndarray, data: Sequences) -> list[Case]:
    """Return the sequences of a batch as cases with the initial state of a kernel."""
    start = Start(
        np.full(network.cell.n_units, training.initial_activation),
        np.zeros(network.cell.n_states),
    )
    found = []
    for one in data:
        goals = dict(zip(one.target_steps.tolist(), one.dense_targets().astype(float), strict=True))
        inputs = one.dense_inputs().astype(np.float64)
        found.append(Case(network, training, flat.astype(np.float64), inputs, goals, start))
    return found


# --- forward, with analytic functions only: weights may be complex -------------------------------


def play(
    network: Network,
    weights: np.ndarray,
    inputs: np.ndarray,
    start: Start,
    held: np.ndarray | None = None,
    paths: np.ndarray | None = None,
) -> list[SimpleNamespace]:
    """Process ``inputs [T, I]`` with weights ``[T, ..., W]``, one set per step.

    ``held [T, U]`` are constant recurrent activations; None: those of the network. Connections
    ``paths [U, U]`` transmit those of the network in any case.
    """
    y, s, tape = start.y, start.s, []
    for t, (flat, x) in enumerate(zip(weights, inputs, strict=True)):
        parts = parts_of(network, flat)
        net = parts["hidden_inputs"] @ x
        if "hidden_recurrent" in parts:
            recurrent, fed_back = parts["hidden_recurrent"], list(network.fed_back)
            before = (y if held is None else held[t])[..., fed_back]
            fed = np.einsum("...um,...m->...u", recurrent, before)
            if paths is not None and held is not None:
                varying = recurrent * paths[np.ix_(network.receivers, fed_back)]
                fed = fed + np.einsum("...um,...m->...u", varying, y[..., fed_back] - before)
            net = spread(net, list(network.receivers), fed)
        if network.biased_units:
            net = spread(net, list(network.biased_units), parts["hidden_bias"])
        if isinstance(network.cell, Cell):
            y, s, seen = memory_cells(network.cell, net, s)
        else:
            y = seen = logistic(net) if network.cell.f == "logistic" else np.tanh(net)
            s = net[..., :0]
        tape.append(SimpleNamespace(y=y, s=s, net_k=None, y_k=y[..., -network.n_outputs :]))
        if not network.united:
            net_k = np.einsum("...om,...m->...o", parts["output_cells"], seen)
            net_k = net_k + (parts["output_inputs"] @ x if network.direct else 0)
            net_k = net_k + parts.get("output_bias", 0)
            tape[-1].net_k, tape[-1].y_k = net_k, logistic(net_k)
    return tape


def memory_cells(cell: Cell, net: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return activations of all units, states, and cell outputs."""
    sizes = [cell.blocks, cell.blocks * cell.forget_gate, cell.n_cells]
    net_in, net_forget, net_cell, net_out = np.split(net, np.cumsum(sizes), axis=-1)
    y_in, y_forget, y_out = logistic(net_in), logistic(net_forget), logistic(net_out)
    kept = s * np.repeat(y_forget, cell.block_size, axis=-1) if cell.forget_gate else s
    s = kept + np.repeat(y_in, cell.block_size, axis=-1) * squash(cell.g, net_cell)
    y_cell = squash(cell.h, s)
    if cell.output_gate:
        y_cell = y_cell * np.repeat(y_out, cell.block_size, axis=-1)
    return np.concatenate([y_in, y_forget, y_cell, y_out], axis=-1), s, y_cell


def losses(training: Training, tape: list[SimpleNamespace], goals: Goals) -> np.ndarray:
    """Return the loss of each step, ``[T, ...]``; see :func:`second_opinion.loss`."""
    found: list[np.ndarray] = []
    for t, step in enumerate(tape):
        if t not in goals:
            found.append(np.zeros(step.y_k.shape[:-1]))
        elif not literal(training):
            y = np.real(step.y_k).reshape(-1, len(goals[t]))[0]
            found.append(-(learned_error(training, y, goals[t]) * step.net_k).sum(axis=-1))
        elif training.output_derivative:
            found.append(0.5 * ((goals[t] - step.y_k) ** 2).sum(axis=-1))
        else:
            each = np.log(1 + np.exp(step.net_k)) - goals[t] * step.net_k
            found.append(each.sum(axis=-1))
    return np.array(found)


# --- gradients -----------------------------------------------------------------------------------


def shares(case: Case, copies: np.ndarray, *, paths: np.ndarray | None = None) -> np.ndarray:
    """Return minus the derivative of the loss of step ``t`` by the weights of step ``tau``.

    ``paths [U, U]``: recurrent connections by which errors flow; None: all.

    The result is ``[T, T, W]``, for the first ``T`` steps of the case, one per row of ``copies``.
    It is a complex-step difference, which has no cancellation.
    """
    steps, n_weights = copies.shape
    inputs, e, held = case.inputs[:steps], 1e-40, None
    if paths is not None:
        tape = play(case.network, copies, inputs, case.start)
        held = np.array([case.start.y, *[step.y for step in tape[:-1]]])
    shaken = np.empty((steps, steps, n_weights, n_weights), complex)
    shaken[:] = copies[:, None, None]
    for tau in range(steps):
        shaken[tau, tau] += 1j * e * np.eye(n_weights)
    tape = play(case.network, shaken, inputs, case.start, held, paths)
    return -np.imag(np.broadcast_to(losses(case.training, tape, case.goals), shaken.shape[:3])) / e


def open_paths(network: Network, gradient: Gradient) -> np.ndarray | None:
    """Return the recurrent connections by which errors flow; None: all."""
    if gradient.kind == "truncated":
        return np.zeros((network.cell.n_units,) * 2)
    if gradient.kind == "sparse":
        return recurrent_paths(network, gradient.depth or 1)
    return None


def summed(
    case: Case, depth: int | None = None, stride: int = 1, paths: np.ndarray | None = None
) -> np.ndarray:
    """Return minus the gradient ``[W]`` of BPTT with a depth and stride."""
    found = shares(case, case.copies, paths=paths)
    total = np.zeros(case.network.n_weights)
    for t in range(case.steps):
        sent = min(-(-(t + 1) // stride) * stride, case.steps) - 1  # the step of the backward pass
        total += found[t, 0 if depth is None else max(sent - depth + 1, 0) :].sum(axis=0)
    return total


def expected(case: Case, gradient: Gradient) -> np.ndarray:
    """Return minus a gradient ``[W]`` that is not an estimate or approximation."""
    if gradient.kind in ("truncated", "sparse"):
        return summed(case, paths=open_paths(case.network, gradient))
    assert gradient.kind in ("bptt", "rtrl", "immediate")
    depth = 1 if gradient.kind == "immediate" else gradient.depth
    return summed(case, depth, gradient.stride)


def online(case: Case, rate: float, gradient: Gradient) -> np.ndarray:
    """Return the weights ``[W]`` after a sequence, if they change once a gradient is known."""
    flat, copies, waiting = case.flat.copy(), np.zeros((0, len(case.flat))), 0
    depth = (gradient.depth if gradient.kind == "bptt" else None) or case.steps
    depth = 1 if gradient.kind == "immediate" else depth
    for t in range(case.steps):
        copies, waiting = np.vstack([copies, flat]), waiting + 1
        if waiting < gradient.stride and t < case.steps - 1:
            continue
        found = shares(case, copies, paths=open_paths(case.network, gradient))
        flat += rate * found[t + 1 - waiting :, max(t - depth + 1, 0) :].sum(axis=(0, 1))
        waiting = 0
    return flat


# --- gradients of the package --------------------------------------------------------------------


def follow(case: Case, gradient: str, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return minus the gradient ``[W]`` by the reference, from the start of the case."""
    network, training = case.network, case.training
    rule: Any = rule_for(network, training, Gradient.named(gradient), np.float64, rng)
    w, found = Weights.unpack(network, case.flat), np.zeros_like(case.flat)
    rule.begin()
    rule.state.y, rule.state.s = case.start.y, case.start.s
    for t, x in enumerate(case.inputs):
        seen = np.concatenate([x if network.direct else x[:0], rule.advance(w, x), [1.0]])
        by_output = np.zeros_like(w.output)
        if t in case.goals and network.united:
            y = seen[:-1]
            rule.meet(np.append(np.zeros(len(y) - 2), case.goals[t] - y[-2:]))
        elif t in case.goals:
            y = logistic(w.output @ seen)
            e_k = output_error(training, y, case.goals[t] - y)
            by_output = np.outer(e_k, seen)
            rule.meet(w.read(network).T @ e_k)
        due = rule.due(w, t == case.steps - 1)
        by_hidden = np.zeros_like(w.hidden) if due is None else due
        Weights(by_hidden, by_output).add_to(network, found, 1.0)
    return found


def learned(
    kernel: Kernel,
    network: Network,
    training: Training,
    flat: np.ndarray,
    data: Sequences,
    gradient: str,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return the weights ``[W]`` after a kernel has learned a batch."""
    weights = flat[None].astype(kernel.dtype)
    rates, named = np.full(1, training.rate, kernel.dtype), Gradient.named(gradient)
    rngs = None if rng is None else [rng]
    kernel.learn(network, training, weights, rates, np.zeros(1, np.int64), [data], named, rngs)
    return weights[0]
