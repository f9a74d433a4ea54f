"""Lowers lines to single operations on numbered values: what torch and the compiler both run."""

from __future__ import annotations

from typing import Any, NamedTuple

import sympy

from carrousel.nn.equations.derive import Way, live

Ref = int | float
"""A value by its number, or a constant."""


class Step(NamedTuple):
    """The next value is ``op(args)``.

    ``op`` is ``add sub mul neg``, a call of ``equations_parse.FUNCTIONS``, ``max min``, ``share``,
    ``mask_lt`` and its kin, or ``where_lt`` and its kin.
    """

    op: str
    args: tuple[Ref, ...]


class Flat(NamedTuple):
    """Values ``0 .. len(inputs) - 1`` come in; every step makes the next; some go out."""

    inputs: tuple[str, ...]
    steps: tuple[Step, ...]
    results: dict[str, tuple[Ref, ...]]


def flatten(way: Way, inputs: tuple[str, ...], wanted: tuple[str, ...]) -> Flat:
    """Lower what the wanted results of a program need."""
    builder = _Builder(inputs)
    results = {name: way.results[name] for name in wanted}
    values = [value for many in results.values() for value in many]
    for line in live(way.lines, values, {sympy.Symbol(name) for name in inputs}):
        refs = tuple(builder.lower(value) for value in line.args)
        builder.known[line.target] = refs[0] if line.op == "=" else builder.step(line.op, *refs)
    lowered = {name: tuple(map(builder.lower, many)) for name, many in results.items()}
    return Flat(inputs, tuple(builder.steps), lowered)


def read(program: Flat) -> set[str]:
    """Names of the inputs that a program reads."""
    refs = [ref for step in program.steps for ref in step.args]
    refs += [ref for many in program.results.values() for ref in many]
    count = len(program.inputs)
    return {program.inputs[ref] for ref in refs if isinstance(ref, int) and ref < count}


class _Builder:
    """Numbers values; the same operation on the same values is one value."""

    def __init__(self, inputs: tuple[str, ...]) -> None:
        self.first = len(inputs)
        self.steps: list[Step] = []
        self.numbers: dict[Step, int] = {}
        self.known: dict[sympy.Expr, Ref] = {
            sympy.Symbol(name): number for number, name in enumerate(inputs)
        }

    def step(self, op: str, *args: Ref) -> int:
        step = Step(op, args)
        if step not in self.numbers:
            self.numbers[step] = self.first + len(self.steps)
            self.steps.append(step)
        return self.numbers[step]

    def lower(self, value: sympy.Expr) -> Ref:
        """The reference of a polynomial's value."""
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
        """Terms in their order, those without a minus sign first."""
        plus, minus = [], []
        terms: Any = value.as_ordered_terms()
        for term in terms:
            coefficient, factors = term.as_coeff_mul()
            negative = bool(coefficient < 0)
            each = self.product(abs(coefficient), factors) if factors else float(abs(coefficient))
            (minus if negative else plus).append(each)
        total = plus[0] if plus else self.step("neg", minus.pop(0))
        for each in plus[1:]:
            total = self.step("add", total, each)
        for each in minus:
            total = self.step("sub", total, each)
        return total

    def product(self, coefficient: sympy.Expr, factors: tuple[sympy.Expr, ...]) -> Ref:
        """A number times powers of symbols and sums."""
        product, *rest = (self.lower(factor) for factor in factors)
        for factor in rest:
            product = self.step("mul", product, factor)
        if coefficient == -1:
            return self.step("neg", product)
        return product if coefficient == 1 else self.step("mul", product, float(coefficient))

    def power(self, base: Ref, exponent: int) -> Ref:
        """By squaring; exponents are whole and positive here."""
        if exponent == 1:
            return base
        half = self.power(base, exponent // 2)
        square = self.step("mul", half, half)
        return self.step("mul", square, base) if exponent % 2 else square
