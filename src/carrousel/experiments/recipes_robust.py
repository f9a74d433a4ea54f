"""The robust recipe: settings off the paper under which every trial of a row succeeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carrousel.contracts import Training

Changes = Mapping[str, Any]

ROBUST: Mapping[str, Changes] = {
    "4-1": {"network.cell.h": "[-2,2]", "budget": 740_000},
    "6b": {"training": Training(rate=0.03, output_derivative=False), "budget": 2_000_000},
}
"""Changes by row."""
