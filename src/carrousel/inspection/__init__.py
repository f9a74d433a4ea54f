"""Error flow: size and direction of the error at earlier time steps."""

from __future__ import annotations

from carrousel.inspection.lag import cosines_by_lag as cosines_by_lag
from carrousel.inspection.lag import errors_by_lag as errors_by_lag

__all__ = ["cosines_by_lag", "errors_by_lag"]
