"""Memory plans: how many bytes a call of a recurrent module needs, computed in advance."""

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
_PRODUCT_BYTES = 2**17  # per thread, for the gradients of weights: sources side by side


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a call of ``T`` steps and ``B`` sequences needs on a CPU.

    Attributes:
        T: steps.
        B: sequences.
        recompute: steps of a segment whose tape the backward pass computes again; 0: none.
        parameters, gradients: the weights and their gradients.
        input, output: input and output of the whole module.
        tape: values stored for the backward pass, including the outputs of every layer. With
            ``recompute``: the outputs, and the states at the ends of segments.
        copies: copies of outputs between layers.
        states: first and last states.
        scratch: errors of one layer's outputs and inputs in the backward pass.
        kernel: work space of the compiled kernel for one layer, in the pass that needs more of it:
            packed weights, a window of net inputs or errors, a recomputed segment.
        kernel_inference: the same without a backward pass.
        peak_training, peak_inference: the most that exists at one time. The tensors of a loss are
            not included.
        fits: whether training stays within the budget.

    >>> print(MemoryPlan(100, 8, 0, 4096, 4096, 1 << 20, 1 << 20, 6 << 20, 0, 0, 0, 2 << 20,
    ...                  1 << 20, 9 << 20, 4 << 20, True))  # doctest: +NORMALIZE_WHITESPACE
    memory of 100 steps of 8 sequences  MiB
    parameters                         0.00
    gradients                          0.00
    input                              1.00
    output                             1.00
    tape                               6.00
    copies                             0.00
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
    copies: int
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

    With a budget, the plan proposes the longest segment that fits: longer segments store fewer
    states. Every segment length costs the same time, one more forward pass. If none fits, the plan
    is the one with the lowest peak, and its ``fits`` is False.

    Raises:
        SettingError: ``T``, ``B`` or ``budget`` is not a positive whole number.
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
    """Yield 0 (no recomputation), then segment lengths from long to short.

    For each number of segments up to about the square root of ``T`` there is one length, the
    shortest. More segments would take more memory for their ends than they save.
    """
    yield 0
    for number in range(2, math.isqrt(T) + 2):
        if T > 1:
            yield math.ceil(T / number)


def _plan(
    module: Layered, T: int, B: int, ragged: bool, segment: int, budget: int | None
) -> MemoryPlan:
    recurrence, directions = module.recurrence, module.num_directions
    U, H, state_width = recurrence.n_net_inputs, recurrence.n_sources, recurrence.n_states
    weights = [weight for layer in module.all_weights for weight in layer]
    size = weights[0].element_size()
    step = size * B  # bytes of one number for all sequences of the batch
    passes = module.num_layers * directions
    parameters = sum(weight.numel() for weight in weights) * size
    given = T * module.input_size * step
    wide = T * directions * recurrence.n_outputs * step
    joined = wide if directions == 2 else 0  # a single direction's outputs are not copied
    per_layer = (directions == 2) + 2 * (module.dropout > 0)
    copies = (module.num_layers - 1) * per_layer * wide
    states = 2 * passes * (H + state_width) * step
    tape = _tape(module, T, B, ragged, segment)
    scratch = _scratch(module, T, B, ragged)
    kernel, alone = _kernel(module, T, B, ragged, segment)
    training = 2 * parameters + given + tape + copies + joined + states + scratch + kernel
    outs = T * H * directions * step
    running = outs + joined
    if _torch_normalises(module):
        running = T * U * step + max(T * U * step, outs)
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
        copies=copies,
        states=states,
        scratch=scratch,
        kernel=kernel,
        kernel_inference=alone,
        peak_training=training,
        peak_inference=parameters + given + states + between + running + alone,
        fits=budget is None or training <= budget,
    )


def _torch_normalises(module: Layered) -> bool:
    """Whether torch computes and normalises net inputs, for all steps at once."""
    return module.recurrence.layer_norm and module.recurrence.cell not in CELLS


def _kept_width(module: Layered, ragged: bool) -> int:
    """Numbers on the tape for one step of one sequence, without its output."""
    recurrence = module.recurrence
    sources = bool(ragged or module.recurrent_dropout)
    norms = recurrence.layer_norm and not _torch_normalises(module)
    return gates_width(recurrence) + recurrence.n_states + extra_width(recurrence, sources, norms)


def _tape(module: Layered, T: int, B: int, ragged: bool, segment: int) -> int:
    """Bytes that the forward pass stores for the backward pass."""
    recurrence = module.recurrence
    step = module.all_weights[0][0].element_size() * B
    passes = module.num_layers * module.num_directions
    H, state_width = recurrence.n_sources, recurrence.n_states
    if segment:  # the state before each segment
        tape = math.ceil(T / segment) * (H + state_width) * step * passes
    else:
        tape = _kept_width(module, ragged) * T * step * passes
    tape += H * T * step * passes  # the outputs
    if _torch_normalises(module):  # net inputs before and after, and a mean and scale for each step
        tape += 2 * (recurrence.n_net_inputs + 1) * T * step * passes
    zone_h, zone_s = module.zoneout
    tape += T * B * passes * (H * (zone_h > 0) + state_width * (zone_s > 0))  # masks, in bytes
    return tape + T * B * module.num_directions * ragged  # flags


def _scratch(module: Layered, T: int, B: int, ragged: bool) -> int:
    """Bytes of the errors of one layer's outputs and inputs in the backward pass."""
    recurrence, directions = module.recurrence, module.num_directions
    step = module.all_weights[0][0].element_size() * B
    U, H = recurrence.n_net_inputs, recurrence.n_sources
    below = directions * recurrence.n_outputs if module.num_layers > 1 else 0
    errors = directions * H + (directions - 1) * H + below  # one direction at a time
    errors += U * _torch_normalises(module) + recurrence.n_outputs * recurrence.gate_sources
    errors += max(module.input_size, below) * (ragged + module.batch_first)  # copies
    return T * errors * step


def _kernel(module: Layered, T: int, B: int, ragged: bool, segment: int) -> tuple[int, int]:
    """Bytes of the kernel's work space: the larger of its two training passes, and inference.

    Follows ``run_forward`` and ``run_backward`` of ``native/sequence/run.cc``. Work space for one
    step of the batch is an upper bound: threads that share the rows of a batch may use less.
    """
    recurrence, threads = module.recurrence, torch.get_num_threads()
    size = module.all_weights[0][0].element_size()
    U, H, state_width, C = (
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

    base = U * (H + wide * projects + 1) + H * C * projection  # packed weights
    base += B * (U + 3 * max(H, C) + 3 * state_width)  # one step: sums, sources, states
    further = len(recurrence.product_rows) - 1
    base += B * (2 * max(U, C) + further * C) * (further > 0)  # further products of the step
    nets = rows * U * projects
    alone = base + nets
    forward = base + nets * (segment > 0 or described)

    backward = base + nets + rows * (U * has_own_errors(recurrence) + H * projection)
    backward += rows * (wide * ragged + H * (module.recurrent_dropout > 0))  # without padding
    if segment:
        backward += base + nets * described + B * min(segment, T) * _kept_width(module, ragged)
    return max(forward, backward + threads * _PRODUCT_BYTES // size) * size, alone * size


def _window(module: Layered, B: int) -> int:
    """Steps whose net inputs the kernels store at one time."""
    size = module.all_weights[0][0].element_size()
    rows = max(WINDOW_ROWS, WINDOW_BYTES // (module.recurrence.n_net_inputs * size))
    return max(1, rows // B)
