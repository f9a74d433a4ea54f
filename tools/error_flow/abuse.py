"""Cells that serve as biases early in training, with two kinds of output-gate biases."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from tools.mechanisms.nets import Nets
from tools.mechanisms.walk import walk

from carrousel.contracts import Experiment
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.recipes.catalogue import by_recipe
from carrousel.experiments.recipes.vary import varied
from carrousel.shapes import Floats

NETS, SEQUENCES = 16, 8
"""Nets of each setting, and sequences along which their cells are followed."""
STOPS = (0, 10, 30, 100, 300, 1000, 3000, 10_000)
"""Training sequences after which cells are followed."""
MOST = {"1-4, as printed": 100_000, "1-4": 100_000, "3b-1": 60_000}
"""Rows, and the most training sequences of a net."""
FEW_WRONG = {"3b-1": 0.023}
"""Largest share of wrong test sequences of a net that has learned; fewer than 6 of 256 in 3b."""


def rows() -> dict[str, Experiment]:
    """Return the rows: an embedded Reber grammar, and signal and noise on one channel."""
    grammar = EXPERIMENTS["1-4"]
    printed = by_recipe(grammar, "printed")
    return {"1-4, as printed": printed, "1-4": grammar, "3b-1": EXPERIMENTS["3b-1"]}


def abuse() -> dict[str, Any]:
    """Follow the cells of all nets, and count the nets that learn the task."""
    found = {}
    for name, row in rows().items():
        settings = {
            "negative": row,
            "random": varied(row, {"network.init.output_gate_bias": []}),
        }
        found[name] = {
            setting: {"use": use(each, name), "learned": learned_at(each, name)}
            for setting, each in settings.items()
        }
    return {"nets": NETS, "stops": list(STOPS), "most": MOST, "rows": found}


def use(row: Experiment, name: str) -> dict[str, Any]:
    """Return what each cell adds to the net inputs of outputs: its mean and its deviation.

    Both are over steps and sequences, times the norm of the cell's weights to the outputs, as
    medians over nets, by stop and cell. A cell that serves as a bias has a large mean.
    """
    nets, done, found = Nets(row, NETS, name), 0, []
    for stop in STOPS:
        nets.learn(stop - done)
        done = stop
        found.append(np.median([_use(nets, lane) for lane in range(NETS)], axis=0))
    means, deviations = np.array(found).transpose(1, 0, 2).tolist()
    return {"mean": means, "deviation": deviations}


def _use(nets: Nets, lane: int) -> Annotated[Floats, "2 C"]:
    row, flat = nets.experiment, nets.weights[lane]
    rng = np.random.default_rng(lane)
    sequences = [nets.tasks[lane].sample(rng, 1) for _ in range(SEQUENCES)]
    seen = np.array(
        [
            state.y_cell.copy()
            for one in sequences
            for state in walk(row.network, row.training, flat, one)
        ]
    )
    out = np.linalg.norm(row.network.views(flat)["output_cells"], axis=0)
    return np.array([np.abs(seen.mean(axis=0)), seen.std(axis=0)]) * out


def learned_at(row: Experiment, name: str, points: int = 50) -> list[int | None]:
    """Return after how many sequences each net gets its test right; None: not within the most."""
    nets, every = Nets(row, NETS, name), MOST[name] // points
    found: list[int | None] = [None] * NETS
    for done in range(every, MOST[name] + 1, every):
        lanes = [lane for lane in range(NETS) if found[lane] is None]
        nets.learn(every, lanes)
        right = nets.right()
        for lane in lanes:
            if 1.0 - right[lane] <= FEW_WRONG.get(name, 0.0):
                found[lane] = done
    return found
