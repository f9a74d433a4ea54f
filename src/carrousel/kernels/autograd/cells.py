"""One step of every built-in cell in plain torch operations; the equations are the table of
``contracts/recurrence.py``.

Net inputs come apart as the product with the inputs ``x`` and the product with the sources ``r``,
one tensor ``[B, width]`` for each, since ``gru`` needs the two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from carrousel.contracts import Recurrence
from carrousel.kernels.described import described_cell

Tensors = tuple[Tensor, ...]
Stepped = tuple[Tensors, Tensor, Tensors]
"""New states, cell output ``m``, activated gates."""


class Around(NamedTuple):
    """What a step needs besides its tensors.

    ``norm`` is ``L`` of the equations; ``peek`` is how gates see a state: a peephole of the
    truncated gradient learns, but is no way back for errors, and sees a detached state.
    """

    recurrence: Recurrence
    norm: Callable[[Tensor], Tensor]
    peek: Callable[[Tensor], Tensor]


Step = Callable[[Tensors, Tensors, Tensors, Tensor, Tensors, Around], Stepped]
"""``step(x, r, states, h, unit, around)``."""


def _sums(x: Tensors, r: Tensors) -> list[Tensor]:
    return [of_inputs + of_sources for of_inputs, of_sources in zip(x, r, strict=True)]


def lstm(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, around: Around
) -> Stepped:
    a_i, a_f, a_g, a_o = _sums(x, r)
    i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
    c = f * states[0] + i * g
    return (c,), o * around.norm(c).tanh(), (i, f, g, o)


def peephole(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, around: Around
) -> Stepped:
    a_i, a_f, a_g, a_o = _sums(x, r)
    p_i, p_f, p_o = unit
    seen = around.peek(states[0])
    i, f, g = (a_i + p_i * seen).sigmoid(), (a_f + p_f * seen).sigmoid(), a_g.tanh()
    c = f * states[0] + i * g
    o = (a_o + p_o * around.peek(c)).sigmoid()
    return (c,), o * around.norm(c).tanh(), (i, f, g, o)


def coupled(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, around: Around
) -> Stepped:
    a_i, a_g, a_o = _sums(x, r)
    i, g, o = a_i.sigmoid(), a_g.tanh(), a_o.sigmoid()
    c = (1 - i) * states[0] + i * g
    return (c,), o * around.norm(c).tanh(), (i, g, o)


def no_output_gate(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, around: Around
) -> Stepped:
    a_i, a_f, a_g = _sums(x, r)
    i, f, g = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh()
    c = f * states[0] + i * g
    return (c,), around.norm(c).tanh(), (i, f, g)


def lstm97(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, around: Around
) -> Stepped:
    recurrence = around.recurrence

    def of_cells(gate: Tensor) -> Tensor:
        size = recurrence.block_size
        return gate.unsqueeze(-1).expand(*gate.shape, size).flatten(-2) if size > 1 else gate

    a_i, a_g, a_o = _sums(x, r)
    # A logistic function scaled to [-w, w] is w (2 sigma(a) - 1) = w tanh(a / 2).
    i, g, o = a_i.sigmoid(), recurrence.g_range * (a_g / 2).tanh(), a_o.sigmoid()
    c = states[0] + of_cells(i) * g
    m = of_cells(o) * recurrence.h_range * (around.norm(c) / 2).tanh()
    return (c,), m, (i, g, o)


def gru(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, around: Around
) -> Stepped:
    (b_hn,) = unit
    reset, z = (x[0] + r[0]).sigmoid(), (x[1] + r[1]).sigmoid()
    n = (x[2] + reset * (r[2] + b_hn)).tanh()
    return (), n + z * (h - n), (reset, z, n)


def rnn_tanh(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, around: Around
) -> Stepped:
    m = (x[0] + r[0]).tanh()
    return (), m, (m,)


def rnn_relu(
    x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, around: Around
) -> Stepped:
    m = (x[0] + r[0]).relu()
    return (), m, (m,)


STEPS: Mapping[str, Step] = {
    "lstm": lstm,
    "lstm97": lstm97,
    "peephole": peephole,
    "coupled": coupled,
    "no_output_gate": no_output_gate,
    "gru": gru,
    "rnn_tanh": rnn_tanh,
    "rnn_relu": rnn_relu,
}


def step_of(cell: str) -> Step:
    """Return the step of a built-in cell, or that of a user's equations.

    >>> step_of("gru").__name__
    'gru'
    """
    if not cell.startswith("user:"):
        return STEPS[cell]
    equations = described_cell(cell).torch_step

    def step(
        x: Tensors, r: Tensors, states: Tensors, h: Tensor, unit: Tensors, around: Around
    ) -> Stepped:
        return equations(x, r, states, h, unit)

    return step
