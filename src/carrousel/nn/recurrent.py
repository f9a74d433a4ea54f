"""Base class of LSTM, GRU and RNN: parameters of all layers, and the forward call."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import dropout as drop_between
from torch.nn.utils.rnn import PackedSequence

from carrousel.contracts import Recurrence
from carrousel.errors import SettingError
from carrousel.kernels.autograd.dispatch import LayerInputs, LayerOptions, LayerResult, layer
from carrousel.nn import options as check
from carrousel.nn.call import observe
from carrousel.nn.call.eager import run_eagerly
from carrousel.nn.call.inputs import (
    CallArguments,
    Padding,
    State,
    autocast_dtype,
    read_call,
)
from carrousel.nn.call.memory import MemoryPlan, plan_memory
from carrousel.nn.call.noise import drop_mask, zone_mask
from carrousel.nn.call.ragged import Lengths, Resets, step_flags
from carrousel.nn.drop_in import tracers
from carrousel.nn.drop_in.layer import TorchLayer, suffix
from carrousel.nn.initial import Value
from carrousel.nn.weights import (
    LayerWeights,
    assemble,
    draw,
    drop_unused_rows,
    in_kernel_order,
    parameter_shapes,
)


class StepStates(NamedTuple):
    """States and gates of one direction of one layer at every step.

    Attributes:
        states: by name, such as ``"c"``, each ``[T, B, C]``. They carry gradients.
        gates: activated gates by name, such as ``"input"``, each ``[T, B, C]``
            (``[T, B, blocks]`` for the gates of ``lstm97``). They carry no gradients.

    The layout follows the output: ``[B, T, C]`` with ``batch_first``, ``[T, C]`` unbatched. For a
    packed batch it is ``[T, B, C]`` in batch order.
    """

    states: dict[str, Tensor]
    gates: dict[str, Tensor]


class _End(NamedTuple):
    """Results of one direction: its last state, and its states at every step if requested."""

    h: Tensor
    s: Tensor
    steps: StepStates | None


@dataclass(frozen=True)
class Stacking:
    """How layers are stacked; arguments and their meaning are torch's."""

    input_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool


@dataclass(frozen=True)
class VariantOptions:
    """Options that torch's modules lack; see :class:`carrousel.nn.LSTM`."""

    zoneout: Any = 0.0
    recurrent_dropout: float = 0.0
    forget_bias: float | None = None
    initial_state: str = "zero"
    gradient: str = "bptt"
    recompute: int | str = 0
    initial: Mapping[str, Value] = field(default_factory=dict)


