"""Derives the way back of a cell's equations: reverse accumulation over lines, by SymPy.

Lines are polynomials and calls (``equations_parse``). With ``e(v)`` the loss's gradient by a value
``v`` that line ``v = f(a, b, ...)`` computes, the lines taken from the last to the first add
``e(v) df/da`` to ``e(a)`` and so on. ``df/da`` of a polynomial is SymPy's; that of a call is a
polynomial in its value or in a helper which the way there computes (:data:`DERIVATIVES`). So the
way back consists of polynomials and comparisons: it calls no ``exp``.

What it needs of the way there is read from the tape or, where that costs a few multiplications of
values at hand, computed again.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import sympy

from carrousel.nn.equations.parse import Line, Parsed

Expr = sympy.Expr

COSTLY = frozenset({"sigmoid", "tanh", "exp", "log", "softplus", "sin", "cos"})
"""Calls never made twice; their values go on the tape."""


class Way(NamedTuple):
    """A straight program: lines in order, and by name the values that leave it.

    Symbols that no line sets come in from outside.
    """

    lines: tuple[Line, ...]
    results: dict[str, tuple[Expr, ...]]


class Derived(NamedTuple):
    """Both ways of a cell and the values on the tape, a row each.

    The way there has the results ``states``, ``output``, ``tape`` and ``gates``; the way back
    starts from symbols ``d:NAME`` (gradients by the new states and ``d:h``) and has the results
    ``states``, ``x``, ``r``, ``h``, ``unit``: gradients by what the step was given.
    """

    there: Way
    back: Way
    tape: tuple[sympy.Symbol, ...]


Helper = Callable[..., Expr]
"""``helper(op, *args)``: the symbol of a further line of the way there."""


def _of_choice(comparison: str) -> Callable[..., tuple[Expr, ...]]:
    """The derivative of a choice: its condition as 1 or 0, and the contrary."""

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
    "abs": lambda helper, v, x: (2 * helper("share", x, sympy.S.Zero) - 1,),
    "relu": lambda helper, v, x: (helper("mask_lt", sympy.S.Zero, v),),
    "max": _of_max,
    "min": _of_min,
    **{f"where_{name}": _of_choice(name) for name in ("lt", "le", "eq", "ne")},
}
"""Partial derivatives by each argument, from a helper, the value and the arguments.

``share(a, b)`` is 1 where ``a > b``, 0 where ``a < b`` and a half at a tie, as torch has it;
``mask_lt(a, b)`` is 1 where ``a < b``, else 0, and so on."""


def derive(parsed: Parsed) -> Derived:
    """Derive the way back and choose what the tape holds."""
    lines = list(parsed.lines)
    raw, results = _accumulate(parsed, lines)
    back = _shared(raw, results)
    source = {line.target: line for line in lines}
    needed = [
        symbol
        for symbol in _symbols(back.lines, back.results)
        if symbol in source or symbol.name in parsed.names.inputs
    ]
    free = {sympy.Symbol(name) for name in parsed.names.inputs[2 * len(parsed.names.net_inputs) :]}
    tape = _choose_tape([symbol for symbol in needed if symbol not in free], lines, free)
    again = live(lines, needed, set(tape))
    there = {
        "states": parsed.states,
        "output": (parsed.output,),
        "tape": tape,
        "gates": parsed.gates,
    }
    return Derived(Way(tuple(lines), there), Way((*again, *back.lines), back.results), tape)


def _accumulate(
    parsed: Parsed, lines: list[Line]
) -> tuple[list[Line], dict[str, tuple[Expr, ...]]]:
    """Reverse accumulation; helpers are added to ``lines``, the way there."""
    names = parsed.names
    position = {(line.op, line.args): line.target for line in lines}
    errors: dict[Expr, list[Expr]] = defaultdict(list)
    seeds = [*zip(names.states, parsed.states, strict=True), ("h", parsed.output)]
    for name, value in seeds:
        errors[value].append(sympy.Symbol(f"d:{name}"))

    def helper(op: str, *args: Expr) -> Expr:
        if (op, args) not in position:
            position[op, args] = sympy.Symbol(f"_{len(lines)}'")
            lines.append(Line(position[op, args], op, args))
        return position[op, args]

    back: list[Line] = []
    for line in reversed(parsed.lines):
        if line.target not in errors:
            continue
        error = sympy.Add(*errors[line.target])
        if not error.is_Symbol:
            symbol = sympy.Symbol(f"e:{line.target.name}")
            back.append(Line(symbol, "=", (error,)))
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
        "unit": result(names.unit_parameters),
    }


def _shared(lines: list[Line], results: dict[str, tuple[Expr, ...]]) -> Way:
    """The same program with common subexpressions computed once."""
    flat = [*(line.args[0] for line in lines), *(v for values in results.values() for v in values)]
    fresh = (sympy.Symbol(f"_c{n}") for n in itertools.count())
    common, reduced = sympy.cse(flat, symbols=fresh)
    pending = [Line(symbol, "=", (value,)) for symbol, value in common]
    rest: Iterator[Any] = iter(reduced)
    pending += [Line(line.target, "=", (next(rest),)) for line in lines]
    shared = {name: tuple(next(rest) for _ in values) for name, values in results.items()}
    return Way(tuple(_sorted(pending)), shared)


def _sorted(lines: list[Line]) -> list[Line]:
    """Lines in an order in which each reads only what stands before it."""
    source = {line.target: line for line in lines}
    done: dict[sympy.Symbol, Line] = {}
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
    lines: Iterable[Line], results: dict[str, tuple[Expr, ...]] | None = None
) -> list[sympy.Symbol]:
    """Every symbol that is read, sorted by name: the same program every time."""
    values = [value for line in lines for value in line.args]
    values += [value for many in (results or {}).values() for value in many]
    found = {symbol for value in values for symbol in value.atoms(sympy.Symbol)}
    return sorted(found, key=lambda symbol: symbol.name)


def live(
    lines: Iterable[Line], wanted: Iterable[Expr], given: set[sympy.Symbol]
) -> tuple[Line, ...]:
    """Those of the lines that the wanted values need when some are given."""
    needed = {symbol for value in wanted for symbol in value.atoms(sympy.Symbol)} - given
    kept = []
    for line in reversed(_sorted(list(lines))):
        if line.target in needed:
            kept.append(line)
            needed |= set(_symbols([line])) - given
    return tuple(reversed(kept))


def _choose_tape(
    needed: list[sympy.Symbol], lines: list[Line], free: set[sympy.Symbol]
) -> tuple[sympy.Symbol, ...]:
    """The values to keep: costly ones, and those that cannot be had from what is at hand."""
    source = {line.target: line for line in lines}
    order = {line.target: n for n, line in enumerate(_sorted(lines))}
    needed = sorted(needed, key=lambda symbol: (order.get(symbol, -1), symbol.name))

    def at_hand(symbol: sympy.Symbol, tape: set[sympy.Symbol]) -> bool:
        known: dict[sympy.Symbol, bool] = dict.fromkeys(free | tape, True)
        for each in order:  # from the first line on, so that what a line reads is known
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
