"""How many bytes a call of a recurrent module will need, said before it is made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from carrousel.checks import check_int
from carrousel.contracts import CELLS
from carrousel.kernels.native.sequence import (
    WINDOW_BYTES,
    WINDOW_ROWS,
    extra_width,
    gates_width,
    has_own_errors,
)
from carrousel.nn.call.layered import Layered

MIB = 2**20
_PRODUCT_BYTES = 2**17  # of a thread that adds up gradients of weights: sources side by side


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a call of ``T`` steps and ``B`` sequences needs on a CPU.

    Attributes:
        recompute: steps of a segment whose tape is computed anew on the way back; 0: none.
        parameters, gradients: the weights, and what the way back adds to.
        input, output: of the whole module.
        tape: what forward keeps for the way back, the outputs of every layer included; with
            ``recompute``, outputs and the states at the ends of segments.
        handed: copies of outputs on their way from layer to layer.
        states: first and last states.
        scratch: errors of what comes out of and goes into one layer on the way back.
        kernel: what the compiled kernel holds by itself while it runs one layer, in the way that
            needs more: packed weights, a window of net inputs or errors, a segment made anew.
        kernel_inference: the same where there is no way back.
        peak_training, peak_inference: the most that exists at one time; what a loss makes of the
            output comes on top of it.
        fits: whether training stays within the budget that was asked for.

    >>> print(MemoryPlan(100, 8, 0, 4096, 4096, 1 << 20, 1 << 20, 6 << 20, 0, 0, 0, 2 << 20,
    ...                  1 << 20, 9 << 20, 4 << 20, True))  # doctest: +NORMALIZE_WHITESPACE
    memory of 100 steps of 8 sequences  MiB
    parameters                         0.00
    gradients                          0.00
    input                              1.00
    output                             1.00
    tape                               6.00
    handed                             0.00
    states                             0.00
    scratch                            0.00
    kernel                             2.00
    kernel_inference                   1.00
    peak_training                      9.00
    peak_inference                     4.00
    """

    T: int
    B: int
    recompute: int
    parameters: int
    gradients: int
    input: int
    output: int
    tape: int
    handed: int
    states: int
    scratch: int
    kernel: int
    kernel_inference: int
    peak_training: int
    peak_inference: int
    fits: bool

    def __str__(self) -> str:
        title = f"memory of {self.T} steps of {self.B} sequences"
        if self.recompute:
            title += f", recompute={self.recompute}"
        if not self.fits:
            title += " (over budget)"
        names = [field.name for field in dataclasses.fields(self)][3:-1]
        rows = [(name, f"{getattr(self, name) / MIB:.2f}") for name in names]
        wide = max(len(value) for _, value in rows)
        lines = [f"{title}  {'MiB':>{wide}}"]
        lines += [f"{name:<{len(title)}}  {value:>{wide}}" for name, value in rows]
        return "\n".join(lines)


def plan_memory(
    module: Layered, T: int, B: int, *, ragged: bool = False, budget: int | None = None
) -> MemoryPlan:
    """Plan a call of ``T`` steps and ``B`` sequences; see :meth:`Recurrent.memory_plan`.

    With a budget, the longest segment that fits is proposed, because a longer one keeps fewer
    states at its ends; all segments cost the same time, that of one more forward pass. Where
    nothing fits, the plan is the smallest there is, and says so.

    Raises:
        SettingError: ``T``, ``B`` or ``budget`` is no positive whole number.
    """
    T = check_int("T", T, minimum=1)
    B = check_int("B", B, minimum=1)
    if budget is None:
        own = module.recompute
        segment = math.ceil(math.sqrt(T)) if isinstance(own, str) else own
        return _plan(module, T, B, ragged, segment, None)
    budget = check_int("budget", budget, minimum=1)
    plans = [_plan(module, T, B, ragged, segment, budget) for segment in _segments(T)]
    return next((plan for plan in plans if plan.fits), min(plans, key=lambda p: p.peak_training))


def _segments(T: int) -> Iterator[int]:
    """No recomputation, then lengths from long to short: the shortest for each number of segments
    up to the square root of ``T``, beyond which segments are all but ends."""
    yield 0
    for number in range(2, math.isqrt(T) + 2):
        if T > 1:
            yield math.ceil(T / number)


