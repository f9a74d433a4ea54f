"""Vector functions for equations: LLVM code for float32 and float64.

A mathematical library computes number by number, which takes five times as long as the same formula
on whole vectors. This module therefore contains ``exp``, ``tanh`` and ``log`` without branches:

* ``exp(x)``: ``n`` is ``x / ln 2`` rounded to the nearest whole number, by adding a number so large
  that the sum has no fraction bits. ``r = x - n ln 2``, with ``ln 2`` in two parts (Cody & Waite
  1980). ``exp(r)`` is a Taylor series whose remainder is below half a unit in the last place for
  ``|r| <= ln(2) / 2``. The factor ``2^n`` is applied in two steps, so that results near the ends of
  the range, including subnormal ones, are correct.
* ``tanh(x) = -q / (q + 2)`` with ``q = exp(-2|x|) - 1`` computed without cancellation, and the sign
  of ``x``. Relative errors stay small near zero.
* ``log(x) = n ln 2 + 2 artanh((m - 1) / (m + 1))`` for ``x = m 2^n``, with the series of artanh.

All functions propagate NaN. None traps or depends on the order of lanes.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir


class VectorMath:
    """Emits operations on vectors of ``lanes`` numbers of one type through an LLVM builder."""

    def __init__(self, builder: Any, bits: int, lanes: int) -> None:
        self.builder = builder
        self.lanes = lanes
        self.bits = bits
        self.scalar = ir.FloatType() if bits == 32 else ir.DoubleType()
        self.type = ir.VectorType(self.scalar, lanes)
        self.int_type = ir.VectorType(ir.IntType(bits), lanes)
        self.cast: Any = np.float32 if bits == 32 else np.float64
        self.mantissa = {32: 23, 64: 52}[bits]
        self.bias = 2 ** (bits - self.mantissa - 2) - 1
        # Numbers of terms with a remainder below a quarter of a unit in the last place: of
        # r^n / n! for r = ln(2) / 2; of s^2n / (2n + 1) for s = 0.172 and, for log1p, 1/3.
        self.exp_terms = 8 if bits == 32 else 14
        self.log_terms = 4 if bits == 32 else 10
        self.log1p_terms = 7 if bits == 32 else 16

    # --- numbers and single operations ------------------------------------------------------------

    def number(self, value: float) -> Any:
        """Return a vector with the same number in every lane."""
        with np.errstate(over="ignore"):
            rounded = float(self.cast(value))
        return ir.Constant(self.type, [ir.Constant(self.scalar, rounded)] * self.lanes)

    def whole(self, value: int) -> Any:
        return ir.Constant(self.int_type, [ir.Constant(self.int_type.element, value)] * self.lanes)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b, flags=("contract",))

    def sub(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=("contract",))

    def mul(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b, flags=("contract",))

    def neg(self, a: Any) -> Any:
        return self.builder.fneg(a)

    def div(self, a: Any, b: Any) -> Any:
        return self.builder.fdiv(a, b)

    def reciprocal(self, a: Any) -> Any:
        return self.div(self.number(1.0), a)

    def select(self, comparison: str, a: Any, b: Any, yes: Any, no: Any) -> Any:
        """Return ``yes`` in the lanes where the comparison holds, else ``no``."""
        unordered = comparison == "!="
        compare = self.builder.fcmp_unordered if unordered else self.builder.fcmp_ordered
        return self.builder.select(compare(comparison, a, b), yes, no)

    def intrinsic(self, name: str, *args: Any) -> Any:
        """Call an LLVM intrinsic on vectors."""
        full = f"llvm.{name}.v{self.lanes}f{self.bits}"
        module = self.builder.module
        function = module.globals.get(full)
        if function is None:
            signature = ir.FunctionType(self.type, [self.type] * len(args))
            function = ir.Function(module, signature, name=full)
        return self.builder.call(function, args)

    def series(self, x: Any, coefficients: list[float]) -> Any:
        """Evaluate a polynomial; the constant coefficient comes first."""
        total = self.number(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            total = self.add(self.mul(total, x), self.number(coefficient))
        return total

    # --- choices ----------------------------------------------------------------------------------

    def max(self, a: Any, b: Any) -> Any:
        # The first selection returns a NaN in a, the second a NaN in b.
        return self.select("!=", a, a, a, self.select(">", a, b, a, b))

    def min(self, a: Any, b: Any) -> Any:
        return self.select("!=", a, a, a, self.select("<", a, b, a, b))

    def relu(self, a: Any) -> Any:
        return self.select("<", a, self.number(0.0), self.number(0.0), a)

    def abs(self, a: Any) -> Any:
        return self.intrinsic("fabs", a)

    def share(self, a: Any, b: Any) -> Any:
        """Return 1 where ``a > b``, 0 where ``a < b``, else 0.5."""
        one, half, zero = (self.number(value) for value in (1.0, 0.5, 0.0))
        return self.select(">", a, b, one, self.select("<", a, b, zero, half))

    def mask(self, comparison: str, a: Any, b: Any) -> Any:
        return self.select(comparison, a, b, self.number(1.0), self.number(0.0))

    # --- powers of two ----------------------------------------------------------------------------

    def split(self, x: Any) -> tuple[Any, Any]:
        """Return integers ``n``, and ``r`` with ``x = n ln 2 + r`` and ``|r| <= ln(2) / 2``."""
        magic = self.number(1.5 * 2**self.mantissa)
        shifted = self.builder.fadd(self.mul(x, self.number(1 / math.log(2))), magic)
        n = self.builder.fsub(shifted, magic)
        as_int = partial(self.builder.bitcast, typ=self.int_type)
        high, low = self.ln2()
        r = self.sub(self.sub(x, self.mul(n, self.number(high))), self.mul(n, self.number(low)))
        return self.builder.sub(as_int(shifted), as_int(magic)), r

    def ln2(self) -> tuple[float, float]:
        """Return ``ln 2`` as a part with few digits, for exact products with ``n``, and a rest."""
        unit = 2 ** (15 if self.bits == 32 else 40)
        with localcontext(prec=40):
            exact = Decimal(2).ln()
            high = int(exact * unit)
            return high / unit, float(exact - Decimal(high) / unit)

    def power_of_two(self, n: Any) -> Any:
        """Return ``2^n`` for exponents of normal numbers."""
        biased = self.builder.add(n, self.whole(self.bias))
        shifted = self.builder.shl(biased, self.whole(self.mantissa))
        return self.builder.bitcast(shifted, self.type)

    # --- functions --------------------------------------------------------------------------------

    def exp(self, x: Any) -> Any:
        top = self.mantissa + 2
        lowest, highest = -(self.bias + top) * math.log(2), (self.bias + 2) * math.log(2)
        x = self.select("<", x, self.number(lowest), self.number(lowest), x)
        x = self.select(">", x, self.number(highest), self.number(highest), x)
        n, r = self.split(x)
        value = self.series(r, [1 / math.factorial(k) for k in range(self.exp_terms)])
        half = self.builder.ashr(n, self.whole(1))
        value = self.mul(value, self.power_of_two(half))
        return self.mul(value, self.power_of_two(self.builder.sub(n, half)))

    def sigmoid(self, x: Any) -> Any:
        return self.reciprocal(self.add(self.number(1.0), self.exp(self.neg(x))))

    def tanh(self, x: Any) -> Any:
        y = self.mul(self.abs(x), self.number(-2.0))
        lowest = -self.mantissa - 4.0  # below this, tanh rounds to 1
        y = self.select("<", y, self.number(lowest), self.number(lowest), y)
        n, r = self.split(y)
        tail = self.series(r, [1 / math.factorial(k) for k in range(2, self.exp_terms + 1)])
        less_one = self.add(self.mul(self.mul(r, r), tail), r)  # exp(r) - 1
        scale = self.power_of_two(n)
        q = self.add(self.mul(scale, less_one), self.sub(scale, self.number(1.0)))
        size = self.div(self.neg(q), self.add(q, self.number(2.0)))
        return self.intrinsic("copysign", size, x)

    def artanh_twice(self, s: Any, terms: int) -> Any:
        square = self.mul(s, s)
        tail = self.series(square, [2 / (2 * k + 1) for k in range(1, terms + 1)])
        return self.add(self.mul(s, self.number(2.0)), self.mul(self.mul(s, square), tail))

    def log(self, x: Any) -> Any:
        builder, zero = self.builder, self.number(0.0)
        tiny = self.number(2.0 ** (1 - self.bias))
        lift = 2.0 ** (self.mantissa + 2)
        lifted = self.select("<", x, tiny, self.mul(x, self.number(lift)), x)
        bits = builder.bitcast(lifted, self.int_type)
        # This offset makes the exponent change at sqrt(1/2), so that m is in [sqrt 1/2, sqrt 2).
        root = int(self.cast(math.sqrt(0.5)).view(f"i{self.bits // 8}"))
        unit = self.bias << self.mantissa
        moved = builder.add(bits, self.whole(unit - root))
        n = builder.sub(builder.ashr(moved, self.whole(self.mantissa)), self.whole(self.bias))
        m_bits = builder.sub(bits, builder.shl(n, self.whole(self.mantissa)))
        m = builder.bitcast(m_bits, self.type)
        one = self.number(1.0)
        s = self.div(self.sub(m, one), self.add(m, one))
        exponent = builder.sitofp(n, self.type)
        less = self.number(self.mantissa + 2)
        exponent = self.select("<", x, tiny, self.sub(exponent, less), exponent)
        high, low = self.ln2()
        value = self.add(
            self.mul(exponent, self.number(high)),
            self.add(self.mul(exponent, self.number(low)), self.artanh_twice(s, self.log_terms)),
        )
        infinity = self.number(math.inf)
        value = self.select("==", x, infinity, infinity, value)
        value = self.select("==", x, zero, self.number(-math.inf), value)
        value = self.select("<", x, zero, self.number(math.nan), value)
        return self.select("!=", x, x, x, value)

    def softplus(self, x: Any) -> Any:
        u = self.exp(self.neg(self.abs(x)))
        s = self.div(u, self.add(u, self.number(2.0)))
        return self.add(self.relu(x), self.artanh_twice(s, self.log1p_terms))

    def sqrt(self, x: Any) -> Any:
        return self.intrinsic("sqrt", x)

    def sin(self, x: Any) -> Any:
        return self.intrinsic("sin", x)  # computed number by number by the mathematical library

    def cos(self, x: Any) -> Any:
        return self.intrinsic("cos", x)

    def erf(self, x: Any) -> Any:
        """Call the mathematical library once for each number."""
        name = "erff" if self.bits == 32 else "erf"
        function = self.builder.module.globals.get(name)
        if function is None:
            signature = ir.FunctionType(self.scalar, [self.scalar])
            function = ir.Function(self.builder.module, signature, name=name)
        value = x
        for lane in range(self.lanes):
            place = ir.Constant(ir.IntType(32), lane)
            number = self.builder.extract_element(x, place)
            result = self.builder.call(function, [number])
            value = self.builder.insert_element(value, result, place)
        return value
