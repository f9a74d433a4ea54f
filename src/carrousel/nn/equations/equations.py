"""Class ``Equations``: a user-defined recurrent cell, given by the equations of one step."""

from __future__ import annotations

import contextlib
import hashlib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from carrousel.contracts import CellKind
from carrousel.errors import MissingExtraError, SettingError
from carrousel.kernels.described import DescribedCell, Source, describe, described_cell
from carrousel.nn.equations.names import Names
from carrousel.nn.initial import Value, check_initial_values

if TYPE_CHECKING:
    from carrousel.nn.equations.derive import Derived
    from carrousel.nn.equations.expressions import EquationLine
    from carrousel.nn.equations.flat import Flat
    from carrousel.nn.equations.parse import Parsed


class Equations:
    """A recurrent cell given by the equations of one step; its gradient is derived from them.

    Each line is ``name = expression``. Lines are evaluated from top to bottom, for every unit
    separately. For a net input ``z``, a state ``c`` and a unit parameter ``p`` there are the names

    ==================  ==========================================================================
    ``z``               the net input ``z_x + z_r``; one line may replace it by its activation:
                        ``z = tanh(z)``
    ``z_x``, ``z_r``    its parts from the layer's inputs (with the bias) and from the hidden state
    ``c_prev``          the state after the previous step
    ``h_prev``          the cell output of the previous step
    ``p``               the unit parameter: one learned number for every unit
    ``a``               the scalar: one learned number for all units
    ==================  ==========================================================================

    The lines must set every state and ``h``, the cell output. ``h`` is the output of the layer and
    is fed back through the recurrent weights. Other names are intermediate values. Expressions
    consist of numbers, ``pi``, ``e``, ``+ - * /``, ``**`` with a whole or half number as the
    exponent or a positive number as the base, ``sigmoid``, ``tanh``, ``exp``, ``log``,
    ``softplus``, ``relu``, ``sqrt``, ``abs``, ``sin``, ``cos``, ``erf``, ``silu`` (also
    ``swish``), ``gelu``, ``softsign``, ``max``, ``min`` and ``where(a < b, yes, no)`` with any
    comparison. At ties ``max`` and ``min`` share the gradient. At zero the gradients of ``abs``
    and ``relu`` are zero. Both follow torch.

    A line ``z_r = W @ (...)`` replaces the hidden state in the recurrent product of ``z`` by a
    vector that earlier lines compute. ``W`` is the recurrent matrix of ``z``; ``W - W.T`` and
    other sums of ``W``, ``W.T`` and ``I`` with factors are allowed too. A line ``z_r = ...``
    without ``@`` replaces the product. The layer has weights only for parts that the lines use.

    SymPy derives the gradient by reverse accumulation; :meth:`explain` shows it. Numba compiles
    both passes at the first call, which takes a fraction of a second, or a few seconds for the
    first cell of a process. The backward pass calls no
    ``exp``, because the forward pass stores the values of such calls. ``sin``, ``cos`` and ``erf``
    are computed number by number, all other functions on vectors. Without Numba the same equations
    run in torch.

    Args:
        name: name of the cell for messages: letters, digits, ``_`` and ``-``.
        net_inputs: names of the net inputs, in the order of the rows of the layer's weights.
        equations: the lines.
        states: names of the states besides the hidden state.
        unit_parameters: names of learned vectors with one number for each unit.
        scalars: names of learned numbers that all units share.
        initial: initial values by name of a unit parameter, a scalar or a net input (its bias): a
            number, a range ``(low, high)``, or a function that fills a given tensor, such as those
            of ``torch.nn.init``, or returns values for it. Others are drawn as the layer's weights.

    Raises:
        SettingError: a name is ambiguous, a state is never set, or a line cannot be parsed.
        UnknownNameError: an expression uses an unknown name or function.
        MissingExtraError: SymPy is not installed.

    An example is the light recurrent unit, which has one gate (Ravanelli, Brakel, Omologo & Bengio
    2018, without batch normalisation):

    >>> light = Equations("light", net_inputs=("z", "n"), equations='''
    ...     z = sigmoid(z)
    ...     n = relu(n)
    ...     h = z * h_prev + (1 - z) * n
    ... ''')
    >>> light
    Equations('light', net_inputs=('z', 'n'))
    >>> Equations("wrong", net_inputs=("z", "n"), equations="h = sigmod(z) * n")
    Traceback (most recent call last):
        ...
    carrousel.errors.UnknownNameError: equations: line 1: function 'sigmod' is unknown; did you \
mean 'sigmoid'?
        h = sigmod(z) * n
            ^^^^^^

    ``nn.LSTM(16, 32, cell=light)`` is a layer of such units. Cells with different equations may
    have the same name.
    """

    def __init__(
        self,
        name: str,
        *,
        net_inputs: Sequence[str],
        equations: str,
        states: Sequence[str] = (),
        unit_parameters: Sequence[str] = (),
        scalars: Sequence[str] = (),
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(name, str) or not name.isascii() or not 0 < len(name) <= 40:
            raise SettingError(argument="name", got=name, expected="up to 40 ASCII characters")
        if not all(letter.isalnum() or letter in "_-" for letter in name):
            raise SettingError(argument="name", got=name, expected="letters, digits, '_' and '-'")
        if not isinstance(equations, str):
            raise SettingError(
                f"equations is of type {type(equations).__name__}, expected a string with one "
                "`name = expression` on each line",
                argument="equations",
                got=equations,
            )
        self._names = Names(
            _as_tuple("net_inputs", net_inputs),
            _as_tuple("states", states),
            _as_tuple("unit_parameters", unit_parameters),
            _as_tuple("scalars", scalars),
        ).check()
        self._title = name
        self._text = textwrap.dedent(equations.expandtabs(4)).strip("\n").rstrip()
        parts = self._names if scalars else self._names[:-1]
        content = repr((name, *parts, self._text)).encode()
        self._name = f"user:{name}-{hashlib.sha256(content).hexdigest()[:12]}"
        self._register()
        with_bias = set(self._names.net_inputs) - set(self.kind.without_x)
        known = (*self._names.learned, *sorted(with_bias))
        self._initial = check_initial_values(initial, known)

    @property
    def name(self) -> str:
        """The name given to the constructor."""
        return self._title

    @property
    def recurrence_name(self) -> str:
        """The unique name of the cell: ``user:``, its name, and a hash of its equations.

        Equal equations have equal names in every process.
        """
        return self._name

    @property
    def equations(self) -> str:
        """The lines, without common indentation."""
        return self._text

    @property
    def initial(self) -> dict[str, Value]:
        """The initial values given to the constructor."""
        return dict(self._initial)

    @property
    def scalars(self) -> tuple[str, ...]:
        """The names of the scalars."""
        return self._names.scalars

    @property
    def net_inputs(self) -> tuple[str, ...]:
        """The names of the net inputs, as given to the constructor."""
        return self._names.net_inputs

    @property
    def unit_parameters(self) -> tuple[str, ...]:
        """The names of the unit parameters, without the scalars."""
        return self._names.unit_parameters

    @property
    def kind(self) -> CellKind:
        """The names of net inputs, states and unit parameters."""
        return self.cell.kind

    @property
    def cell(self) -> DescribedCell:
        """The form that kernels use: a torch function, and addresses of compiled code."""
        return described_cell(self._name)

    def explain(self) -> str:
        """Return the forward pass as lines of single calls, and the derived backward pass.

        ``e:v`` is the gradient of the loss by ``v``. ``d:c`` and ``d:h`` are the gradients by the
        new state and by the cell output. Names that start with an underscore are parts of your
        lines. ``tape`` lists the values that the forward pass stores for the backward pass.

        >>> print(Equations("Elman", net_inputs=("z",), equations="h = tanh(z)").explain())
        forward:
            z~ = z_r + z_x
            h = tanh(z~)
        tape: h
        backward:
            e:z~ = d:h*(1 - h**2)
            gradient by z_x: e:z~
            gradient by z_r: e:z~
        """
        parsed, derived = self._derived()
        names = parsed.names
        given = {
            "x": [f"{name}_x" for name in names.net_inputs],
            "r": [f"{name}_r" for name in names.net_inputs],
            "states": [f"{name}_prev" for name in names.states],
            "h": ["h_prev"],
            "unit": names.learned,
        }
        gradients = [
            f"    gradient by {each}: {value}"
            for key, many in given.items()
            for each, value in zip(many, derived.backward.results[key], strict=True)
            if value != 0
        ]
        tape = ", ".join(symbol.name for symbol in derived.tape) or "nothing"
        forward = [_format_line(line) for line in derived.forward.lines]
        forward += [
            f"    product {k} multiplies {value}" for k, value in enumerate(parsed.sources, 1)
        ]
        backward = [_format_line(line) for line in derived.backward.lines]
        return "\n".join(
            ["forward:", *forward, f"tape: {tape}", "backward:", *backward, *gradients]
        )

    def __repr__(self) -> str:
        given = self._names._asdict() | {"initial": self._initial}
        parts = [repr(self._title), *(f"{name}={part}" for name, part in given.items() if part)]
        return f"Equations({', '.join(parts)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Equations):
            return False
        return (self._name, self._initial) == (other._name, other._initial)

    def __hash__(self) -> int:
        return hash(self._name)

    def __reduce__(self) -> tuple[Any, ...]:
        # Addresses are valid in this process only, so unpickling derives the cell again.
        names = self._names
        return _rebuilt, (self._title, *names[:-1], self._text, names.scalars, self._initial)

    def programs(self) -> tuple[Flat, tuple[Flat, ...]]:
        """Return the flat programs of the step, and of the vectors of further products."""
        from carrousel.nn.equations.flat import flatten

        parsed, derived = self._derived()
        inputs = parsed.names.inputs
        sources = (f"source:{k}" for k in range(1, len(parsed.sources) + 1))
        return (
            flatten(derived.forward, inputs, ("states", "output")),
            tuple(flatten(derived.forward, inputs, (name,)) for name in sources),
        )

    def _derived(self) -> tuple[Parsed, Derived]:
        with _sympy_required():
            from carrousel.nn.equations.derive import derive
            from carrousel.nn.equations.parse import parse
        parsed = parse(self._names, self._text)
        return parsed, derive(parsed)

    def _register(self) -> None:
        """Derive both passes and register the cell, unless an equal one is registered."""
        parsed, derived = self._derived()
        with _sympy_required():
            from carrousel.nn.equations.addresses import addresses
            from carrousel.nn.equations.flat import flatten, read_inputs
        from carrousel.nn.equations.to_torch import torch_source, torch_step

        names = parsed.names
        sources = tuple(f"source:{k}" for k in range(1, len(parsed.sources) + 1))
        read = read_inputs(flatten(derived.forward, names.inputs, ("states", "output", *sources)))
        unused = [name for name in names.net_inputs if not {f"{name}_x", f"{name}_r"} & read]
        unused += set(names.learned) - read
        if unused:
            raise SettingError(
                f"{min(unused)!r} changes neither h nor a state",
                source="equations",
                fix="use it, or remove it from net_inputs, unit_parameters or scalars",
            )
        without = {
            part: tuple(name for name in names.net_inputs if f"{name}_{part}" not in read)
            for part in "xr"
        }
        if len(without["x"]) == len(names.net_inputs):
            raise SettingError(
                "no line uses the layer's input",
                source="equations",
                fix=f"use {names.net_inputs[0]!r} or '{names.net_inputs[0]}_x'",
            )
        kind = CellKind(
            names.net_inputs,
            names.states,
            names.learned,
            projects="h_prev" not in read and not parsed.products and not parsed.matrices,
            scalars=names.scalars,
            without_x=without["x"],
            without_r=without["r"],
            products=parsed.products,
            matrices=parsed.matrices,
        )
        program = flatten(derived.forward, names.inputs, ("states", "output", "gates"))
        step, of_sources = addresses(derived, names)
        functions = [
            torch_source(flatten(derived.forward, names.inputs, (name,))) for name in sources
        ]
        describe(
            DescribedCell(
                self._name,
                kind,
                torch_step(program),
                len(derived.tape),
                *step,
                sources=tuple(
                    Source(function, *pair)
                    for function, pair in zip(functions, of_sources, strict=True)
                ),
            )
        )


def _rebuilt(
    name: str,
    net_inputs: Any,
    states: Any,
    unit_parameters: Any,
    equations: str,
    scalars: Any = (),
    initial: Any = None,
) -> Equations:
    return Equations(
        name,
        net_inputs=net_inputs,
        states=states,
        unit_parameters=unit_parameters,
        equations=equations,
        scalars=scalars,
        initial=initial,
    )


def _as_tuple(argument: str, names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise SettingError(
            argument=argument, got=names, expected="a tuple of names, such as ('z',)"
        )
    return tuple(names)


@contextlib.contextmanager
def _sympy_required() -> Iterator[None]:
    """Raise ``MissingExtraError`` if an import inside fails because SymPy is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "sympy":
            raise
        raise MissingExtraError(
            "cells from equations need SymPy, which is not installed",
            fix="pip install 'carrousel[cells]'",
        ) from error


def _format_line(line: EquationLine) -> str:
    args = ", ".join(map(str, line.args))
    return f"    {line.target} = {args if line.op == '=' else f'{line.op}({args})'}"
