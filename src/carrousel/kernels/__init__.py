"""What is computed, and how fast: a readable reference and compiled lanes, with one signature."""

from __future__ import annotations

from carrousel.kernels.native import NativeKernel as NativeKernel
from carrousel.kernels.native import instruction_set as instruction_set
from carrousel.kernels.native import instruction_sets as instruction_sets
from carrousel.kernels.reference import ReferenceKernel as ReferenceKernel

__all__ = ["NativeKernel", "ReferenceKernel", "instruction_set", "instruction_sets"]
