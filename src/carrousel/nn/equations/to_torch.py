"""Torch version of a cell's flat program: any type and device, differentiable at any order."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from carrousel.nn.equations.flat import Flat


def _softplus(x: Tensor) -> Tensor:
    # By default torch returns x for x > 20; beyond 40 that is exact in float64 too.
    return functional.softplus(x, 1.0, 40.0)


def _where(compare: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda left, right, yes, no: torch.where(compare(left, right), yes, no)


_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "neg": operator.neg,
}
_CALLS: dict[str, Callable[..., Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "log": torch.log,
    "softplus": _softplus,
    "relu": torch.relu,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "sin": torch.sin,
    "cos": torch.cos,
    "erf": torch.erf,
    "reciprocal": torch.reciprocal,
    "max": torch.maximum,
    "min": torch.minimum,
    "where_lt": _where(torch.lt),
    "where_le": _where(torch.le),
    "where_eq": _where(torch.eq),
    "where_ne": _where(torch.ne),
}


def torch_step(program: Flat) -> Callable[..., tuple]:
    """Return the step ``(x, r, states, h, unit) -> (states, m, gates)`` of a program.

    Its signature is that of ``kernels/described.py``.
    """
    run = _runner(program)

    def step(*given: Any) -> tuple[tuple[Tensor, ...], Tensor, tuple[Tensor, ...]]:
        results = run(*given)
        return results["states"], results["output"][0], results["gates"]

    return step


def torch_source(program: Flat) -> Callable[..., Tensor]:
    """Return the function ``(x, r, states, h, unit) -> v`` of a program with one result."""
    run = _runner(program)

    def source(*given: Any) -> Tensor:
        ((value,),) = run(*given).values()
        return value

    return source


def _runner(program: Flat) -> Callable[..., dict[str, tuple[Tensor, ...]]]:
    operations = tuple(
        (_ARITHMETIC.get(op) or _CALLS[op], op in _ARITHMETIC, args)
        for op, args in program.operations
    )

    def run(
        x: tuple[Tensor, ...],
        r: tuple[Tensor | None, ...],
        states: tuple[Tensor, ...],
        h: Tensor,
        unit: tuple[Tensor, ...],
    ) -> dict[str, tuple[Tensor, ...]]:
        like = x[0]
        values: list[Any] = [*x, *r, *states, h, *unit]

        def tensor(number: float) -> Tensor:
            return torch.full((), number, dtype=like.dtype, device=like.device)

        for function, takes_numbers, args in operations:
            given = [values[ref] if isinstance(ref, int) else ref for ref in args]
            if not takes_numbers:
                given = [tensor(ref) if isinstance(ref, float) else ref for ref in given]
            values.append(function(*given))

        def result(refs: tuple[Any, ...]) -> tuple[Tensor, ...]:
            # Values that depend only on unit parameters and numbers have no batch dimension yet.
            out = [values[ref] if isinstance(ref, int) else tensor(ref) for ref in refs]
            return tuple(
                value.expand_as(like) if value.ndim < like.ndim else value for value in out
            )

        return {name: result(refs) for name, refs in program.results.items()}

    return run
