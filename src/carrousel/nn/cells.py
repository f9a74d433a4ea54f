"""Modules that run one step: drop-in replacements for LSTMCell, GRUCell and RNNCell of torch."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter

from carrousel.checks import check_number
from carrousel.contracts import Recurrence
from carrousel.errors import InputError, SettingError
from carrousel.kernels.autograd.dispatch import LayerInputs, LayerOptions, layer
from carrousel.nn import options as check
from carrousel.nn.call import observe
from carrousel.nn.call.eager import step_eagerly
from carrousel.nn.call.inputs import (
    State,
    autocast_dtype,
    autocast_result,
    autocast_wide,
    check_like,
    described,
)
from carrousel.nn.call.noise import zone_mask
from carrousel.nn.drop_in import tracers
from carrousel.nn.drop_in.layer import TorchCell
from carrousel.nn.weights import (
    LayerWeights,
    assemble,
    draw,
    drop_unused_rows,
    in_kernel_order,
    parameter_shapes,
)


class StepCell(TorchCell):
    """Base class: one step of a recurrence per call. Use LSTMCell, GRUCell or RNNCell.

    Attributes:
        recurrence: the equations and sizes of the step.
    """

    ARGUMENTS: ClassVar[dict[str, Any]]
    """Constructor arguments except device and dtype, in order, with their defaults."""
    _parameter_names: tuple[str | None, ...] = ()
    weight_ih: Tensor

    def __init__(
        self,
        recurrence: Recurrence,
        input_size: int,
        bias: bool,
        zoneout: Any,
        forget_bias: float | None,
        factory: dict[str, Any],
    ) -> None:
        super().__init__()
        self.recurrence = recurrence
        self.input_size = check.check_size("input_size", input_size)
        self.hidden_size = recurrence.units
        self.bias = check.check_flag("bias", bias)
        self.layer_norm = recurrence.layer_norm
        self.zoneout = check.check_zoneout(zoneout, recurrence)
        self.forget_bias = check.check_forget_bias(forget_bias, recurrence, self.bias)
        shapes = parameter_shapes(recurrence, self.input_size, bias=self.bias, learned=False)
        self._part_names = tuple(shapes)
        self._parameter_names = in_kernel_order(shapes)
        for name, shape in shapes.items():
            empty = torch.empty(shape, **check.check_factory(**factory))
            self.register_parameter(name, Parameter(empty))
        for name in () if self.bias else ("bias_ih", "bias_hh"):
            self.register_parameter(name, None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights, uniform within ``1 / sqrt(hidden_size)`` as in torch."""
        parameters = {name: getattr(self, name) for name in self._part_names}
        draw([parameters], self.recurrence, self.forget_bias)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **more: Any) -> None:
        drop_unused_rows(self.recurrence, state_dict, prefix, [""])
        super()._load_from_state_dict(state_dict, prefix, *args, **more)

    def layer_weights(self, layer: int = 0, direction: int = 0) -> LayerWeights:
        """Return the weights in the form that kernels take; layer and direction must be 0.

        Raises:
            SettingError: layer or direction is not 0.
        """
        if layer or direction:
            raise SettingError(
                f"layer is {layer} and direction {direction}, but a cell has only layer 0 and "
                "direction 0",
                argument="layer" if layer else "direction",
                got=layer or direction,
            )
        return assemble(self.recurrence, self._part_names, lambda name: getattr(self, name))

    def forward(self, input: Tensor, hx: State | None = None) -> State:
        """Run one step.

        Args:
            input: ``[B, I]``, or ``[I]`` for one sequence.
            hx: the state after the previous step, ``h [B, H]`` or ``(h, c)`` if the cell has
                states besides ``h``; without ``B`` for one sequence. None: zero.

        Returns:
            The new state, in the form of ``hx``.

        Raises:
            InputError: a tensor has the wrong shape, type or device. It is also a
                ``RuntimeError`` and a ``ValueError``.
        """
        zoneout = (0.0, 0.0) if self.training else self.zoneout
        if not self.training or self.zoneout == (0.0, 0.0):
            found = step_eagerly(self, self.recurrence, self._parameter_names, zoneout, input, hx)
            if found is not None:
                return found
        if tracers.is_recording(input):
            return tracers.record(self, input, hx)
        who, recurrence = type(self).__name__, self.recurrence
        dims = _check_dims(f"{who}: Expected input", input)
        if input.shape[-1] != self.input_size:
            raise InputError(
                f"{who}: input has inconsistent input_size: got {input.shape[-1]} expected "
                f"{self.input_size}, the last of its shape {tuple(input.shape)}",
                argument="input",
            )
        check_like(f"{who}: input", input, self.weight_ih)
        x = input if dims == 2 else input.unsqueeze(0)
        h, s = self._read_state(who, hx, dims, x)
        weights, dtype = self.layer_weights(), autocast_dtype(x)
        if dtype is not None:
            wide = autocast_wide(weights.w_ih.dtype)
            result = autocast_result(recurrence, x, wide, keeps=True)
            x, h, s, weights = x.to(wide), h.to(wide), s.to(wide), weights.to(wide)
            with torch.autocast(x.device.type, enabled=False):
                h, s = self._step(x, h, s, weights)
            h, s = (h, s) if result is None else (h.to(result), s.to(result))
        else:
            h, s = self._step(x, h, s, weights)
        h, s = (h, s) if dims == 2 else (h.squeeze(0), s.squeeze(0))
        return (h, s) if recurrence.n_states else h

    def _step(
        self, x: Tensor, h: Tensor, s: Tensor, weights: LayerWeights
    ) -> tuple[Tensor, Tensor]:
        zone_h, zone_s = self.zoneout
        keep_h = keep_s = None
        if self.training:
            keep_h = zone_mask(zone_h, (1, *h.shape), x.device)
            keep_s = zone_mask(zone_s, (1, *s.shape), x.device)
            zone_h = zone_s = 0.0
        inputs = LayerInputs(
            x=x.unsqueeze(0), h0=h, s0=s, keep_h=keep_h, keep_s=keep_s, **weights._asdict()
        )
        options = LayerOptions(zone_h=zone_h, zone_s=zone_s)
        observer = observe.current()
        if observer is not None:
            result = observer.run(self, (0, 0), inputs, self.recurrence, options)
        else:
            result = layer(inputs, self.recurrence, options)
        return result.h, result.s

    def _read_state(self, who: str, hx: Any, dims: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """Check the state and return ``h [B, H]`` and ``s [B, D * C]``."""
        B, widths = x.shape[0], (self.recurrence.n_sources, self.recurrence.n_states)
        if hx is None:
            return x.new_zeros(B, widths[0]), x.new_zeros(B, widths[1])
        if not widths[1]:
            return self._one_state(who, "hidden", 0, hx, x, dims), x.new_zeros(B, 0)
        if not isinstance(hx, tuple | list) or len(hx) != 2:
            raise InputError(
                f"{who}: hx is {described(hx)}, expected a pair of tensors (h, c)", argument="hx"
            )
        h, s = (
            self._one_state(who, f"hx[{which}]", which, one, x, dims)
            for which, one in enumerate(hx)
        )
        return h, s

    def _one_state(
        self, who: str, name: str, which: int, state: Any, x: Tensor, dims: int
    ) -> Tensor:
        width = self.recurrence.n_states if which else self.recurrence.n_sources
        if _check_dims(f"{who}: Expected {name}", state) != dims:
            form = "(B, width) as input has a batch" if dims == 2 else "(width,) as input has none"
            raise InputError(
                f"{who}: {name} has shape {tuple(state.shape)}, expected {form}", argument="hx"
            )
        if state.shape[-1] != width:
            raise InputError(
                f"{who}: {name}: hidden{which} has inconsistent hidden_size: got "
                f"{state.shape[-1]}, expected {width}",
                argument="hx",
            )
        state = state if dims == 2 else state.unsqueeze(0)
        if state.shape[0] != x.shape[0]:
            raise InputError(
                f"{who}: Input batch size {x.shape[0]} doesn't match hidden{which} batch size "
                f"{state.shape[0]}",
                argument="hx",
            )
        check_like(f"{who}: {name}", state, self.weight_ih)
        return state

    def extra_repr(self) -> str:
        """Return the sizes, then every argument that differs from its default."""
        return check.format_arguments(self.settings(), self.ARGUMENTS)

    def settings(self) -> dict[str, Any]:
        """Return the constructor arguments of this cell by name."""
        return check.settings_of(self, self.ARGUMENTS)


def _check_dims(expected: str, tensor: Any) -> int:
    """Return the number of dimensions: 1 without a batch, 2 with one."""
    if not isinstance(tensor, Tensor):
        raise InputError(f"{expected} to be a torch.Tensor, got {described(tensor)}")
    if tensor.dim() not in (1, 2):
        raise InputError(
            f"{expected} to be 1D or 2D, got {tensor.dim()}D instead, of shape "
            f"{tuple(tensor.shape)}"
        )
    return tensor.dim()


class LSTMCell(StepCell):
    """One step of long short-term memory; a drop-in replacement for ``torch.nn.LSTMCell``.

    Args:
        input_size: ``I``, inputs of a step.
        hidden_size: ``C``, memory cells.
        bias: whether net inputs have biases.
        device, dtype: device and type of the parameters.
        cell, block_size, g_range, h_range, gate_sources, layer_norm, zoneout, forget_bias: as in
            :class:`carrousel.nn.LSTM`, which also lists the equations.

    Shapes: input ``[B, I]``; ``h [B, H]``, ``c [B, C]``; without ``B`` for one sequence. ``H = C``,
    except for ``lstm97`` with ``gate_sources``.

    >>> cell = LSTMCell(3, 4, cell="peephole")
    >>> state = None
    >>> for x in torch.randn(7, 2, 3):
    ...     state = cell(x, state)
    >>> h, c = state
    >>> h.shape
    torch.Size([2, 4])
    """

    TORCH = torch.nn.LSTMCell
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "input_size": None,
        "hidden_size": None,
        "bias": True,
        "cell": "lstm",
        "block_size": 1,
        "g_range": 2.0,
        "h_range": 1.0,
        "gate_sources": False,
        "layer_norm": False,
        "zoneout": 0.0,
        "forget_bias": None,
    }

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        cell: check.LstmCell | check.CellObject = "lstm",
        block_size: int = 1,
        g_range: float = 2.0,
        h_range: float = 1.0,
        gate_sources: bool = False,
        layer_norm: bool = False,
        zoneout: float | tuple[float, float] = 0.0,
        forget_bias: float | None = None,
    ) -> None:
        recurrence = Recurrence(
            check.cell_name(cell),
            check.check_size("hidden_size", hidden_size),
            block_size=check.check_size("block_size", block_size),
            g_range=check_number("g_range", g_range, above=0.0),
            h_range=check_number("h_range", h_range, above=0.0),
            gate_sources=check.check_flag("gate_sources", gate_sources),
            layer_norm=check.check_flag("layer_norm", layer_norm),
        )
        factory = {"device": device, "dtype": dtype}
        super().__init__(recurrence, input_size, bias, zoneout, forget_bias, factory)
        self.cell = cell
        self.block_size = recurrence.block_size
        self.g_range = recurrence.g_range
        self.h_range = recurrence.h_range
        self.gate_sources = recurrence.gate_sources


