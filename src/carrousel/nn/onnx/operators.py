"""ONNX's own operators LSTM, GRU and RNN: weights in their order, padded batches."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd.layer import LayerInputs


class _Operator(NamedTuple):
    """An operator; ``order`` lists our net inputs in its order."""

    name: str
    order: tuple[int, ...]
    attributes: dict[str, Any]


OPERATORS = {
    "lstm": _Operator("LSTM", (0, 3, 1, 2), {}),
    "gru": _Operator("GRU", (1, 0, 2), {"linear_before_reset": 1}),
    "rnn_tanh": _Operator("RNN", (0,), {"activations": ["Tanh"]}),
    "rnn_relu": _Operator("RNN", (0,), {"activations": ["Relu"]}),
}
"""Operators by cell."""


class _Padded(NamedTuple):
    """A padded batch; every sequence has one run of real steps.

    Attributes:
        active: ``[T, B]``, True at real steps.
        lengths: ``[B]``, number of real steps.
        first: ``[B]``, first real step.
    """

    active: Tensor
    lengths: Tensor
    first: Tensor

    def aligned(self, x: Tensor) -> Tensor:
        """Move real steps to the front; what follows them is not read."""
        steps = torch.arange(x.shape[0]).unsqueeze(1)
        x = torch.where(self.active.unsqueeze(-1), x, 0.0)  # padding may be NaN
        return _gathered(x, torch.minimum(steps + self.first, steps[-1:]))

    def restored(self, out: Tensor) -> Tensor:
        """Move steps back, with zeros in the padding."""
        steps = torch.arange(out.shape[0]).unsqueeze(1)
        moved = _gathered(out, (steps - self.first).clamp(min=0))
        return torch.where(self.active.unsqueeze(-1), moved, 0.0)


def run_operator(
    inputs: LayerInputs, recurrence: Recurrence, *, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return output ``[T, B, H]`` and last states of a call, as one node of an ONNX graph.

    Args:
        inputs: tensors of a plain cell; boolean flags are steps that are not padding.
        recurrence: a cell of :data:`OPERATORS` without options.
        reverse: whether to process from the last step to the first.
    """
    name, order, attributes = OPERATORS[recurrence.cell]
    x, h0, s0 = inputs.x, inputs.h0, inputs.s0
    padded = None if inputs.flags is None else _read_flags(inputs.flags)
    x = x if padded is None else padded.aligned(x)
    lengths = None if padded is None else padded.lengths.to(torch.int32)
    sources = (
        x,
        _ordered(inputs.w_ih, order),
        _ordered(inputs.w_hh, order),
        _biases(inputs, order),
        lengths,
        h0.unsqueeze(0),
        *([s0.unsqueeze(0)] if recurrence.n_states else []),
    )
    T, B, H = x.shape[0], x.shape[1], recurrence.units
    count = 2 if recurrence.n_states else 1
    found = torch.onnx.ops.symbolic_multi_out(
        name,
        sources,
        {"hidden_size": H, "direction": "reverse" if reverse else "forward", **attributes},
        dtypes=[x.dtype] * (count + 1),
        shapes=[(T, 1, B, H), *[(1, B, H)] * count],
    )
    out, *ends = found[0].squeeze(1), *(end.squeeze(0) for end in found[1:])
    if padded is not None:
        out = padded.restored(out)
        some = (padded.lengths > 0).unsqueeze(-1)
        ends = [torch.where(some, end, old) for end, old in zip(ends, (h0, s0), strict=False)]
    return out, ends[0], ends[1] if recurrence.n_states else s0.clone()


def _read_flags(active: Tensor) -> _Padded:
    numbers = active.to(torch.int64)
    return _Padded(active, numbers.sum(0), numbers.argmax(0))


def _gathered(values: Tensor, steps: Tensor) -> Tensor:
    return values.gather(0, steps.unsqueeze(-1).expand(values.shape))


def _ordered(rows: Tensor, order: tuple[int, ...]) -> Tensor:
    """Reorder the rows of net inputs and add the axis of directions."""
    C = rows.shape[0] // len(order)
    return torch.cat([rows[C * place : C * (place + 1)] for place in order]).unsqueeze(0)


def _biases(inputs: LayerInputs, order: tuple[int, ...]) -> Tensor | None:
    """Return the biases of inputs and of the hidden state, side by side."""
    if inputs.bias is None:
        return None
    recurrent = torch.zeros_like(inputs.bias)
    if inputs.unit is not None:  # the bias b_hn of a GRU
        recurrent = torch.cat([recurrent[inputs.unit.numel() :], inputs.unit[0]])
    return torch.cat([_ordered(inputs.bias, order), _ordered(recurrent, order)], 1)
