"""States of one recurrent part of a model at every step, with the errors that reach them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

import torch
from torch import Tensor

from carrousel.contracts import Recurrence
from carrousel.inspection.record.local import Call, Local
from carrousel.kernels.autograd.dispatch import LayerInputs

Joint = Literal["start", "flows", "detached"]
"""How a call's first state follows the state before it: new, connected, or equal but detached."""
Name = Literal["x", "h", "s"]
Errors = tuple[Tensor | None, Tensor | None]
"""Errors of ``h`` and of ``s``; None: none arrived."""


@dataclass(eq=False)
class Part:
    """One direction of one layer, one cell, or one named state of a user's loop.

    Args:
        name: such as ``"encoder.lstm, layer 0, reverse"``.
        recurrence: equations and sizes; None for a named state of a user's loop.
        inputs: weights, as in :class:`LayerInputs`; None likewise.
        reverse: whether it processes from the last step to the first.
        kind: ``"layer"``, ``"cell"`` or ``"state"``.
    """

    name: str
    recurrence: Recurrence | None
    inputs: LayerInputs | None
    reverse: bool = False
    kind: Literal["layer", "cell", "state"] = "layer"

    @property
    def cell(self) -> str:
        """Name of the cell: ``"lstm"``, ``"gru"``, ..., ``"state"`` for a user's loop."""
        return self.recurrence.cell_name if self.recurrence else "state"


@dataclass(eq=False)
class Track:
    """Consecutive steps of one part, in the order of processing.

    Several calls make one track if each starts with the state that the previous one returned.
    All values are detached. Lists hold consecutive pieces of several steps, ``[n, B, ...]``; read
    them with :meth:`values`. ``B`` are the sequences in the order in which the part received them.

    Attributes:
        x: inputs ``[n, B, I]``; none for a user's loop.
        h: hidden states ``[n, B, H]`` after each step.
        s: further states ``[n, B, D*C]``, empty for cells without any.
        gates: activated gates ``[n, B, U]`` of built-in cells.
        h0, s0: states before the first step.
        active: ``[n, B]`` bool: whether the step is not padding.
        joints: step at which each call begins, and how it follows the one before.
        starts: that step, and the states before it, where they are not those of the step before.
        calls: calls with masks, resets or cut gradients.
        error_h, error_s: first step and errors ``[n, B, ...]`` of the last backward pass.
        error_start: errors of the states before a call, by its first step.
        outputs: cells and named states: ``h`` and ``s`` of each step as tensors of the graph.
    """

    part: Part
    h0: Tensor
    s0: Tensor
    x: list[Tensor] = field(default_factory=list)
    h: list[Tensor] = field(default_factory=list)
    s: list[Tensor] = field(default_factory=list)
    gates: list[Tensor] = field(default_factory=list)
    active: list[Tensor] = field(default_factory=list)
    joints: list[tuple[int, Joint]] = field(default_factory=list)
    starts: list[tuple[int, Tensor, Tensor]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    error_h: list[tuple[int, Tensor]] = field(default_factory=list)
    error_s: list[tuple[int, Tensor]] = field(default_factory=list)
    error_start: dict[int, Errors] = field(default_factory=dict)
    outputs: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    steps: int = 0
    key: tuple[int, tuple[int, int]] = (0, (0, 0))
    """``id`` of the module, and layer and direction."""

    def __len__(self) -> int:
        return self.steps

    @property
    def n_sequences(self) -> int:
        """``B``."""
        return self.h0.shape[0]

    @property
    def n_states(self) -> int:
        """Width of the states besides ``h``."""
        return self.s0.shape[-1]

    def extend(
        self,
        h: Tensor,
        s: Tensor,
        x: Tensor | None,
        active: Tensor | None,
        gates: Tensor | None,
    ) -> None:
        """Append steps ``[n, B, ...]``; ``active`` None: no padding."""
        self.h.append(h.detach())
        self.s.append(s.detach())
        whole = torch.ones((), dtype=torch.bool, device=h.device).expand(h.shape[:2])
        self.active.append(whole if active is None else active)
        if x is not None:
            self.x.append(x.detach())
        if gates is not None:
            self.gates.append(gates.detach())
        self.steps += len(h)

    def last(self) -> tuple[Tensor, Tensor]:
        """Return the states after the last step."""
        return self.h[-1][-1], self.s[-1][-1]

    def values(self, name: Name) -> Annotated[Tensor, "T B ..."]:
        """Return the recorded values of all steps; do not change them in place."""
        return _joined(getattr(self, name))

    def before(self) -> tuple[Annotated[Tensor, "T B H"], Annotated[Tensor, "T B S"]]:
        """Return the states before each step."""
        h = torch.cat([self.h0[None], self.values("h")[:-1]])
        s = torch.cat([self.s0[None], self.values("s")[:-1]])
        for first, h0, s0 in self.starts:
            h[first], s[first] = h0, s0
        return h, s

    def before_call(self, first: int) -> tuple[Tensor, Tensor]:
        """Return the states before a call that begins at step ``first``."""
        for begin, h, s in self.starts:
            if begin == first:
                return h, s
        if not first:
            return self.h0, self.s0
        return self.values("h")[first - 1], self.values("s")[first - 1]

    def last_steps(self, first: int = 0, steps: int | None = None) -> Annotated[Tensor, "B"]:
        """Return the index of the last step of each sequence that is not padding.

        Args:
            first, steps: only these steps of the track; ``first`` where all are padding.
        """
        mask = self.mask()[first : None if steps is None else first + steps]
        order = torch.arange(1, len(mask) + 1, device=mask.device)[:, None]
        return ((mask * order).amax(0) - 1).clamp(min=0) + first

    def errors(self, name: Literal["h", "s"]) -> Annotated[Tensor, "T B ..."]:
        """Return the errors of the last backward pass; zero where none arrived and at padding."""
        found = self.error_h if name == "h" else self.error_s
        if len(found) == 1 and len(found[0][1]) == len(self):
            whole = found[0][1]
        else:
            whole = torch.zeros_like(self.values(name))
            for first, error in found:
                whole[first : first + len(error)] = error
        return whole if self.is_whole else whole * self.mask()[..., None]

    def mask(self) -> Annotated[Tensor, "T B"]:
        """Return whether each step of each sequence is not padding."""
        return _joined(self.active)

    @cached_property
    def is_whole(self) -> bool:
        """Whether there is no padding."""
        return bool(self.mask().all())

    @cached_property
    def local(self) -> Local:
        """Gates of all steps, and derivatives by the state before."""
        return Local(self)


def _joined(pieces: list[Tensor]) -> Tensor:
    """Return all pieces as one tensor, and keep it in their place."""
    if len(pieces) > 1:
        pieces[:] = [torch.cat(pieces)]
    return pieces[0]
