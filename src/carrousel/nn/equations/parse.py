"""Reads a user's equations: text to lines of SymPy polynomials and calls. Nothing is executed.

The text is read by Python's own parser and walked node by node; what is not on the list below is
refused with its line and a caret. A line is ``name = expression``.

* operators ``+ - * /``, unary minus, and ``**`` with a whole or half number;
* ``sigmoid tanh exp log softplus relu sqrt abs sin cos`` of one argument, ``max`` and ``min`` of
  two or more, ``where(a < b, yes, no)`` with any one comparison;
* numbers.

What comes out is flat: every call, with arguments that are names or numbers, is a line of its own,
and what lies between calls is a polynomial, for which SymPy has exact derivatives.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import NamedTuple

import sympy

from carrousel.nn.equations.names import MAX_TEXT, Names, fail

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "exp": math.exp,
    "log": math.log,
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    "relu": lambda x: max(x, 0.0),
    "sqrt": math.sqrt,
    "abs": abs,
    "sin": math.sin,
    "cos": math.cos,
    "reciprocal": lambda x: 1 / x,
}
"""Calls of one argument, and what they make of a number."""

COMPARISONS = {
    ast.Lt: ("lt", False),
    ast.LtE: ("le", False),
    ast.Gt: ("lt", True),
    ast.GtE: ("le", True),
    ast.Eq: ("eq", False),
    ast.NotEq: ("ne", False),
}
"""Of a condition: its name, and whether its sides change places."""

LARGEST = 1e30
"""Numbers stay below, well within the range of float32."""

MAX_EXPONENT = 64
MAX_LINES = 500
"""Of flat lines, calls included: what a few lines of text come to, many times over."""


class Line(NamedTuple):
    """``target = op(args)``; ``op`` is ``"="`` for a polynomial, else the name of a call.

    Arguments of calls are symbols or numbers. A choice has the op ``where_lt`` (or another
    comparison) and the arguments left, right, yes, no.
    """

    target: sympy.Symbol
    op: str
    args: tuple[sympy.Expr, ...]


class Parsed(NamedTuple):
    """The flat lines of a cell, and what its states, output and gates are made of."""

    names: Names
    lines: tuple[Line, ...]
    states: tuple[sympy.Expr, ...]
    output: sympy.Expr
    gates: tuple[sympy.Expr, ...]


def parse(names: Names, text: str) -> Parsed:
    """Read the equations of a cell whose parts have these names."""
    body = _statements(text)
    reader = _Reader(names, text)
    for statement in body:
        reader.statement(statement)
    meaning = reader.meaning
    for name in (*names.states, "h"):
        if name not in reader.set_in_line:
            what = "the cell output" if name == "h" else "the new value of a state"
            raise fail(f"no line sets {name!r}, {what}; add a line `{name} = ...`")
    return Parsed(
        names,
        tuple(reader.lines),
        tuple(meaning[name] for name in names.states),
        meaning["h"],
        tuple(meaning[name] for name in names.net_inputs),
    )


def _statements(text: str) -> list[ast.stmt]:
    """Parse the text as Python would, without compiling it."""
    if len(text) > MAX_TEXT:
        raise fail(f"{len(text)} characters are too many equations, expected at most {MAX_TEXT}")
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        place = (error.lineno or 1, (error.offset or 1) - 1, None)
        raise fail(f"cannot be read: {error.msg}", text, place) from None
    except (RecursionError, MemoryError, ValueError) as error:
        raise fail(f"cannot be read: {error or 'nested too deeply'}") from None
    if not body:
        raise fail("there are none, expected lines like `h = tanh(z)`")
    return body


def _line_of_target(text: str, name: str) -> int | None:
    """The line of a text that can be read which sets a name."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            return node.lineno
    return None


