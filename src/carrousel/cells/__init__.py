"""Which equations a hidden layer follows: one file a family, one line a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from carrousel.cells.lstm97 import lstm97 as lstm97
from carrousel.contracts import Cell

CELLS: Mapping[str, Callable[..., Cell]] = {"lstm97": lstm97}
"""Every cell by name."""

__all__ = ["CELLS", "lstm97"]
