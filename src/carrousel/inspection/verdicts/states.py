"""Rules on how states continue from call to call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carrousel.inspection.verdicts.fault import Fault
from carrousel.words import count

if TYPE_CHECKING:
    from carrousel.inspection.evidence import Evidence

MANY = 3
"""Calls of one part within a call of the model that are a loop: nets that compare have two."""


def state_kept(evidence: Evidence) -> list[Fault]:
    """The state of one call is the first state of the next, though sequences are independent.

    Truncated backpropagation through long sequences needs that; then ``truncation`` is given.
    """
    if evidence.asked.truncation is not None:
        return []
    return [
        Fault(
            "state_kept",
            part,
            "A second call with the same data begins with the last state of the first call (values "
            f"up to {largest:.2g}), so that sequences see the end of others.",
            "Reset the state at the start of each sequence; if windows of long sequences follow "
            "each other on purpose, pass truncation=steps of a window to inspect.",
        )
        for part, largest in evidence.usage.carried.items()
    ]


def state_lost(evidence: Evidence) -> list[Fault]:
    """Each call of a loop begins with a zero state."""
    found, lag = [], evidence.asked.lag
    for runs in evidence.usage.runs():
        part = runs[0].part
        if runs[0].kind == "state" or not all(use.starts_from_zero for use in runs):
            continue
        longest = max(use.n_steps for use in runs)
        if len(runs) >= MANY and (longest == 1 or (lag is not None and longest <= lag)):
            found.append(
                Fault(
                    "state_lost",
                    part,
                    f"The part is called {len(runs)} times in one call of the model, each time "
                    f"with a zero state and for at most {count(longest, 'step')}.",
                    "Pass the state that a call returns to the next call.",
                )
            )
        elif len(runs) == 1 and longest == 1 and runs[0].n_sequences > 0:
            found.append(
                Fault(
                    "one_step",
                    part,
                    f"The part processes {count(runs[0].n_sequences, 'sequence')} of one step "
                    "from a zero state: it has nothing to remember.",
                    "Arrange the inputs as [batch, time, features] with more than one step; "
                    "unsqueeze(1) adds an axis of time with one step.",
                )
            )
    return found
