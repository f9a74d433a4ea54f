"""States of one recurrent part of a model at every step, with the errors that reach them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd.dispatch import LayerInputs, LayerOptions, layer

Joint = Literal["start", "flows", "detached"]
"""How a call's first state follows the state before it: new, connected, or equal but detached."""


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
    All values are detached. Lists have one entry per step; ``[B, ...]`` are the sequences in the
    order in which the part received them.

    Attributes:
        x: inputs ``[B, I]``.
        h: hidden states ``[B, H]`` after each step.
        s: further states ``[B, D*C]``, empty for cells without any.
        h0, s0: states before the first step.
        active: ``[B]`` bool: whether the step is not padding; None: all are.
        joints: step at which each call begins, and how it follows the one before.
        error_h, error_s: errors recorded by the last backward pass, None where none arrived.
    """

    part: Part
    h0: Tensor
    s0: Tensor
    x: list[Tensor] = field(default_factory=list)
    h: list[Tensor] = field(default_factory=list)
    s: list[Tensor] = field(default_factory=list)
    active: list[Tensor | None] = field(default_factory=list)
    joints: list[tuple[int, Joint]] = field(default_factory=list)
    error_h: list[Tensor | None] = field(default_factory=list)
    error_s: list[Tensor | None] = field(default_factory=list)
    outputs: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Cells and named states: ``h`` and ``s`` of each step as tensors of the graph."""

    def __len__(self) -> int:
        return len(self.h)

    @property
    def n_sequences(self) -> int:
        return self.h0.shape[0]

    def values(self, name: Literal["x", "h", "s"]) -> Annotated[Tensor, "T B ..."]:
        """Return the recorded values of all steps."""
        return torch.stack(getattr(self, name))

    def before(self) -> tuple[Annotated[Tensor, "T B H"], Annotated[Tensor, "T B S"]]:
        """Return the states before each step."""
        return torch.stack([self.h0, *self.h[:-1]]), torch.stack([self.s0, *self.s[:-1]])

    def errors(self, name: Literal["h", "s"]) -> Annotated[Tensor, "T B ..."]:
        """Return the errors of the last backward pass; zero where none arrived."""
        found, like = (self.error_h, self.h) if name == "h" else (self.error_s, self.s)
        return torch.stack(
            [torch.zeros_like(v) if e is None else e for e, v in zip(found, like, strict=True)]
        )

    def mask(self) -> Annotated[Tensor, "T B"]:
        """Return whether each step of each sequence is not padding."""
        whole = torch.ones(self.n_sequences, dtype=torch.bool, device=self.h0.device)
        return torch.stack([whole if one is None else one for one in self.active])

    @cached_property
    def local(self) -> Local:
        """All steps as one batch of single steps: gates, and derivatives by the state before."""
        return Local(self)


class Local:
    """Single steps of a track, computed together from the recorded states before them.

    Attributes:
        gates: activated gates by name, each ``[T, B, C]``; none for a user's loop.
        keeps: ``[T, B, S]``, derivative of a state by its value one step before, at constant
            ``h``: the forget gate of an LSTM, the update gate ``z`` of a GRU, 1 for ``lstm97``.
            None for cells without a path of this kind.
    """

    def __init__(self, track: Track) -> None:
        self.gates: dict[str, Tensor] = {}
        self.keeps: Tensor | None = None
        part = track.part
        if part.recurrence is None or part.inputs is None:
            return
        recurrence, self._shape = part.recurrence, (len(track), track.n_sequences, -1)
        h, s = (one.reshape(len(track) * track.n_sequences, -1) for one in track.before())
        x = track.values("x").flatten(0, 1)[None]
        with torch.inference_mode(False), torch.enable_grad():
            self._s = s.requires_grad_()
            inputs = LayerInputs(x=x, h0=h, s0=self._s, **weights_of(part.inputs))
            found = layer(inputs, recurrence, LayerOptions(record=True))
            self._h = found.h
            if recurrence.n_states:
                (keeps,) = torch.autograd.grad(found.s.sum(), self._s, retain_graph=True)
                self.keeps = keeps.reshape(self._shape)
        assert found.gates is not None
        split = found.gates.detach().reshape(self._shape).split(list(recurrence.widths), dim=-1)
        self.gates = dict(zip(recurrence.kind.net_inputs, split, strict=True))
        if recurrence.cell == "gru":
            self.keeps = self.gates["update"]

    def by_state(self, errors: Annotated[Tensor, "T B H"]) -> Annotated[Tensor, "T B S"]:
        """Return the errors of the states before each step, for errors of the ``h`` after it."""
        (found,) = torch.autograd.grad(
            self._h, self._s, errors.reshape_as(self._h), retain_graph=True
        )
        return found.reshape(self._shape)


_WEIGHTS = ("w_ih", "w_hh", "bias", "unit", "w_hr", "ln_ih", "ln_hh", "ln_c", "fresh_h", "fresh_s")


def weights_of(inputs: LayerInputs) -> dict[str, Any]:
    """Return the weights among the inputs of a call, without their graph."""
    found = inputs._asdict()
    return {n: None if found[n] is None else found[n].detach() for n in _WEIGHTS}
