"""Parser of the matrix in a recurrent product: a sum of ``W``, ``W.T`` and ``I`` with factors."""

from __future__ import annotations

import ast
from collections.abc import Callable

Combination = tuple[float, float, float]
"""A matrix ``a W + b W.T + c I`` as ``(a, b, c)``."""

PLAIN: Combination = (1.0, 0.0, 0.0)
"""The parameter ``W`` itself."""

Failure = Callable[[str, ast.AST], Exception]


def read_matrix(node: ast.expr, factor: Callable[[ast.expr], float], fail: Failure) -> Combination:
    """Read a recurrent matrix.

    Args:
        node: the expression left of ``@``.
        factor: returns the value of a node that must be a number other than zero, or raises.
        fail: returns the exception for an error at a node.

    >>> node = ast.parse("2 * (W - W.T) - I", mode="eval").body
    >>> read_matrix(node, lambda number: number.value, lambda message, node: ValueError(message))
    (2.0, -2.0, -1.0)
    """

    def scaled(matrix: Combination, by: float) -> Combination:
        return matrix[0] * by, matrix[1] * by, matrix[2] * by

    def read(node: ast.expr) -> Combination:
        match node:
            case ast.Name(id="W"):
                return PLAIN
            case ast.Attribute(value=ast.Name(id="W"), attr="T"):
                return 0.0, 1.0, 0.0
            case ast.Name(id="I"):
                return 0.0, 0.0, 1.0
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return scaled(read(inner), -1.0)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                a, b = read(left), read(right)
                b = b if isinstance(op, ast.Add) else scaled(b, -1.0)
                return a[0] + b[0], a[1] + b[1], a[2] + b[2]
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return scaled(read(right), factor(left))
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return scaled(read(left), 1 / factor(right))
        raise fail(
            "left of @, expected a matrix made of W, its transpose W.T and I, such as W - W.T or "
            "W - 0.1 * I",
            node,
        )

    total = read(node)
    if not total[0] and not total[1]:
        raise fail("this matrix has no W; multiply by a number without @", node)
    return total
