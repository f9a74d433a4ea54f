"""Protocol ``Layered``: the attributes of a stack of recurrent layers that a call needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from carrousel.contracts import Recurrence


@runtime_checkable
class Layered(Protocol):
    """A stack of recurrent layers; :class:`carrousel.nn.recurrent.Recurrent` implements it."""

    recurrence: Recurrence
    input_size: int
    num_layers: int
    batch_first: bool
    bidirectional: bool
    dropout: float
    zoneout: tuple[float, float]
    recurrent_dropout: float
    recompute: int | str

    @property
    def num_directions(self) -> int: ...

    @property
    def all_weights(self) -> Sequence[Sequence[Tensor]]: ...
