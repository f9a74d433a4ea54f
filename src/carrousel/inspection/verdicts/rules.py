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

_CUT = frozenset({"batch_axis", "state_lost", "one_step", "detached", "truncation"})
_SATURATED = frozenset({"dead_gates", "dead_states", "input_scale", "learning_rate"})
SHORTENING = frozenset({"batch_axis", "state_lost", "one_step"})
"""Faults by which a layer processes shorter sequences than those of the data."""
CAUSES = {
    "forget_bias": _CUT | _SATURATED,
    "vanishing": _CUT | _SATURATED,
    "exploding": _SATURATED,
    "padding_in_state": frozenset({"batch_axis"}),
    "last_output": frozenset({"batch_axis"}),
    "loss_over_padding": frozenset({"batch_axis"}),
}
"""Faults that explain another one, which is then not listed."""


def faults(evidence: Evidence) -> tuple[Fault, ...]:
    """Apply all rules. A fault that two of them find, or that another explains, is left out."""
    found = {(one.name, one.part): one for rule in reversed(RULES) for one in rule(evidence)}
    names = {name for name, _ in found}
    kept = [one for one in found.values() if not names & CAUSES.get(one.name, frozenset())]
    return tuple(reversed(kept))
