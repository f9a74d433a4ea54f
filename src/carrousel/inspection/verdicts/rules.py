"""All rules, in the order in which their verdicts are listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from carrousel.inspection.verdicts import flow, reading, saturation, states, training
from carrousel.inspection.verdicts.fault import Fault

if TYPE_CHECKING:
    from carrousel.inspection.evidence import Evidence

Rule = Callable[["Evidence"], list[Fault]]
RULES: tuple[Rule, ...] = (
    reading.batch_axis,
    reading.padding,
    reading.reverse_last,
    states.state_kept,
    states.state_lost,
    flow.detached,
    flow.truncation,
    training.shifted_target,
    training.future_leak,
    saturation.saturated,
    flow.vanishing,
    flow.exploding,
    training.clipping,
    training.learning_rate,
    training.not_optimized,
)
"""Each returns the faults that it finds: causes before what may follow from them."""


def faults(evidence: Evidence) -> tuple[Fault, ...]:
    """Apply all rules; a fault that two of them find is listed once."""
    found = {(one.name, one.part): one for rule in RULES for one in rule(evidence)}
    return tuple(found.values())
