"""Reader of expressions: from a syntax tree to lines of SymPy polynomials and calls."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import NamedTuple

import sympy

from carrousel.nn.equations.names import CONSTANTS, Names, fail

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
    "erf": math.erf,
    "reciprocal": lambda x: 1 / x,
}
"""Functions of one argument that compilers implement, and their values for constants."""

COMPARISONS = {
    ast.Lt: ("lt", False),
    ast.LtE: ("le", False),
    ast.Gt: ("lt", True),
    ast.GtE: ("le", True),
    ast.Eq: ("eq", False),
    ast.NotEq: ("ne", False),
}
"""Name of each comparison, and whether to swap its sides."""

LARGEST = 1e30
"""Limit on the size of numbers, well within the range of float32."""

MAX_EXPONENT = 64
MAX_LINES = 500
"""Limit on flat lines, including calls; ordinary cells have far fewer."""


class EquationLine(NamedTuple):
    """A line ``target = op(args)``; ``op`` is ``"="`` for a polynomial, else a function.

    Arguments of functions are symbols or numbers. ``where`` has the op ``where_lt`` (or another
    comparison) and the arguments left, right, yes, no.
    """

    target: sympy.Symbol
    op: str
    args: tuple[sympy.Expr, ...]


def line_of_target(text: str, name: str) -> int | None:
    """Return the number of the line that sets a name, or None."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            return node.lineno
    return None


