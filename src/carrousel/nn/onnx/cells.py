"""One step of every cell as nodes of an ONNX graph.

The equations are those of the table in ``contracts/recurrence.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from carrousel.contracts import Recurrence
from carrousel.nn.onnx.writer import Names, Writer


class NetNames(NamedTuple):
    """Names of the net inputs of a step; lists that a cell does not use are empty.

    Attributes:
        x: the parts from the inputs, one name for each net input.
        r: the parts from the hidden state.
        sums: their sums.
    """

    x: Names
    r: Names
    sums: Names


class StepNames(NamedTuple):
    """Inputs of a step besides its net inputs; ``norm`` is the function ``L`` of the equations."""

    recurrence: Recurrence
    states: Names
    h: str
    unit: Names
    norm: Callable[[str], str]


CellNames = tuple[Names, str, Names]
"""Names of the new states, of the cell output, and of gates that are fed back."""

CellWriter = Callable[[Writer, NetNames, StepNames], CellNames]


def _new_state(g: Writer, i: str, f: str, cell_input: str, c: str, squash: str = "Tanh") -> str:
    """Write ``f c' + i g``."""
    return g("Add", g("Mul", f, c), g("Mul", i, g(squash, cell_input)))


def _output(g: Writer, c: str, given: StepNames, o: str) -> str:
    """Write ``o tanh(L(c))``."""
    return g("Mul", o, g("Tanh", given.norm(c)))


def lstm(g: Writer, nets: NetNames, given: StepNames) -> CellNames:
    a_i, a_f, a_g, a_o = nets.sums
    c = _new_state(g, g("Sigmoid", a_i), g("Sigmoid", a_f), a_g, given.states[0])
    return [c], _output(g, c, given, g("Sigmoid", a_o)), []


def peephole(g: Writer, nets: NetNames, given: StepNames) -> CellNames:
    a_i, a_f, a_g, a_o = nets.sums
    p_i, p_f, p_o = given.unit
    (before,) = given.states

    def gate(a: str, p: str, state: str) -> str:
        return g("Sigmoid", g("Add", a, g("Mul", p, state)))

    c = _new_state(g, gate(a_i, p_i, before), gate(a_f, p_f, before), a_g, before)
    return [c], _output(g, c, given, gate(a_o, p_o, c)), []


def coupled(g: Writer, nets: NetNames, given: StepNames) -> CellNames:
    a_i, a_g, a_o = nets.sums
    i = g("Sigmoid", a_i)
    c = _new_state(g, i, g("Sub", g.number(1.0), i), a_g, given.states[0])
    return [c], _output(g, c, given, g("Sigmoid", a_o)), []


def no_output_gate(g: Writer, nets: NetNames, given: StepNames) -> CellNames:
    a_i, a_f, a_g = nets.sums
    c = _new_state(g, g("Sigmoid", a_i), g("Sigmoid", a_f), a_g, given.states[0])
    return [c], g("Tanh", given.norm(c)), []


def lstm97(g: Writer, nets: NetNames, given: StepNames) -> CellNames:
    R = given.recurrence

    def scaled(value: str, width: float) -> str:  # a logistic function scaled to [-w, w]
        return g("Mul", g.number(width), g("Tanh", g("Mul", value, g.number(0.5))))

    def of_cells(gate: str) -> str:
        if R.block_size == 1:
            return gate
        return g("Gather", gate, g.indices([u // R.block_size for u in range(R.units)]), axis=1)

    a_i, a_g, a_o = nets.sums
    i, o = g("Sigmoid", a_i), g("Sigmoid", a_o)
    c = g("Add", given.states[0], g("Mul", of_cells(i), scaled(a_g, R.g_range)))
    m = g("Mul", of_cells(o), scaled(given.norm(c), R.h_range))
    return [c], m, [i, o] if R.gate_sources else []


def gru(g: Writer, nets: NetNames, given: StepNames) -> CellNames:
    reset, z = (g("Sigmoid", g("Add", nets.x[k], nets.r[k])) for k in (0, 1))
    back = g("Add", nets.r[2], given.unit[0]) if given.unit else nets.r[2]
    n = g("Tanh", g("Add", nets.x[2], g("Mul", reset, back)))
    return [], g("Add", n, g("Mul", z, g("Sub", given.h, n))), []


def rnn_tanh(g: Writer, nets: NetNames, given: StepNames) -> CellNames:
    return [], g("Tanh", nets.sums[0]), []


def rnn_relu(g: Writer, nets: NetNames, given: StepNames) -> CellNames:
    return [], g("Relu", nets.sums[0]), []


CELL_WRITERS: Mapping[str, CellWriter] = {
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
    "erf": "Erf",
    "reciprocal": "Reciprocal",
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "neg": "Neg",
    "max": "Max",
    "min": "Min",
}
_COMPARISONS = {"lt": "Less", "le": "LessOrEqual", "eq": "Equal", "ne": "Equal"}


def from_equations(program: Any) -> CellWriter:
    """Return the writer of a user-defined cell from its flat program (``nn/equations/flat.py``)."""

    def step(g: Writer, nets: NetNames, given: StepNames) -> CellNames:
        found = write_program(g, program, nets, given)
        return found["states"], found["output"][0], []

    return step


def write_program(g: Writer, program: Any, nets: NetNames, given: StepNames) -> dict[str, Names]:
    """Write the operations of a flat program; return the names of its results."""
    values: Names = [*nets.x, *nets.r, *given.states, given.h, *given.unit]

    def name(ref: int | float) -> str:
        return values[ref] if isinstance(ref, int) else g.number(ref)

    for op, args in program.operations:
        parts = [name(ref) for ref in args]
        if op.startswith("where_"):
            kind = op.removeprefix("where_")
            holds = g(_COMPARISONS[kind], parts[0], parts[1])
            holds = g("Not", holds) if kind == "ne" else holds
            values.append(g("Where", holds, parts[2], parts[3]))
        else:
            values.append(g(_CALLS[op], *parts))

    # Values that depend only on unit parameters and numbers have no batch dimension yet.
    shape = g("Shape", nets.x[0])
    return {
        part: [g("Expand", name(ref), shape) for ref in refs]
        for part, refs in program.results.items()
    }
