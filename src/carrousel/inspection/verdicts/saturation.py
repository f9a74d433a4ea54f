"""Rules on saturation: gates and cell inputs whose derivative is dead."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from carrousel.inspection.verdicts.fault import Fault

if TYPE_CHECKING:
    from carrousel.inspection.evidence import Evidence
    from carrousel.inspection.measures.saturation import Saturation

DEAD_SHARE = 0.6
"""Gates are dead if the slope of each is nearly zero for more than 60 % of its values.

Trained nets hold single gates open or closed. All gates of a part are so only by accident.
"""
BOTH_SIDES = 0.05
"""Saturated by net inputs, not by biases: at least 5 % of all gate values on either side."""
LARGE_WEIGHTS = 5.0
"""Norm of the weights to a unit above which inputs of size 1 saturate it (slope of 4 % at 4.6).

Usual initial values give norms of 0.6 to 1.5.
"""
LARGE_INPUTS = 5.0
"""Root mean square of inputs above which usual weights saturate a unit."""
GROWN_BIASES = 1.0
"""Initial biases are near zero, or near log(lag) in one gate; learning makes all large.

A large learning rate moves biases as far as weights: to more than half of the size of a weight.
"""


def saturated(evidence: Evidence) -> list[Fault]:
    """Gates, or states of simple recurrent nets, are saturated almost always."""
    return [fault for one in evidence.saturations for fault in _of(one)]


def _of(one: Saturation) -> list[Fault]:
    gates = one.gates if one.gates is not None and _is_both(one) else None
    dead_gates = gates is not None and gates > DEAD_SHARE
    dead_candidate = one.candidate is not None and one.candidate > DEAD_SHARE
    if not (dead_gates or (one.gates is None and dead_candidate)):
        return []
    shares = [(gates, "each gate")] if gates is not None else []
    shares += [(one.candidate, "tanh")] if one.candidate is not None and dead_candidate else []
    what = " and ".join(f"{100 * share:.0f} % of the values of {name}" for share, name in shares)
    told = f"The derivative is nearly zero for {what}"
    size = one.weights / math.sqrt(one.fan_in)
    grown = one.biases > max(GROWN_BIASES, 0.5 * size)
    if one.inputs > LARGE_INPUTS and one.weights < LARGE_WEIGHTS:
        return [
            Fault(
                "input_scale",
                one.part,
                f"{told}: inputs have a root mean square of {one.inputs:.3g}.",
                "Standardise the inputs to mean 0 and variance 1.",
            )
        ]
    if dead_candidate and grown and one.weights > LARGE_WEIGHTS:
        return [
            Fault(
                "learning_rate",
                one.part,
                f"{told}: weights to a unit have grown to a norm of {one.weights:.3g}, and biases "
                f"to {one.biases:.2g}.",
                "Start again with a smaller learning rate, a tenth for example, and with the usual "
                "initial weights.",
            )
        ]
    if one.weights > LARGE_WEIGHTS:
        return [
            Fault(
                "dead_gates" if dead_gates else "dead_states",
                one.part,
                f"{told}: weights to a unit have a norm of {one.weights:.3g}.",
                "Initialise the weights with a norm of about 1 per unit, for example "
                "xavier_uniform_ for inputs and orthogonal_ for recurrent weights.",
            )
        ]
    return []


def _is_both(one: Saturation) -> bool:
    return min(one.closed, one.open) > BOTH_SIDES
