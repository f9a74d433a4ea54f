"""Reports on nets of memory cells and simple units, in NumPy, by the reference kernels."""

from __future__ import annotations

from carrousel.inspection.networks.inspect import inspect_network as inspect_network
from carrousel.inspection.networks.passes import Case as Case
from carrousel.inspection.networks.passes import Net as Net
from carrousel.inspection.networks.report import examine as examine

__all__ = ["Case", "Net", "examine", "inspect_network"]
