"""Measures of one net's passes: reach, memory, dynamics and gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from carrousel.inspection.networks.passes import Case, Pass
from carrousel.inspection.results.dynamics import Dynamics
from carrousel.inspection.results.gradients import Gradients
from carrousel.inspection.results.memory import UnitMemory, UsedMemory, log_grid
from carrousel.inspection.results.reach import Reach, geometric
from carrousel.inspection.results.units import Units, units_of
from carrousel.kernels.reference.layers import Weights
from carrousel.shapes import Floats

PART = "hidden"
"""Name of the only part: the hidden layer."""
GATES = {"input_gates": "input", "forget_gates": "forget", "output_gates": "output"}
"""Groups of gates, and their names in reports."""
FEWEST_STEPS = 4
"""Steps from which on a Lyapunov exponent is computed."""


def reach(passes: Sequence[Pass]) -> Reach:
    """Return the error of the read step at earlier steps, by lag.

    Hidden units are all of them, gates too. The error that never left the cells begins one step
    before the read step, scaled by ``y_out h'(s)``, and is multiplied by the forget gates from
    there on: without them it is constant.
    """
    net = passes[0].net
    units = net.network.cell.n_units
    h = by_lag([np.linalg.norm(one.errors[1:, :units], axis=1) for one in passes])
    if not net.has_cells:
        kind = getattr(net.network.cell, "f", "logistic")
        return Reach(PART, f"simple {kind}", True, h, None, None)
    s = by_lag([np.linalg.norm(one.errors[1:, units:], axis=1) for one in passes])
    inside = by_lag([np.linalg.norm(_inside(one), axis=1) for one in passes])
    kind = "lstm" if net.network.cell.forget_gate else "lstm97"  # type: ignore[union-attr]
    return Reach(PART, kind, True, h, s, inside)


def _inside(one: Pass) -> Annotated[Floats, "T C"]:
    """Return the error that stayed in the cells, after each step."""
    errors = one.errors[1:, one.net.network.cell.n_units :]
    found = np.zeros_like(errors)
    for t in range(len(one) - 2, -1, -1):
        last = t == len(one) - 2
        found[t] = errors[t] if last else found[t + 1] * one.keeps[t + 1]
    return found


def by_lag(rows: Sequence[Annotated[Floats, "T"]]) -> Annotated[Floats, "K B"]:
    """Return values ordered by steps before the last one, NaN where a sequence is shorter.

    >>> by_lag([np.array([1.0, 2.0]), np.array([3.0])]).tolist()
    [[2.0, 3.0], [1.0, nan]]
    """
    found = np.full((max(map(len, rows)), len(rows)), np.nan)
    for b, row in enumerate(rows):
        found[: len(row), b] = row[::-1]
    return found


def units(passes: Sequence[Pass]) -> Units:
    """Describe gates and states over all steps of all sequences."""
    net = passes[0].net
    y = np.concatenate([one.y for one in passes])
    gates = {
        GATES[group]: y[:, list(places)]
        for group, places in net.network.cell.groups.items()
        if group in GATES
    }
    steps = np.concatenate([np.arange(len(one)) for one in passes])
    state = np.concatenate([one.state for one in passes])
    return units_of(
        PART,
        gates,
        "c" if net.has_cells else "h",
        state,
        steps,
        largest=float(np.abs(state).max()),
        n_steps=max(map(len, passes)),
    )


def dynamics(passes: Sequence[Pass]) -> Dynamics:
    """Measure the growth of disturbances by products of Jacobians along the sequences."""
    net = passes[0].net
    read = net.read
    radius = None
    if set(read) & set(net.network.fed_back):
        radius = float(np.abs(np.linalg.eigvals(net.recurrent[np.ix_(read, read)])).max())
    long = [one for one in passes if len(one) >= FEWEST_STEPS]
    exponent = None
    if long:
        growth = np.array([_growth(one) for one in long])
        exponent = float(growth.sum() / sum(map(len, long)))
    ends = np.array([np.linalg.norm(one.errors[[-1, 0]], axis=1) for one in passes]).T
    return Dynamics(PART, radius, exponent, float(geometric(ends)[-1]))


def _growth(one: Pass) -> float:
    """Return the logarithm by which a small disturbance of the initial state grows."""
    v = np.random.default_rng(0).normal(size=one.errors.shape[1])
    v, found = v / np.linalg.norm(v), 0.0
    for step in one.steps:
        v = step.jacobian(one.net.recurrent) @ v
        size = float(np.linalg.norm(v))
        if size == 0.0:
            return -math.inf
        v, found = v / size, found + math.log(size)
    return found


def gradients(passes: Sequence[Pass], clip: float | None) -> Gradients:
    """Return norms of the gradient of the mean loss, by block of weights.

    A block is a part of :attr:`carrousel.contracts.Network.layout`. Blocks of weights into hidden
    units of memory cells are divided by group, as in ``hidden_inputs.input_gates``.
    """
    network = passes[0].net.network
    flat = gradient(passes)
    norms = {}
    for name, part in network.views(flat).items():
        into = {
            "hidden_inputs": range(network.cell.n_units),
            "hidden_recurrent": network.receivers,
            "hidden_bias": network.biased_units,
        }.get(name)
        if into is None or not passes[0].net.has_cells:
            norms[name] = float(np.linalg.norm(part))
            continue
        for group, places in network.cell.groups.items():
            rows = [row for row, unit in enumerate(into) if unit in places]
            if rows:
                norms[f"{name}.{group}"] = float(np.linalg.norm(part[rows]))
    return Gradients(norms, float(np.linalg.norm(flat)), clip)


def gradient(passes: Sequence[Pass]) -> Annotated[Floats, "W"]:
    """Return the derivative of the mean loss by the weights, along the paths of the algorithm."""
    net = passes[0].net
    flat = np.zeros(net.network.n_weights)
    hidden, output = np.zeros_like(net.weights.hidden), np.zeros_like(net.weights.output)
    for one in passes:
        for step, error in zip(one.steps, one.errors[1:], strict=True):
            if error.any():
                hidden += np.outer(step.by_net.T @ error, step.sources)
        if not net.network.united:
            sources = net.sources(one.case.x[-1], one.y[-1])
            output += np.outer(one.output_error, sources)
    Weights(hidden, output).add_to(net.network, flat, 1 / len(passes))
    return flat


def memories(passes: Sequence[Pass], lag: int | None) -> tuple[UsedMemory | None, list[UnitMemory]]:
    """Measure the memory of a net by runs in which sequences exchange their history.

    Lags are those that at least two sequences, and half of all, exceed; ``lag``, that of the task,
    is among them.
    """
    if len(passes) < 2:
        return None, []
    longest = sorted(map(len, passes), reverse=True)[max(1, (len(passes) - 1) // 2)] - 2
    if longest < 0:
        return None, []
    lags = log_grid(longest, lag)
    losses, runs = [], list[tuple[Pass, Pass]]()
    for beyond in lags:
        runs = _exchanged(passes, beyond)
        changed = {id(before): after.loss for before, after in runs}
        losses.append(np.mean([changed.get(id(one), one.loss) for one in passes]))
    undisturbed = float(np.mean([one.loss for one in passes]))
    apart = [np.abs(after.state - before.state[-len(after) :]) for before, after in runs]
    twins = UnitMemory(PART, "c" if passes[0].net.has_cells else "h", np.mean(apart, axis=0))
    return UsedMemory(np.array(lags), np.array(losses), undisturbed), [twins]


def _exchanged(passes: Sequence[Pass], lag: int) -> list[tuple[Pass, Pass]]:
    """Run the last ``lag + 1`` steps of each sequence from the state of the next one."""
    long = [one for one in passes if len(one) > lag + 1]
    found = []
    for one, other in zip(long, [*long[1:], *long[:1]], strict=True):
        before = other.steps[len(other) - lag - 2]
        case = Case(one.case.x[-lag - 1 :], one.case.target, before.y, before.s)
        found.append((one, one.net.run(case)))
    return found