class Recurrent(TorchLayer):
    """Base class: layers of one recurrence, in one or two directions. Use LSTM, GRU or RNN.

    Attributes:
        recurrence: the equations and sizes that every direction of every layer follows.
    """

    ARGUMENTS: ClassVar[dict[str, Any]]
    """Constructor arguments except device and dtype, in order, with their defaults."""
    parameter_names: tuple[tuple[str | None, ...], ...] = ()

    def __init__(
        self,
        recurrence: Recurrence,
        stacking: Stacking,
        options: VariantOptions,
        factory: dict[str, Any],
    ) -> None:
        super().__init__()
        self.recurrence = recurrence
        self.input_size = check.check_size("input_size", stacking.input_size)
        self.hidden_size = recurrence.units
        self.num_layers = check.check_size("num_layers", stacking.num_layers)
        self.bias = check.check_flag("bias", stacking.bias)
        self.batch_first = check.check_flag("batch_first", stacking.batch_first)
        self.dropout = check.check_dropout(stacking.dropout, self.num_layers)
        self.bidirectional = check.check_flag("bidirectional", stacking.bidirectional)
        self.proj_size = recurrence.projection
        self.layer_norm = recurrence.layer_norm
        self.zoneout = check.check_zoneout(options.zoneout, recurrence)
        self.recurrent_dropout = check.check_probability(
            "recurrent_dropout", options.recurrent_dropout, below_one=True
        )
        self.forget_bias = check.check_forget_bias(options.forget_bias, recurrence, self.bias)
        self.initial_state = check.check_initial(options.initial_state)
        self.gradient = check.check_gradient(options.gradient)
        self.recompute = check.check_recompute(options.recompute)
        check.check_biases(options.initial, recurrence, self.bias)
        self._initial = dict(options.initial)
        self._make_parameters(factory)
        self.reset_parameters()

    def _make_parameters(self, factory: dict[str, Any]) -> None:
        self._part_names: tuple[str, ...] = ()
        names: list[tuple[str | None, ...]] = []
        for index in range(self.num_layers):
            width = self.recurrence.n_outputs * self.num_directions if index else self.input_size
            shapes = parameter_shapes(
                self.recurrence, width, bias=self.bias, learned=self.initial_state == "learned"
            )
            self._part_names = tuple(shapes)
            for direction in range(self.num_directions):
                ending = suffix(index, direction)
                names.append(in_kernel_order(shapes, ending))
                for name, shape in shapes.items():
                    empty = torch.empty(shape, **check.check_factory(**factory))
                    self.register_parameter(name + ending, Parameter(empty))
        self.parameter_names = tuple(names)

    def reset_parameters(self) -> None:
        """Draw new weights, uniform within ``1 / sqrt(hidden_size)`` as in torch."""
        layers = [dict(zip(self._part_names, part, strict=True)) for part in self.all_weights]
        draw(layers, self.recurrence, self.forget_bias, self._initial)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **more: Any) -> None:
        places = itertools.product(range(self.num_layers), range(self.num_directions))
        endings = [suffix(index, direction) for index, direction in places]
        drop_unused_rows(self.recurrence, state_dict, prefix, endings)
        super()._load_from_state_dict(state_dict, prefix, *args, **more)

    def layer_weights(self, layer: int, direction: int) -> LayerWeights:
        """Return the weights of one direction of one layer in the form that kernels take.

        Args:
            layer: index of the layer, from 0.
            direction: 0 forwards, 1 backwards.

        Raises:
            SettingError: there is no such layer or direction.

        >>> from carrousel.nn import LSTM
        >>> LSTM(3, 5).layer_weights(0, 0).w_ih.shape
        torch.Size([20, 3])
        """
        if not (0 <= layer < self.num_layers and 0 <= direction < self.num_directions):
            raise SettingError(
                f"layer is {layer} and direction {direction}, expected below "
                f"{self.num_layers} and {self.num_directions}",
                argument="layer" if not 0 <= layer < self.num_layers else "direction",
                got=layer if not 0 <= layer < self.num_layers else direction,
            )
        end = suffix(layer, direction)
        return assemble(self.recurrence, self._part_names, lambda name: getattr(self, name + end))

    def memory_plan(
        self, T: int, B: int, *, ragged: bool = False, budget: int | None = None
    ) -> MemoryPlan:
        """Compute how many bytes a call of ``T`` steps and ``B`` sequences needs.

        Args:
            T: steps.
            B: sequences.
            ragged: whether the call gets lengths or resets.
            budget: limit in bytes while training. The plan then proposes a ``recompute``.

        Raises:
            SettingError: ``T``, ``B`` or ``budget`` is not a positive whole number.

        >>> from carrousel.nn import LSTM
        >>> plan = LSTM(8, 64).memory_plan(1000, 16)
        >>> plan.tape == (4 + 1 + 1) * 64 * 4 * 1000 * 16
        True
        """
        return plan_memory(self, T, B, ragged=ragged, budget=budget)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: State | None = None,
        *,
        lengths: Lengths | None = None,
        padding: Padding = "right",
        resets: Resets | None = None,
        return_states: bool = False,
    ) -> Any:
        """Run all layers over all steps.

        Args:
            input: ``[T, B, I]``; ``[B, T, I]`` with ``batch_first``; ``[T, I]`` unbatched; or a
                ``PackedSequence``.
            hx: state before the first step: ``h_0 [layers * directions, B, H]``, or
                ``(h_0, c_0)`` if the cell has states besides ``h``. None: zero, or the learned
                initial state.
            lengths: ``[B]``, whole numbers from 0 to ``T`` in any order. Later steps are padding:
                their output is zero, and the final state is that of the last real step.
            padding: side of the padding, ``"right"`` or ``"left"``.
            resets: boolean, one value for each step and sequence in the input's layout. True
                resets the state before that step to zero or to the learned initial state, in every
                layer. A reverse direction is cut between the same two steps.
            return_states: whether to return a third value, one :class:`StepStates` for each layer
                and direction, in the order of ``h_n``.

        Returns:
            ``output`` ``[T, B, directions * H]`` in the input's layout, and the final state in the
            form and order of ``hx``.

        Raises:
            InputError: a tensor has the wrong shape, type or device, or arguments contradict each
                other. It is also a ``RuntimeError`` and a ``ValueError``.
            OptionTypeError: ``return_states`` is neither True nor False.
        """
        if lengths is None and resets is None and return_states is False and padding == "right":
            found = run_eagerly(self, input, hx)
            if found is not None:
                return found
        if tracers.is_recording(input):
            options = {"lengths": lengths, "padding": padding, "resets": resets}
            return tracers.record(self, input, hx, **options, return_states=return_states)
        check.check_flag("return_states", return_states)
        call = read_call(self, input, hx, lengths, padding, resets)
        if autocast_dtype(call.x) is None:
            out, ends = self._run(call, return_states)
        else:  # tensors are cast already; autocast inside would round the state at every step
            with torch.autocast(call.x.device.type, enabled=False):
                out, ends = self._run(call, return_states)
        output = call.output(out)
        state = call.state(torch.stack([end.h for end in ends]))
        if self.recurrence.n_states:
            state = (state, call.state(torch.stack([end.s for end in ends])))
        if not return_states:
            return output, state
        return output, state, tuple(end.steps for end in ends)

    def _run(self, call: CallArguments, record: bool) -> tuple[Tensor, list[_End]]:
        """Run all layers; return the last one's output and the results of every direction."""
        flags = [
            step_flags(call.active, call.resets, reverse=bool(direction))
            for direction in range(self.num_directions)
        ]
        x, ends = call.x, []
        for index in range(self.num_layers):
            if index and self.dropout and self.training:
                x = drop_between(x, self.dropout, training=True)
            x, here = self._run_layer(x, call, index, flags, record)
            ends += here
        return x, ends

    def _run_layer(
        self, x: Tensor, call: CallArguments, index: int, flags: list[Tensor | None], record: bool
    ) -> tuple[Tensor, list[_End]]:
        """Run one layer. (A method, so that its temporary tensors are freed on return.)"""
        results = [
            self._run_direction(x, call, index, direction, flags[direction], record)
            for direction in range(self.num_directions)
        ]
        outputs = [one.out for one in results]
        if self.recurrence.n_outputs < self.recurrence.n_sources:
            outputs = [out[..., : self.recurrence.n_outputs] for out in outputs]
        ends = [_End(one.h, one.s, self._step_states(one, call)) for one in results]
        return torch.cat(outputs, dim=-1) if len(outputs) > 1 else outputs[0], ends

    def _run_direction(
        self,
        x: Tensor,
        call: CallArguments,
        index: int,
        direction: int,
        flags: Tensor | None,
        record: bool,
    ) -> LayerResult:
        weights = self.layer_weights(index, direction)
        if weights.w_ih.dtype != x.dtype:
            weights = weights.to(x.dtype)
        h0, s0 = self._first_state(x, call, index * self.num_directions + direction, weights)
        T, B = x.shape[0], x.shape[1]
        keep_h = keep_s = drop = None
        zone_h, zone_s = self.zoneout
        if self.training:
            keep_h = zone_mask(zone_h, (T, B, self.recurrence.n_sources), x.device)
            keep_s = zone_mask(zone_s, (T, B, self.recurrence.n_states), x.device)
            drop = drop_mask(self.recurrent_dropout, h0)
            zone_h = zone_s = 0.0
        recompute = self.recompute
        if isinstance(recompute, str):
            recompute = math.ceil(math.sqrt(T))
        inputs = LayerInputs(
            x=x,
            h0=h0,
            s0=s0,
            drop=drop,
            flags=flags,
            keep_h=keep_h,
            keep_s=keep_s,
            **weights._asdict(),
        )
        options = LayerOptions(
            reverse=bool(direction),
            gradient=self.gradient,
            recompute=recompute,
            zone_h=zone_h,
            zone_s=zone_s,
            record=record,
        )
        observer = observe.current()
        if observer is not None:
            return observer.run(self, (index, direction), inputs, self.recurrence, options)
        return layer(inputs, self.recurrence, options)

    def _first_state(
        self, x: Tensor, call: CallArguments, which: int, weights: LayerWeights
    ) -> tuple[Tensor, Tensor]:
        """Return ``h0 [B, H]`` and ``s0 [B, D * C]``: from the caller, learned, or zero."""
        B, H, width = x.shape[1], self.recurrence.n_sources, self.recurrence.n_states
        learned_h, learned_s = weights.fresh_h, weights.fresh_s
        if call.h0 is not None:
            h0 = call.h0[which]
        else:
            h0 = x.new_zeros(B, H) if learned_h is None else learned_h.expand(B, H)
        if call.s0 is not None:
            s0 = call.s0[which]
        else:
            s0 = x.new_zeros(B, width) if learned_s is None else learned_s.expand(B, width)
        return h0, s0

    def _step_states(self, result: LayerResult, call: CallArguments) -> StepStates | None:
        if result.states is None or result.gates is None:
            return None
        kind, C = self.recurrence.kind, self.recurrence.units
        states = result.states.split(C, dim=-1) if kind.states else ()
        gates = result.gates.split(list(self.recurrence.widths), dim=-1)
        return StepStates(
            {name: call.steps(one) for name, one in zip(kind.states, states, strict=True)},
            {name: call.steps(one) for name, one in zip(kind.net_inputs, gates, strict=True)},
        )

    def extra_repr(self) -> str:
        """Return the sizes, then every argument that differs from its default."""
        return check.format_arguments(self.settings(), self.ARGUMENTS)

    def settings(self) -> dict[str, Any]:
        """Return the constructor arguments of this module by name."""
        return check.settings_of(self, self.ARGUMENTS)
