"""All rules, in the order in which their verdicts are listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from carrousel.inspection.verdicts.fault import Fault

if TYPE_CHECKING:
    from carrousel.inspection.evidence import Evidence

Rule = Callable[["Evidence"], list[Fault]]
RULES: tuple[Rule, ...] = ()
"""Each returns the faults that it finds."""


def faults(evidence: Evidence) -> tuple[Fault, ...]:
    """Apply all rules."""
    return tuple(fault for rule in RULES for fault in rule(evidence))