class _Reader:
    """Walks statements from top to bottom; ``meaning`` is what names stand for by now."""

    def __init__(self, names: Names, text: str) -> None:
        self.names, self.text = names, text
        self.lines: list[Line] = []
        self.meaning: dict[str, sympy.Expr] = {name: sympy.Symbol(name) for name in names.inputs}
        self.set_in_line: dict[str, int] = {}
        self.seen: dict[tuple[str, tuple[sympy.Expr, ...]], sympy.Symbol] = {}
        for name in names.net_inputs:
            total = sympy.Symbol(f"{name}_x") + sympy.Symbol(f"{name}_r")
            self.meaning[name] = self.keep(None, "=", (total,), f"{name}~")

    def fail(self, message: str, node: ast.AST, kind: str = "setting") -> Exception:
        start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", None)
        line = getattr(node, "lineno", 1)
        end = end if getattr(node, "end_lineno", line) == line else None
        return fail(message, self.text, (line, start, end), kind)

    def keep(
        self, node: ast.AST | None, op: str, args: tuple[sympy.Expr, ...], name: str | None = None
    ) -> sympy.Symbol:
        """Add a line, or find the one that computes the same already."""
        key = (op, args)
        if key not in self.seen:
            if node is not None and len(self.lines) >= MAX_LINES:
                raise self.fail(f"too many equations, more than {MAX_LINES} calls and lines", node)
            self.seen[key] = sympy.Symbol(name or f"_{len(self.lines)}")
            self.lines.append(Line(self.seen[key], op, args))
        return self.seen[key]

    def statement(self, node: ast.stmt) -> None:
        """Read ``name = expression``."""
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            raise self.fail("expected a line of the form `name = expression`", node)
        target = node.targets[0]
        if not isinstance(target, ast.Name):
            raise self.fail("expected one name left of `=`", target)
        name = self.names.check_target(target.id, lambda why: self.fail(why, target))
        if name in self.set_in_line:
            line = self.set_in_line[name]
            raise self.fail(f"{name!r} is set twice, first in line {line}; rename one", target)
        value = self.expression(node.value, name)
        if not value.is_Atom:
            value = self.keep(node, "=", (value,), name)
        self.meaning[name] = value
        self.set_in_line[name] = node.lineno

    def expression(self, node: ast.expr, name: str | None = None) -> sympy.Expr:
        """The polynomial that an expression stands for, after a line for every call in it.

        ``name`` is what the value will be called, should the whole expression be one call.
        """
        try:
            value = self.read(node, name)
        except RecursionError:
            raise self.fail("nested too deeply; give a part of it a name", node) from None
        if value.is_Number and not abs(value) < LARGEST:
            raise self.fail(f"has no value below {LARGEST:g}", node)
        return value

    def read(self, node: ast.expr, name: str | None) -> sympy.Expr:
        match node:
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() | float() as number):
                return self.number(number, node)
            case ast.Name(id=known):
                return self.lookup(known, node)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -self.expression(inner)
            case ast.UnaryOp(op=ast.UAdd(), operand=inner):
                return self.expression(inner)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self.power(self.expression(left), self.expression(right), node)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.expression(left) + self.expression(right)
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                return self.expression(left) - self.expression(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return self.expression(left) * self.expression(right)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                above = self.expression(left)
                return above * self.call("reciprocal", self.expression(right), right)
            case ast.Call(func=ast.Name(id=function), args=args, keywords=[]):
                return self.function(function, args, node, name)
            case ast.Compare():
                raise self.fail("a comparison belongs into where(a < b, yes, no)", node)
            case ast.BoolOp() | ast.IfExp():
                raise self.fail("choices are written where(a < b, yes, no)", node)
        raise self.fail(
            "is not part of the language of equations: + - * / **, numbers, names, and calls of "
            + self.names.functions_listed,
            node,
        )

    def number(self, value: float, node: ast.expr) -> sympy.Expr:
        if not abs(value) < LARGEST:
            raise self.fail(f"numbers are below {LARGEST:g}", node)
        return sympy.Integer(value) if isinstance(value, int) else sympy.Float(value)

    def lookup(self, name: str, node: ast.expr) -> sympy.Expr:
        """What a name stands for here."""
        if name in self.meaning:
            return self.meaning[name]
        if name in self.names.states or name == "h":
            message = f"{name!r} has no value yet; at the step before it had {name}_prev"
            raise self.fail(message, node)
        if line := _line_of_target(self.text, name):
            message = f"{name!r} is set in line {line}, not before; lines count from top to bottom"
            raise self.fail(message, node)
        near = self.names.suggest(name, self.meaning)
        raise self.fail(f"{name!r} is unknown; {near}", node, "unknown")

    def call(
        self, op: str, argument: sympy.Expr, node: ast.expr, name: str | None = None
    ) -> sympy.Expr:
        """A call of one argument; that of a number is a number."""
        if argument.is_Number:
            try:
                value = FUNCTIONS[op](float(argument))
            except (ValueError, ZeroDivisionError, OverflowError):
                raise self.fail(f"{op} of {argument} has no value", node) from None
            if op == "reciprocal" and argument.is_Rational:
                return 1 / argument
            return sympy.Float(value)
        return self.keep(node, op, (self.atom(argument, node),), name)

    def atom(self, value: sympy.Expr, node: ast.expr) -> sympy.Expr:
        """The value as a symbol or number."""
        return value if value.is_Atom else self.keep(node, "=", (value,))

    def power(self, base: sympy.Expr, exponent: sympy.Expr, node: ast.BinOp) -> sympy.Expr:
        """``base ** exponent`` by multiplication, square root and reciprocal."""
        doubled = float(2 * exponent) if exponent.is_Number else math.nan
        if not doubled.is_integer() or abs(doubled) > 2 * MAX_EXPONENT:
            raise self.fail(
                f"an exponent is a whole or half number up to {MAX_EXPONENT}; "
                "for others write exp(y * log(x))",
                node.right,
            )
        whole, half = divmod(abs(int(doubled)), 2)
        value = base**whole
        if half:
            value = value * self.call("sqrt", base, node)
        return self.call("reciprocal", value, node) if exponent < 0 else value

    def function(
        self, op: str, args: list[ast.expr], node: ast.Call, name: str | None
    ) -> sympy.Expr:
        """A call of a function by its name."""
        if op not in self.names.functions:
            near = self.names.suggest(op, self.names.functions)
            raise self.fail(f"function {op!r} is unknown; {near}", node.func, "unknown")
        if op == "where":
            return self.choice(args, node, name)
        several = op in ("max", "min")
        if (len(args) < 2 if several else len(args) != 1) or any(
            isinstance(argument, ast.Starred) for argument in args
        ):
            wanted = "two or more arguments" if several else "one argument"
            raise self.fail(f"{op} takes {wanted}, not {len(args)}", node)
        values = [self.expression(argument) for argument in args]
        if not several:
            return self.call(op, values[0], node, name)
        best = values[0]
        for value, last in zip(values[1:], [False] * (len(values) - 2) + [True], strict=True):
            if best.is_Number and value.is_Number:
                best = max(best, value) if op == "max" else min(best, value)
            else:
                pair = (self.atom(best, node), self.atom(value, node))
                best = self.keep(node, op, pair, name if last else None)
        return best

    def choice(self, args: list[ast.expr], node: ast.Call, name: str | None) -> sympy.Expr:
        """``where(left < right, yes, no)``."""
        if len(args) != 3 or not isinstance(args[0], ast.Compare) or len(args[0].ops) != 1:
            raise self.fail("expected where(a < b, yes, no) with one comparison", node)
        condition = args[0]
        if type(condition.ops[0]) not in COMPARISONS:
            raise self.fail("expected one of < <= > >= == !=", condition)
        comparison, swap = COMPARISONS[type(condition.ops[0])]
        sides = [condition.left, condition.comparators[0]]
        parts = [*(sides[::-1] if swap else sides), args[1], args[2]]
        values = tuple(self.atom(self.expression(part), part) for part in parts)
        return self.keep(node, f"where_{comparison}", values, name)
