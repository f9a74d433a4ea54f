"""Lowers lines to a flat program: single operations on numbered values, for torch and compiler."""

from __future__ import annotations

from typing import Any, NamedTuple

import sympy

from carrousel.nn.equations.derive import Program, live

Ref = int | float
"""A value by its number (int), or a constant (float)."""


class Operation(NamedTuple):
    """One operation; its value ``op(args)`` gets the next number.

    ``op`` is one of ``add sub mul neg max min share``, a function of ``parse.FUNCTIONS``, or
    ``mask_`` or ``where_`` with one of the comparisons ``lt le eq ne``.
    """

    op: str
    args: tuple[Ref, ...]


class Flat(NamedTuple):
    """A flat program: values ``0 .. len(inputs) - 1`` are its inputs, each operation adds one."""

    inputs: tuple[str, ...]
    operations: tuple[Operation, ...]
    results: dict[str, tuple[Ref, ...]]


def flatten(program: Program, inputs: tuple[str, ...], wanted: tuple[str, ...]) -> Flat:
    """Lower the part of a program that the wanted results need."""
    builder = _Builder(inputs)
    results = {name: program.results[name] for name in wanted}
    values = [value for many in results.values() for value in many]
    for line in live(program.lines, values, {sympy.Symbol(name) for name in inputs}):
        refs = tuple(builder.lower(value) for value in line.args)
        builder.known[line.target] = refs[0] if line.op == "=" else builder.add(line.op, *refs)
    lowered = {name: tuple(map(builder.lower, many)) for name, many in results.items()}
    return Flat(inputs, tuple(builder.operations), lowered)


def read_inputs(program: Flat) -> set[str]:
    """Return the names of the inputs that a program reads."""
    refs = [ref for operation in program.operations for ref in operation.args]
    refs += [ref for many in program.results.values() for ref in many]
    count = len(program.inputs)
    return {program.inputs[ref] for ref in refs if isinstance(ref, int) and ref < count}


class _Builder:
    """Numbers values; an operation on the same values is added only once."""

    def __init__(self, inputs: tuple[str, ...]) -> None:
        self.first = len(inputs)
        self.operations: list[Operation] = []
        self.numbers: dict[Any, int] = {}
        self.known: dict[sympy.Expr, Ref] = {
            sympy.Symbol(name): number for number, name in enumerate(inputs)
        }

    def add(self, op: str, *args: Ref) -> int:
        """Add an operation, or find it; return the number of its value."""
        key = op, *((type(arg), arg) for arg in args)  # 1, a number of a value, equals 1.0
        if key not in self.numbers:
            self.numbers[key] = self.first + len(self.operations)
            self.operations.append(Operation(op, args))
        return self.numbers[key]

    def lower(self, value: sympy.Expr) -> Ref:
        """Add the operations of a polynomial and return the reference to its value."""
        if value.is_Number:
            return float(value)
        if value not in self.known:
            if value.is_Add:
                self.known[value] = self.sum(value)
            elif value.is_Mul:
                self.known[value] = self.product(*value.as_coeff_mul())
            else:
                base, exponent = value.as_base_exp()
                self.known[value] = self.power(self.lower(base), int(exponent))
        return self.known[value]

    def sum(self, value: sympy.Expr) -> Ref:
        """Add up terms in their order: those to add first, then those to subtract."""
        plus, minus = [], []
        terms: Any = value.as_ordered_terms()
        for term in terms:
            coefficient, factors = term.as_coeff_mul()
            negative = bool(coefficient < 0)
            each = self.product(abs(coefficient), factors) if factors else float(abs(coefficient))
            (minus if negative else plus).append(each)
        total = plus[0] if plus else self.add("neg", minus.pop(0))
        for each in plus[1:]:
            total = self.add("add", total, each)
        for each in minus:
            total = self.add("sub", total, each)
        return total

    def product(self, coefficient: sympy.Expr, factors: tuple[sympy.Expr, ...]) -> Ref:
        """Multiply a number by powers of symbols and sums."""
        product, *rest = (self.lower(factor) for factor in factors)
        for factor in rest:
            product = self.add("mul", product, factor)
        if coefficient == -1:
            return self.add("neg", product)
        return product if coefficient == 1 else self.add("mul", product, float(coefficient))

    def power(self, base: Ref, exponent: int) -> Ref:
        """Raise a value to a positive whole power by repeated squaring."""
        if exponent == 1:
            return base
        half = self.power(base, exponent // 2)
        square = self.add("mul", half, half)
        return self.add("mul", square, base) if exponent % 2 else square
