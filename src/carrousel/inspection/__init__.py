"""Error flow by lag, and the shares of earlier steps in the state of a memory cell."""

from __future__ import annotations

from carrousel.inspection.lag import cosines_by_lag as cosines_by_lag
from carrousel.inspection.lag import errors_by_lag as errors_by_lag
from carrousel.inspection.writes import credit_of_writes as credit_of_writes
from carrousel.inspection.writes import writes_of as writes_of

__all__ = ["cosines_by_lag", "credit_of_writes", "errors_by_lag", "writes_of"]
