"""TODO"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carrousel.online.evaluation.score import Figures


@dataclass
class Standing:
    """How far a stream is.

    Args:
        counts: rows taken, of this call and of those it goes on from; those with no target; values
            held.
        skipped: rows left out, by why.
        seconds: of work, of all calls.
        whole, recent: errors.
        kept_at: ``time.monotonic()`` of the last checkpoint; None: there is none.
        here: rows of this call.
    """

    counts: Mapping[str, int]
    skipped: Mapping[str, int]
    seconds: float
    whole: Figures
    recent: Figures
    kept_at: float | None = None
    here: int = 0
    seconds_here: float = 0.0

    @property
    def rows(self) -> int:
        """Rows taken."""
        return self.counts.get("rows", 0)

    @property
    def speed(self) -> float:
        """Rows a second, of this call."""
        return self.here / max(self.seconds_here, 1e-9)
