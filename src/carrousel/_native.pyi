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

def run_lanes(shape: dict, update: str, output_derivative: bool, initial_activation: float, learn: bool, gradient: str, depth: int, stride: int, weights: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], gradients: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')] | None, rates: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], cells_from: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], data: list, threads: int, instruction_set: str = '') -> None:
    """
    Learn, predict or compute gradients of many lanes; see kernels/native/lanes.py for every argument.
    """

def sequence_forward(dtype: str, description: dict, call: dict) -> None:
    """
    One direction of one layer, forward; see kernels/native/sequence.py for every entry of the call.
    """

sequence_window_bytes: int = 2097152

sequence_window_rows: int = 384

def sequence_backward(dtype: str, description: dict, call: dict) -> None:
    """Its way back."""

class StepFloat:
    """
    Layers of one recurrence, one step a call, with weights and state of their own.
    """

    def __init__(self, recurrence: dict, weights: list, batch: int, inputs: int, zone_h: float = 0.0, zone_s: float = 0.0, instruction_set: str = '') -> None: ...

    def run(self) -> None:
        """One step, from `input` to `output`."""

    def prepare(self) -> None:
        """Do what of the next step needs no input."""

    def load(self, weights: list) -> None:
        """Take new weights, of the shapes of the first."""

    def reset(self, row: int | None = None) -> None:
        """Start anew, all rows or one."""

    def read_state(self, h: object, s: object) -> None:
        """Copy the state out."""

    def write_state(self, h: object, s: object) -> None:
        """Copy a state in."""

    @property
    def input(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]:
        """[B, I], to be written before a step; lives as long as anyone holds it."""

    @property
    def output(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None, None))]:
        """[B, O] of the last step, overwritten by the next."""

class StepDouble:
    """
    Layers of one recurrence, one step a call, with weights and state of their own.
    """

    def __init__(self, recurrence: dict, weights: list, batch: int, inputs: int, zone_h: float = 0.0, zone_s: float = 0.0, instruction_set: str = '') -> None: ...

    def run(self) -> None:
        """One step, from `input` to `output`."""

    def prepare(self) -> None:
        """Do what of the next step needs no input."""

    def load(self, weights: list) -> None:
        """Take new weights, of the shapes of the first."""

    def reset(self, row: int | None = None) -> None:
        """Start anew, all rows or one."""

    def read_state(self, h: object, s: object) -> None:
        """Copy the state out."""

    def write_state(self, h: object, s: object) -> None:
        """Copy a state in."""

    @property
    def input(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None))]:
        """[B, I], to be written before a step; lives as long as anyone holds it."""

    @property
    def output(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None))]:
        """[B, O] of the last step, overwritten by the next."""

class StreamFloat:
    """One net that learns at every step of one or many streams."""

    def __init__(self, settings: dict, scaled: object, instruction_set: str = '') -> None: ...

    def peek(self, stream: int) -> int:
        """Outputs at `input`; nothing moves."""

    def advance(self, stream: int) -> int:
        """Move by `input`, to `outputs`."""

    def learn(self, stream: int) -> int:
        """Learn `target`."""

    def step(self, stream: int) -> int:
        """Advance, and learn unless `target` is NaN."""

    def run(self, streams: object, x: object, targets: object | None, targets_first: bool, outputs: object) -> tuple[int, int]:
        """Rows in order: how many, and an outcome."""

    def reset(self, stream: int) -> int:
        """Begin a stream anew."""

    def parts(self) -> dict:
        """Name -> whether each stream has one, shape."""

    def read(self, name: str, stream: int, to: object) -> None: ...

    def write(self, name: str, stream: int, source: object) -> None: ...

    def flags(self) -> list[int]:
        """For each stream: 0 not begun, 1 begun, 3 with a step to learn."""

    def set_flags(self, stream: int, flags: int) -> None: ...

    def finite(self) -> bool:
        """Whether all weights and running gradients are finite."""

    @property
    def rate(self) -> float: ...

    @rate.setter
    def rate(self, arg: float, /) -> None: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def input(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    @property
    def target(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    @property
    def outputs(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

class StreamDouble:
    """One net that learns at every step of one or many streams."""

    def __init__(self, settings: dict, scaled: object, instruction_set: str = '') -> None: ...

    def peek(self, stream: int) -> int:
        """Outputs at `input`; nothing moves."""

    def advance(self, stream: int) -> int:
        """Move by `input`, to `outputs`."""

    def learn(self, stream: int) -> int:
        """Learn `target`."""

    def step(self, stream: int) -> int:
        """Advance, and learn unless `target` is NaN."""

    def run(self, streams: object, x: object, targets: object | None, targets_first: bool, outputs: object) -> tuple[int, int]:
        """Rows in order: how many, and an outcome."""

    def reset(self, stream: int) -> int:
        """Begin a stream anew."""

    def parts(self) -> dict:
        """Name -> whether each stream has one, shape."""

    def read(self, name: str, stream: int, to: object) -> None: ...

    def write(self, name: str, stream: int, source: object) -> None: ...

    def flags(self) -> list[int]:
        """For each stream: 0 not begun, 1 begun, 3 with a step to learn."""

    def set_flags(self, stream: int, flags: int) -> None: ...

    def finite(self) -> bool:
        """Whether all weights and running gradients are finite."""

    @property
    def rate(self) -> float: ...

    @rate.setter
    def rate(self, arg: float, /) -> None: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def input(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    @property
    def target(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...

    @property
    def outputs(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,))]: ...
