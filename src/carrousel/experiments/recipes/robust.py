"""The robust recipe: settings with which nearly every trial of a row succeeds.

Blocks, cells, wiring and the truncated gradient are those of the row. Most rows need no change but
time: their readings remove what stops learning. The changes are:

- Experiment 1: ``h`` is wider, so that it saturates later.
- 6b: half the rate, since solved networks may collapse at a constant rate of the row's size.
- Others: a larger budget where one trial of fifty was slow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Changes = Mapping[str, Any]

_WIDE: Changes = {"network.cell.h": "[-2,2]", "budget": 2_000_000}

ROBUST: Mapping[str, Changes] = {
    **{f"1-{row}": _WIDE for row in range(1, 6)},
    "2a": {},
    "2b": {},
    **{f"2c-{row}": {} for row in range(1, 10)},
    "3a-1": {"budget": 2_000_000},
    "3a-2": {"budget": 2_000_000},
    "3a-3": {},
    "3b-1": {},
    "3b-2": {},
    "3b-3": {},
    "3c-1": {},
    "3c-2": {},
    "4-1": {},
    "4-2": {},
    "4-3": {},
    "5-1": {},
    "5-2": {},
    "6a": {},
    "6b": {"training.rate": 0.05},
}
"""Changes by row; empty where nearly every trial succeeds with the settings of the row."""
