"""One step of every cell as nodes of an ONNX graph; the equations are the table of
``contracts/recurrence.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from carrousel.contracts import Recurrence
from carrousel.nn.onnx.writer import Names, Writer


class Nets(NamedTuple):
    """Net inputs of a step, one name a part: from the inputs, from the sources, and both in sum;
    what a cell does not use may be empty."""

    x: Names
    r: Names
    sums: Names


class Around(NamedTuple):
    """What a step needs besides its net inputs; ``norm`` is ``L`` of the equations."""

    recurrence: Recurrence
    states: Names
    h: str
    unit: Names
    norm: Callable[[str], str]


Stepped = tuple[Names, str, Names]
"""New states, cell output, and gates that are sources too."""

Cell = Callable[[Writer, Nets, Around], Stepped]


def _carrousel(g: Writer, i: str, f: str, cell_input: str, c: str, squash: str = "Tanh") -> str:
    """``f c' + i g``."""
    return g("Add", g("Mul", f, c), g("Mul", i, g(squash, cell_input)))


def _shown(g: Writer, c: str, around: Around, o: str) -> str:
    """``o tanh(L(c))``."""
    return g("Mul", o, g("Tanh", around.norm(c)))


def lstm(g: Writer, nets: Nets, around: Around) -> Stepped:
    a_i, a_f, a_g, a_o = nets.sums
    c = _carrousel(g, g("Sigmoid", a_i), g("Sigmoid", a_f), a_g, around.states[0])
    return [c], _shown(g, c, around, g("Sigmoid", a_o)), []


def peephole(g: Writer, nets: Nets, around: Around) -> Stepped:
    a_i, a_f, a_g, a_o = nets.sums
    p_i, p_f, p_o = around.unit
    (before,) = around.states

    def gate(a: str, p: str, state: str) -> str:
        return g("Sigmoid", g("Add", a, g("Mul", p, state)))

    c = _carrousel(g, gate(a_i, p_i, before), gate(a_f, p_f, before), a_g, before)
    return [c], _shown(g, c, around, gate(a_o, p_o, c)), []


def coupled(g: Writer, nets: Nets, around: Around) -> Stepped:
    a_i, a_g, a_o = nets.sums
    i = g("Sigmoid", a_i)
    c = _carrousel(g, i, g("Sub", g.number(1.0), i), a_g, around.states[0])
    return [c], _shown(g, c, around, g("Sigmoid", a_o)), []


def no_output_gate(g: Writer, nets: Nets, around: Around) -> Stepped:
    a_i, a_f, a_g = nets.sums
    c = _carrousel(g, g("Sigmoid", a_i), g("Sigmoid", a_f), a_g, around.states[0])
    return [c], g("Tanh", around.norm(c)), []


def lstm97(g: Writer, nets: Nets, around: Around) -> Stepped:
    R = around.recurrence

    def scaled(value: str, width: float) -> str:  # a logistic function scaled to [-w, w]
        return g("Mul", g.number(width), g("Tanh", g("Mul", value, g.number(0.5))))

    def of_cells(gate: str) -> str:
        if R.block_size == 1:
            return gate
        return g("Gather", gate, g.indices([u // R.block_size for u in range(R.units)]), axis=1)

    a_i, a_g, a_o = nets.sums
    i, o = g("Sigmoid", a_i), g("Sigmoid", a_o)
    c = g("Add", around.states[0], g("Mul", of_cells(i), scaled(a_g, R.g_range)))
    m = g("Mul", of_cells(o), scaled(around.norm(c), R.h_range))
    return [c], m, [i, o] if R.gate_sources else []


def gru(g: Writer, nets: Nets, around: Around) -> Stepped:
    reset, z = (g("Sigmoid", g("Add", nets.x[k], nets.r[k])) for k in (0, 1))
    back = g("Add", nets.r[2], around.unit[0]) if around.unit else nets.r[2]
    n = g("Tanh", g("Add", nets.x[2], g("Mul", reset, back)))
    return [], g("Add", n, g("Mul", z, g("Sub", around.h, n))), []


def rnn_tanh(g: Writer, nets: Nets, around: Around) -> Stepped:
    return [], g("Tanh", nets.sums[0]), []


def rnn_relu(g: Writer, nets: Nets, around: Around) -> Stepped:
    return [], g("Relu", nets.sums[0]), []


CELLS: Mapping[str, Cell] = {
    "lstm": lstm,
    "lstm97": lstm97,
    "peephole": peephole,
    "coupled": coupled,
    "no_output_gate": no_output_gate,
    "gru": gru,
    "rnn_tanh": rnn_tanh,
    "rnn_relu": rnn_relu,
}

_CALLS = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "exp": "Exp",
    "log": "Log",
    "softplus": "Softplus",
    "relu": "Relu",
    "sqrt": "Sqrt",
    "abs": "Abs",
    "sin": "Sin",
    "cos": "Cos",
    "reciprocal": "Reciprocal",
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "neg": "Neg",
    "max": "Max",
    "min": "Min",
}
_COMPARISONS = {"lt": "Less", "le": "LessOrEqual", "eq": "Equal", "ne": "Equal"}


def from_equations(program: Any) -> Cell:
    """The step of a user's cell from its flat program, as ``equations_flat`` makes it."""

    def step(g: Writer, nets: Nets, around: Around) -> Stepped:
        values: Names = [*nets.x, *nets.r, *around.states, around.h, *around.unit]

        def name(ref: int | float) -> str:
            return values[ref] if isinstance(ref, int) else g.number(ref)

        for op, args in program.steps:
            given = [name(ref) for ref in args]
            if op.startswith("where_"):
                kind = op.removeprefix("where_")
                holds = g(_COMPARISONS[kind], given[0], given[1])
                holds = g("Not", holds) if kind == "ne" else holds
                values.append(g("Where", holds, given[2], given[3]))
            else:
                values.append(g(_CALLS[op], *given))

        # What depends on unit parameters and numbers alone lacks the dimension of the batch.
        shape = g("Shape", nets.x[0])
        states, (m,) = (
            [g("Expand", name(ref), shape) for ref in program.results[part]]
            for part in ("states", "output")
        )
        return states, m, []

    return step