def _plan(
    module: Layered, T: int, B: int, ragged: bool, segment: int, budget: int | None
) -> MemoryPlan:
    recurrence, directions = module.recurrence, module.num_directions
    N, K, S = recurrence.n_net_inputs, recurrence.n_sources, recurrence.n_states
    weights = [weight for layer in module.all_weights for weight in layer]
    size = weights[0].element_size()
    step = size * B  # bytes of one number for all sequences of the batch
    every = module.num_layers * directions
    parameters = sum(weight.numel() for weight in weights) * size
    given = T * module.input_size * step
    wide = T * directions * recurrence.n_outputs * step
    joined = wide if directions == 2 else 0  # one direction's outputs are the layer's, uncopied
    copies = (directions == 2) + 2 * (module.dropout > 0)
    handed = (module.num_layers - 1) * copies * wide
    states = 2 * every * (K + S) * step
    tape = _tape(module, T, B, ragged, segment)
    scratch = _scratch(module, T, B, ragged)
    kernel, alone = _kernel(module, T, B, ragged, segment)
    training = 2 * parameters + given + tape + handed + joined + states + scratch + kernel
    outs = T * K * directions * step
    walking = outs + joined
    if _torch_normalises(module):
        walking = T * N * step + max(T * N * step, outs)
    between = wide if module.num_layers > 1 else 0
    return MemoryPlan(
        T=T,
        B=B,
        recompute=segment,
        parameters=parameters,
        gradients=parameters,
        input=given,
        output=wide,
        tape=tape,
        handed=handed,
        states=states,
        scratch=scratch,
        kernel=kernel,
        kernel_inference=alone,
        peak_training=training,
        peak_inference=parameters + given + states + between + walking + alone,
        fits=budget is None or training <= budget,
    )


def _torch_normalises(module: Layered) -> bool:
    """Whether net inputs are made and normalised by torch, for all steps at once."""
    return module.recurrence.layer_norm and module.recurrence.cell not in CELLS


def _kept_width(module: Layered, ragged: bool) -> int:
    """Numbers that one step of one sequence leaves for the way back, besides its output."""
    recurrence = module.recurrence
    sources = bool(ragged or module.recurrent_dropout)
    norms = recurrence.layer_norm and not _torch_normalises(module)
    return gates_width(recurrence) + recurrence.n_states + extra_width(recurrence, sources, norms)


def _tape(module: Layered, T: int, B: int, ragged: bool, segment: int) -> int:
    """Bytes that forward keeps for the way back."""
    recurrence = module.recurrence
    step = module.all_weights[0][0].element_size() * B
    every = module.num_layers * module.num_directions
    K, S = recurrence.n_sources, recurrence.n_states
    if segment:  # the state before each of them
        tape = math.ceil(T / segment) * (K + S) * step * every
    else:
        tape = _kept_width(module, ragged) * T * step * every
    tape += K * T * step * every  # the outputs
    if _torch_normalises(module):  # net inputs before and after, with a mean and a scale a step
        tape += 2 * (recurrence.n_net_inputs + 1) * T * step * every
    zone_h, zone_s = module.zoneout
    tape += T * B * every * (K * (zone_h > 0) + S * (zone_s > 0))  # masks, a byte each
    return tape + T * B * module.num_directions * ragged  # flags


def _scratch(module: Layered, T: int, B: int, ragged: bool) -> int:
    """Bytes of errors of what comes out and goes in, on the way back through one layer."""
    recurrence, directions = module.recurrence, module.num_directions
    step = module.all_weights[0][0].element_size() * B
    N, K = recurrence.n_net_inputs, recurrence.n_sources
    below = directions * recurrence.n_outputs if module.num_layers > 1 else 0
    errors = directions * K + (directions - 1) * K + below  # one direction at a time
    errors += N * _torch_normalises(module) + recurrence.n_outputs * recurrence.gate_sources
    errors += max(module.input_size, below) * (ragged + module.batch_first)  # copies
    return T * errors * step


def _kernel(module: Layered, T: int, B: int, ragged: bool, segment: int) -> tuple[int, int]:
    """Bytes of the kernel's own memory: training, in the way that needs more, and inference.

    Follows ``run_forward`` and ``run_backward`` of ``native/sequence/run.cc``. What a batch needs
    for one step at a time is the most it may be: threads that share the rows of a batch may do
    with less.
    """
    recurrence, threads = module.recurrence, torch.get_num_threads()
    size = module.all_weights[0][0].element_size()
    N, K, S, M = (
        recurrence.n_net_inputs,
        recurrence.n_sources,
        recurrence.n_states,
        recurrence.units,
    )
    described, projects = recurrence.cell not in CELLS, not _torch_normalises(module)
    projection = recurrence.projection > 0
    above = module.num_directions * recurrence.n_outputs if module.num_layers > 1 else 0
    wide = max(module.input_size, above)
    rows = B * min(T, _window(module, B))

    walk = N * (K + wide * projects + 1) + K * M * projection  # packed weights
    walk += B * (N + 3 * max(K, M) + 3 * S)  # a step of the batch: sums, sources, states
    nets = rows * N * projects
    alone = walk + nets
    there = walk + nets * (segment > 0 or described)

    back = walk + nets + rows * (N * has_own_errors(recurrence) + K * projection)
    back += rows * (wide * ragged + K * (module.recurrent_dropout > 0))  # copies without padding
    if segment:
        back += walk + nets * described + B * min(segment, T) * _kept_width(module, ragged)
    return max(there, back + threads * _PRODUCT_BYTES // size) * size, alone * size


def _window(module: Layered, B: int) -> int:
    """Steps whose net inputs the kernels hold at one time."""
    size = module.all_weights[0][0].element_size()
    rows = max(WINDOW_ROWS, WINDOW_BYTES // (module.recurrence.n_net_inputs * size))
    return max(1, rows // B)
