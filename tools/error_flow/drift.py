"""Drift of states by inputs of one sign, and negative biases of input gates."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from tools.mechanisms.nets import Nets
from tools.mechanisms.walk import slopes, walk

from carrousel.contracts import Experiment
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.recipes.vary import varied
from carrousel.shapes import Floats
from carrousel.tasks import Multiplication

NETS, STEPS, EVERY = 16, 1000, 20
BIASES = (None, -1.0, -3.0, -5.0)
"""Initial biases of all input gates; None: random, as other weights."""
MOST, TESTS = 200_000, 20
"""Most training sequences of a net, and tests of each net."""


def drift() -> dict[str, Any]:
    """Follow states before learning, and count the nets of the adding problem that learn."""
    row = EXPERIMENTS["5-1"]
    states = [follow(_with_biases(row, bias), bias) for bias in BIASES]
    return {"states": states, "nets": NETS, "most": MOST, "learned": learning()}


def _with_biases(row: Experiment, bias: float | None) -> Experiment:
    blocks = row.network.cell.n_cells // 2
    return varied(row, {"network.init.input_gate_bias": [] if bias is None else [bias] * blocks})


def follow(row: Experiment, bias: float | None) -> dict[str, Any]:
    """Return the size of states, and ``h'`` relative to its largest value, by step.

    Nets are not trained. Their inputs are a value from 0 to 1 and a marker, so their cells
    receive inputs mostly of one sign.
    """
    row = replace(row, task=Multiplication(length=STEPS))
    nets = Nets(row, NETS, "5-1")
    found = np.array([_along(nets, lane) for lane in range(NETS)]).mean(axis=0)
    sizes, rates = found.T.tolist()
    steps = [*range(EVERY, STEPS + 1, EVERY)]
    return {"bias": bias, "steps": steps, "state": sizes, "slope": rates}


def _along(nets: Nets, lane: int) -> Annotated[Floats, "points 2"]:
    network, training = nets.experiment.network, nets.experiment.training
    one = nets.tasks[lane].sample(np.random.default_rng(lane), 1)
    seen = [
        (np.abs(state.s).mean(), 2.0 * slopes(network, state).mean())
        for state in walk(network, training, nets.weights[lane], one)
    ]
    return np.array(seen)[EVERY - 1 : STEPS : EVERY]


def learning() -> list[dict[str, Any]]:
    """Train the adding problem with biases of gates alone, and of all units, as the paper prints.

    A bias of a cell is an input of one sign at every step.
    """
    found = []
    for units in ("gates", "all"):
        for biases in ((), (-3.0, -6.0)):
            row = varied(
                EXPERIMENTS["4-1"],
                {"network.bias": units, "network.init.input_gate_bias": list(biases)},
            )
            solved = Nets(row, NETS, "4-1").solved_at(MOST, MOST // TESTS)
            found.append({"units": units, "biases": list(biases), "solved": solved})
    return found
