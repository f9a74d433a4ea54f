"""Instruments: where the error flows, how long a net remembers, and what is wrong with it.

:func:`errors_by_lag`, :func:`cosines_by_lag`, :func:`writes_of` and :func:`credit_of_writes` need
NumPy only, all others the extra ``torch``. Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from carrousel.errors import MissingExtraError

if TYPE_CHECKING:
    from carrousel.inspection.lag import cosines_by_lag as cosines_by_lag
    from carrousel.inspection.lag import errors_by_lag as errors_by_lag
    from carrousel.inspection.measures.needed import needed_lag as needed_lag
    from carrousel.inspection.record.marks import state as state
    from carrousel.inspection.report import Report as Report
    from carrousel.inspection.run import inspect as inspect
    from carrousel.inspection.verdicts.fault import Fault as Fault
    from carrousel.inspection.writes import credit_of_writes as credit_of_writes
    from carrousel.inspection.writes import writes_of as writes_of

_HOMES = {
    "Fault": "verdicts.fault",
    "Report": "report",
    "cosines_by_lag": "lag",
    "credit_of_writes": "writes",
    "errors_by_lag": "lag",
    "inspect": "run",
    "needed_lag": "measures.needed",
    "state": "record.marks",
    "writes_of": "writes",
}
_WITHOUT_TORCH = ("Fault", "cosines_by_lag", "credit_of_writes", "errors_by_lag", "writes_of")
__all__ = [
    "Fault",
    "Report",
    "cosines_by_lag",
    "credit_of_writes",
    "errors_by_lag",
    "inspect",
    "needed_lag",
    "state",
    "writes_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'carrousel.inspection' has no attribute {name!r}")
    if name not in _WITHOUT_TORCH and find_spec("torch") is None:
        raise MissingExtraError(
            f"carrousel.inspection.{name} needs torch, not installed",
            fix="pip install 'carrousel[torch]'",
        )
    value = getattr(importlib.import_module(f"carrousel.inspection.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
