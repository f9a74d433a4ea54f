"""The measured cases: nets and tasks of the paper's experiments, with data drawn as in a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.checks import check_choice
from carrousel.contracts import Network, Task, Training
from carrousel.contracts.initial import initial_weights
from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.recipes.catalogue import by_recipe
from carrousel.experiments.recipes.vary import varied
from carrousel.experiments.run.seeds import generator
from carrousel.experiments.run.trial import plan_chunks
from carrousel.shapes import Floats

NAMES = ("1-5", "2c-1", "2c-5", "4-1", "6b")
"""Targets at every step; a small and a large alphabet; real values; several blocks of two."""
CHANGES: Mapping[str, Mapping[str, object]] = {
    "1-5": {"training.update": "step", "network.cell.g": "[-1,1]", "network.cell.h": "[-2,2]"},
    "2c-1": {"network.init.range": 0.02},
    "2c-5": {"network.init.range": 0.02},
    "4-1": {"training.output_derivative": False, "network.cell.h": "[-2,2]"},
}
"""Settings that differ from the print, by case: those with which all saved results were measured.

Weights that change after each step cost most; the paper does not say when they change.
"""


@dataclass(frozen=True)
class Case:
    """One row of the paper's tables, as printed.

    Args:
        name: name of the row.
        title: description of the row.
        network: its net.
        training: its learning rate and update schedule.
        task: its task, with fixed sets already drawn.
        batch: sequences that a run draws at once for each lane.
        chunk: sequences that a run learns in one call.
    """

    name: str
    title: str
    network: Network
    training: Training
    task: Task
    batch: int
    chunk: int

    def weights(self, lanes: int) -> Annotated[Floats, "B W"]:
        """Draw the initial weights of the first ``lanes`` trials, float32."""
        rngs = [generator(0, self.name, lane, "weights") for lane in range(lanes)]
        return np.stack([initial_weights(self.network, rng) for rng in rngs])

    def rng(self, number: int = 0) -> np.random.Generator:
        """Make the generator of training data."""
        return generator(0, self.name, number, "training")


def find_case(name: str) -> Case:
    """Return a case by name.

    Raises:
        UnknownNameError: there is no such case.
    """
    row = by_recipe(LSTM_ROWS[check_choice("case", name, NAMES)], "printed")
    row = varied(row, CHANGES.get(name, {}))
    task = row.task.draw(generator(0, name, 0, "draw"))
    batch, chunk = plan_chunks(task.mean_length, row.stop.every)
    return Case(name, row.title, row.network, row.training, task, batch, chunk)
