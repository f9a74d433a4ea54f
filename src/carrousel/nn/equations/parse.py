"""Parser of a user's equations: from text to lines of SymPy polynomials and calls.

Python's parser reads the text, and this module walks its syntax tree. It executes nothing. Anything
not on the list below raises an error that shows the line with a caret. A line is
``name = expression`` with

* operators ``+ - * /``, unary minus, and ``**`` with a whole or half number as the exponent or a
  positive number as the base;
* the functions of one argument in ``names.py``, ``max`` and ``min`` of two or more, and
  ``where(a < b, yes, no)`` with any one comparison;
* numbers, ``pi`` and ``e``.

A line may also set the recurrent part ``z_r`` of a net input, either to such an expression or to
``MATRIX @ expression``, where the matrix is a sum of ``W``, ``W.T`` and ``I`` with factors.

The result is a flat list of lines. Each call is one line, with names or numbers as arguments.
Between calls are polynomials, which SymPy differentiates exactly.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

import sympy

from carrousel.nn.equations.expressions import EquationLine, Expressions
from carrousel.nn.equations.matrix import PLAIN, Combination, read_matrix
from carrousel.nn.equations.names import MAX_TEXT, Names, fail

MAX_PRODUCTS = 8
"""Limit on recurrent products in a step, the one with ``h_prev`` included."""


class Parsed(NamedTuple):
    """The flat lines of a cell, and the values of its states, output and gates.

    Attributes:
        names: names of its parts, with the net inputs sorted by their recurrent product.
        lines: the flat lines.
        states, output, gates: values that the lines compute.
        sources: vectors that the recurrent products after the first multiply.
        products: numbers of net inputs of each recurrent product; empty if there is only one.
        matrices: as in ``CellKind``.
    """

    names: Names
    lines: tuple[EquationLine, ...]
    states: tuple[sympy.Expr, ...]
    output: sympy.Expr
    gates: tuple[sympy.Expr, ...]
    sources: tuple[sympy.Expr, ...]
    products: tuple[int, ...]
    matrices: tuple[tuple[str, Combination], ...]


def parse(names: Names, text: str) -> Parsed:
    """Parse the equations of a cell.

    Args:
        names: names of its parts.
        text: the equations.

    Raises:
        SettingError: a line is not in the language, or a state or ``h`` is never set.
        UnknownNameError: a line uses an unknown name or function.
    """
    body = _statements(text)
    reader = _Reader(names, text)
    for statement in body:
        reader.statement(statement)
    current = reader.values.current
    for name in (*names.states, "h"):
        if name not in reader.set_in_line:
            what = "the cell output" if name == "h" else "the new value of a state"
            raise fail(f"no line sets {name!r}, {what}; add a line `{name} = ...`")
    place = reader.place
    ordered = names._replace(
        net_inputs=tuple(sorted(names.net_inputs, key=lambda name: place.get(name, 0)))
    )
    counts = [0] * (len(reader.sources) + 1)
    for name in names.net_inputs:
        counts[place.get(name, 0)] += 1
    return Parsed(
        ordered,
        tuple(reader.values.lines),
        tuple(current[name] for name in names.states),
        current["h"],
        tuple(current[name] for name in ordered.net_inputs),
        tuple(reader.sources),
        tuple(counts) if reader.sources else (),
        tuple((n, reader.matrices[n]) for n in ordered.net_inputs if n in reader.matrices),
    )


def _statements(text: str) -> list[ast.stmt]:
    """Parse the text as Python syntax, without compiling it."""
    if len(text) > MAX_TEXT:
        raise fail(f"the text has {len(text)} characters, expected at most {MAX_TEXT}")
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        place = (error.lineno or 1, (error.offset or 1) - 1, None)
        raise fail(f"cannot be read: {error.msg}", text, place) from None
    except (RecursionError, MemoryError, ValueError) as error:
        raise fail(f"cannot be read: {error or 'nested too deeply'}") from None
    if not body:
        raise fail("the text is empty, expected lines like `h = tanh(z)`")
    return body


class _Reader:
    """Walks statements from top to bottom."""

    def __init__(self, names: Names, text: str) -> None:
        self.names = names
        self.values = Expressions(names, text)
        self.set_in_line: dict[str, int] = {}
        self.sources: list[sympy.Expr] = []
        self.place: dict[str, int] = {}
        self.matrices: dict[str, Combination] = {}

    def statement(self, node: ast.stmt) -> None:
        """Read one statement ``name = expression``."""
        if not isinstance(node, ast.Assign) or len(node.targets) != 1:
            raise self.values.fail("expected a line of the form `name = expression`", node)
        target = node.targets[0]
        if not isinstance(target, ast.Name):
            raise self.values.fail("expected one name left of `=`", target)
        name = self.names.check_target(target.id, lambda why: self.values.fail(why, target))
        if name in self.set_in_line:
            line = self.set_in_line[name]
            raise self.values.fail(
                f"{name!r} is set twice, first in line {line}; rename one", target
            )
        if owner := self.names.of_recurrent_part(name):
            if owner in self.set_in_line:
                line = self.set_in_line[owner]
                raise self.values.fail(f"line {line} sets {owner!r} already; move it down", target)
            self.recurrent_part(owner, name, node)
        else:
            value = self.values.expression(node.value, name)
            if not value.is_Atom:
                value = self.values.keep(node, "=", (value,), name)
            self.values.current[name] = value
        self.set_in_line[name] = node.lineno

    def recurrent_part(self, owner: str, name: str, node: ast.Assign) -> None:
        """Read a line that sets the recurrent part ``z_r`` of the net input ``z``."""
        if not isinstance(node.value, ast.BinOp) or not isinstance(node.value.op, ast.MatMult):
            value = self.values.expression(node.value, f"{name}~")
            if not value.is_Atom:
                value = self.values.keep(node, "=", (value,), f"{name}~")
        else:
            value = sympy.Symbol(name)
            matrix = read_matrix(node.value.left, self.factor, self.values.fail)
            source = self.values.atom(self.values.expression(node.value.right), node.value.right)
            if source != sympy.Symbol("h_prev"):
                if source not in self.sources:
                    self.sources.append(source)
                self.place[owner] = self.sources.index(source) + 1
                if len(self.sources) >= MAX_PRODUCTS:
                    raise self.values.fail(f"more than {MAX_PRODUCTS} products with a matrix", node)
            if matrix != PLAIN:
                self.matrices[owner] = matrix
        self.values.current[name] = value
        self.values.add_net_input(owner)

    def factor(self, node: ast.expr) -> float:
        """Return the value of a number by which a matrix is multiplied."""
        value = self.values.expression(node)
        if not value.is_Number or value == 0:
            raise self.values.fail(
                "expected a number other than zero as the factor of a matrix", node
            )
        return float(value)
