"""Verification of a contender against the reference, with as many nets as are timed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from benchmarks.contenders import Contender, Outcome
from benchmarks.lanes.cases import Case

from carrousel.kernels import ReferenceKernel

SEQUENCES = 2
CHECKED_LANES = 3
ALLOWED = 4.0
"""Allowed error, as a multiple of the error of the reference itself in float32.

A correct program that sums in another order stays below twice that error on nearly all data, not on
all: both errors are maxima over a few hundred roundings.
"""


class Parity(NamedTuple):
    """Largest deviations from the float64 reference, and the allowed ones.

    Deviations of weight changes are relative to the largest change, those of the squared error of a
    sequence to that error.
    """

    weights: float
    weights_allowed: float
    errors: float
    errors_allowed: float

    @property
    def holds(self) -> bool:
        """Whether both deviations are allowed; NaN is not."""
        return self.weights <= self.weights_allowed and self.errors <= self.errors_allowed


def check(case: Case, contender: Contender, sequences: int = SEQUENCES) -> Parity:
    """Compare a contender with the reference on the same sequences and initial weights.

    All nets of the contender learn. The first, the last and the middle one are compared.
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

    # The float32 reference may be exact by chance; always allow one unit in the last place.
    units = np.spacing(np.abs(weights[chosen]).max()) / change, np.finfo(np.float32).eps
    allowed = [ALLOWED * max(a, float(b)) for a, b in zip(off(rough), units, strict=True)]
    mine = off(Outcome(weights_now[chosen], sum_sq[chosen]))
    return Parity(mine[0], allowed[0], mine[1], allowed[1])
