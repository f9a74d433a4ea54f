"""Compiled kernels of carrousel."""

from typing import Annotated

import numpy
from numpy.typing import NDArray


def instruction_set() -> str:
    """Name of the instruction set the kernels run on."""

def available_instruction_sets() -> list[str]:
    """Names of all instruction sets this processor can run, best first."""

def lane_width(instruction_set: str = '') -> int:
    """Number of lanes one vector of an instruction set holds."""

def run_lanes(shape: dict, update: str, output_derivative: bool, initial_activation: float, learn: bool, gradient: str, depth: int, stride: int, weights: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], rates: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], cells_from: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], data: list, threads: int, instruction_set: str = '') -> None:
    """
    Learn or predict many lanes; see kernels/native.py for the meaning of every argument.
    """
