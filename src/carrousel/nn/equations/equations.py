"""A recurrent cell of one's own, from its equations."""

from __future__ import annotations

import hashlib
import importlib
import textwrap
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from carrousel.contracts import CellKind
from carrousel.errors import MissingExtraError, SettingError
from carrousel.kernels.described import DescribedCell, describe, described_cell
from carrousel.nn.equations.names import Names


class Equations:
    """A cell given by the equations of one step; its gradient is derived, and both are compiled.

    A line is ``name = expression``; lines are read from top to bottom, and every line holds for
    each unit by itself. For a net input ``z``, a state ``c`` and a unit parameter ``p`` there are
    the names

    ==================  ==========================================================================
    ``z``               the net input ``z_x + z_r``; a line may give it another value once, its
                        activation: ``z = tanh(z)``
    ``z_x``, ``z_r``    its parts from the layer's inputs (with the bias) and from the hidden state
    ``c_prev``          the state at the step before
    ``h_prev``          the cell output at the step before
    ``p``               the unit parameter: one learned number for every unit
    ==================  ==========================================================================

    Every state must be given its new value, and ``h`` the cell output, which is what the layer
    shows and what comes back through the recurrent weights. Other names are intermediate values.
    Expressions are made of numbers, ``+ - * /``, ``**`` with a whole or half number, ``sigmoid``,
    ``tanh``, ``exp``, ``log``, ``softplus``, ``relu``, ``sqrt``, ``abs``, ``sin``, ``cos``,
    ``max``, ``min`` and ``where(a < b, yes, no)`` with any one comparison. At ties ``max`` and
    ``min`` share the gradient, and at zero that of ``abs`` and ``relu`` is zero, as in torch.

    The gradient comes from reverse accumulation over the lines with SymPy's partial derivatives
    (:meth:`explain` shows it); Numba compiles it at the first call, in a fraction of a second. The
    way back calls no ``exp``: what such calls gave is kept from the way there. ``sin`` and ``cos``
    run number by number, all else on vectors. Where Numba is missing the same equations run in
    torch.

    Args:
        name: of the cell, for people; letters, digits, ``_`` and ``-``.
        net_inputs: names of what has rows in the layer's weights, in their order.
        equations: the lines.
        states: names of the states besides the hidden one.
        unit_parameters: names of learned vectors with one number a unit.

    Raises:
        SettingError: a name stands for two things, a state is never set, a line cannot be read...
        UnknownNameError: an expression uses a name or function that does not exist.
        MissingExtraError: SymPy is not installed.

    The light recurrent unit of one gate (Ravanelli, Brakel, Omologo & Bengio 2018, without batch
    normalisation):

    >>> light = Equations("light", net_inputs=("z", "n"), equations='''
    ...     z = sigmoid(z)
    ...     n = relu(n)
    ...     h = z * h_prev + (1 - z) * n
    ... ''')
    >>> light
    Equations('light', net_inputs=('z', 'n'), states=(), unit_parameters=())
    >>> Equations("wrong", net_inputs=("z", "n"), equations="h = sigmod(z) * n")
    Traceback (most recent call last):
        ...
    carrousel.errors.UnknownNameError: equations, line 1: function 'sigmod' is unknown; did you \
mean 'sigmoid'?
        h = sigmod(z) * n
            ^^^^^^

    ``nn.LSTM(16, 32, cell=light)`` is a layer of it. An instance is told by its equations: the
    same name may be used again for others.
    """

    def __init__(
        self,
        name: str,
        *,
        net_inputs: Sequence[str],
        equations: str,
        states: Sequence[str] = (),
        unit_parameters: Sequence[str] = (),
    ) -> None:
        if not isinstance(name, str) or not name.isascii() or not 0 < len(name) <= 40:
            raise SettingError(f"name is {name!r}, expected up to 40 ASCII characters")
        if not all(letter.isalnum() or letter in "_-" for letter in name):
            raise SettingError(f"name is {name!r}, expected letters, digits, '_' and '-'")
        if not isinstance(equations, str):
            raise SettingError(
                f"equations are {type(equations).__name__}, expected text, one `name = ...` a line"
            )
        self._names = Names(
            _names("net_inputs", net_inputs),
            _names("states", states),
            _names("unit_parameters", unit_parameters),
        ).check()
        self._title = name
        self._text = textwrap.dedent(equations.expandtabs(4)).strip("\n").rstrip()
        told = repr((name, *self._names, self._text)).encode()
        self._name = f"user:{name}-{hashlib.sha256(told).hexdigest()[:12]}"
        self._describe()

    @property
    def name(self) -> str:
        """The name it was given."""
        return self._title

    @property
    def recurrence_name(self) -> str:
        """The name under which layers know it: ``user:``, the name, and what tells it from others.

        Equal equations have equal names in every process.
        """
        return self._name

    @property
    def equations(self) -> str:
        """The lines as they were read."""
        return self._text

    @property
    def kind(self) -> CellKind:
        """The names of net inputs, states and unit parameters."""
        return self.cell.kind

    @property
    def cell(self) -> DescribedCell:
        """What kernels use: code in torch, and addresses of compiled code."""
        return described_cell(self._name)

    def explain(self) -> str:
        """The equations as lines of single calls, and the way back derived from them.

        ``e:v`` is the loss's gradient by ``v``, ``d:c`` and ``d:h`` that by the new state and by
        the cell output; names that start with an underscore are parts of your lines.

        >>> print(Equations("Elman", net_inputs=("z",), equations="h = tanh(z)").explain())
        there:
            z~ = z_r + z_x
            h = tanh(z~)
        kept: h
        back:
            e:z~ = d:h*(1 - h**2)
            gradient by z_x: e:z~
            gradient by z_r: e:z~
        """
        derived = self._derived()
        names = self._names
        given = {
            "x": [f"{name}_x" for name in names.net_inputs],
            "r": [f"{name}_r" for name in names.net_inputs],
            "states": [f"{name}_prev" for name in names.states],
            "h": ["h_prev"],
            "unit": names.unit_parameters,
        }
        gradients = [
            f"    gradient by {each}: {value}"
            for key, many in given.items()
            for each, value in zip(many, derived.back.results[key], strict=True)
            if value != 0
        ]
        kept = ", ".join(symbol.name for symbol in derived.tape) or "nothing"
        there, back = ([_shown(line) for line in way.lines] for way in derived[:2])
        return "\n".join(["there:", *there, f"kept: {kept}", "back:", *back, *gradients])

    def __repr__(self) -> str:
        net_inputs, states, unit_parameters = self._names
        return f"Equations({self._title!r}, {net_inputs=}, {states=}, {unit_parameters=})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equations) and self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process must describe the cell anew: addresses are those of this one.
        return _again, (self._title, *self._names, self._text)

    def _derived(self) -> Any:
        parsing = _needs_sympy("carrousel.nn.equations.parse")
        deriving = _needs_sympy("carrousel.nn.equations.derive")
        return deriving.derive(parsing.parse(self._names, self._text))

    def _describe(self) -> None:
        """Derive both ways and make the cell known, unless it is."""
        derived = self._derived()
        flat = _needs_sympy("carrousel.nn.equations.flat")
        running = importlib.import_module("carrousel.nn.equations.to_torch")
        names = self._names
        unused = sorted(_unused(derived, flat, names))
        if unused:
            raise SettingError(
                f"equations: {unused[0]!r} changes neither h nor a state; use it, or take it out "
                "of net_inputs or unit_parameters"
            )
        step = flat.flatten(derived.there, names.inputs, ("states", "output", "gates"))
        compiling = _needs_sympy("carrousel.nn.equations.addresses")
        forward, backward = compiling.addresses(derived, names)
        h_matters = "h_prev" in flat.read(flat.flatten(derived.there, names.inputs, _OUT))
        kind = CellKind(*names, projects=not h_matters)
        torch_step = running.torch_step(step)
        rows = len(derived.tape)
        describe(DescribedCell(self._name, kind, torch_step, rows, forward, backward))


_OUT = ("states", "output")


def _again(name: str, *parts: Any) -> Equations:
    net_inputs, states, unit_parameters, equations = parts
    return Equations(
        name,
        net_inputs=net_inputs,
        states=states,
        unit_parameters=unit_parameters,
        equations=equations,
    )


def _names(field: str, names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise SettingError(f"{field} is {names!r}, expected a tuple of names, such as ('z',)")
    return tuple(names)


def _needs_sympy(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "sympy":
            raise
        raise MissingExtraError(
            "cells from equations need SymPy: pip install 'carrousel[cells]'"
        ) from error


def _shown(line: Any) -> str:
    args = ", ".join(map(str, line.args))
    return f"    {line.target} = {args if line.op == '=' else f'{line.op}({args})'}"


def _unused(derived: Any, flat: ModuleType, names: Names) -> set[str]:
    """Net inputs and unit parameters without which a step gives the same."""
    read = flat.read(flat.flatten(derived.there, names.inputs, _OUT))
    silent = {name for name in names.net_inputs if not {f"{name}_x", f"{name}_r"} & read}
    return silent | (set(names.unit_parameters) - read)
