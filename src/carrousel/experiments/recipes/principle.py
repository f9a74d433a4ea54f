"""One principle for all experiments: the print with two changes.

Cell inputs receive no constant: gates, which are never zero, are not fed back into them, and cells
have no biases. And the derivative of an output never vanishes: it is at least 0.02 in the error. A
state then does not drift over a long lag, and an output that is wrong always learns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from carrousel.experiments.recipes.candidates import CANDIDATES, Changes

FLOOR = 0.02

_FED: Changes = {"network.feedback_into": "gates", "training.derivative_floor": FLOOR}
_SUMS: Changes = {**_FED, "network.bias": "gates+outputs"}
_BY_EXPERIMENT: Mapping[str, Changes] = {
    "1": _FED,
    "2a": {"training.derivative_floor": FLOOR},
    "2b": {"training.derivative_floor": FLOOR, "task.targets": "last"},
    "2c": _FED,
    "4": _SUMS,
    "5": _SUMS,
    "6": _SUMS,
}


def _rows() -> Iterator[tuple[str, Changes]]:
    for experiment, changes in _BY_EXPERIMENT.items():
        print_of = CANDIDATES[experiment]["printed"]
        for row in print_of.rows:
            yield row, {**print_of.of(row), **changes}
    for row in ("3a-1", "3a-2", "3a-3", "3b-1", "3b-2", "3b-3", "3c-1", "3c-2"):
        yield row, {**_FED, "network.bias": "gates"}


PRINCIPLE: Mapping[str, Changes] = MappingProxyType(dict(_rows()))
"""Changes by row. Two rows keep one other departure: 2b learns the last target alone, since
targets at every step make it unsolvable, and 3b-3 has N = 3."""
