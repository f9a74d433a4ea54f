"""What LSTM, GRU and RNN share: parameters of all layers, one call, ragged batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
from carrousel.nn.call.inputs import Call, State, read_call
from carrousel.nn.call.memory import MemoryPlan, plan_memory
from carrousel.nn.call.noise import drop_mask, zone_mask
from carrousel.nn.call.ragged import Lengths, Resets, step_flags
from carrousel.nn.weights import LayerWeights, assemble, draw, parameter_shapes


class StepStates(NamedTuple):
    """What one direction of one layer held at every step.

    ``states``: by name, such as ``"c"``, each ``[T, B, M]``. ``gates``: by name, such as
    ``"input"``, activated, each ``[T, B, M]`` (``[T, B, blocks]`` for the gates of ``lstm97``).
    Laid out as the output is: ``[B, T, M]`` with ``batch_first``, ``[T, M]`` unbatched; of a packed
    batch ``[T, B, M]``, in batch order. States carry gradients, gates do not.
    """

    states: dict[str, Tensor]
    gates: dict[str, Tensor]


class _End(NamedTuple):
    """Of one direction: the last state, and what it held at every step if that was asked for."""

    h: Tensor
    s: Tensor
    steps: StepStates | None


@dataclass(frozen=True)
class Frame:
    """How layers are stacked; arguments and meaning are torch's."""

    input_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool


@dataclass(frozen=True)
class Variation:
    """What the module does that torch's does not; see :class:`carrousel.nn.LSTM`."""

    zoneout: Any = 0.0
    recurrent_dropout: float = 0.0
    forget_bias: float | None = None
    initial_state: str = "zero"
    gradient: str = "bptt"
    recompute: int | str = 0


