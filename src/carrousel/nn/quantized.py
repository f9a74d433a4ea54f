"""Layers with int8 weights, for inference: ``quantize`` and the module it returns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from carrousel.contracts import CELLS
from carrousel.errors import InputError, OptionTypeError, SettingError
from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions, LayerResult
from carrousel.kernels.autograd.stored import MATRICES, check_storable, store, stored_layer
from carrousel.nn.call.inputs import CallArguments, Padding, State, read_call
from carrousel.nn.call.ragged import Lengths, Resets, step_flags
from carrousel.nn.drop_in import tracers
from carrousel.nn.recurrent import Recurrent
from carrousel.nn.weights import LayerWeights


class Quantized(torch.nn.Module):
    """Recurrent layers with int8 weights and without gradients; made by :func:`quantize`.

    Its buffers are, for each direction of each layer, the arrays of
    :class:`carrousel.nn.LayerWeights` with torch's suffix: the matrices ``w_ih_l0``, ``w_hh_l0``
    and ``w_hr_l0`` in int8, their scales ``s_ih_l0``, ``s_hh_l0`` and ``s_hr_l0``, and the rest in
    float32.
    """

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.recurrence, self.described = layer.recurrence, repr(layer)
        self.input_size, self.hidden_size = layer.input_size, layer.hidden_size
        self.num_layers, self.num_directions = layer.num_layers, layer.num_directions
        self.batch_first, self.bidirectional = layer.batch_first, layer.bidirectional
        self.zoneout = layer.zoneout
        for index in range(self.num_layers):
            for direction in range(self.num_directions):
                weights = layer.layer_weights(index, direction)
                for name, one in store(_detached(weights), "int8").items():
                    kept = None if one is None else one.clone()
                    self.register_buffer(name + _suffix(index, direction), kept)
        self.eval()

    @property
    def weight_ih_l0(self) -> Tensor:
        """Scales, whose type and device inputs must have."""
        return self.get_buffer("s_ih_l0")

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: State | None = None,
        *,
        lengths: Lengths | None = None,
        padding: Padding = "right",
        resets: Resets | None = None,
    ) -> Any:
        """Run all layers over all steps; arguments and results are those of the layer.

        Raises:
            InputError: a tensor has the wrong shape, type or device.
            SettingError: a gradient is wanted, the call is exported or traced, or the module was
                converted to another type or moved to another device.
        """
        self._refuse_records(input)
        self._check_types(input)
        call = read_call(self, input, hx, lengths, padding, resets)  # type: ignore[arg-type]
        self._refuse_gradients(call)
        x, ends = call.x.detach().float(), []
        for index in range(self.num_layers):
            results = [self._run(x, call, index, d) for d in range(self.num_directions)]
            outputs = [one.out[..., : self.recurrence.n_outputs] for one in results]
            x = torch.cat(outputs, dim=-1) if len(outputs) > 1 else outputs[0].contiguous()
            ends += results
        state = call.state(torch.stack([end.h for end in ends]))
        if self.recurrence.n_states:
            state = (state, call.state(torch.stack([end.s for end in ends])))
        return call.output(x), state

    def _run(self, x: Tensor, call: CallArguments, index: int, direction: int) -> LayerResult:
        suffix, row = _suffix(index, direction), index * self.num_directions + direction
        part = {name: getattr(self, name + suffix) for name in LayerWeights._fields}
        scales = {name: getattr(self, name + suffix, None) for name in MATRICES.values()}
        B, R = x.shape[1], self.recurrence
        h0 = _first(call.h0, row, part["fresh_h"], B, R.n_sources)
        s0 = _first(call.s0, row, part["fresh_s"], B, R.n_states)
        flags = step_flags(call.active, call.resets, reverse=bool(direction))
        options = LayerOptions(
            reverse=bool(direction), zone_h=self.zoneout[0], zone_s=self.zoneout[1]
        )
        inputs = LayerInputs(x=x, h0=h0, s0=s0, flags=flags, **part)
        return stored_layer(
            inputs, R, options, "int8", {k: v for k, v in scales.items() if v is not None}
        )

    def _refuse_records(self, input: Any) -> None:
        compiler = torch.compiler
        exporting = compiler.is_compiling() and compiler.is_exporting()
        if exporting or tracers.is_recording(input):
            raise SettingError(
                "Quantized: layers of nn.quantize cannot be exported or traced",
                fix="export the float32 layer, and quantise the exported model",
            )

    def _check_types(self, input: Any) -> None:
        scale, float32 = self.weight_ih_l0, torch.float32
        if scale.dtype != float32 or scale.device.type != "cpu":
            raise SettingError(
                f"Quantized: the scales are {scale.dtype} on {scale.device}, expected float32 on "
                "the CPU",
                fix="convert and move the model first, then call nn.quantize",
            )
        wrong = isinstance(input, Tensor) and input.dtype != float32
        if wrong and not torch.is_autocast_enabled("cpu"):
            raise InputError(
                f"Quantized: input is of type {input.dtype}, expected torch.float32",
                argument="input",
                fix="convert it with input.float()",
            )

    def _refuse_gradients(self, call: CallArguments) -> None:
        given = (call.x, call.h0, call.s0)
        if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in given):
            raise SettingError(
                "Quantized: input or hx requires a gradient, and int8 layers have none",
                argument="input",
                fix="call it under torch.no_grad(), or train the layer before nn.quantize",
            )

    def extra_repr(self) -> str:
        """Return the layer that was quantised."""
        return self.described


def quantize(layer: Recurrent) -> Quantized:
    """Make an int8 copy of a layer for inference: a quarter of the bytes, and faster.

    *Weights.* Each row of ``weight_ih``, ``weight_hh`` and ``weight_hr`` is rounded to multiples of
    its largest number / 127. *Inputs and hidden states* are rounded in the same way at every step,
    with a separate scale for each sequence (dynamic quantisation, no calibration). Sums are
    exact integers; gates, states, biases and everything else stay float32. An input that is
    infinite or NaN makes the outputs of its sequence NaN.

    *Accuracy.* Every factor is rounded by at most 1/254 of the largest number in its row.
    ``docs/nn.md`` gives bounds for new nets, and ``docs/sequence.md`` measured errors and times.
    Compare with the float32 layer on your data. Errors are large in nets that amplify small
    differences from step to step, as layer_norm or large weights can, or that never forget, as
    ``lstm97``. One large number in a row costs the accuracy of the others, so scale inputs first.

    Every call packs the weights again, so for one step per call use
    ``nn.step(layer, storage="int8")``.

    Args:
        layer: an LSTM, GRU or RNN in float32 on the CPU, with any options. A cell from equations
            must have one recurrent product, and no layer_norm. Dropout is left out; zoneout mixes
            states as in evaluation.

    Returns:
        A module that is called like the layer, but has no ``return_states``. It cannot be exported.

    Raises:
        OptionTypeError: the argument is not a recurrent layer of this package.
        SettingError: the layer is not in float32 on the CPU, its cell cannot be quantised, or a
            weight is not finite.

    >>> from carrousel.nn import LSTM, quantize
    >>> lstm = LSTM(8, 32)
    >>> small = quantize(lstm)
    >>> x = torch.randn(50, 4, 8)
    >>> with torch.no_grad():
    ...     exact, _ = lstm(x)
    >>> output, (h_n, c_n) = small(x)
    >>> bool((output - exact).abs().max() < 0.02)
    True
    """
    if not isinstance(layer, Recurrent):
        raise OptionTypeError(
            f"quantize: layer is a {type(layer).__module__}.{type(layer).__name__}, expected an "
            "LSTM, GRU or RNN of carrousel.nn",
            argument="layer",
            got=layer,
            fix="quantise each layer of a model; convert torch's layers with nn.replace first; for "
            "cells use nn.step(cell, storage='int8')",
        )
    weight = layer.all_weights[0][0]
    if weight.dtype != torch.float32 or weight.device.type != "cpu":
        raise SettingError(
            f"quantize: layer is {weight.dtype} on {weight.device}, expected float32 on the CPU",
            argument="layer",
            got=layer,
            fix="call layer.float().cpu() first",
        )
    recurrence = layer.recurrence
    check_storable(recurrence)
    if recurrence.layer_norm and recurrence.cell not in CELLS:
        raise SettingError(
            f"quantize: cell {recurrence.cell_name!r} has layer_norm, whose net inputs torch "
            "computes",
            argument="layer",
            got=layer,
            fix="use a built-in cell, leave layer_norm out, or use nn.step(layer, storage='int8')",
        )
    return Quantized(layer)


def _detached(weights: LayerWeights) -> dict[str, Tensor | None]:
    parts = weights._asdict().items()
    return {name: None if one is None else one.detach() for name, one in parts}


def _first(given: Tensor | None, row: int, fresh: Tensor | None, B: int, width: int) -> Tensor:
    if given is not None:
        return given[row].detach().float()
    return torch.zeros(B, width) if fresh is None else fresh.expand(B, width)


def _suffix(layer: int, direction: int) -> str:
    return f"_l{layer}" + "_reverse" * direction
