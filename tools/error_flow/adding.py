"""One sequence of the adding problem in a net of row 4-1 that has learned it."""

from __future__ import annotations

from typing import Any

import numpy as np
from tools.mechanisms.nets import Nets
from tools.mechanisms.walk import walk

from carrousel.experiments import EXPERIMENTS
from carrousel.inspection import errors_by_lag

NETS, EVERY, MOST = 16, 10_000, 200_000
SHOWN = 159
"""Seed of the sequence that is shown."""


def adding() -> dict[str, Any]:
    """Train nets by the algorithm of 1997 until one gets its test right, and follow its states.

    Returns:
        ``sequences`` learned; of one new sequence the ``values`` and ``marks``; by step the
        activations of input and output gates, ``states``, and the ``errors`` that the target's
        error sends back to the states; ``output`` and ``target``.
    """
    row = EXPERIMENTS["4-1"]
    nets = Nets(row, NETS, "4-1")
    learned = 0
    while learned < MOST and not nets.correct().any():
        nets.learn(EVERY)
        learned += EVERY
    lane = int(np.argmax(nets.right()))
    network, flat = row.network, nets.weights[lane]
    one = nets.tasks[lane].sample(np.random.default_rng(SHOWN), 1)
    x, blocks = one.dense_inputs(), network.cell.n_units - network.cell.n_cells
    inputs, outs, states, cells = [], [], [], []
    for state in walk(network, row.training, flat, one):
        inputs.append(state.y[: blocks // 2].tolist())
        outs.append(state.y[-(blocks // 2) :].tolist())
        states.append(state.s.tolist())
        cells.append(state.y_cell.tolist())
    out = network.views(flat)["output_cells"][0] @ cells[-1]
    out += network.views(flat).get("output_bias", np.zeros(1))[0]
    errors = errors_by_lag(network, flat, one, "truncated", range(len(x)))
    return {
        "sequences": learned,
        "values": x[:, 0].tolist(),
        "marks": x[:, 1].tolist(),
        "input gates": inputs,
        "output gates": outs,
        "states": states,
        "errors": errors[::-1].tolist(),
        "output": float(1.0 / (1.0 + np.exp(-out))),
        "target": float(one.dense_targets()[-1, 0]),
    }
