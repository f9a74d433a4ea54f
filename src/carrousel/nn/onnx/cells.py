"""One step of a cell as nodes of an ONNX graph, written by running the cell's step in torch.

There is one copy of the equations (``kernels/autograd/cells.py``, and the programs of cells from
equations). Here they run on :class:`Value` in place of tensors: each operation adds a node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from carrousel.contracts import Recurrence
from carrousel.errors import SettingError
from carrousel.kernels.autograd.cells import StepContext, step_of
from carrousel.nn.onnx.writer import Names, Writer

_NODES: Mapping[str, str] = {
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
    "neg": "Neg",
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "maximum": "Max",
    "minimum": "Min",
    "lt": "Less",
    "le": "LessOrEqual",
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "eq": "Equal",
    "where": "Where",
}
"""Operators by the name of torch's function; arguments are the same."""
_ARGUMENTS = {"softplus": 1}
"""Functions whose further arguments are constants of torch's implementation."""


class Value:
    """A value of a graph that takes the place of a tensor ``[B, width]`` or ``[width]``.

    Args:
        g: the graph.
        name: name of the value.
        width: size of the last axis.
        ndim: number of axes; 1 for parameters.
    """

    def __init__(self, g: Writer, name: str, width: int, ndim: int = 2) -> None:
        self.g, self.name, self.width, self.ndim = g, name, width, ndim
        self.dtype = torch.float64 if g.dtype.itemsize == 8 else torch.float32
        self.device = torch.device("cpu")

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Value:
        return _call(func.__name__, *args)

    def sigmoid(self) -> Value:
        return _call("sigmoid", self)

    def tanh(self) -> Value:
        return _call("tanh", self)

    def relu(self) -> Value:
        return _call("relu", self)

    def __neg__(self) -> Value:
        return _call("neg", self)

    def __add__(self, other: Any) -> Value:
        return self if isinstance(other, _Zero) else _call("add", self, other)

    def __radd__(self, other: Any) -> Value:
        return _call("add", other, self)

    def __sub__(self, other: Any) -> Value:
        return _call("sub", self, other)

    def __rsub__(self, other: Any) -> Value:
        return _call("sub", other, self)

    def __mul__(self, other: Any) -> Value:
        return _call("mul", self, other)

    def __rmul__(self, other: Any) -> Value:
        return _call("mul", other, self)

    def __truediv__(self, other: Any) -> Value:
        return _call("div", self, other)

    def repeat_interleave(self, count: int, axis: int) -> Value:
        """Repeat each entry of the last axis."""
        width = self.width * count
        indices = self.g.indices([place // count for place in range(width)])
        return Value(self.g, self.g("Gather", self.name, indices, axis=1), width)

    def expand_as(self, like: Value) -> Value:
        """Add the axis of the batch."""
        shape = self.g("Shape", like.name)
        return Value(self.g, self.g("Expand", self.name, shape), like.width)


class _Zero:
    """The recurrent part of a net input whose sum is computed at once."""


def _call(name: str, *arguments: Any) -> Value:
    """Add the node of a function of torch."""
    name = {"absolute": "abs", "rsub": "sub"}.get(name, name).strip("_")
    arguments = arguments[: _ARGUMENTS.get(name, len(arguments))]
    values = [one for one in arguments if isinstance(one, Value)]
    g = values[0].g
    names = [one.name if isinstance(one, Value) else g.number(float(one)) for one in arguments]
    if name == "ne":
        written = g("Not", g("Equal", *names))
    elif name in _NODES:
        written = g(_NODES[name], *names)
    else:
        raise SettingError(
            f"export_onnx: the cell uses {name!r}, which has no operator in ONNX",
            argument="module",
            fix="use torch.onnx.export(..., dynamo=True)",
        )
    return Value(g, written, max(one.width for one in values), max(one.ndim for one in values))


class NetNames(NamedTuple):
    """Names of the net inputs of a step.

    Attributes:
        x: the parts from the inputs, or the whole net inputs.
        r: the parts from the hidden state; empty if ``x`` holds the whole net inputs.
    """

    x: Names
    r: Names


class StepNames(NamedTuple):
    """Inputs of a step besides its net inputs; ``norm`` is the function ``L`` of the equations."""

    recurrence: Recurrence
    states: Names
    h: str
    unit: Names
    norm: Callable[[str], str]


CellNames = tuple[Names, str, Names]
"""Names of the new states, of the cell output, and of gates that are fed back."""


def write_cell(g: Writer, nets: NetNames, given: StepNames) -> CellNames:
    """Write the nodes of one step of a cell."""
    R = given.recurrence
    step: Any = step_of(R.cell)
    norm: Any = lambda state: Value(g, given.norm(state.name), state.width)  # noqa: E731
    context = StepContext(R, norm, lambda state: state)
    new, m, gates = step(*_arguments(g, nets, given), context)
    fed_back = (gates[0], gates[2]) if R.gate_sources else ()
    return [one.name for one in new], m.name, [one.name for one in fed_back]


def write_source(g: Writer, function: Any, nets: NetNames, given: StepNames) -> str:
    """Write the nodes of a vector that a recurrent product multiplies, and return its name.

    Args:
        g: the graph.
        function: a function of ``sources_of``.
        nets: net inputs; names of recurrent parts that no earlier product computes are empty.
        given: further inputs of the step.
    """
    return function(*_arguments(g, nets, given)).name


def _arguments(g: Writer, nets: NetNames, given: StepNames) -> tuple[Any, ...]:
    """Return the values in the order of a step's arguments: x, r, states, h, unit."""
    R = given.recurrence

    def values(names: Names, widths: tuple[int, ...], ndim: int = 2) -> tuple[Any, ...]:
        return tuple(Value(g, n, width, ndim) for n, width in zip(names, widths, strict=True))

    x = values(nets.x, R.widths)
    r = values(nets.r, R.widths) if nets.r else tuple(_Zero() for _ in x)
    states = values(given.states, (R.units,) * len(given.states))
    unit = values(given.unit, (R.units,) * len(given.unit), ndim=1)
    unit = unit or tuple(Value(g, g.number(0.0), 1, 0) for _ in R.kind.unit_parameters)
    return x, r, states, Value(g, given.h, R.n_sources), unit