class Recurrent(torch.nn.Module):
    """Layers of one recurrence, in one or two directions. Use LSTM, GRU or RNN.

    Attributes:
        recurrence: the equations and sizes that every direction of every layer follows.
    """

    ARGUMENTS: ClassVar[dict[str, Any]]
    """Every argument of the constructor besides device and dtype, in order, with its default."""

    def __init__(
        self, recurrence: Recurrence, frame: Frame, variation: Variation, factory: dict[str, Any]
    ) -> None:
        super().__init__()
        self.recurrence = recurrence
        self.input_size = check.check_size("input_size", frame.input_size)
        self.hidden_size = recurrence.units
        self.num_layers = check.check_size("num_layers", frame.num_layers)
        self.bias = check.check_flag("bias", frame.bias)
        self.batch_first = check.check_flag("batch_first", frame.batch_first)
        self.dropout = check.check_dropout(frame.dropout, self.num_layers)
        self.bidirectional = check.check_flag("bidirectional", frame.bidirectional)
        self.proj_size = recurrence.projection
        self.layer_norm = recurrence.layer_norm
        self.zoneout = check.check_zoneout(variation.zoneout, recurrence)
        self.recurrent_dropout = check.check_share(
            "recurrent_dropout", variation.recurrent_dropout, below_one=True
        )
        self.forget_bias = check.check_forget_bias(variation.forget_bias, recurrence, self.bias)
        self.initial_state = check.check_initial(variation.initial_state)
        self.gradient = check.check_gradient(variation.gradient)
        self.recompute = check.check_recompute(variation.recompute)
        self._make_parameters(factory)
        self.reset_parameters()

    def _make_parameters(self, factory: dict[str, Any]) -> None:
        self._part_names: tuple[str, ...] = ()
        for index in range(self.num_layers):
            width = self.recurrence.n_outputs * self.num_directions if index else self.input_size
            shapes = parameter_shapes(
                self.recurrence, width, bias=self.bias, learned=self.initial_state == "learned"
            )
            self._part_names = tuple(shapes)
            for direction in range(self.num_directions):
                for name, shape in shapes.items():
                    empty = torch.empty(shape, **check.check_factory(**factory))
                    self.register_parameter(name + _suffix(index, direction), Parameter(empty))

    @property
    def num_directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """Parameters of every direction of every layer, in the order of the state dictionary."""
        return [
            [getattr(self, name + _suffix(index, direction)) for name in self._part_names]
            for index in range(self.num_layers)
            for direction in range(self.num_directions)
        ]

    def reset_parameters(self) -> None:
        """Draw the weights anew: uniform within ``1 / sqrt(hidden_size)``, as torch does."""
        layers = [dict(zip(self._part_names, have, strict=True)) for have in self.all_weights]
        draw(layers, self.recurrence, self.forget_bias)

    def flatten_parameters(self) -> None:
        """Do nothing: there is no flat copy to keep. It exists because torch's modules have it."""

    def layer_weights(self, layer: int, direction: int) -> LayerWeights:
        """Weights of one direction (0 forwards, 1 backwards) of one layer, as kernels take them.

        >>> from carrousel.nn import LSTM
        >>> LSTM(3, 5).layer_weights(0, 0).w_ih.shape
        torch.Size([20, 3])
        """
        if not (0 <= layer < self.num_layers and 0 <= direction < self.num_directions):
            raise SettingError(
                f"layer is {layer} and direction {direction}, expected below "
                f"{self.num_layers} and {self.num_directions}"
            )
        suffix = _suffix(layer, direction)
        return assemble(
            self.recurrence, self._part_names, lambda name: getattr(self, name + suffix)
        )

    def memory_plan(
        self, T: int, B: int, *, ragged: bool = False, budget: int | None = None
    ) -> MemoryPlan:
        """Say how many bytes a call of ``T`` steps and ``B`` sequences needs, without making it.

        Args:
            T: steps.
            B: sequences.
            ragged: whether the call is handed lengths or resets.
            budget: bytes to stay within while training; the plan then proposes a ``recompute``.

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
        padding: str = "right",
        resets: Resets | None = None,
        return_states: bool = False,
    ) -> Any:
        """Run all layers over all steps.

        Args:
            input: ``[T, B, I]``; ``[B, T, I]`` with ``batch_first``; ``[T, I]`` unbatched; or a
                ``PackedSequence``.
            hx: state before the first step: ``h_0 [layers * directions, B, K]``, or
                ``(h_0, c_0)`` where the cell has states besides ``h``. None: zero, or learned.
            lengths: ``[B]``, whole numbers from 0 to ``T`` in any order. Steps beyond are padding:
                their output is zero, and final states are those of the last real step.
            padding: side of the sequences on which padding stands, ``"right"`` or ``"left"``.
            resets: boolean, of the shape of the input's steps. The sequence starts anew at that
                step, from zero or the learned initial state, in every layer and direction (a
                reverse direction starts anew on the step before it).
            return_states: return a third value, one :class:`StepStates` for each layer and
                direction, in the order of ``h_n``.

        Returns:
            ``output`` ``[T, B, directions * M]`` (or as the input is laid out), and the final
            state in the form and order of ``hx``.

        Raises:
            InputError: a tensor of the wrong shape, type or device; also caught as
                ``RuntimeError`` and ``ValueError``.
            OptionTypeError: ``return_states`` is neither True nor False.
        """
        check.check_flag("return_states", return_states)
        call = read_call(self, input, hx, lengths, padding, resets)
        if call.dtype is None:
            out, ends = self._run(call, return_states)
        else:  # all is cast already; inside, autocast would round the state at every step
            with torch.autocast(call.x.device.type, enabled=False):
                out, ends = self._run(call, return_states)
        output = call.output(out)
        state = call.state(torch.stack([end.h for end in ends]))
        if self.recurrence.n_states:
            state = (state, call.state(torch.stack([end.s for end in ends])))
        if not return_states:
            return output, state
        return output, state, tuple(end.steps for end in ends)

    def _run(self, call: Call, record: bool) -> tuple[Tensor, list[_End]]:
        """All layers of a call: the last one's output and the ends of every direction."""
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
        self, x: Tensor, call: Call, index: int, flags: list[Tensor | None], record: bool
    ) -> tuple[Tensor, list[_End]]:
        """One layer; what it need not hand on is free when it returns."""
        results = [
            self._run_direction(x, call, index, direction, flags[direction], record)
            for direction in range(self.num_directions)
        ]
        shown = [one.out for one in results]
        if self.recurrence.n_outputs < self.recurrence.n_sources:
            shown = [out[..., : self.recurrence.n_outputs] for out in shown]
        ends = [_End(one.h, one.s, self._step_states(one, call)) for one in results]
        return torch.cat(shown, dim=-1) if len(shown) > 1 else shown[0], ends

    def _run_direction(
        self,
        x: Tensor,
        call: Call,
        index: int,
        direction: int,
        flags: Tensor | None,
        record: bool,
    ) -> LayerResult:
        weights = self.layer_weights(index, direction)
        if call.dtype is not None:
            weights = weights.to(call.dtype)
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
        return layer(
            LayerInputs(
                x=x,
                h0=h0,
                s0=s0,
                drop=drop,
                flags=flags,
                keep_h=keep_h,
                keep_s=keep_s,
                **weights._asdict(),
            ),
            self.recurrence,
            LayerOptions(
                reverse=bool(direction),
                gradient=self.gradient,
                recompute=recompute,
                zone_h=zone_h,
                zone_s=zone_s,
                record=record,
            ),
        )

    def _first_state(
        self, x: Tensor, call: Call, which: int, weights: LayerWeights
    ) -> tuple[Tensor, Tensor]:
        """``h0 [B, K]`` and ``s0 [B, S M]``: handed over, learned, or zero."""
        B, K, S = x.shape[1], self.recurrence.n_sources, self.recurrence.n_states
        learned_h, learned_s = weights.fresh_h, weights.fresh_s
        if call.h0 is not None:
            h0 = call.h0[which]
        else:
            h0 = x.new_zeros(B, K) if learned_h is None else learned_h.expand(B, K)
        if call.s0 is not None:
            s0 = call.s0[which]
        else:
            s0 = x.new_zeros(B, S) if learned_s is None else learned_s.expand(B, S)
        return h0, s0

    def _step_states(self, result: LayerResult, call: Call) -> StepStates | None:
        if result.states is None or result.gates is None:
            return None
        kind, M = self.recurrence.kind, self.recurrence.units
        states = result.states.split(M, dim=-1) if kind.states else ()
        gates = result.gates.split(list(self.recurrence.widths), dim=-1)
        return StepStates(
            {name: call.steps(one) for name, one in zip(kind.states, states, strict=True)},
            {name: call.steps(one) for name, one in zip(kind.net_inputs, gates, strict=True)},
        )

    def extra_repr(self) -> str:
        """Sizes, then every argument that is not at its default."""
        return check.written(self.settings(), self.ARGUMENTS)

    def settings(self) -> dict[str, Any]:
        """Arguments that make another module like this one."""
        return check.settings_of(self, self.ARGUMENTS)


def _suffix(layer: int, direction: int) -> str:
    return f"_l{layer}" + "_reverse" * direction
