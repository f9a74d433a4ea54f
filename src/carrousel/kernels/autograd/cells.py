"""One step of every built-in cell in plain torch operations.

The equations are those of ``contracts/recurrence.py``. Arguments of a step: ``x`` and ``r``, the
two terms of the net inputs (from inputs and from the hidden state), each a tuple of tensors
``[B, width]``, one per net input; ``states``, ``D`` tensors ``[B, C]``; ``h [B, H]``; ``unit``,
``P`` tensors ``[C]``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from carrousel.contracts import Recurrence
from carrousel.kernels.described import described_cell

Tensors = tuple[Tensor, ...]
StepResult = tuple[Tensors, Tensor, Tensors]
"""New states (``D`` tensors ``[B, C]``), cell output ``m [B, C]``, activated gates."""


class StepContext(NamedTuple):
    """Arguments of a step besides its tensors.

    ``norm`` is ``L`` of the equations. ``peek`` returns a state as peepholes receive it: detached
    with the truncated gradient, so that the peephole learns but no error flows back through it.
    """

    recurrence: Recurrence
    norm: Callable[[Tensor], Tensor]
    peek: Callable[[Tensor], Tensor]


StepFunction = Callable[[Tensors, Tensors, Tensors, Tensor, Tensors, StepContext], StepResult]
"""``step(x, r, states, h, unit, context)`` computes one step."""


def _sums(x: Tensors, r: Tensors) -> list[Tensor]:
    return [of_inputs + of_sources for of_inputs, of_sources in zip(x, r, strict=True)]


def lstm(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, context: StepContext
) -> StepResult:
    a_i, a_f, a_g, a_o = _sums(x, r)
    i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
    c = f * states[0] + i * g
    return (c,), o * context.norm(c).tanh(), (i, f, g, o)


def peephole(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, context: StepContext
) -> StepResult:
    a_i, a_f, a_g, a_o = _sums(x, r)
    p_i, p_f, p_o = unit
    seen = context.peek(states[0])
    i, f, g = (a_i + p_i * seen).sigmoid(), (a_f + p_f * seen).sigmoid(), a_g.tanh()
    c = f * states[0] + i * g
    o = (a_o + p_o * context.peek(c)).sigmoid()
    return (c,), o * context.norm(c).tanh(), (i, f, g, o)


def coupled(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, context: StepContext
) -> StepResult:
    a_i, a_g, a_o = _sums(x, r)
    i, g, o = a_i.sigmoid(), a_g.tanh(), a_o.sigmoid()
    c = (1 - i) * states[0] + i * g
    return (c,), o * context.norm(c).tanh(), (i, g, o)


def no_output_gate(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, context: StepContext
) -> StepResult:
    a_i, a_f, a_g = _sums(x, r)
    i, f, g = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh()
    c = f * states[0] + i * g
    return (c,), context.norm(c).tanh(), (i, f, g)


def lstm97(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, context: StepContext
) -> StepResult:
    recurrence = context.recurrence

    def of_cells(gate: Tensor) -> Tensor:
        size = recurrence.block_size
        return gate.repeat_interleave(size, -1) if size > 1 else gate

    a_i, a_g, a_o = _sums(x, r)
    # A logistic function scaled to [-w, w] is w (2 sigma(a) - 1) = w tanh(a / 2).
    i, g, o = a_i.sigmoid(), recurrence.g_range * (a_g / 2).tanh(), a_o.sigmoid()
    c = states[0] + of_cells(i) * g
    m = of_cells(o) * recurrence.h_range * (context.norm(c) / 2).tanh()
    return (c,), m, (i, g, o)


def gru(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, context: StepContext
) -> StepResult:
    (b_hn,) = unit
    reset, z = (x[0] + r[0]).sigmoid(), (x[1] + r[1]).sigmoid()
    n = (x[2] + reset * (r[2] + b_hn)).tanh()
    return (), n + z * (h - n), (reset, z, n)


def rnn_tanh(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, context: StepContext
) -> StepResult:
    m = (x[0] + r[0]).tanh()
    return (), m, (m,)


def rnn_relu(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, context: StepContext
) -> StepResult:
    m = (x[0] + r[0]).relu()
    return (), m, (m,)


STEPS: Mapping[str, StepFunction] = {
    "lstm": lstm,
    "lstm97": lstm97,
    "peephole": peephole,
    "coupled": coupled,
    "no_output_gate": no_output_gate,
    "gru": gru,
    "rnn_tanh": rnn_tanh,
    "rnn_relu": rnn_relu,
}


def sources_of(cell: str) -> tuple[Callable[..., Tensor], ...]:
    """Return the functions of the vectors that the recurrent products after the first multiply."""
    if not cell.startswith("user:"):
        return ()
    return tuple(source.torch for source in described_cell(cell).sources)


def step_of(cell: str) -> StepFunction:
    """Return the step of a built-in cell or of a registered one.

    >>> step_of("gru").__name__
    'gru'
    """
    if not cell.startswith("user:"):
        return STEPS[cell]
    equations = described_cell(cell).torch_step

    def step(
        x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, context: StepContext
    ) -> StepResult:
        return equations(x, r, states, h, unit)

    return step
