"""Long short-term memory, whole: the system of 1997, its rivals, its experiments."""

from __future__ import annotations

from carrousel.contracts import Cell as Cell
from carrousel.contracts import Gradient as Gradient
from carrousel.contracts import Network as Network
from carrousel.contracts import Simple as Simple
from carrousel.contracts import Training as Training
from carrousel.sequences import Sequences as Sequences

__all__ = ["Cell", "Gradient", "Network", "Sequences", "Simple", "Training"]
