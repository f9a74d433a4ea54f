"""Does a contender compute the same? Asked before it is timed, with as many nets as are timed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from benchmarks.contenders import Contender, Outcome
from benchmarks.lanes.cases import Case

from carrousel.kernels import ReferenceKernel

SEQUENCES = 2
CHECKED_LANES = 3
ALLOWED = 4.0
"""A contender may be off by this many times what the reference itself is off in plain float32.

Twice would be met by a faithful copy in another order of summation on nearly all data, not on all:
both deviations are largest values of a few hundred roundings.
"""


class Parity(NamedTuple):
    """Largest deviations from the reference in float64, and what is allowed.

    Weight changes are relative to the largest of them, squared errors of a sequence each to itself.
    """

    weights: float
    weights_allowed: float
    errors: float
    errors_allowed: float

    @property
    def holds(self) -> bool:
        """Whether both stay within what is allowed; not a number does not."""
        return self.weights <= self.weights_allowed and self.errors <= self.errors_allowed


def check(case: Case, contender: Contender, sequences: int = SEQUENCES) -> Parity:
    """Let a contender and the reference learn the same sequences from the same weights.

    All nets of the contender learn; the first, the last and one between are compared.
    """
    lanes = contender.n_lanes
    chosen = sorted({0, lanes // 2, lanes - 1})[:CHECKED_LANES]
    weights, rng = case.weights(lanes), case.rng(1)
    parts = [case.task.sample(rng, sequences) for _ in range(lanes)]
    contender.start(weights)
    contender.learn(contender.pack(parts))
    weights_now, sum_sq = contender.outcome()

    def reference(dtype: type[np.floating]) -> Outcome:
        changed = weights[chosen].astype(dtype)
        rates = np.full(len(chosen), case.training.rate, dtype)
        data = [parts[lane] for lane in chosen]
        errors = ReferenceKernel(dtype).learn(
            case.network, case.training, changed, rates, np.zeros(len(chosen), np.int64), data
        )
        return Outcome(changed, np.stack([lane.sum_sq for lane in errors if lane]))

    exact, rough = reference(np.float64), reference(np.float32)
    change = np.abs(exact.weights - weights[chosen]).max()

    def off(one: Outcome) -> tuple[float, float]:
        by_weights = np.abs(one.weights.astype(np.float64) - exact.weights).max() / change
        by_errors = np.abs(one.sum_sq.astype(np.float64) / exact.sum_sq - 1).max()
        return float(by_weights), float(by_errors)

    # Plain float32 may happen to round well; one unit in the last place is always due.
    units = np.spacing(np.abs(weights[chosen]).max()) / change, np.finfo(np.float32).eps
    allowed = [ALLOWED * max(a, float(b)) for a, b in zip(off(rough), units, strict=True)]
    mine = off(Outcome(weights_now[chosen], sum_sq[chosen]))
    return Parity(mine[0], allowed[0], mine[1], allowed[1])
