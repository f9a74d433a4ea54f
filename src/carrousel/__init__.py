"""Long short-term memory, whole: the system of 1997, its rivals, its experiments."""

from __future__ import annotations

import typing

from carrousel.contracts import Cell as Cell
from carrousel.contracts import Gradient as Gradient
from carrousel.contracts import Network as Network
from carrousel.contracts import Simple as Simple
from carrousel.contracts import Training as Training
from carrousel.sequences import Sequences as Sequences

if typing.TYPE_CHECKING:
    from carrousel.online import OnlineLSTM as OnlineLSTM

__all__ = ["Cell", "Gradient", "Network", "OnlineLSTM", "Sequences", "Simple", "Training"]


def __getattr__(name: str) -> typing.Any:
    if name != "OnlineLSTM":
        raise AttributeError(f"module 'carrousel' has no attribute {name!r}")
    from carrousel.online import OnlineLSTM  # doors are opened by those who come

    return OnlineLSTM


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
