"""States, gates and errors of one sequence in one part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from carrousel.shapes import Floats


@dataclass(frozen=True, eq=False)
class Trace:
    """One sequence in one part, for pictures; steps are in the order of processing.

    Args:
        part: name of the part.
        read: index of the step that the loss reads; -1: none.
        x: inputs, ``[T, I]``; empty for a named state.
        h: hidden states ``[T, H]``.
        s: further states ``[T, S]``; ``S`` may be 0.
        gates: activated gates by name, each ``[T, units]``.
        error_h, error_s: errors of the read step at each state, ``[T, H]`` and ``[T, S]``.
        reverse: whether the part processes the sequence from its last step to its first.
        outputs: outputs of the network ``[T, O]``; None: not recorded.
        target: target of the read step ``[O]``; None: not recorded.
    """

    part: str
    read: int
    x: Annotated[Floats, "T I"]
    h: Annotated[Floats, "T H"]
    s: Annotated[Floats, "T S"]
    gates: dict[str, Annotated[Floats, "T units"]]
    error_h: Annotated[Floats, "T H"]
    error_s: Annotated[Floats, "T S"]
    reverse: bool = False
    outputs: Annotated[Floats, "T O"] | None = None
    target: Annotated[Floats, "O"] | None = None
