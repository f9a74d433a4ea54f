"""The layer operation in ``torch.onnx.export``: ONNX's own operators, or a Scan over the steps.

torch's exporter replaces every operation that it does not know by its registered decomposition.
That of ``carrousel::sequence_forward`` is registered here. It runs only inside the exporter, so
``torch.export`` and ``torch.compile`` keep the operation. A program of ``torch.export`` that is
passed to the exporter later is translated as well.

- Plain LSTM, GRU and RNN in float32 become the ONNX operators of these names, with
  ``sequence_lens`` for padded batches. (ONNX Runtime has no kernels of theirs for float64.)
- All other cells and options become a Scan whose body is the step of the plain path
  (``kernels/autograd/plain.py``), so there is one copy of the equations.
- A single step of other cells becomes the body alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._decomp import register_decomposition
from torch.nn.functional import layer_norm, linear

from carrousel.contracts import CELLS, Recurrence
from carrousel.contracts.recurrence import ACTIVE, NORM_EPSILON
from carrousel.errors import SettingError
from carrousel.kernels.autograd.compiled import CallSettings, tape_shapes
from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions
from carrousel.kernels.autograd.ops import forward_shapes
from carrousel.kernels.autograd.plain import plain_layer
from carrousel.kernels.autograd.vmap import SETTINGS_END, TENSORS
from carrousel.nn.onnx.operators import OPERATORS, run_operator

_BY_STEP = ("x", "flags")
_CARRIED = ("h0", "s0")


class _Found(NamedTuple):
    """Results of a layer, as in ``LayerResult``."""

    out: Tensor
    h: Tensor
    s: Tensor


def register() -> None:
    """Register the translation with torch."""
    operation = torch.ops.carrousel.sequence_forward.default
    register_decomposition(operation)(translate)
    # Shapes would be computed by the decomposition if there were no "meta" function.
    register_decomposition(operation, type="meta")(forward_shapes)


def translate(*arguments: Any) -> Any:
    """Return the results of ``carrousel::sequence_forward``, computed by operations of ONNX.

    Args:
        arguments: those of the operation.

    Returns:
        The fields of ``Tape``; ``NotImplemented`` outside the exporter, which keeps the operation.

    Raises:
        SettingError: the layer would draw random numbers.
    """
    if not torch.onnx.is_in_onnx_export():
        return NotImplemented
    inputs, call = _read(arguments)
    if not all(value is None for value in (inputs.drop, inputs.keep_h, inputs.keep_s)):
        raise SettingError(
            "torch.onnx.export: a layer is in training mode with recurrent_dropout or zoneout, so "
            "the model would draw random numbers",
            fix="call model.eval() first",
        )
    found = _run(inputs, call)
    shapes = tape_shapes(inputs, call)
    states, gates = (inputs.x.new_zeros(shapes[name]) for name in ("states", "gates"))
    if call.tape and not call.recompute and call.recurrence.cell in CELLS:
        # The exporter removes this second pass unless its results are used (``return_states``).
        _, states, gates = _loop(inputs, call, record=True)
    unused = (inputs.x.new_zeros(shapes[name]) for name in ("extra", "marks"))
    return (*found, states, gates, *unused)


def _read(arguments: tuple[Any, ...]) -> tuple[LayerInputs, CallSettings]:
    tensors = dict(zip(TENSORS, arguments, strict=False))
    settings: Any = arguments[len(TENSORS) + 1 : SETTINGS_END + 1]
    recurrence = Recurrence.parse(arguments[len(TENSORS)])
    return LayerInputs(**tensors), CallSettings(recurrence, *settings)


def _run(inputs: LayerInputs, call: CallSettings) -> _Found:
    if _is_plain(inputs, call):
        return _Found(*run_operator(inputs, call.recurrence, reverse=call.reverse))
    found, *_ = _loop(inputs, call, record=False)
    return found


def _is_plain(inputs: LayerInputs, call: CallSettings) -> bool:
    """Return whether ONNX has an operator for the whole call; flags with resets are bytes."""
    return (
        call.recurrence.cell in OPERATORS
        and not call.recurrence.layer_norm
        and not call.recurrence.projection
        and inputs.x.dtype == torch.float32
        and not (call.zone_h or call.zone_s)
        and (inputs.flags is None or inputs.flags.dtype == torch.bool)
    )


def _loop(
    inputs: LayerInputs, call: CallSettings, *, record: bool
) -> tuple[_Found, Tensor, Tensor]:
    """Run the steps; return the results, and states and gates of every step with ``record``."""
    recurrence = call.recurrence
    options = LayerOptions(zone_h=call.zone_h, zone_s=call.zone_s, record=True)
    inputs = _projected(inputs, recurrence)
    given = {name: value for name, value in inputs._asdict().items() if value is not None}
    by_step = [name for name in _BY_STEP if name in given]
    fixed = [name for name in given if name not in (*_BY_STEP, *_CARRIED)]
    carried = _CARRIED if recurrence.n_states else _CARRIED[:1]

    def step(*values: Tensor) -> list[Tensor]:
        named = dict(zip((*carried, *by_step, *fixed), values, strict=True))
        named |= {name: named[name].unsqueeze(0) for name in by_step}
        named.setdefault("s0", named["h0"][:, :0])
        result = plain_layer(LayerInputs(**named), recurrence, options)
        rows = [result.out, *((result.states, result.gates) if record else ())]
        ends = [result.h, result.s][: len(carried)]
        # A Scan requires that its results share no memory.
        return [
            *(end.clone() for end in ends),
            *(row[0].clone() for row in rows if row is not None),
        ]

    # Detached: gradients of a Scan would be traced too.
    start = [given[name].detach().clone() for name in carried]
    xs = [given[name].detach() for name in by_step]
    weights = tuple(given[name].detach() for name in fixed)
    if isinstance(inputs.x.shape[0], int) and inputs.x.shape[0] == 1:
        values = step(*start, *(x[0] for x in xs), *weights)
        ends, rows = values[: len(carried)], [row.unsqueeze(0) for row in values[len(carried) :]]
    else:
        xs = [x.flip(0) for x in xs] if call.reverse else xs
        values = torch.ops.higher_order.scan(step, start, xs, weights)
        ends, rows = values[: len(carried)], list(values[len(carried) :])
        rows = [row.flip(0) for row in rows] if call.reverse else rows
    h, s = ends if recurrence.n_states else (ends[0], inputs.s0.clone())
    out, *steps = rows
    states, gates = steps if record else (out, out)
    return _Found(out, h, s), states, gates


def _projected(inputs: LayerInputs, recurrence: Recurrence) -> LayerInputs:
    """Replace ``x`` by its part of the net inputs, one product for all steps."""
    x = inputs.x
    if inputs.flags is not None:  # padding may be NaN
        x = torch.where(((inputs.flags & ACTIVE) != 0).unsqueeze(-1), x, 0.0)
    if not inputs.is_projected:
        x = linear(x, inputs.w_ih)
        if recurrence.layer_norm:
            x = layer_norm(x, x.shape[-1:], inputs.ln_ih, eps=NORM_EPSILON)
    x = x if inputs.bias is None else x + inputs.bias
    return inputs._replace(x=x, w_ih=inputs.w_ih.new_empty(0), ln_ih=None, bias=None)
