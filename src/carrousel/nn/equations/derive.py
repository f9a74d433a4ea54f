"""Derivation of the backward pass of a cell's equations: reverse accumulation with SymPy.

Lines are polynomials and calls (see ``parse.py``). Let ``e(v)`` be the gradient of the loss with
respect to a value ``v``. From the last line to the first, each line ``v = f(a, b, ...)`` adds
``e(v) df/da`` to ``e(a)``, and so on for its other arguments. SymPy computes ``df/da`` of a
polynomial. For a call, ``df/da`` is a polynomial in its value or in a helper value of the forward
pass (:data:`DERIVATIVES`). The backward pass therefore consists of polynomials and comparisons and
calls no ``exp``.

The backward pass reads values of the forward pass from a tape, or computes them again if that takes
only a few multiplications.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import sympy

from carrousel.nn.equations.expressions import EquationLine
from carrousel.nn.equations.parse import Parsed

Expr = sympy.Expr

COSTLY = frozenset({"sigmoid", "tanh", "exp", "log", "softplus", "sin", "cos", "erf"})
"""Calls that are too slow to repeat; their values are stored on the tape."""


class Program(NamedTuple):
    """Lines in order, and the results by name. Symbols that no line sets are inputs."""

    lines: tuple[EquationLine, ...]
    results: dict[str, tuple[Expr, ...]]


class Derived(NamedTuple):
    """Forward and backward pass of a cell.

    Attributes:
        forward: has the results ``states``, ``output``, ``tape`` and ``gates``, and for each
            recurrent product ``k`` after the first ``source:k``, the vector that it multiplies.
        backward: has the inputs ``d:NAME`` (gradients by the new states), ``d:h`` and ``d:@k``
            (gradients by ``source:k``), and the results ``states``, ``x``, ``r``, ``h``, ``unit``
            (gradients by the step's inputs), and ``r:k``, the part of ``r`` for product ``k``.
        tape: values that the forward pass stores for the backward pass, one row each.
    """

    forward: Program
    backward: Program
    tape: tuple[sympy.Symbol, ...]


Helper = Callable[..., Expr]
"""``helper(op, *args)`` adds a line to the forward pass and returns its symbol."""


def _of_choice(comparison: str) -> Callable[..., tuple[Expr, ...]]:
    """Return the derivatives of ``where``: the condition as 1 or 0, and its complement."""

    def derivative(helper: Helper, _: Expr, left: Expr, right: Expr, *__: Expr):
        yes = helper(f"mask_{comparison}", left, right)
        return sympy.S.Zero, sympy.S.Zero, yes, 1 - yes

    return derivative


def _of_max(helper: Helper, _: Expr, a: Expr, b: Expr) -> tuple[Expr, ...]:
    share = helper("share", a, b)
    return share, 1 - share


def _of_min(helper: Helper, _: Expr, a: Expr, b: Expr) -> tuple[Expr, ...]:
    share = helper("share", b, a)
    return share, 1 - share


DERIVATIVES: dict[str, Callable[..., tuple[Expr, ...]]] = {
    "sigmoid": lambda _, v, x: (v * (1 - v),),
    "tanh": lambda _, v, x: (1 - v**2,),
    "exp": lambda _, v, x: (v,),
    "log": lambda helper, v, x: (helper("reciprocal", x),),
    "softplus": lambda helper, v, x: (helper("sigmoid", x),),
    "sqrt": lambda helper, v, x: (helper("reciprocal", v) / 2,),
    "reciprocal": lambda _, v, x: (-(v**2),),
    "sin": lambda helper, v, x: (helper("cos", x),),
    "cos": lambda helper, v, x: (-helper("sin", x),),
    "erf": lambda helper, v, x: (helper("exp", -(x**2)) * sympy.Float(2 / math.sqrt(math.pi)),),
    "abs": lambda helper, v, x: (2 * helper("share", x, sympy.S.Zero) - 1,),
    "relu": lambda helper, v, x: (helper("mask_lt", sympy.S.Zero, v),),
    "max": _of_max,
    "min": _of_min,
    **{f"where_{name}": _of_choice(name) for name in ("lt", "le", "eq", "ne")},
}
"""Functions ``(helper, value, *arguments)`` that return the partial derivatives for each argument.

``share(a, b)`` is 1 where ``a > b``, 0 where ``a < b`` and 0.5 at a tie, as in torch.
``mask_lt(a, b)`` is 1 where ``a < b``, else 0; the other comparisons are alike."""


def derive(parsed: Parsed) -> Derived:
    """Derive the backward pass and choose the values on the tape."""
    lines = list(parsed.lines)
    raw, results = _accumulate(parsed, lines)
    backward = _shared(raw, results)
    source = {line.target: line for line in lines}
    needed = [
        symbol
        for symbol in _symbols(backward.lines, backward.results)
        if symbol in source or symbol.name in parsed.names.inputs
    ]
    free = {sympy.Symbol(name) for name in parsed.names.inputs[2 * len(parsed.names.net_inputs) :]}
    tape = _choose_tape([symbol for symbol in needed if symbol not in free], lines, free)
    again = live(lines, needed, set(tape))
    outputs = {
        "states": parsed.states,
        "output": (parsed.output,),
        "tape": tape,
        "gates": parsed.gates,
        **{f"source:{k}": (value,) for k, value in enumerate(parsed.sources, 1)},
    }
    first = 0
    for k, count in enumerate(parsed.products):
        backward.results[f"r:{k}"] = backward.results["r"][first : first + count]
        first += count
    forward = Program(tuple(lines), outputs)
    return Derived(forward, Program((*again, *backward.lines), backward.results), tape)


def _accumulate(
    parsed: Parsed, lines: list[EquationLine]
) -> tuple[list[EquationLine], dict[str, tuple[Expr, ...]]]:
    """Accumulate gradients in reverse order; add helpers to ``lines``, the forward pass."""
    names = parsed.names
    position = {(line.op, line.args): line.target for line in lines}
    errors: dict[Expr, list[Expr]] = defaultdict(list)
    seeds = [*zip(names.states, parsed.states, strict=True), ("h", parsed.output)]
    seeds += [(f"@{k}", value) for k, value in enumerate(parsed.sources, 1)]
    for name, value in seeds:
        errors[value].append(sympy.Symbol(f"d:{name}"))

    def helper(op: str, *args: Expr) -> Expr:
        if (op, args) not in position:
            position[op, args] = sympy.Symbol(f"_{len(lines)}'")
            lines.append(EquationLine(position[op, args], op, args))
        return position[op, args]

    back: list[EquationLine] = []
    for line in reversed(parsed.lines):
        if line.target not in errors:
            continue
        error = sympy.Add(*errors[line.target])
        if not error.is_Symbol:
            symbol = sympy.Symbol(f"e:{line.target.name}")
            back.append(EquationLine(symbol, "=", (error,)))
            error = symbol
        if line.op == "=":
            (polynomial,) = line.args
            parts = _symbols([line])
            partial = [sympy.diff(polynomial, part) for part in parts]
        else:
            parts, partial = line.args, DERIVATIVES[line.op](helper, line.target, *line.args)
        for part, by in zip(parts, partial, strict=True):
            if part.is_Symbol and by != 0:
                errors[part].append(error * by)

    def result(given: Iterable[str]) -> tuple[Expr, ...]:
        return tuple(sympy.Add(*errors.get(sympy.Symbol(name), ())) for name in given)

    return back, {
        "states": result(f"{name}_prev" for name in names.states),
        "x": result(f"{name}_x" for name in names.net_inputs),
        "r": result(f"{name}_r" for name in names.net_inputs),
        "h": result(["h_prev"]),
        "unit": result(names.learned),
    }


def _shared(lines: list[EquationLine], results: dict[str, tuple[Expr, ...]]) -> Program:
    """Return the same program with common subexpressions computed once."""
    flat = [*(line.args[0] for line in lines), *(v for values in results.values() for v in values)]
    fresh = (sympy.Symbol(f"_c{n}") for n in itertools.count())
    common, reduced = sympy.cse(flat, symbols=fresh)
    pending = [EquationLine(symbol, "=", (value,)) for symbol, value in common]
    rest: Iterator[Any] = iter(reduced)
    pending += [EquationLine(line.target, "=", (next(rest),)) for line in lines]
    shared = {name: tuple(next(rest) for _ in values) for name, values in results.items()}
    return Program(tuple(_sorted(pending)), shared)


def _sorted(lines: list[EquationLine]) -> list[EquationLine]:
    """Sort lines so that each reads only inputs and earlier lines."""
    source = {line.target: line for line in lines}
    done: dict[sympy.Symbol, EquationLine] = {}
    for line in lines:
        stack = [line]
        while stack:
            missing = [
                source[symbol]
                for symbol in _symbols([stack[-1]])
                if symbol in source and symbol not in done
            ]
            if missing:
                stack += missing
            else:
                done.setdefault(stack[-1].target, stack.pop())
    return list(done.values())


def _symbols(
    lines: Iterable[EquationLine], results: dict[str, tuple[Expr, ...]] | None = None
) -> list[sympy.Symbol]:
    """Return every symbol that is read, sorted by name so that programs are reproducible."""
    values = [value for line in lines for value in line.args]
    values += [value for many in (results or {}).values() for value in many]
    found = {symbol for value in values for symbol in value.atoms(sympy.Symbol)}
    return sorted(found, key=lambda symbol: symbol.name)


def live(
    lines: Iterable[EquationLine], wanted: Iterable[Expr], given: set[sympy.Symbol]
) -> tuple[EquationLine, ...]:
    """Return the lines that the wanted values need if some symbols are given."""
    needed = {symbol for value in wanted for symbol in value.atoms(sympy.Symbol)} - given
    kept = []
    for line in reversed(_sorted(list(lines))):
        if line.target in needed:
            kept.append(line)
            needed |= set(_symbols([line])) - given
    return tuple(reversed(kept))


def _choose_tape(
    needed: list[sympy.Symbol], lines: list[EquationLine], free: set[sympy.Symbol]
) -> tuple[sympy.Symbol, ...]:
    """Choose the values to store: costly ones, and those that cannot be computed from others."""
    source = {line.target: line for line in lines}
    order = {line.target: n for n, line in enumerate(_sorted(lines))}
    needed = sorted(needed, key=lambda symbol: (order.get(symbol, -1), symbol.name))

    def at_hand(symbol: sympy.Symbol, tape: set[sympy.Symbol]) -> bool:
        known: dict[sympy.Symbol, bool] = dict.fromkeys(free | tape, True)
        for each in order:  # in order, so that a line's arguments are known
            if each not in known:
                line = source[each]
                known[each] = line.op not in COSTLY and all(
                    known.get(part, False) for part in _symbols([line])
                )
            if each == symbol:
                break
        return known.get(symbol, False)

    tape = {s for s in needed if s not in source or source[s].op in COSTLY}
    for symbol in needed:
        if not at_hand(symbol, tape):
            tape.add(symbol)
    for symbol in reversed(needed):
        if symbol in tape and at_hand(symbol, tape - {symbol}):
            tape.remove(symbol)
    return tuple(symbol for symbol in needed if symbol in tape)