class Expressions:
    """Reads expressions and keeps the flat lines; ``current`` has the present value of each name.

    Args:
        names: names of the cell's parts.
        text: the equations, for messages.
    """

    def __init__(self, names: Names, text: str) -> None:
        self.names, self.text = names, text
        self.lines: list[EquationLine] = []
        self.current: dict[str, sympy.Expr] = {name: sympy.Symbol(name) for name in names.inputs}
        self.seen: dict[tuple[str, tuple[sympy.Expr, ...]], sympy.Symbol] = {}
        self.later = {name: line_of_target(text, f"{name}_r") for name in names.net_inputs}
        for name in names.net_inputs:
            if self.later[name]:
                del self.current[f"{name}_r"]
            else:
                self.add_net_input(name)

    def add_net_input(self, name: str) -> None:
        """Add the line that sums the two parts of a net input."""
        total = sympy.Symbol(f"{name}_x") + self.current[f"{name}_r"]
        self.current[name] = self.keep(None, "=", (total,), f"{name}~")

    def fail(self, message: str, node: ast.AST, kind: str = "setting") -> Exception:
        """Return the exception for an error at a node."""
        start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", None)
        line = getattr(node, "lineno", 1)
        end = end if getattr(node, "end_lineno", line) == line else None
        return fail(message, self.text, (line, start, end), kind)

    def keep(
        self, node: ast.AST | None, op: str, args: tuple[sympy.Expr, ...], name: str | None = None
    ) -> sympy.Symbol:
        """Add a line, or find an equal one; return its symbol."""
        key = (op, args)
        if key not in self.seen:
            if node is not None and len(self.lines) >= MAX_LINES:
                raise self.fail(f"more than {MAX_LINES} calls and lines", node)
            self.seen[key] = sympy.Symbol(name or f"_{len(self.lines)}")
            self.lines.append(EquationLine(self.seen[key], op, args))
        return self.seen[key]

    def expression(self, node: ast.expr, name: str | None = None) -> sympy.Expr:
        """Return an expression as a polynomial, after adding a line for each call in it.

        If the whole expression is one call, its line gets ``name``.
        """
        try:
            value = self.read(node, name)
        except RecursionError:
            raise self.fail("nested too deeply; set part of it in a separate line", node) from None
        if value.is_Number and not abs(value) < LARGEST:
            raise self.fail(f"the value is not below {LARGEST:g}", node)
        return value

    def read(self, node: ast.expr, name: str | None) -> sympy.Expr:
        """Return a node of an expression as a polynomial."""
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
            case ast.BinOp(op=ast.MatMult()):
                raise self.fail(
                    "a product with a matrix is the whole right side of a line that sets the "
                    "recurrent part of a net input z: `z_r = W @ (...)`",
                    node,
                )
            case ast.BinOp(op=ast.BitXor()):
                raise self.fail("'^' is not an operator here; write powers as **", node)
            case ast.Call(func=ast.Name(id=function), args=args, keywords=[]):
                return self.function(function, args, node, name)
            case ast.Compare():
                raise self.fail("comparisons are only allowed in where(a < b, yes, no)", node)
            case ast.BoolOp() | ast.IfExp():
                raise self.fail("write conditions as where(a < b, yes, no)", node)
        raise self.fail(
            "not allowed in equations, which consist of + - * / **, numbers, names, and calls of "
            + self.names.functions_listed,
            node,
        )

    def number(self, value: float, node: ast.expr) -> sympy.Expr:
        if not abs(value) < LARGEST:
            raise self.fail(f"numbers must be below {LARGEST:g}", node)
        return sympy.Integer(value) if isinstance(value, int) else sympy.Float(value)

    def lookup(self, name: str, node: ast.expr) -> sympy.Expr:
        """Return the present value of a name."""
        if name in self.current:
            return self.current[name]
        if name in self.names.states or name == "h":
            message = f"{name!r} has no value yet; its previous value is {name}_prev"
            raise self.fail(message, node)
        if line := self.later.get(name):
            message = f"{name!r} has no value yet; line {line} sets its part '{name}_r'"
            raise self.fail(message, node)
        if line := line_of_target(self.text, name):
            message = f"{name!r} is only set later, in line {line}"
            raise self.fail(message, node)
        if name in CONSTANTS:
            return sympy.Float(CONSTANTS[name])
        if name in ("W", "I"):
            message = f"{name!r} is a matrix, expected left of @, as in `z_r = W @ h_prev`"
            raise self.fail(message, node)
        state = name.removesuffix("_prev")
        if state != name and line_of_target(self.text, state):
            message = f"{name!r} is unknown; to keep {state!r} for the next step, add it to states"
            raise self.fail(message, node, "unknown")
        near = self.names.suggest(name, self.current)
        raise self.fail(f"{name!r} is unknown; {near}", node, "unknown")

    def call(
        self, op: str, argument: sympy.Expr, node: ast.expr, name: str | None = None
    ) -> sympy.Expr:
        """Return the value of a function of one argument; evaluate it if that is a number."""
        if argument.is_Number:
            try:
                value = FUNCTIONS[op](float(argument))
            except (ValueError, ZeroDivisionError, OverflowError):
                raise self.fail(f"{op} of {argument} is undefined", node) from None
            if op == "reciprocal" and argument.is_Rational:
                return 1 / argument
            return sympy.Float(value)
        return self.keep(node, op, (self.atom(argument, node),), name)

    def atom(self, value: sympy.Expr, node: ast.expr) -> sympy.Expr:
        """Return a value as a symbol or number, after adding a line if needed."""
        return value if value.is_Atom else self.keep(node, "=", (value,))

    def power(self, base: sympy.Expr, exponent: sympy.Expr, node: ast.BinOp) -> sympy.Expr:
        """Return ``base ** exponent``, from products, square root and reciprocal, or ``exp``."""
        if base.is_Number and not exponent.is_Number:
            if not base > 0:
                raise self.fail("the base of a power must be a positive number here", node.left)
            return self.call("exp", exponent * sympy.Float(math.log(base)), node)
        doubled = float(2 * exponent) if exponent.is_Number else math.nan
        if not doubled.is_integer() or abs(doubled) > 2 * MAX_EXPONENT:
            raise self.fail(
                f"exponents must be whole or half numbers up to {MAX_EXPONENT}, unless the base is "
                "a number; for others write exp(y * log(x))",
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
        """Read a call of a function."""
        if op not in self.names.functions:
            near = self.names.suggest_function(op)
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
            if op in COMPOSED:
                return COMPOSED[op](self, values[0], node)
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
        """Read ``where(left < right, yes, no)``."""
        if len(args) != 3 or not isinstance(args[0], ast.Compare) or len(args[0].ops) != 1:
            raise self.fail("expected where(a < b, yes, no) with one comparison", node)
        condition = args[0]
        if type(condition.ops[0]) not in COMPARISONS:
            raise self.fail("expected one of the comparisons < <= > >= == !=", condition)
        comparison, swap = COMPARISONS[type(condition.ops[0])]
        sides = [condition.left, condition.comparators[0]]
        parts = [*(sides[::-1] if swap else sides), args[1], args[2]]
        values = tuple(self.atom(self.expression(part), part) for part in parts)
        return self.keep(node, f"where_{comparison}", values, name)


def _of_logistic(reader: Expressions, x: sympy.Expr, node: ast.Call) -> sympy.Expr:
    return x * reader.call("sigmoid", x, node)


def _of_normal(reader: Expressions, x: sympy.Expr, node: ast.Call) -> sympy.Expr:
    return x * (1 + reader.call("erf", x * sympy.Float(math.sqrt(0.5)), node)) / 2


def _of_size(reader: Expressions, x: sympy.Expr, node: ast.Call) -> sympy.Expr:
    return x * reader.call("reciprocal", 1 + reader.call("abs", x, node), node)


COMPOSED: dict[str, Callable[[Expressions, sympy.Expr, ast.Call], sympy.Expr]] = {
    "silu": _of_logistic,
    "swish": _of_logistic,
    "gelu": _of_normal,
    "softsign": _of_size,
}
"""Functions of one argument that are made of others, as in torch (``gelu`` without ``tanh``)."""
