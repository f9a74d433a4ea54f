"""Outputs that saturate in Experiments 2a and 2b, and targets at every step in 2b.

The gate is half open, so the state of the only cell grows to about a quarter of the number of
steps. One change of its weight into an output moves the output's net input by rate * e * s^2, which
saturates the output; where the error has the factor ``f'``, the output then stops learning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import numpy as np
from tools.mechanisms.nets import Nets
from tools.mechanisms.parts import Parts, rounded
from tools.mechanisms.walk import end_of

from carrousel.contracts import Training
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.recipes.catalogue import by_recipe
from carrousel.kernels import ReferenceKernel
from carrousel.kernels.reference.lanes import output_error
from carrousel.sequences import Sequences
from carrousel.shapes import Floats
from carrousel.tasks import RandomLag

NETS = 16
MARKS = (0, 500, 1000, 1100, 2000, 4000, 8000)
"""Training sequences after which nets are measured."""
DEAD = 1e-3
"""An output is dead if it is off by more than one half and ``y (1 - y)`` is below this."""
READINGS = {"2a": ("printed", "late", "start"), "2b": ("printed", "start")}
EVERY = 100
MOST = 20_000
"""Training sequences within which nets of 2b must be right to be looked at."""
PAIRS = 20
"""Pairs of test sequences of each net that differ in their first symbol alone."""


def measure(row: str, name: str, marks: tuple[int, ...] = MARKS) -> dict[str, Any]:
    """Follow nets of a row while they learn under a reading.

    Returns:
        lists with an entry for each mark: ``sequences``; ``state``, the size of the state at the
        last target; ``step``, the largest change of an output's net input by one change of its
        weights there; ``dead``, the share of the outputs ``x`` and ``y`` that are dead there;
        ``wrong``, the share that is off by more than one half; ``right``, of nets that pass the
        row's test.
    """
    nets = Nets(by_recipe(EXPERIMENTS[row], name), NETS, row)
    found: dict[str, list[float]] = {"sequences": [], "state": [], "step": []}
    found |= {"dead": [], "wrong": [], "right": []}
    done = 0
    for mark in marks:
        nets.learn(mark - done)
        done = mark
        rows = [_last(nets, lane, done) for lane in range(nets.count)]
        means = dict(zip(("state", "step", "dead", "wrong"), np.mean(rows, axis=0), strict=True))
        means["step"] = np.median(np.array(rows)[:, 1])
        for key, value in (means | {"right": nets.correct().mean()}).items():
            found[key].append(float(value))
        found["sequences"].append(mark)
    return rounded(found)


def _last(nets: Nets, lane: int, done: int) -> list[float]:
    """Measure a net at the last targets of two sequences, one with ``x`` and one with ``y``."""
    experiment = nets.experiment
    network, training, task = experiment.network, experiment.training, nets.tasks[lane]
    flat, rows = nets.weights[lane], []
    for one in _both(task.sample(nets.test_rngs()[lane], 64)):
        state = float(end_of(network, training, flat, shortened(one)).y_cell[0])
        on = done >= training.cells_added_after  # else the outputs do not see the cell
        outputs = outputs_of(nets, flat, one, on)[-1]
        target = np.zeros(network.n_outputs)
        target[one.targets[-1]] = 1.0
        steps = np.abs(net_changes(training, outputs, target, state * on))
        outer = slice(network.n_outputs - 2, None)  # x and y
        wrong = np.abs(target - outputs)[outer] > 0.5
        flat_there = (outputs * (1 - outputs))[outer] < DEAD
        rows.append([abs(state), steps.max(), (wrong & flat_there).mean(), wrong.mean()])
    return np.mean(rows, axis=0).tolist()


def net_changes(
    training: Training,
    outputs: Annotated[Floats, "O"],
    target: Annotated[Floats, "O"],
    state: float,
) -> Annotated[Floats, "O"]:
    """Return how one change of an output's weights moves its own net input, for each output.

    An output without a bias is fed by one input of 1 and by the state of a cell whose ``h`` is the
    identity: ``rate * e * (state^2 + 1)``.
    """
    error = output_error(training, outputs, target - outputs)
    return training.rate * error * (state * state + 1.0)


def outputs_of(nets: Nets, flat: np.ndarray, data: Sequences, on: bool = True) -> np.ndarray:
    """Return the outputs of a net in float64 at the targets of sequences."""
    training: Training = replace(nets.experiment.training, cells_added_after=0)
    start = np.array([0 if on else len(data)])
    [found] = ReferenceKernel().predict(
        nets.experiment.network, training, flat[None], start, [data]
    )
    assert found is not None
    return found


def _both(data: Sequences) -> list[Sequences]:
    """Return the first sequence with each outer symbol."""
    last = data.targets[data.target_offsets[1:] - 1]
    return [data[int(n) : int(n) + 1] for n in np.unique(last, return_index=True)[1]]


def shortened(one: Sequences) -> Sequences:
    """Return a sequence without the steps after its last target."""
    steps = int(one.target_steps[-1]) + 1
    return replace(one, inputs=one.inputs[:steps], offsets=np.array([0, steps]))


def every_step(row: str = "2b", name: str = "start") -> dict[str, Any]:
    """Look at nets of 2b that are right, at the steps whose next symbol is a distractor.

    Returns:
        ``nets`` that are right; ``alarms``, the share of steps between the first symbol and the
        last target at which, in at least one of two sequences with the same distractors, ``x`` or
        ``y`` is above 0.75; ``cost``, the squared error of ``x`` and ``y`` there, summed over a
        sequence; ``silent``, that of outputs that are always 0, summed over a whole sequence.
    """
    nets = Nets(by_recipe(EXPERIMENTS[row], name), NETS, row)
    at = nets.solved_at(MOST, EVERY)
    right = [lane for lane, each in enumerate(at) if each is not None]
    task = nets.experiment.task
    assert isinstance(task, RandomLag)
    alarms, costs = [], []
    for lane in right:
        rng = nets.test_rngs()[lane]
        pairs = pairs_of(RandomLag(task.p), rng, PAIRS)
        outer = [
            outputs_of(nets, nets.weights[lane], each)[:, -2:].reshape(PAIRS, task.p, 2)
            for each in pairs
        ]
        between = [each[:, 1:-1] for each in outer]  # its targets are distractors
        alarms.append(np.maximum(*(each.max(axis=2) for each in between)) > 0.75)
        costs.append(np.mean([np.square(each).sum(axis=(1, 2)) for each in between]))
    return rounded(
        {
            "nets": len(right),
            "alarms": float(np.mean(alarms)),
            "cost": float(np.mean(costs)),
            "silent": 1.0,
        }
    )


def pairs_of(task: RandomLag, rng: np.random.Generator, count: int) -> tuple[Sequences, Sequences]:
    """Draw sequences twice: with ``x`` first, and with ``y`` first and the same distractors."""
    data, found = task.sample(rng, count), []
    for outer in (task.p - 1, task.p):
        inputs = data.inputs.reshape(count, task.p + 1).copy()
        inputs[:, [0, -1]] = outer
        targets = inputs[:, 1:].ravel()
        found.append(replace(data, inputs=inputs.ravel(), targets=targets))
    return found[0], found[1]


SATURATION: Mapping[str, Parts] = {
    "experiment-2a": {name: partial(measure, "2a", name) for name in READINGS["2a"]},
    "experiment-2b": {
        **{name: partial(measure, "2b", name) for name in READINGS["2b"]},
        "every step": every_step,
    },
}
"""Measurements by the page that shows them."""
