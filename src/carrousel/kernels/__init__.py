"""What is computed, and how fast: a readable reference and compiled lanes, with one signature."""

from __future__ import annotations

from carrousel.contracts import TRUNCATED, Gradient, Kernel
from carrousel.kernels.memory import gradient_numbers as gradient_numbers
from carrousel.kernels.native import NativeKernel as NativeKernel
from carrousel.kernels.native import instruction_set as instruction_set
from carrousel.kernels.native import instruction_sets as instruction_sets
from carrousel.kernels.reference import ReferenceKernel as ReferenceKernel


def default_kernel(gradient: Gradient = TRUNCATED) -> Kernel:
    """Return the fastest kernel that knows a gradient.

    >>> default_kernel(Gradient("uoro")).name, default_kernel(Gradient("snap", 2)).name
    ('native', 'reference')
    """
    return NativeKernel() if NativeKernel.knows(gradient) else ReferenceKernel()


__all__ = [
    "NativeKernel",
    "ReferenceKernel",
    "default_kernel",
    "gradient_numbers",
    "instruction_set",
    "instruction_sets",
]
