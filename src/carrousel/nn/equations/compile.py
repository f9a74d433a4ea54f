"""Compiler of a cell's flat programs to machine code that native loops call by address.

Numba compiles a C function whose body is LLVM code: a loop over blocks of units, with each value of
a block in a vector. The user's text is never executed and never becomes Python code. The functions
have the signatures of ``kernels/described.py``.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import cfunc, types
from numba.extending import intrinsic

from carrousel.nn.equations.flat import Flat, Ref, read_inputs
from carrousel.nn.equations.program import PointerArgument
from carrousel.nn.equations.vector import VectorMath

LANES = {32: 16, 64: 8}
"""Numbers in a block: one register of AVX-512, two of AVX2, four of NEON."""

COMPARE = {"lt": "<", "le": "<=", "eq": "==", "ne": "!="}
INT64, INT32, BIT = ir.IntType(64), ir.IntType(32), ir.IntType(1)


def compiled(program: Flat, arguments: tuple[PointerArgument, ...], bits: int) -> Any:
    """Compile a function of 6 to 11 pointers; keep the result alive while its address is in use."""
    number = types.float32 if bits == 32 else types.float64

    @intrinsic
    def body(typing: Any, units: Any, pointers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            each = [builder.extract_value(values[1], n) for n in range(len(arguments))]
            _Loop(builder, program, arguments, bits).emit(values[0], each)
            return context.get_dummy_value()

        return types.void(units, pointers), generate

    call: Any = body

    def six(units, a, b, c, d, e, f):
        call(units, (a, b, c, d, e, f))

    def eight(units, a, b, c, d, e, f, g, h):
        call(units, (a, b, c, d, e, f, g, h))

    def ten(units, a, b, c, d, e, f, g, h, i, j):
        call(units, (a, b, c, d, e, f, g, h, i, j))

    def eleven(units, a, b, c, d, e, f, g, h, i, j, k):
        call(units, (a, b, c, d, e, f, g, h, i, j, k))

    function = {6: six, 8: eight, 10: ten, 11: eleven}[len(arguments)]
    return cfunc(types.void(types.int64, *[types.CPointer(number)] * len(arguments)))(function)


class _Loop:
    """Emits the body of a function: whole blocks of units, then one masked block for the rest."""

    def __init__(
        self, builder: Any, program: Flat, arguments: tuple[PointerArgument, ...], bits: int
    ) -> None:
        self.builder, self.program, self.arguments = builder, program, arguments
        self.lanes = LANES[bits]
        self.math = VectorMath(builder, bits, self.lanes)
        self.read = read_inputs(program)

    def emit(self, units: Any, pointers: list[Any]) -> None:
        builder, lanes = self.builder, ir.Constant(INT64, self.lanes)
        whole = builder.and_(units, ir.Constant(INT64, -self.lanes))
        entry = builder.block
        test, inside, rest = (
            builder.append_basic_block(name) for name in ("test", "block", "rest")
        )
        masked, end = (builder.append_basic_block(name) for name in ("masked", "end"))
        builder.branch(test)
        builder.position_at_end(test)
        unit = builder.phi(INT64, "unit")
        unit.add_incoming(ir.Constant(INT64, 0), entry)
        builder.cbranch(builder.icmp_signed("<", unit, whole), inside, rest)
        builder.position_at_end(inside)
        self.block(units, pointers, unit, None)
        unit.add_incoming(builder.add(unit, lanes), builder.block)
        builder.branch(test)
        builder.position_at_end(rest)
        left = builder.sub(units, whole)
        builder.cbranch(builder.icmp_signed(">", left, ir.Constant(INT64, 0)), masked, end)
        builder.position_at_end(masked)
        self.block(units, pointers, whole, self.mask(left))
        builder.branch(end)
        builder.position_at_end(end)

    def mask(self, left: Any) -> Any:
        """Return a vector of bits that are set in the first ``left`` lanes."""
        vector = ir.VectorType(INT32, self.lanes)
        few = self.builder.insert_element(
            ir.Constant(vector, ir.Undefined),
            self.builder.trunc(left, INT32),
            ir.Constant(INT32, 0),
        )
        everywhere = ir.Constant(vector, [ir.Constant(INT32, 0)] * self.lanes)
        few = self.builder.shuffle_vector(few, ir.Constant(vector, ir.Undefined), everywhere)
        lane = ir.Constant(vector, [ir.Constant(INT32, n) for n in range(self.lanes)])
        return self.builder.icmp_signed("<", lane, few)

    def block(self, units: Any, pointers: list[Any], unit: Any, mask: Any) -> None:
        """Emit code that reads a block of every input, computes, and writes every result."""
        builder = self.builder

        def place(pointer: Any, row: int) -> Any:
            offset = builder.add(builder.mul(units, ir.Constant(INT64, row)), unit)
            address = builder.gep(pointer, [offset])
            return builder.bitcast(address, self.math.type.as_pointer())

        given = {
            name: self.load(place(pointer, row), mask)
            for argument, pointer in zip(self.arguments, pointers, strict=True)
            for row, name in enumerate(argument.inputs)
            if name in self.read
        }
        results = self.compute(given)
        for argument, pointer in zip(self.arguments, pointers, strict=True):
            for row, value in enumerate(results.get(argument.result, ())):
                target = place(pointer, row)
                if argument.adds:
                    value = self.math.add(self.load(target, mask), value)
                self.store(value, target, mask)

    def load(self, place: Any, mask: Any) -> Any:
        align = self.math.bits // 8  # rows are aligned like single numbers
        if mask is None:
            return self.builder.load(place, align=align)
        vector = self.math.type
        signature = ir.FunctionType(vector, [place.type, INT32, mask.type, vector])
        zero = self.math.number(0.0)
        function = self.intrinsic("load", signature)
        return self.builder.call(function, [place, ir.Constant(INT32, align), mask, zero])

    def store(self, value: Any, place: Any, mask: Any) -> None:
        align = self.math.bits // 8
        if mask is None:
            self.builder.store(value, place, align=align)
            return
        signature = ir.FunctionType(ir.VoidType(), [value.type, place.type, INT32, mask.type])
        function = self.intrinsic("store", signature)
        self.builder.call(function, [value, place, ir.Constant(INT32, align), mask])

    def intrinsic(self, name: str, signature: Any) -> Any:
        full = f"llvm.masked.{name}.v{self.lanes}f{self.math.bits}.p0"
        found = self.builder.module.globals.get(full)
        return ir.Function(self.builder.module, signature, name=full) if found is None else found

    def compute(self, given: dict[str, Any]) -> dict[str, list[Any]]:
        """Emit the program's operations on vectors."""
        values = [given.get(name) for name in self.program.inputs]

        def at(ref: Ref) -> Any:
            return values[ref] if isinstance(ref, int) else self.math.number(ref)

        for op, args in self.program.operations:
            name, _, comparison = op.partition("_")
            parts = [at(ref) for ref in args]
            if comparison:
                emit = self.math.select if name == "where" else self.math.mask
                values.append(emit(COMPARE[comparison], *parts))
            else:
                values.append(getattr(self.math, name)(*parts))
        return {name: [at(ref) for ref in many] for name, many in self.program.results.items()}
