"""Instruments: where the error flows, how long a net remembers, and what is wrong with it."""

from __future__ import annotations

from carrousel.inspection.lag import cosines_by_lag as cosines_by_lag
from carrousel.inspection.lag import errors_by_lag as errors_by_lag
from carrousel.inspection.pictures.snapshots import Snapshots as Snapshots
from carrousel.inspection.pictures.snapshots import compare as compare
from carrousel.inspection.record.marks import state as state
from carrousel.inspection.report import Report as Report
from carrousel.inspection.run import inspect as inspect
from carrousel.inspection.verdicts.fault import Fault as Fault
from carrousel.inspection.writes import credit_of_writes as credit_of_writes
from carrousel.inspection.writes import writes_of as writes_of

__all__ = [
    "Fault",
    "Report",
    "Snapshots",
    "compare",
    "cosines_by_lag",
    "credit_of_writes",
    "errors_by_lag",
    "inspect",
    "state",
    "writes_of",
]
