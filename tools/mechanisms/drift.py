"""Drift of cell states over a lag: Experiments 2c, 4 and 5.

Constants that reach cell inputs, from half-open gates and from biases, are added to the states at
every step. Over a long lag they saturate ``h``, and one change of their weights changes a state by
the square of the lag.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from tools.mechanisms.nets import Nets
from tools.mechanisms.parts import Parts, rounded
from tools.mechanisms.walk import at_rest, growth, into_cells, sensitivity, slopes, walk

from carrousel.contracts import Experiment
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.recipes.catalogue import by_recipe
from carrousel.experiments.recipes.vary import varied
from carrousel.shapes import Floats

NETS = 16
SEQUENCES = 2
"""Sequences of each net along which states are followed."""
LEARNED = {"2c": 5_000, "4": 20_000, "5": 20_000}
"""Training sequences after which nets are measured again, by experiment."""
POINTS = 14
"""Steps of a sequence at which the states of a picture are taken."""

LONG_LAGS = ("2c-1", "2c-3", "2c-4", "2c-6", "2c-9")
SUMS, PRODUCT = ("4-1", "4-2", "4-3"), ("5-1",)
BIASES = ("bias-all", "bias-gates-outputs", "bias-gates")
SMALL = "printed, range 0.1"
WIRINGS = ("printed", SMALL, "gates-only", "inputs-only")
"""Readings of Experiment 2c; the second changes the range of the print alone."""
PICTURED = ("2c-9", "5-1")
"""Rows whose states are followed along a sequence."""


def reading(row: str, name: str) -> Experiment:
    """Return a row under a recipe, or under the print with a smaller range."""
    if name == SMALL:
        return varied(by_recipe(EXPERIMENTS[row], "printed"), {"network.init.range": 0.1})
    return by_recipe(EXPERIMENTS[row], name)


def measure(row: str, name: str, learned: int | None = None, count: int = NETS) -> dict[str, Any]:
    """Measure the nets of a row under a reading, at the start and after some learning."""
    learned = LEARNED[row.partition("-")[0]] if learned is None else learned
    nets = Nets(reading(row, name), count, row)
    found: dict[str, Any] = {"lag": round(nets.experiment.task.mean_length)}
    for stage, sequences in (("start", 0), ("learned", learned)):
        nets.learn(sequences)
        found[stage] = states(nets, pictured=row in PICTURED)
    found["sequences"] = learned
    return found


def states(nets: Nets, *, pictured: bool = False) -> dict[str, Any]:
    """Measure the states at the ends of sequences, and what is said to explain them.

    Returns:
        means over nets, cells and sequences of

        - ``state``: the state's size at the end, ``spread`` its standard deviation;
        - ``slope``: ``h'`` there;
        - ``constant``: size of the constant in a cell's net input;
        - ``drift``: size of the change of a state by a step without input, times the steps;
        - ``correlation``: between states and this drift, with their signs; None without drift;
        - ``growth``: of a state in a step through recurrent weights, times the steps;
        - ``update``: by the source of weights, the change of the state by one change of weights,
          for an error of 1 at that state.
    """
    experiment = nets.experiment
    network, training = experiment.network, experiment.training
    ends, drifts, steep, updates, paths = [], [], [], [], []
    length = experiment.task.mean_length
    marks = np.unique(np.geomspace(1, 0.98 * length, POINTS).astype(int))
    for flat, task, rng in zip(nets.weights, nets.tasks, nets.test_rngs(), strict=True):
        each = at_rest(network, flat).s
        path = []
        for one in task.sample(rng, SEQUENCES):
            state, sizes = None, []
            for state in walk(network, training, flat, one):
                sizes.append(np.abs(state.s).mean())
            assert state is not None
            path.append(np.interp(marks, np.arange(1, len(sizes) + 1), sizes))
            ends.append(state.s)
            drifts.append(each * one.n_steps)
            steep.append(slopes(network, state))
            updates.append(sensitivity(network, state))
        paths.append(np.mean(path, axis=0))
    found: dict[str, Any] = {
        "state": float(np.abs(ends).mean()),
        "spread": float(np.abs(ends).std()),
        "slope": float(np.mean(steep)),
        "constant": float(np.mean([np.abs(into_cells(network, flat)) for flat in nets.weights])),
        "drift": float(np.abs(drifts).mean()),
        "correlation": correlation(ends, drifts),
        "growth": float(np.mean([growth(network, flat) for flat in nets.weights]) * length),
        "update": {
            source: training.rate * float(np.mean([each[source] for each in updates]))
            for source in updates[0]
        },
    }
    if pictured:
        found["path"] = {"steps": marks.tolist(), "sizes": _band(paths)}
    return rounded(found)


def correlation(ours: Sequence[Floats], theirs: Sequence[Floats]) -> float | None:
    """Correlation of two lists of arrays; None if one is constant."""
    one, other = np.ravel(ours), np.ravel(theirs)
    if not (one.std() and other.std()):
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _band(paths: Sequence[Floats]) -> list[list[float]]:
    """The lowest, middle and highest of the nets at each point."""
    return [each.tolist() for each in np.quantile(paths, [0.0, 0.5, 1.0], axis=0)]


def _parts(rows: Sequence[str], names: Sequence[str]) -> Parts:
    return {f"{row} {name}": partial(measure, row, name) for row in rows for name in names}


DRIFTS: Mapping[str, Parts] = {
    "experiment-2c": _parts(LONG_LAGS, WIRINGS),
    "experiment-4": _parts(SUMS, BIASES),
    "experiment-5": _parts(PRODUCT, BIASES),
}
"""Measurements by the page that shows them."""