class GRUCell(StepCell):
    """One step of gated recurrent units; a drop-in replacement for ``torch.nn.GRUCell``.

    Args:
        input_size: ``I``, inputs of a step.
        hidden_size: ``H``, units.
        bias, device, dtype: as in :class:`LSTMCell`.
        layer_norm, zoneout: as in :class:`carrousel.nn.GRU`, which also lists the equations.

    Shapes: input ``[B, I]``; ``h [B, H]``; without ``B`` for one sequence.

    >>> cell = GRUCell(3, 4)
    >>> cell(torch.randn(2, 3), torch.zeros(2, 4)).shape
    torch.Size([2, 4])
    """

    TORCH = torch.nn.GRUCell
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "input_size": None,
        "hidden_size": None,
        "bias": True,
        "layer_norm": False,
        "zoneout": 0.0,
    }

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        layer_norm: bool = False,
        zoneout: float = 0.0,
    ) -> None:
        recurrence = Recurrence(
            "gru",
            check.check_size("hidden_size", hidden_size),
            layer_norm=check.check_flag("layer_norm", layer_norm),
        )
        factory = {"device": device, "dtype": dtype}
        super().__init__(recurrence, input_size, bias, zoneout, None, factory)


class RNNCell(StepCell):
    """One step of Elman's simple recurrent net; a drop-in replacement for ``torch.nn.RNNCell``.

    Args:
        input_size: ``I``, inputs of a step.
        hidden_size: ``H``, units.
        bias: whether net inputs have biases.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        device, dtype: as in :class:`LSTMCell`.
        layer_norm, zoneout: as in :class:`carrousel.nn.RNN`, which also lists the equations.

    Shapes: input ``[B, I]``; ``h [B, H]``; without ``B`` for one sequence.

    >>> RNNCell(3, 4, nonlinearity="relu")(torch.randn(3)).shape
    torch.Size([4])
    """

    TORCH = torch.nn.RNNCell
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "input_size": None,
        "hidden_size": None,
        "bias": True,
        "nonlinearity": "tanh",
        "layer_norm": False,
        "zoneout": 0.0,
    }

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: check.Nonlinearity = "tanh",
        device: Any = None,
        dtype: Any = None,
        *,
        layer_norm: bool = False,
        zoneout: float = 0.0,
    ) -> None:
        recurrence = Recurrence(
            check.nonlinearity_cell(nonlinearity),
            check.check_size("hidden_size", hidden_size),
            layer_norm=check.check_flag("layer_norm", layer_norm),
        )
        factory = {"device": device, "dtype": dtype}
        super().__init__(recurrence, input_size, bias, zoneout, None, factory)
        self.nonlinearity = nonlinearity
